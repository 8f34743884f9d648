/**
 * The life of a run from `queued` until it rests: ended, or waiting for its client. One generator of events,
 * drained whether or not anybody listens. What is announced has been written before.
 */

import { toSeconds } from '../clock.ts';
import type { Ports } from '../ports.ts';
import type { ChatEvent, ResolvedModel } from '../providers/provider.ts';
import type { RunEvent } from './events.ts';
import { isContextOverflow, RunFailure, toLastError } from './failures.ts';
import { RunInterruption } from './interruption.ts';
import { toLeaseWait } from './leases.ts';
import { type Ending, toEndedStep, toStepUpdate } from './parts.ts';
import { toChatRequest, toCompletionTokensLeft } from './prompt.ts';
import { endRun } from './run-ending.ts';
import { addUsage, NO_USAGE, type StepRecord, toRun, toStep } from './run-records.ts';
import type { RunWriter } from './run-writer.ts';
import { estimateTokens } from './token-estimate.ts';
import { answerServerCalls, toRequiredAction } from './tools/calls.ts';
import { type ServerTool, toServerTools } from './tools/server-tool.ts';
import { TurnRecorder } from './turn-recorder.ts';
import { type History, NO_HISTORY, readHistory, type Turn } from './turns.ts';
import { readWindow, type Window } from './window.ts';

/** Turns of the model in one go, without the client in between. */
export const ROUNDS_MAX = 64;
/** How often a prompt is cut by half for a model that says that it is too long. */
const SHORTENINGS_MAX = 4;
/** What the window may have where neither the run nor the model says less. */
export const PROMPT_TOKENS_MAX = 120_000;

export interface RunWork {
  readonly writer: RunWriter;
  /** Who answers. Errors: `ProviderError` where nobody can. */
  readonly resolveModel: () => ResolvedModel;
  /** Aborted with a `RunInterruption`. */
  readonly signal: AbortSignal;
  readonly requestId: string;
  /** False for a run that has just been made: it has no steps to go on from. */
  readonly isContinued: boolean;
  /** How long a turn of the model, and each wait for the client, may take. */
  readonly expiresMs: number;
  /** Has the work aborted as `expired` at this time (milliseconds since the epoch). */
  readonly setDeadline: (atMs: number) => void;
}

export type RunLoopDeps = Pick<Ports, 'store' | 'clock' | 'ids' | 'log'> & {
  readonly serverTools: readonly ServerTool[];
};

/** What the loop keeps between turns. */
interface LoopState {
  recorder: TurnRecorder | null;
  window: Window | null;
  turns: readonly Turn[];
}

export async function* runLoop(deps: RunLoopDeps, work: RunWork): AsyncGenerator<RunEvent, void, undefined> {
  const state: LoopState = { recorder: null, window: null, turns: [] };
  try {
    work.signal.throwIfAborted();
    yield* runTurns(deps, work, state);
  } catch (error) {
    yield* endAfterError(deps, work, state, error);
  }
}

/** The run ends as the error says; a cancel that comes meanwhile takes precedence. */
async function* endAfterError(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  error: unknown,
): AsyncGenerator<RunEvent, void, undefined> {
  try {
    yield* endAs(deps, work, state, toEnding(deps, work, error));
  } catch (second) {
    if (!(second instanceof RunInterruption)) throw second;
    yield* endAs(deps, work, state, toEnding(deps, work, second));
  }
}

async function* endAs(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  ending: Ending | null,
): AsyncGenerator<RunEvent, void, undefined> {
  if (ending === null) return;
  if (ending.status === 'cancelled') {
    yield { event: 'thread.run.cancelling', data: toRun(await work.writer.reload()) };
  }
  yield* await endRun(deps, work.writer, ending, state.recorder, work.isContinued);
}

/** Null: nothing may be written any more. */
function toEnding(deps: RunLoopDeps, work: RunWork, error: unknown): Ending | null {
  const reason = work.signal.aborted && !(error instanceof RunInterruption) ? work.signal.reason : error;
  if (!(reason instanceof RunInterruption)) {
    const lastError = toLastError(reason);
    deps.log.warn('run failed', {
      requestId: work.requestId,
      runId: work.writer.run.id,
      code: lastError.code,
      error: reason instanceof Error ? reason.name : typeof reason,
    });
    return { status: 'failed', error: lastError };
  }
  if (reason.kind === 'gone' || reason.kind === 'shutdown') return null;
  return { status: reason.kind };
}

async function* runTurns(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
): AsyncGenerator<RunEvent, void, undefined> {
  const { writer } = work;
  const history = work.isContinued ? await readHistory(deps, writer.tenant, writer.run) : NO_HISTORY;
  state.turns = history.turns;
  const resolved = work.resolveModel();
  yield* beginWork(deps, work);
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const spent = findSpentBound(work);
    if (spent !== null) return yield* await endRun(deps, writer, spent, null, true);
    const unfinished = round === 0 ? history.unfinished : {};
    const goesOn = yield* runTurn(deps, work, state, resolved, {
      ...history,
      unfinished,
      nextTurn: history.nextTurn + round,
    });
    if (!goesOn) return;
  }
  throw new RunFailure(
    'server_error',
    `The model called tools ${ROUNDS_MAX} times in a row without answering.`,
  );
}

async function* beginWork(deps: RunLoopDeps, work: RunWork): AsyncGenerator<RunEvent, void, undefined> {
  const nowMs = deps.clock.nowMs();
  const deadlineMs = nowMs + work.expiresMs;
  work.setDeadline(deadlineMs);
  const run = await work.writer.save({
    status: 'in_progress',
    started_at: work.writer.run.started_at ?? toSeconds(nowMs),
    expires_at: toSeconds(deadlineMs),
  });
  yield { event: 'thread.run.in_progress', data: toRun(run) };
}

