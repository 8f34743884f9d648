/**
 * The life of a run from `queued` until it rests: ended, or waiting for its client. One generator of events,
 * drained whether or not anybody listens. What is announced has been written before.
 */

import { toSeconds } from '../clock.ts';
import type { ResolvedModel } from '../providers/provider.ts';
import { askModel, isPromptTooLong } from './ask-model.ts';
import { toKnownCitations } from './citations.ts';
import type { RunEvent } from './events.ts';
import { RunFailure, toLastError } from './failures.ts';
import { RunInterruption } from './interruption.ts';
import type { Ending } from './parts.ts';
import { toCompletionTokensLeft } from './prompt.ts';
import { endRun } from './run-ending.ts';
import { toRun } from './run-records.ts';
import type { LoopState, RunLoopDeps, RunWork } from './run-work.ts';
import { settleCalls } from './settle-calls.ts';
import { toToolContext } from './tools/calls.ts';
import { toFound } from './tools/found-passages.ts';
import { toServerTools } from './tools/server-tool.ts';
import { TurnRecorder } from './turn-recorder.ts';
import { type History, NO_HISTORY, readHistory } from './turns.ts';

/** Turns of the model in one go, without the client in between. */
export const ROUNDS_MAX = 64;
export async function* runLoop(deps: RunLoopDeps, work: RunWork): AsyncGenerator<RunEvent, void, undefined> {
  const state: LoopState = {
    recorder: null,
    window: null,
    turns: [],
    foundTokensMax: null,
    images: new Map(),
  };
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
  if (history.nextTurn === 0) await prepareTools(deps, work);
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const spent = await findSpentBound(deps, work, state);
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

async function prepareTools(deps: RunLoopDeps, work: RunWork): Promise<void> {
  const context = toToolContext(work);
  const tools = [...toServerTools(work.writer.run, deps.serverTools).values()];
  await Promise.all(tools.map((tool) => tool.prepare(context)));
}

/** A bound of the run's own that leaves nothing for another turn. */
async function findSpentBound(deps: RunLoopDeps, work: RunWork, state: LoopState): Promise<Ending | null> {
  const { run } = work.writer;
  if (toCompletionTokensLeft(run) === 0) return { status: 'incomplete', reason: 'max_completion_tokens' };
  const isSpent = run.max_prompt_tokens !== null && run.internal.usage.prompt_tokens >= run.max_prompt_tokens;
  if (!isSpent && !(await isPromptTooLong(deps, work, state))) return null;
  return { status: 'incomplete', reason: 'max_prompt_tokens' };
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
    citations: serverTools.size === 0 ? null : toKnownCitations(toFound(state.turns)),
  });
  state.recorder = recorder;
  for await (const event of askModel(deps, work, state, resolved)) {
    if (recorder.opens(event)) yield* await recorder.open(event);
    for (const announced of recorder.apply(event)) yield announced;
  }
  yield* recorder.flush();
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
