/**
 * A program that does not outlive the process that started it, however that one ends: a shell beside it waits on a pipe
 * which the system closes with its owner.
 */

import { closeSync, openSync } from 'node:fs';

const END_TIMEOUT_MS = 30_000;

export interface GuardedProcess {
  readonly pid: number;
  /** The exit code, or the signal's name; null as long as it runs. */
  ended(): string | null;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL, and waits for the end. Idempotent. */
  kill(): Promise<void>;
  /** SIGTERM, after a time SIGKILL, and waits for the end. Idempotent. */
  terminate(): Promise<void>;
}

export interface GuardedOptions {
  readonly cwd: string;
  /** Gets all that the program prints; what stood there stays. */
  readonly logPath: string;
  /** Removed with the program, where its owner can no longer do it. */
  readonly disposableDirectory: string | null;
}

/** `$1` may be empty. A stopped process is killed as well. */
const GUARD = 'read -r _; kill -9 "$0" 2>/dev/null; [ -z "$1" ] || rm -rf "$1" || rm -rf "$1"';

export function startGuarded(command: string[], options: GuardedOptions): GuardedProcess {
  const log = openSync(options.logPath, 'a');
  const child = Bun.spawn(command, { cwd: options.cwd, stdin: 'ignore', stdout: log, stderr: log });
  closeSync(log);
  const guard = Bun.spawn(['sh', '-c', GUARD, String(child.pid), options.disposableDirectory ?? ''], {
    cwd: '/',
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    // Ctrl-C reaches a whole terminal; the guard must be the last to go.
    detached: true,
  });
  // A test run ends although its node is still there.
  child.unref();
  guard.unref();
  // The system may give the number to somebody else.
  void child.exited.then(() => guard.kill('SIGKILL'));
  const waitForEnd = async (): Promise<void> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
    await child.exited.finally(() => clearTimeout(timer));
  };
  return {
    pid: child.pid,
    ended: () =>
      child.signalCode?.toString() ?? (child.exitCode === null ? null : `exit code ${child.exitCode}`),
    signal: (name) => child.kill(name),
    async kill() {
      child.kill('SIGKILL');
      await waitForEnd();
    },
    async terminate() {
      // A stopped process would not see it.
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      await waitForEnd();
    },
  };
}
