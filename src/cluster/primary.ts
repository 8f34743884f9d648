/**
 * The primary process. It serves nothing: it starts the workers, starts the dead again, and lets all of them
 * finish when it is told to stop.
 */

import type { Log } from '../log.ts';
import { type Door, openDoor, type Sharing } from './door.ts';
import { answerQuestion, type FleetPart, MODELS_CHANGED, WORKER_ENDED, type WorkerName } from './fleet.ts';
import { createHangupReader } from './hangup.ts';
import type { NoticeMessage, QuestionMessage, ReadyMessage } from './messages.ts';
import { type Reload, startReloads } from './reloads.ts';
import { countDeaths, toRestartDelayMs } from './restarts.ts';
import { startWorker, toEndText, type WorkerProcess } from './worker-process.ts';

export interface PrimaryOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly workers: number;
  readonly sharing: Sharing;
  /** How long runs may go on when the server is told to stop. */
  readonly graceMs: number;
  /** Program and arguments of a worker. */
  readonly command: readonly string[];
  /** The environment of a worker; clients come in on this port. */
  readonly toEnvironment: (port: number) => Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Called once, when every worker is ready. */
  readonly announce: (first: ReadyMessage) => void;
  /** What the primary does for the workers beside keeping them alive. */
  readonly parts?: readonly FleetPart[];
  /** Absent: the configuration stays as it is until the end. */
  readonly reload?: Reload;
}

/** Opening a store may wait half a minute for another process's lock, and migrate. */
const START_MS = 120_000;
/** A worker that has not ended so long after its grace is killed. */
const KILL_AFTER_MS = 7_000;
/** One press of Ctrl-C can arrive twice: from the terminal, and from the program that started this one. */
const SECOND_SIGNAL_AFTER_MS = 500;

/** Answers the exit code. Throws where the first start fails, with what the operator should read. */
export async function runPrimary(options: PrimaryOptions): Promise<number> {
  const { log } = options;
  const door = await openDoor(options);
  const stop = createStop(log, () => reloads.now());
  const workers = createWorkers(options, door, stop.signal);
  const reloads = startReloads(options.reload, log, (body) => workers.tellAll(MODELS_CHANGED, body));
  try {
    const first = await workers.start();
    if (first !== null) options.announce(first);
    await stop.requested;
    door.stopAccepting();
    const code = await workers.drain(stop.urgent);
    log.info('stopped', { code });
    return code;
  } catch (error) {
    // The first start failed; other workers may be up already.
    stop.begin();
    await workers.drain(stop.urgent);
    throw error;
  } finally {
    reloads.stop();
    stop.forget();
    door.close();
  }
}

// ——— Being told to stop ———

interface Stop {
  /** Aborted at the first signal. */
  readonly signal: AbortSignal;
  readonly requested: Promise<void>;
  /** The second signal: do not wait any longer. */
  readonly urgent: Promise<void>;
  begin(): void;
  forget(): void;
}

function createStop(log: Log, reload: () => void): Stop {
  const controller = new AbortController();
  const requested = Promise.withResolvers<void>();
  const urgent = Promise.withResolvers<void>();
  let firstAtMs: number | null = null;
  const begin = (): void => {
    controller.abort();
    requested.resolve();
  };
  const onSignal = (name: NodeJS.Signals): void => {
    if (firstAtMs === null) {
      firstAtMs = performance.now();
      log.info('stopping', { signal: name });
      begin();
    } else if (performance.now() - firstAtMs > SECOND_SIGNAL_AFTER_MS) {
      urgent.resolve();
    }
  };
  const readHangup = createHangupReader();
  const onHangup = (): void => {
    if (readHangup() === 'stop') onSignal('SIGHUP');
    else reload();
  };
  const names = ['SIGTERM', 'SIGINT'] as const;
  for (const name of names) process.on(name, onSignal);
  process.on('SIGHUP', onHangup);
  return {
    signal: controller.signal,
    requested: requested.promise,
    urgent: urgent.promise,
    begin,
    forget() {
      for (const name of names) process.off(name, onSignal);
      process.off('SIGHUP', onHangup);
    },
  };
}

// ——— The workers ———

interface Workers {
  /** Starts all of them, one after the other. Answers the first; null where it was told to stop meanwhile. */
  start(): Promise<ReadyMessage | null>;
  /** Answers the exit code: 0 where every worker ended by itself. */
  drain(urgent: Promise<void>): Promise<number>;
  tellAll(topic: string, body: unknown): void;
}

