/** A process that serves: it starts the app, says so to the primary, and ends when it is told to or left alone. */

import { Value } from '@sinclair/typebox/value';
import { type Log, toLogFields } from '../log.ts';
import { createFleetChannel, type Fleet } from './fleet.ts';
import { PrimaryMessage, toFailedMessage, toFindings, type WorkerMessage } from './messages.ts';

/** What the composition root starts. */
export interface RunningApp {
  readonly url: string;
  readonly port: number;
  /** The model server that was found on this machine, if one was looked for and answered. */
  readonly localServer: {
    readonly kind: string;
    readonly baseUrl: string;
    readonly models: readonly { readonly id: string }[];
  } | null;
  /** Stops accepting, lets active runs go on for as long as `graceMs`, and closes the store. */
  close(graceMs: number): Promise<void>;
}

export interface WorkerOptions {
  /** Errors: what the operator should read. */
  readonly start: (fleet: Fleet) => Promise<RunningApp>;
  /** How long runs may go on when nobody says otherwise, because the primary is gone. */
  readonly graceMs: number;
  readonly log: Log;
}

/** Beyond the grace: closing the store, and replies that are still being read. */
const CLOSE_MS = 5_000;
/** For the last message to reach the primary. */
const FAREWELL_MS = 1_000;

/** Answers the exit code, once it is time to end. */
export async function runWorker(options: WorkerOptions): Promise<number> {
  const { log } = options;
  if (process.send === undefined) throw new Error('A worker is started by the primary, not by hand.');
  const drain = createDrain();
  const fleet = createFleetChannel(tell);
  process.on('message', (message: unknown) => {
    if (!Value.Check(PrimaryMessage, message)) return;
    if (message.kind === 'drain') drain.begin(message.graceMs);
    else fleet.take(message);
  });
  // The primary is gone: nobody would restart this process, or tell it to stop.
  process.on('disconnect', () => {
    fleet.close();
    drain.begin(options.graceMs);
  });
  process.on('SIGTERM', () => drain.begin(options.graceMs));
  // A terminal sends these to every process at once; the primary decides, or its end does.
  for (const name of ['SIGINT', 'SIGHUP'] as const) process.on(name, () => undefined);
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      log.error('worker failed', { pid: process.pid, ...toLogFields(error) });
      process.exit(1);
    });
  }
  try {
    const app = await options.start(fleet);
    tell({ kind: 'ready', url: app.url, port: app.port, findings: toFindings(app.localServer) });
    return await close(app, await drain.requested, log);
  } catch (error) {
    log.debug('worker cannot start', { pid: process.pid, ...toLogFields(error) });
    await tellAndWait(toFailedMessage(error));
    return 1;
  }
}

interface Drain {
  /** Fulfilled with the grace, in milliseconds. */
  readonly requested: Promise<number>;
  /** Idempotent: the first call counts. */
  begin(graceMs: number): void;
}

function createDrain(): Drain {
  const { promise, resolve } = Promise.withResolvers<number>();
  return { requested: promise, begin: resolve };
}

async function close(app: RunningApp, graceMs: number, log: Log): Promise<number> {
  const { promise: overdue, resolve } = Promise.withResolvers<number>();
  const timer = setTimeout(() => {
    log.error('worker did not close in time', { pid: process.pid });
    resolve(1);
  }, graceMs + CLOSE_MS);
  const closed = app.close(graceMs).then(
    () => 0,
    (error: unknown) => {
      log.error('worker did not close well', { pid: process.pid, ...toLogFields(error) });
      return 1;
    },
  );
  const code = await Promise.race([closed, overdue]);
  clearTimeout(timer);
  return code;
}

/** False where the channel has closed meanwhile, which `disconnect` tells. */
function tell(message: WorkerMessage): boolean {
  if (process.connected !== true) return false;
  process.send?.(message);
  return true;
}

async function tellAndWait(message: WorkerMessage): Promise<void> {
  if (!process.connected) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, FAREWELL_MS);
  process.send?.(message, undefined, undefined, () => resolve());
  await promise;
  clearTimeout(timer);
}
