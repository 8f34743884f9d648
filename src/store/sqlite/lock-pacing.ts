/**
 * When a process tries again that has found the lock taken, and when it lets go for a moment.
 *
 * Nobody queues for SQLite's lock: a process that commits without a pause leaves the others no moment to get in. So one that
 * has met another lately pauses after each turn.
 */

/** Between two attempts while another process holds the lock: short at first, longer once it is held for long. */
const RETRY_SHORT_MS = 1;
const RETRIES_SHORT = 50;
const RETRY_LONG_MS = 8;
/** For how long a process remembers that it has met another. */
const MEMORY_MS = 1000;
/** Longer than the short wait between two attempts of another process, so that one of them falls into it. */
const PAUSE_MS = 2;

export interface LockPacing {
  /** The lock was another's: answers how long to wait for the next attempt. */
  meet(nowMs: number): number;
  /** The lock was had. */
  hold(): void;
  /** After a transaction: answers how long to let go. */
  toPause(nowMs: number): number;
}

/** `turnMs`: how long a process commits between two pauses; 0: it pauses after each transaction. */
export function createLockPacing(options: {
  readonly turnMs: number;
  /** Whether one that has just got in has a turn before its first pause. */
  readonly beginsWithTurn: boolean;
}): LockPacing {
  const { turnMs, beginsWithTurn } = options;
  let attempts = 0;
  let contendedUntilMs = 0;
  let turnEndMs = 0;
  return {
    meet(nowMs) {
      attempts += 1;
      contendedUntilMs = nowMs + MEMORY_MS;
      if (beginsWithTurn) turnEndMs = nowMs + turnMs;
      return attempts <= RETRIES_SHORT ? RETRY_SHORT_MS : RETRY_LONG_MS;
    },
    hold() {
      attempts = 0;
    },
    toPause(nowMs) {
      if (nowMs >= contendedUntilMs || nowMs < turnEndMs) return 0;
      if (turnMs > 0) turnEndMs = nowMs + PAUSE_MS + turnMs;
      return PAUSE_MS;
    },
  };
}
