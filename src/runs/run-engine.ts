/**
 * The runs that this process works on. It starts them, lets clients watch them, ends the work when somebody
 * cancels, keeps their leases, and takes up what a dead process has left.
 */

import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { BeginCall, StreamMeter } from '../providers/call-meter.ts';
import type { RequestHeaders, ResolvedModel } from '../providers/provider.ts';
import { StoreError, type Versioned } from '../store/store.ts';
import { NO_TRACING, type Tracing, toStartSpan } from '../tracing/tracing.ts';
import { createEventStream, type EventStream } from './event-stream.ts';
import type { RunEvent } from './events.ts';
import type { ReadImage } from './images.ts';
import { type InterruptionKind, RunInterruption } from './interruption.ts';
import { toLeaseCheck, toLeaseRelease, toLeaseRenewal } from './leases.ts';
import { runLoop } from './run-loop.ts';
import type { RunMeter } from './run-meter.ts';
import type { RunRecord } from './run-records.ts';
import { toThreadScope } from './run-records.ts';
import type { RunSlot } from './run-slot.ts';
import { beginRunSpan, endRunSpan } from './run-trace.ts';
import type { RunLoopDeps } from './run-work.ts';
import { createRunWriter } from './run-writer.ts';
import { PLAIN_VIEW, type StepView, toShownEvent } from './step-views.ts';
import { createToollessModels } from './toolless-models.ts';
import type { ServerTool } from './tools/server-tool.ts';

/** What other processes do to a run (a cancel, a takeover) is noticed this often, by one read. */
export const LOOK_MS = 1_250;
/** Leases are renewed with every so many looks. */
const LOOKS_PER_RENEWAL = 4;
const LOOKS_AT_ONCE_MAX = 64;

export interface RunSettings {
  /** How long a turn of the model, and each wait for the client, may take. */
  readonly expiresMs: number;
}

export interface RunStart {
  readonly tenant: string;
  readonly run: Versioned<RunRecord>;
  /** Called once. Errors: `ProviderError`, `RunFailure`; the run fails with it. */
  readonly resolveModel: () => ResolvedModel;
  readonly requestId: string;
  /** Of the request; empty where there is none. In memory only. */
  readonly headers: RequestHeaders;
  /** The server's key that came with the request; absent: there is none. */
  readonly keyId?: string;
  /** Given back when nobody works on the run any more. */
  readonly slot?: RunSlot;
  /** Whether there may be steps to go on from. */
  readonly isContinued: boolean;
  /** Whether it was left by a process that is gone. */
  readonly isTakenOver?: boolean;
  /** What was written before the start, to be announced first. */
  readonly opening: readonly RunEvent[];
  /** Whether somebody listens. */
  readonly isStreamed: boolean;
  /** What who listens is shown of steps; absent: what everybody is. */
  readonly view?: StepView;
  /** The run is only to be ended, for this reason. */
  readonly interruption?: InterruptionKind;
}

export interface RunEngine {
  /** The name of this process in leases. */
  readonly owner: string;
  readonly expiresMs: number;
  /** Goes on with a run whose lease is this process's; answers the body of the reply where it is streamed. */
  start(start: RunStart): ReadableStream<Uint8Array> | null;
  /** Whether this process works on the run now. */
  isWorkingOn(tenant: string, runId: string): boolean;
  /** Interrupts the work, if it is this process's, and waits until it has stopped. */
  interrupt(tenant: string, runId: string, kind: InterruptionKind): Promise<void>;
  /** Interrupts without waiting. */
  interruptSoon(tenant: string, runId: string, kind: InterruptionKind): void;
  /** Lets active runs finish for as long as `graceMs`, then leaves them to the next process. */
  close(graceMs: number): Promise<void>;
}

interface Session {
  readonly start: RunStart;
  readonly controller: AbortController;
  stream: EventStream | null;
  deadline: Timer | null;
  done: Promise<void>;
}

export type RunEngineDeps = Pick<Ports, 'store' | 'clock' | 'ids' | 'log'>;

