/** The end of a run: whatever is open of it ends with it, the thread is free again, all in one write. */

import { toSeconds } from '../clock.ts';
import type { Ports } from '../ports.ts';
import type { MessageObject as MessageRecord } from '../schemas/generated/messages.ts';
import type { Write } from '../store/store.ts';
import type { MessageEventName, RunEvent, StepEventName } from './events.ts';
import { toLeaseDelete } from './leases.ts';
import {
  createDraft,
  type Ending,
  type MessageDraft,
  toEndedMessage,
  toEndedStep,
  toMessageUpdate,
  toStepUpdate,
} from './parts.ts';
import { addUsage, NO_USAGE, type RunRecord, type StepRecord, toRun, toThreadScope } from './run-records.ts';
import type { RunWriter } from './run-writer.ts';
import { toStep } from './step-views.ts';
import { toFunctionCall } from './tools/calls.ts';
import type { TurnRecorder } from './turn-recorder.ts';
import { readSteps } from './turns.ts';

type Deps = Pick<Ports, 'store' | 'clock'>;

/** What of a run is not at an end. */
interface OpenParts {
  readonly steps: readonly StepRecord[];
  readonly message: { readonly record: MessageRecord; readonly draft: MessageDraft } | null;
}

const NO_PARTS: OpenParts = Object.freeze({ steps: [], message: null });

/**
 * Ends the run and answers what is announced of it, in OpenAI's order: message, steps, run.
 * `recorder` is the turn that was under way; null where none was, `mayHaveSteps` then tells whether to look for
 * steps of before. Errors: `RunInterruption`, `IllegalTransition`, `StoreError`; then nothing is written.
 */
export async function endRun(
  deps: Deps,
  writer: RunWriter,
  ending: Ending,
  recorder: TurnRecorder | null,
  mayHaveSteps: boolean,
): Promise<readonly RunEvent[]> {
  const now = toSeconds(deps.clock.nowMs());
  const parts = recorder === null ? await findOpenParts(deps, writer, mayHaveSteps) : toOpenParts(recorder);
  const turnUsage = recorder?.usage ?? null;
  const message =
    parts.message === null ? null : toEndedMessage(parts.message.record, parts.message.draft, ending, now);
  const steps = parts.steps.map((step) => toEndedStep(step, toStepEnding(step, ending), turnUsage, now));
  const before: Write[] = [
    ...(message === null ? [] : [toMessageUpdate(writer.tenant, message)]),
    ...steps.map((step) => toStepUpdate(writer.tenant, step)),
    ...(recorder?.toLeftoverWrites() ?? []),
    // Before the run is seen to have ended: whoever sees it adds the next message.
    toThreadRelease(writer),
  ];
  // With the lease goes what was kept of the request's headers.
  const after: Write[] = [toLeaseDelete(writer.run.id)];
  const run = await writer.save(toEndedRun(writer.run, ending, turnUsage, now), { before, after });
  return [
    ...(message === null ? [] : [{ event: toMessageEvent(message), data: message }]),
    ...steps.map(
      (step): RunEvent => ({ event: `thread.run.step.${step.status}` as StepEventName, data: toStep(step) }),
    ),
    { event: `thread.run.${ending.status}`, data: toRun(run) },
  ];
}

function toMessageEvent(message: MessageRecord): MessageEventName {
  return message.status === 'completed' ? 'thread.message.completed' : 'thread.message.incomplete';
}

function toThreadRelease(writer: RunWriter): Write {
  return {
    kind: 'update',
    collection: 'threads',
    scope: { tenant: writer.tenant },
    id: writer.run.thread_id,
    change: { active_run_id: null },
  };
}

/** Calls that were cut short cannot be answered any more: their step failed, although the run is `incomplete`. */
function toStepEnding(step: StepRecord, ending: Ending): Ending {
  if (ending.status !== 'incomplete' || step.type === 'message_creation') return ending;
  return {
    status: 'failed',
    error: { code: 'server_error', message: `The run ended before its tools were called: ${ending.reason}.` },
  };
}

function toEndedRun(
  run: RunRecord,
  ending: Ending,
  turnUsage: RunRecord['usage'],
  now: number,
): Partial<RunRecord> {
  const usage = addUsage(run.internal.usage, turnUsage ?? NO_USAGE);
  const common = {
    status: ending.status,
    usage,
    required_action: null,
    internal: { ...run.internal, usage },
  };
  switch (ending.status) {
    case 'completed':
      return { ...common, completed_at: now, expires_at: null };
    case 'incomplete':
      return {
        ...common,
        completed_at: now,
        expires_at: null,
        incomplete_details: { reason: ending.reason },
      };
    case 'failed':
      return { ...common, failed_at: now, expires_at: null, last_error: ending.error };
    case 'cancelled':
      return { ...common, cancelled_at: now, expires_at: null };
    case 'expired':
      return common;
  }
}

function toOpenParts(recorder: TurnRecorder): OpenParts {
  const { openMessage, openToolStep } = recorder;
  const toolStep: StepRecord | null = openToolStep === null ? null : withCalls(openToolStep, recorder);
  const steps = [openMessage?.step ?? null, toolStep].filter((step) => step !== null);
  return {
    steps,
    message: openMessage === null ? null : { record: openMessage.message, draft: openMessage.draft },
  };
}

/** Shows the calls as far as the model had made them. */
function withCalls(step: StepRecord, recorder: TurnRecorder): StepRecord {
  if (step.step_details.type !== 'tool_calls' || step.step_details.tool_calls.length > 0) return step;
  const { serverTools } = recorder.context;
  const calls = recorder.calls.map(
    (call) => serverTools.get(call.name)?.toRecord(call) ?? toFunctionCall(call),
  );
  return { ...step, step_details: { type: 'tool_calls', tool_calls: calls } };
}

async function findOpenParts(deps: Deps, writer: RunWriter, mayHaveSteps: boolean): Promise<OpenParts> {
  if (!mayHaveSteps) return NO_PARTS;
  const { tenant, run } = writer;
  const steps = (await readSteps(deps, tenant, run.id)).filter((step) => step.status === 'in_progress');
  const details = steps.find((step) => step.type === 'message_creation')?.step_details;
  if (details?.type !== 'message_creation') return { steps, message: null };
  const scope = toThreadScope(tenant, run.thread_id);
  const found = await deps.store.get<MessageRecord>('messages', scope, details.message_creation.message_id);
  return {
    steps,
    message: found === null ? null : { record: found.record, draft: createDraft() },
  };
}