/** A bound of the run's own that earlier turns have used up. */
function findSpentBound({ writer: { run } }: RunWork): Ending | null {
  if (toCompletionTokensLeft(run) === 0) return { status: 'incomplete', reason: 'max_completion_tokens' };
  const spent = run.max_prompt_tokens !== null && run.internal.usage.prompt_tokens >= run.max_prompt_tokens;
  return spent ? { status: 'incomplete', reason: 'max_prompt_tokens' } : null;
}

/** Answers whether the model is to be asked again. */
async function* runTurn(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  resolved: ResolvedModel,
  history: History,
): AsyncGenerator<RunEvent, boolean, undefined> {
  const { writer } = work;
  const serverTools = toServerTools(writer.run, deps.serverTools);
  const recorder = new TurnRecorder({
    deps,
    writer,
    turn: history.nextTurn,
    unfinished: history.unfinished,
    serverTools,
  });
  state.recorder = recorder;
  for await (const event of askModel(deps, work, state, resolved)) {
    if (recorder.opens(event)) yield* await recorder.open(event);
    const announced = recorder.apply(event);
    if (announced !== null) yield announced;
  }
  work.signal.throwIfAborted();
  const cut = toCutShort(recorder);
  if (cut !== null || recorder.calls.length === 0) {
    if (recorder.openMessage === null && recorder.text === '' && recorder.calls.length === 0) {
      yield* await recorder.openEmptyMessage();
    }
    yield* await endRun(deps, writer, cut ?? { status: 'completed' }, recorder, true);
    return false;
  }
  return yield* settleCalls(deps, work, state, recorder);
}

function toCutShort(recorder: TurnRecorder): Ending | null {
  if (recorder.finish === 'length') return { status: 'incomplete', reason: 'max_completion_tokens' };
  return recorder.finish === 'content_filter' ? { status: 'incomplete', reason: 'content_filter' } : null;
}

/** Asks with as much of the thread as fits; with less, where the model says that it was too much. */
async function* askModel(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  resolved: ResolvedModel,
): AsyncGenerator<ChatEvent, void, undefined> {
  const { writer } = work;
  let tokensMax = toWindowTokensMax(work, state);
  for (let shortenings = 0; ; shortenings += 1) {
    const window = await toWindow(deps, work, state, tokensMax);
    const request = toChatRequest({
      run: writer.run,
      model: resolved.model,
      messages: window.messages,
      turns: state.turns,
      serverTools: deps.serverTools,
    });
    let hasBegun = false;
    try {
      const { signal, requestId } = work;
      for await (const event of resolved.provider.chat(request, {
        credentials: resolved.credentials,
        signal,
        requestId,
      })) {
        hasBegun = true;
        yield event;
      }
      return;
    } catch (error) {
      const mayShorten =
        !hasBegun &&
        shortenings < SHORTENINGS_MAX &&
        writer.run.truncation_strategy?.type !== 'last_messages' &&
        window.messages.length > 1;
      if (!mayShorten || !isContextOverflow(error)) throw error;
      tokensMax = Math.floor(Math.min(tokensMax, window.tokens) / 2);
      state.window = null;
    }
  }
}

/**
 * What is left of the budget for the thread's messages once everything else of the prompt is counted.
 * Errors: the run's own `max_prompt_tokens` does not even hold that.
 */
function toWindowTokensMax(work: RunWork, state: LoopState): number {
  const { run } = work.writer;
  const rest = estimateTokens(run.instructions) + estimateTokens(JSON.stringify([run.tools, state.turns]));
  const own =
    run.max_prompt_tokens === null
      ? Number.POSITIVE_INFINITY
      : run.max_prompt_tokens - run.internal.usage.prompt_tokens;
  return Math.max(1, Math.min(PROMPT_TOKENS_MAX, own) - rest);
}

/** The thread cannot change while the run is active: its window is read once. */
async function toWindow(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  tokensMax: number,
): Promise<Window> {
  const { run, tenant } = work.writer;
  state.window ??= await readWindow(deps, {
    tenant,
    threadId: run.thread_id,
    runId: run.id,
    tokensMax,
    messagesMax:
      run.truncation_strategy?.type === 'last_messages'
        ? (run.truncation_strategy.last_messages ?? null)
        : null,
  });
  return state.window;
}

/** Answers the calls that are the server's, and asks the client for the others. */
async function* settleCalls(
  deps: RunLoopDeps,
  work: RunWork,
  state: LoopState,
  recorder: TurnRecorder,
): AsyncGenerator<RunEvent, boolean, undefined> {
  const { writer } = work;
  const { openToolStep } = recorder;
  if (openToolStep === null) throw new Error('calls without a step');
  const answers = await answerServerCalls(recorder, work);
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
      [
        toStepUpdate(writer.tenant, step),
        ...recorder.toLeftoverWrites(),
        toLeaseWait(writer.run.id, deadlineMs),
      ],
    );
    yield { event: 'thread.run.requires_action', data: toRun(run) };
    return false;
  }
  const ended = toEndedStep(step, { status: 'completed' }, usage, toSeconds(deps.clock.nowMs()));
  await writer.save({ internal, expires_at: toSeconds(deadlineMs) }, [
    toStepUpdate(writer.tenant, ended),
    ...recorder.toLeftoverWrites(),
  ]);
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
  yield { event: 'thread.run.step.completed', data: toStep(ended) };
  return true;
}
