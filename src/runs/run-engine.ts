/**
 * The runs that this process works on. It starts them, lets clients watch them, ends the work when somebody
 * cancels, keeps their leases, and takes up what a dead process has left.
 */

import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { RequestHeaders, ResolvedModel } from '../providers/provider.ts';
import { StoreError, type Versioned } from '../store/store.ts';
import { createEventStream, type EventStream } from './event-stream.ts';
import type { RunEvent } from './events.ts';
import type { ReadImage } from './images.ts';
import { type InterruptionKind, RunInterruption } from './interruption.ts';
import { LEASE_MS, LEASE_SCOPE, toLeaseRelease } from './leases.ts';
import { runLoop } from './run-loop.ts';
import type { RunRecord } from './run-records.ts';
import { toThreadScope } from './run-records.ts';
import type { RunLoopDeps } from './run-work.ts';
import { createRunWriter } from './run-writer.ts';
import { createToollessModels } from './toolless-models.ts';
import type { ServerTool } from './tools/server-tool.ts';

/** Leases are renewed, and other processes' cancels noticed, this often. */
export const RENEW_MS = 5_000;

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
  /** Whether there may be steps to go on from. */
  readonly isContinued: boolean;
  /** What was written before the start, to be announced first. */
  readonly opening: readonly RunEvent[];
  /** Whether somebody listens. */
  readonly isStreamed: boolean;
  /** Whether who listens wants to see what searches found. */
  readonly includesContent?: boolean;
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
  isWorkingOn(runId: string): boolean;
  /** Interrupts the work, if it is this process's, and waits until it has stopped. */
  interrupt(runId: string, kind: InterruptionKind): Promise<void>;
  /** Interrupts without waiting. */
  interruptSoon(runId: string, kind: InterruptionKind): void;
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
  },
): RunEngine {
  const sessions = new Map<string, Session>();
  const loopDeps: RunLoopDeps = {
    ...deps,
    serverTools: options.serverTools,
    readImage: options.readImage ?? (async () => null),
    toolless: createToollessModels(deps.clock),
  };
  const { expiresMs } = options.settings;

  const interruptSoon = (runId: string, kind: InterruptionKind): void => {
    sessions.get(runId)?.controller.abort(new RunInterruption(kind));
  };

  const drive = async (session: Session): Promise<void> => {
    const { tenant, run, resolveModel, requestId, headers, isContinued, opening } = session.start;
    const { id } = run.record;
    const setDeadline = (atMs: number): void => {
      if (session.deadline !== null) clearTimeout(session.deadline);
      session.deadline = setTimeout(() => interruptSoon(id, 'expired'), atMs - deps.clock.nowMs());
    };
    try {
      for (const event of opening) session.stream?.push(event);
      const writer = createRunWriter(deps, tenant, run);
      const { signal } = session.controller;
      const includesContent = session.start.includesContent === true;
      const asked = { resolveModel, requestId, headers, includesContent, isContinued };
      const work = { ...asked, writer, signal, expiresMs, setDeadline };
      for await (const event of runLoop(loopDeps, work)) session.stream?.push(event);
    } catch (error) {
      deps.log.error('run stopped without an end', { runId: id, requestId, ...toLogFields(error) });
      session.stream?.push(STOPPED);
    } finally {
      if (session.deadline !== null) clearTimeout(session.deadline);
      // The client may have answered already, and a new session have begun.
      if (sessions.get(id) === session) sessions.delete(id);
      if (session.controller.signal.reason?.kind === 'shutdown') session.stream?.push(SHUTTING_DOWN);
      session.stream?.end();
    }
  };

  const renew = async (runId: string, session: Session): Promise<void> => {
    try {
      await deps.store.write([
        {
          kind: 'require',
          collection: 'leases',
          scope: LEASE_SCOPE,
          id: runId,
          equals: { owner: options.owner },
        },
        {
          kind: 'update',
          collection: 'leases',
          scope: LEASE_SCOPE,
          id: runId,
          change: { until_ms: deps.clock.nowMs() + LEASE_MS },
        },
      ]);
      const scope = toThreadScope(session.start.tenant, session.start.run.record.thread_id);
      const found = await deps.store.get<RunRecord>('runs', scope, runId);
      if (found?.record.status === 'cancelling') interruptSoon(runId, 'cancelled');
    } catch (error) {
      const isLost = error instanceof StoreError && (error.code === 'conflict' || error.code === 'not_found');
      // The lease of a run that has just ended, or begun to wait for its client, is gone for a good reason.
      if (isLost && sessions.get(runId) === session) interruptSoon(runId, 'gone');
      if (!isLost) deps.log.warn('lease not renewed', { runId, ...toLogFields(error) });
    }
  };

  const renewAll = setInterval(() => {
    for (const [runId, session] of sessions) void renew(runId, session);
  }, RENEW_MS);
  renewAll.unref();

  return {
    owner: options.owner,
    expiresMs,
    start(start) {
      const { id } = start.run.record;
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
        });
      }
      const body = session.stream?.body ?? null;
      sessions.set(id, session);
      session.done = drive(session);
      return body;
    },
    isWorkingOn: (runId) => sessions.has(runId),
    interruptSoon,
    async interrupt(runId, kind) {
      const session = sessions.get(runId);
      interruptSoon(runId, kind);
      await session?.done;
    },
    async close(graceMs) {
      clearInterval(renewAll);
      const working = [...sessions.values()].map((session) => session.done);
      const grace = Promise.withResolvers<void>();
      const timer = setTimeout(grace.resolve, graceMs);
      await Promise.race([Promise.all(working), grace.promise]);
      clearTimeout(timer);
      const left = [...sessions.keys()];
      for (const runId of left) interruptSoon(runId, 'shutdown');
      await Promise.all([...sessions.values()].map((session) => session.done));
      for (const runId of left) {
        await deps.store.write([toLeaseRelease(runId)]).catch((error) => {
          deps.log.warn('lease not released', { runId, ...toLogFields(error) });
        });
      }
    },
  };
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
