/** After a turn with calls: the server's own are carried out, the client is asked for the others. */

import { toSeconds } from '../clock.ts';
import { toAnswerTokensMax } from './ask-model.ts';
import type { RunEvent } from './events.ts';
import { toLeaseWait } from './leases.ts';
import { toEndedStep, toStepUpdate } from './parts.ts';
import { addUsage, NO_USAGE, type StepRecord, toRun } from './run-records.ts';
import type { LoopState, RunLoopDeps, RunWork } from './run-work.ts';
import { toStep } from './step-views.ts';
import { answerServerCalls, toRequiredAction } from './tools/calls.ts';
import type { TurnRecorder } from './turn-recorder.ts';

/** Answers whether the model is to be asked again: false where the run waits for its client now. */
export async function* settleCalls(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  recorder: TurnRecorder,
): AsyncGenerator<RunEvent, boolean, undefined> {
  const { writer } = work;
  const { openToolStep } = recorder;
  if (openToolStep === null) throw new Error('calls without a step');
  const answers = await answerServerCalls(recorder, work, {
    firstNumber: state.turns.reduce((sum, turn) => sum + turn.calls.length, 0),
    tokensMax: toAnswerTokensMax(work, state, recorder),
  });
  const usage = recorder.usage ?? NO_USAGE;
  const { providerMetadata } = recorder;
  const step: StepRecord = {
    ...openToolStep,
    step_details: { type: 'tool_calls', tool_calls: answers.records },
    internal: {
      ...openToolStep.internal,
      usage,
      ...(providerMetadata === undefined ? {} : { provider_metadata: providerMetadata }),
      ...(answers.answered.length === 0 ? {} : { server_calls: answers.answered }),
    },
  };
  recorder.openToolStep = step;
  yield* answers.events;
  const internal = { ...writer.run.internal, usage: addUsage(writer.run.internal.usage, usage) };
  const deadlineMs = deps.clock.nowMs() + work.expiresMs;
  if (answers.open.length > 0) {
    const run = await writer.save(
      {
        status: 'requires_action',
        required_action: toRequiredAction(answers.open),
        expires_at: toSeconds(deadlineMs),
        internal,
      },
      {
        before: [toStepUpdate(writer.tenant, step), ...recorder.toLeftoverWrites()],
        after: [toLeaseWait(writer.run.id, deadlineMs)],
      },
    );
    yield { event: 'thread.run.requires_action', data: toRun(run) };
    return false;
  }
  const ended = toEndedStep(step, { status: 'completed' }, usage, toSeconds(deps.clock.nowMs()));
  await writer.save(
    { internal, expires_at: toSeconds(deadlineMs) },
    { before: [toStepUpdate(writer.tenant, ended), ...recorder.toLeftoverWrites()] },
  );
  work.setDeadline(deadlineMs);
  recorder.openToolStep = null;
  state.turns = [
    ...state.turns,
    {
      text: recorder.text,
      calls: answers.answered,
      ...(providerMetadata === undefined ? {} : { providerMetadata }),
    },
  ];
  yield { event: 'thread.run.step.completed', data: toStep(ended, work.view) };
  return true;
}