export function createRunEngine(
  deps: RunEngineDeps,
  options: {
    readonly owner: string;
    readonly settings: RunSettings;
    readonly serverTools: readonly ServerTool[];
    /** Without it, the model is told of each picture that it cannot be shown. */
    readonly readImage?: ReadImage;
    /** Who counts; absent: nobody. */
    readonly meter?: RunMeter;
    readonly meterStream?: () => StreamMeter;
    readonly beginCall?: BeginCall;
    readonly tracing?: Tracing;
    /** Counts a run that goes on although nobody asked whether there is room for it. */
    readonly noteRun?: (tenant: string, keyId: string) => RunSlot;
  },
): RunEngine {
  const sessions = new Map<string, Session>();
  const loopDeps: RunLoopDeps = {
    ...deps,
    serverTools: options.serverTools,
    readImage: options.readImage ?? (async () => null),
    toolless: createToollessModels(deps.clock),
    ...(options.beginCall === undefined ? {} : { beginCall: options.beginCall }),
  };
  const { expiresMs } = options.settings;
  const { tracing = NO_TRACING } = options;

  const find = (tenant: string, runId: string): Session | undefined => sessions.get(toKey(tenant, runId));
  const stop = (session: Session, kind: InterruptionKind): void => {
    session.controller.abort(new RunInterruption(kind));
  };

  const toNotedSlot = ({ tenant, keyId }: RunStart): RunSlot | undefined =>
    keyId === undefined ? undefined : options.noteRun?.(tenant, keyId);

  const drive = async (session: Session): Promise<void> => {
    const { tenant, run, resolveModel, requestId, headers, isContinued, opening } = session.start;
    const { view = PLAIN_VIEW } = session.start;
    const { id } = run.record;
    const slot = session.start.slot ?? toNotedSlot(session.start);
    const meter = options.meter?.begin({
      origin: session.start.isTakenOver === true ? 'taken_over' : isContinued ? 'continued' : 'new',
      createdMs: run.record.created_at * 1000,
      nowMs: deps.clock.nowMs(),
    });
    const span = beginRunSpan(tracing, run.record);
    let last: RunEvent['event'] | null = null;
    const setDeadline = (atMs: number): void => {
      if (session.deadline !== null) clearTimeout(session.deadline);
      session.deadline = setTimeout(() => stop(session, 'expired'), atMs - deps.clock.nowMs());
    };
    try {
      for (const event of opening) session.stream?.push(toShownEvent(event, view));
      const writer = createRunWriter(deps, options.owner, tenant, run);
      const { signal } = session.controller;
      const keyId = session.start.keyId ?? null;
      const asked = { resolveModel, requestId, keyId, headers, view, isContinued };
      const startSpan = toStartSpan(tracing, span.context);
      const work = { ...asked, writer, signal, expiresMs, setDeadline, startSpan };
      for await (const event of runLoop(loopDeps, work)) {
        meter?.event(event.event);
        last = event.event;
        session.stream?.push(toShownEvent(event, view));
      }
    } catch (error) {
      deps.log.error('run stopped without an end', { runId: id, requestId, ...toLogFields(error) });
      session.stream?.push(STOPPED);
    } finally {
      meter?.end();
      endRunSpan(span, last);
      slot?.release();
      if (session.deadline !== null) clearTimeout(session.deadline);
      // The client may have answered already, and a new session have begun.
      const key = toKey(tenant, id);
      if (sessions.get(key) === session) sessions.delete(key);
      if (session.controller.signal.reason?.kind === 'shutdown') session.stream?.push(SHUTTING_DOWN);
      session.stream?.end();
    }
  };

  /** Stops the work on a run that another process has moved. */
  const look = async (session: Session, renews: boolean): Promise<void> => {
    const { tenant, run } = session.start;
    const { id: runId } = run.record;
    try {
      if (renews) {
        await deps.store.write([toLeaseCheck(runId, options.owner), toLeaseRenewal(deps, runId)]);
      }
      const scope = toThreadScope(tenant, run.record.thread_id);
      const found = (await deps.store.get<RunRecord>('runs', scope, runId))?.record ?? null;
      // The client may have answered, or the run have ended, while this was read.
      if (find(tenant, runId) !== session) return;
      const isTaken = found === null || found.internal.attempts !== run.record.internal.attempts;
      if (isTaken) stop(session, 'gone');
      else if (found.status === 'cancelling') stop(session, 'cancelled');
    } catch (error) {
      const isLost = error instanceof StoreError && (error.code === 'conflict' || error.code === 'not_found');
      // The lease of a run that has just ended, or begun to wait for its client, is gone for a good reason.
      if (isLost && find(tenant, runId) === session) stop(session, 'gone');
      if (!isLost) deps.log.warn('lease not renewed', { runId, ...toLogFields(error) });
    }
  };

  const release = async (runId: string): Promise<void> => {
    try {
      await deps.store.write([toLeaseCheck(runId, options.owner), toLeaseRelease(runId)]);
    } catch (error) {
      // It has ended after all, waits for its client, or is another process's by now.
      const isOver = error instanceof StoreError && (error.code === 'conflict' || error.code === 'not_found');
      if (!isOver) deps.log.warn('lease not released', { runId, ...toLogFields(error) });
    }
  };

  let looks = 0;
  let isLooking = false;
  const lookAtAll = async (): Promise<void> => {
    // A slow store gets no second round of questions on top of the first.
    if (isLooking) return;
    isLooking = true;
    looks += 1;
    const renews = looks % LOOKS_PER_RENEWAL === 0;
    const waiting = [...sessions.values()];
    const lane = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        await look(next, renews);
      }
    };
    await Promise.all(Array.from({ length: LOOKS_AT_ONCE_MAX }, lane));
    isLooking = false;
  };
  const looking = setInterval(() => void lookAtAll(), LOOK_MS);
  looking.unref();

  return {
    owner: options.owner,
    expiresMs,
    start(start) {
      const session: Session = {
        start,
        controller: new AbortController(),
        stream: null,
        deadline: null,
        done: Promise.resolve(),
      };
      if (start.interruption !== undefined) session.controller.abort(new RunInterruption(start.interruption));
      if (start.isStreamed) {
        session.stream = createEventStream(() => {
          session.stream = null;
        }, options.meterStream?.());
      }
      const body = session.stream?.body ?? null;
      sessions.set(toKey(start.tenant, start.run.record.id), session);
      session.done = drive(session);
      return body;
    },
    isWorkingOn: (tenant, runId) => find(tenant, runId) !== undefined,
    interruptSoon(tenant, runId, kind) {
      const session = find(tenant, runId);
      if (session !== undefined) stop(session, kind);
    },
    async interrupt(tenant, runId, kind) {
      const session = find(tenant, runId);
      if (session !== undefined) stop(session, kind);
      await session?.done;
    },
    async close(graceMs) {
      const working = [...sessions.values()].map((session) => session.done);
      const grace = Promise.withResolvers<void>();
      const timer = setTimeout(grace.resolve, graceMs);
      await Promise.race([Promise.all(working), grace.promise]);
      clearTimeout(timer);
      const left = [...sessions.values()];
      for (const session of left) stop(session, 'shutdown');
      await Promise.all([...sessions.values()].map((session) => session.done));
      // Until here leases are renewed: what is still being worked on is nobody else's.
      clearInterval(looking);
      for (const { start } of left) await release(start.run.record.id);
    },
  };
}

/** Where every tenant has a database of his own, one may write a run into it that has the id of another's. */
function toKey(tenant: string, runId: string): string {
  return `${tenant} ${runId}`;
}

const STOPPED: RunEvent = Object.freeze({
  event: 'error',
  data: {
    message: 'The server had an error while working on this run. The run will be taken up again.',
    type: 'server_error',
    param: null,
    code: null,
  },
});

const SHUTTING_DOWN: RunEvent = Object.freeze({
  event: 'error',
  data: {
    message: 'The server is shutting down. The run will be taken up again when it is back.',
    type: 'server_error',
    param: null,
    code: 'service_unavailable',
  },
});
