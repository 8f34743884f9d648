/** A worker, seen from the primary. */

import { Value } from '@sinclair/typebox/value';
import { Misuse } from '../misuse.ts';
import {
  type FailedMessage,
  type PrimaryMessage,
  type QuestionMessage,
  type ReadyMessage,
  WorkerMessage,
} from './messages.ts';

export interface WorkerProcess {
  readonly pid: number;
  /** Rejects with `WorkerFailure`, or `Misuse`, where the worker cannot start or ends before it is ready. */
  readonly ready: Promise<ReadyMessage>;
  readonly ended: Promise<WorkerEnd>;
  /** Does nothing once the worker has ended. */
  drain(graceMs: number): void;
  /** As `drain`, of any message. */
  tell(message: PrimaryMessage): void;
  /** SIGKILL. */
  kill(): void;
}

export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | number | null;
}

export class WorkerFailure extends Error {
  override readonly name = 'WorkerFailure';
}

export interface WorkerStart {
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A worker that is not ready by then is killed. */
  readonly startMs: number;
  readonly onQuestion: (question: QuestionMessage) => Promise<PrimaryMessage>;
}

export function startWorker({ command, environment, startMs, onQuestion }: WorkerStart): WorkerProcess {
  const ready = Promise.withResolvers<ReadyMessage>();
  // Whoever waits sees the rejection; where nobody does any more, it is no fault of its own.
  ready.promise.catch(() => undefined);
  const child = Bun.spawn([...command], {
    env: { ...environment },
    stdin: 'ignore',
    stdout: 'inherit',
    stderr: 'inherit',
    serialization: 'json',
    ipc(message) {
      if (!Value.Check(WorkerMessage, message)) return;
      if (message.kind === 'ready') ready.resolve(message);
      else if (message.kind === 'failed') ready.reject(toFailure(message));
      else void onQuestion(message).then(tell);
    },
  });
  const tell = (message: PrimaryMessage): void => {
    if (child.exitCode === null && child.signalCode === null) sendQuietly(child, message);
  };
  const timer = setTimeout(() => {
    ready.reject(new WorkerFailure(`The worker was not ready within ${startMs / 1000} seconds.`));
    child.kill('SIGKILL');
  }, startMs);
  const ended = child.exited.then((): WorkerEnd => {
    const end = { code: child.exitCode, signal: child.signalCode };
    ready.reject(new WorkerFailure(`The worker ended before it was ready (${toEndText(end)}).`));
    return end;
  });
  const stopTimer = (): void => clearTimeout(timer);
  ready.promise.then(stopTimer, stopTimer);
  return {
    pid: child.pid,
    ready: ready.promise,
    ended,
    drain(graceMs) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      // Where it cannot be told, it is asked by signal, which says the same with its own grace.
      if (!sendQuietly(child, { kind: 'drain', graceMs })) child.kill('SIGTERM');
    },
    tell,
    kill() {
      child.kill('SIGKILL');
    },
  };
}

/** What the operator should read, as the worker said it. */
function toFailure({ message, isMisuse }: FailedMessage): Error {
  return isMisuse ? new Misuse(message) : new WorkerFailure(message);
}

export function toEndText({ code, signal }: WorkerEnd): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}

/** A worker that ends just now cannot be told anything, and need not be: false. */
function sendQuietly(child: Bun.Subprocess, message: PrimaryMessage): boolean {
  try {
    child.send(message);
    return true;
  } catch {
    return false;
  }
}