function createWorkers(options: PrimaryOptions, door: Door, stopping: AbortSignal): Workers {
  const { log, parts = [] } = options;
  const alive = new Set<WorkerProcess>();
  const keepers: Promise<void>[] = [];
  let lastSerial = 0;

  const spawn = (slot: number): WorkerProcess => {
    const { command, toEnvironment } = options;
    lastSerial += 1;
    const name: WorkerName = { serial: lastSerial, slot };
    const forget = (): void => {
      for (const part of parts) part.onEnded?.(name);
    };
    const environment = { ...toEnvironment(door.port), ...attachWorker(parts, name) };
    const onQuestion = (question: QuestionMessage) => answerQuestion(parts, name, question);
    const worker = tryOr(forget, () => startWorker({ command, environment, startMs: START_MS, onQuestion }));
    alive.add(worker);
    worker.ready.then(
      ({ port }) => {
        door.onReady(name, port);
        for (const part of parts) part.onReady?.(name);
      },
      () => undefined,
    );
    void worker.ended.then(() => {
      alive.delete(worker);
      door.onEnded(name);
      forget();
      // What it was at work on is taken up by the others before its successor is there.
      tellAll(WORKER_ENDED, null);
    });
    return worker;
  };

  const tellAll = (topic: string, body: unknown): void => {
    const notice: NoticeMessage = { kind: 'notice', topic, body };
    for (const worker of alive) worker.tell(notice);
  };

  /** Ends when the server stops. */
  const keep = async (slot: number, first: WorkerProcess): Promise<void> => {
    let worker: WorkerProcess | null = first;
    let deaths = 0;
    while (!stopping.aborted) {
      const servedMs: number = worker === null ? 0 : await watch(slot, worker, stopping, log);
      if (stopping.aborted) return;
      deaths = countDeaths(deaths, servedMs);
      const delayMs = toRestartDelayMs(deaths);
      log.warn('worker is started again', { worker: slot, delayMs });
      if (delayMs > 0) await waitOrStop(delayMs, stopping);
      if (stopping.aborted) return;
      worker = spawnQuietly(spawn, slot, log);
    }
  };

  return {
    tellAll,

    async start() {
      let first: ReadyMessage | null = null;
      for (let slot = 1; slot <= options.workers; slot += 1) {
        const worker = spawn(slot);
        const ready = await Promise.race([worker.ready, untilAborted(stopping)]);
        if (ready === null) return null;
        first ??= ready;
        keepers.push(keep(slot, worker));
      }
      return first;
    },

    async drain(urgent) {
      const { graceMs } = options;
      for (const worker of alive) worker.drain(graceMs);
      const ended = Promise.all([...alive].map((worker) => worker.ended));
      const overdue = createTimer(graceMs + KILL_AFTER_MS);
      const reason = await Promise.race([
        ended.then(() => null),
        urgent.then(() => 'asked again'),
        overdue.promise.then(() => 'not in time'),
      ]);
      overdue.clear();
      if (reason !== null) {
        log.warn('workers are killed', { reason, workers: alive.size });
        for (const worker of alive) worker.kill();
        await ended;
      }
      await Promise.all(keepers);
      return reason === null ? 0 : 1;
    },
  };
}

/** Does what is to be done where `work` fails, too. Errors: those of `work`. */
function tryOr<T>(onFailure: () => void, work: () => T): T {
  try {
    return work();
  } catch (error) {
    onFailure();
    throw error;
  }
}

/** What the parts of the primary hand a worker that is about to start. */
function attachWorker(parts: readonly FleetPart[], worker: WorkerName): Record<string, string> {
  return Object.assign({}, ...parts.map((part) => part.beforeStart?.(worker) ?? {}));
}

/** Waits for a worker's end. Answers how long it served; 0 where it was never ready. */
async function watch(slot: number, worker: WorkerProcess, stopping: AbortSignal, log: Log): Promise<number> {
  let readyAtMs: number | null = null;
  const noteReady = worker.ready.then(
    () => {
      readyAtMs = performance.now();
    },
    (error: Error) => {
      if (!stopping.aborted) log.error('worker cannot start', { worker: slot, error: error.message });
    },
  );
  const end = await worker.ended;
  await noteReady;
  if (!stopping.aborted) log.error('worker ended', { worker: slot, pid: worker.pid, how: toEndText(end) });
  return readyAtMs === null ? 0 : performance.now() - readyAtMs;
}

/** A machine that has no process to spare now may have one later. */
function spawnQuietly(spawn: (slot: number) => WorkerProcess, slot: number, log: Log): WorkerProcess | null {
  try {
    return spawn(slot);
  } catch (error) {
    log.error('worker cannot be started', { worker: slot, error: String(error) });
    return null;
  }
}

// ——— Waiting ———

function untilAborted(signal: AbortSignal): Promise<null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  if (signal.aborted) resolve(null);
  signal.addEventListener('abort', () => resolve(null), { once: true });
  return promise;
}

function createTimer(ms: number): { promise: Promise<void>; clear(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return { promise, clear: () => clearTimeout(timer) };
}

async function waitOrStop(ms: number, stopping: AbortSignal): Promise<void> {
  const timer = createTimer(ms);
  await Promise.race([timer.promise, untilAborted(stopping)]);
  timer.clear();
}
