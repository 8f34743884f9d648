/** Runs checks one after the other, and tells the lines of each. */

import type OpenAI from 'openai';
import { checkAnswers, findOperation, findOwn, isOperationMissing } from './answer-check.ts';
import type { Check, CheckContext, Made } from './check.ts';
import { judgeEvents } from './event-rules.ts';
import type { Exchange, ExchangeLog } from './exchanges.ts';
import { CheckSkipped, type Line, NotThere, type Outcome } from './outcome.ts';
import type { Target } from './target.ts';

export interface RunnerDeps {
  readonly client: OpenAI;
  readonly log: ExchangeLog;
  readonly target: Target;
  readonly tag: string;
  readonly timeoutMs: number;
  readonly nowMs: () => number;
  /** Interrupts everything. */
  readonly interruption: AbortSignal;
  /** Makes what a server says fit for a table: no key, one line. */
  readonly toShown: (text: string) => string;
  readonly onLine: (line: Line) => void;
}

/** Answers the lines of all checks, in order. What an interruption leaves out has none. */
export async function runChecks(checks: readonly Check[], deps: RunnerDeps): Promise<readonly Line[]> {
  const made: Made = {};
  const lines: Line[] = [];
  for (const check of checks) {
    if (deps.interruption.aborted) break;
    const told = await runCheck(check, made, deps);
    if (deps.interruption.aborted) break;
    for (const line of told) {
      lines.push(line);
      deps.onLine(line);
    }
  }
  return lines;
}

async function runCheck(check: Check, made: Made, deps: RunnerDeps): Promise<Line[]> {
  const { client, log, target, tag, nowMs } = deps;
  const timeout = AbortSignal.timeout(deps.timeoutMs);
  const signal = AbortSignal.any([timeout, deps.interruption]);
  // An interruption waits for answers, so that it is known what they made.
  log.begin(timeout);
  const { exchanges } = log;
  const context: CheckContext = { client, target, made, tag, signal, exchanges };
  const sinceMs = nowMs();
  const error = await settle(check.run(context), signal);
  const durationMs = nowMs() - sinceMs;
  const judged = timeout.aborted
    ? { outcome: 'failed' as const, detail: `not done after ${deps.timeoutMs / 1000} seconds` }
    : judge(check, exchanges, error);
  const head = { group: check.group, operation: check.operation, title: toTitle(check) };
  const detail = deps.toShown(judged.detail);
  const line: Line = { ...head, event: null, outcome: judged.outcome, detail, durationMs };
  if (check.events === undefined) return [line];
  return [line, ...toEventLines(check, exchanges, line, error, head, deps)];
}

/** Answers what was thrown; null where nothing was. Does not wait beyond the signal. */
async function settle(running: Promise<void>, signal: AbortSignal): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const give = (): void => resolve(signal.reason);
  signal.addEventListener('abort', give, { once: true });
  running.then(
    () => resolve(null),
    (error: unknown) => resolve(error ?? new Error('failed')),
  );
  const error = await promise;
  signal.removeEventListener('abort', give);
  return error;
}

function judge(
  check: Check,
  exchanges: readonly Exchange[],
  error: unknown,
): { outcome: Outcome; detail: string } {
  const own = findOwn(check, exchanges);
  const last = own.at(-1);
  const isMissing = last !== undefined && last.status !== check.status && isOperationMissing(check, last);
  if (isMissing) return { outcome: 'not there', detail: `status ${last.status}` };
  if (error instanceof CheckSkipped) return { outcome: 'skipped', detail: error.message };
  if (error instanceof NotThere) return { outcome: 'not there', detail: error.message };
  if (error !== null && !isBreakOfStream(check, own, error)) {
    return { outcome: 'failed', detail: toReason(error) };
  }
  try {
    checkAnswers(check, exchanges);
    return { outcome: 'ok', detail: '' };
  } catch (fault) {
    return { outcome: 'failed', detail: toReason(fault) };
  }
}

/** A stream that began well is judged by its events, what the client makes of its end included. */
function isBreakOfStream(check: Check, own: readonly Exchange[], error: unknown): boolean {
  const isOurs = error instanceof Error && error.name === 'CheckFailure';
  return check.events !== undefined && (own.at(-1)?.events?.length ?? 0) > 0 && !isOurs;
}

function toEventLines(
  check: Check,
  exchanges: readonly Exchange[],
  line: Line,
  error: unknown,
  head: Pick<Line, 'group' | 'operation' | 'title'>,
  { toShown }: RunnerDeps,
): Line[] {
  const { events } = check;
  if (events === undefined) return [];
  const exchange = findOwn(check, exchanges).findLast((own) => own.events !== null);
  if (exchange === undefined) {
    const outcome = line.outcome === 'not there' ? 'not there' : 'skipped';
    const detail = line.outcome === 'skipped' ? line.detail : 'there was no stream';
    return events.rules.map(({ name }) => ({ ...head, event: name, outcome, detail, durationMs: 0 }));
  }
  const breakage = error === null || error instanceof CheckSkipped ? null : toReason(error);
  return judgeEvents(events, exchange, breakage).map((judged) => ({
    ...head,
    ...judged,
    detail: toShown(judged.detail),
  }));
}

export function toTitle({ operation, note, group }: Check): string {
  const called = operation === null ? group : toCall(operation);
  return note === undefined ? called : `${called}, ${note}`;
}

function toCall(operation: string): string {
  const { method, path } = findOperation(operation);
  return `${method} ${path}`;
}

/** What was thrown, with the cause that `fetch` hides: a refused connection, a certificate. */
export function toReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : '';
  return cause === '' || error.message.includes(cause) ? error.message : `${error.message} ${cause}`;
}
