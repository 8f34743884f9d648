/**
 * Group commit: all writes that wait when a transaction begins share it, and its one sync. They are
 * answered after the commit, never before.
 *
 * The lock of another process is never waited for inside of SQLite, which would stop this thread's reads:
 * the attempt is repeated by a timer.
 */

import type { Database } from 'bun:sqlite';
import type { CollectionName } from '../collections.ts';
import { StoreError } from '../store.ts';
import { createDeletions, type Deletion } from './deletions.ts';
import { isBusy, isInputOutputFault, isStorageFault, toStoreError } from './faults.ts';
import type { ChangeCall, Reply, WriteCall } from './protocol.ts';
import type { Records } from './records.ts';
import { applySteps, type Written } from './writes.ts';

/** Bounds of one transaction, which is how long a reader of this process may have to wait. */
const STEPS_PER_TRANSACTION_MAX = 1024;
const CHARACTERS_PER_TRANSACTION_MAX = 8 * 1024 * 1024;
/** While another process holds the lock: first and longest wait between two attempts. */
const LOCK_RETRY_FIRST_MS = 1;
const LOCK_RETRY_LAST_MS = 8;
/**
 * A process that commits without a pause leaves the others no moment to get in, since nobody queues for
 * SQLite's lock. So one that has met another pauses after each commit for a while.
 */
const CONTENTION_MEMORY_MS = 1000;
const CONTENTION_PAUSE_MS = 1;

export interface WriterOptions {
  readonly database: Database;
  readonly toRecords: (collection: CollectionName) => Records;
  /** How long a write may wait for other processes. */
  readonly lockWaitMs: number;
  readonly reply: (reply: Reply) => void;
  /** Sends the replies off. */
  readonly flush: () => void;
}

export interface Writer {
  /** Takes a write for the next transaction. */
  enqueue(call: ChangeCall): void;
  /** Calls back once nothing waits any more. */
  whenIdle(callback: () => void): void;
}

interface Waiting {
  readonly call: ChangeCall;
  /** For a `deleteAll`: how far it is. */
  readonly deletion: Deletion | null;
  /** When it began to wait. */
  readonly sinceMs: number;
}

type Outcome = Written | Deletion | StoreError;

export function createWriter(options: WriterOptions): Writer {
  const { database, toRecords, reply, flush } = options;
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const rollback = database.prepare('ROLLBACK');
  const deletions = createDeletions(database, toRecords);

  let queue: Waiting[] = [];
  let isScheduled = false;
  let attempts = 0;
  let contendedUntilMs = 0;
  let isLogSuspect = false;
  let onIdle: (() => void) | null = null;
  const done = { transactions: 0, writes: 0, lockWaits: 0 };

  /** Runs the next transaction after all messages that are there have been taken in. */
  const schedule = (delayMs: number): void => {
    if (isScheduled) return;
    isScheduled = true;
    const run = (): void => {
      isScheduled = false;
      runNext();
    };
    if (delayMs === 0) setImmediate(run);
    else setTimeout(run, delayMs);
  };

  const runNext = (): void => {
    const nowMs = performance.now();
    try {
      if (queue.length > 0) {
        takeLock();
        attempts = 0;
        runGroup(takeGroup());
      }
    } catch (error) {
      if (isBusy(error)) {
        waitForLock(nowMs);
        return;
      }
      failAll(toStoreError(error));
    }
    flush();
    if (queue.length > 0) schedule(nowMs < contendedUntilMs ? CONTENTION_PAUSE_MS : 0);
    else onIdle?.();
  };

  const takeLock = (): void => {
    if (isLogSuspect) renewLog();
    begin.run();
  };

  /**
   * After a failed sync nothing tells which pages of the log are on the disk, and a later sync may succeed
   * without them. What is in the log is therefore copied into the database, and the log begun anew.
   */
  const renewLog = (): void => {
    const row = database.query<{ busy: number }, []>('PRAGMA wal_checkpoint(TRUNCATE)').get();
    if (row === null || row.busy !== 0) {
      throw new StoreError('unavailable', 'The write-ahead log cannot be renewed after a failed write.');
    }
    isLogSuspect = false;
  };

  const waitForLock = (nowMs: number): void => {
    done.lockWaits += 1;
    contendedUntilMs = nowMs + CONTENTION_MEMORY_MS;
    const isOverdue = (waiting: Waiting): boolean => nowMs - waiting.sinceMs >= options.lockWaitMs;
    const overdue = queue.filter(isOverdue);
    if (overdue.length > 0) {
      queue = queue.filter((waiting) => !isOverdue(waiting));
      const error = new StoreError('unavailable', 'Another process holds the database for too long.');
      for (const waiting of overdue) answer(waiting, error);
      flush();
    }
    attempts += 1;
    if (queue.length > 0) {
      schedule(Math.min(LOCK_RETRY_FIRST_MS * attempts, LOCK_RETRY_LAST_MS) * (0.5 + Math.random()));
    } else onIdle?.();
  };

  const takeGroup = (): Waiting[] => {
    let count = 0;
    let steps = 0;
    let characters = 0;
    for (const { call } of queue) {
      if (count > 0 && (steps >= STEPS_PER_TRANSACTION_MAX || characters >= CHARACTERS_PER_TRANSACTION_MAX))
        break;
      count += 1;
      steps += call[0] === 'write' ? call[2].length : deletions.pieceMax;
      characters += call[0] === 'write' ? countCharacters(call) : 0;
    }
    const group = queue.slice(0, count);
    queue = queue.slice(count);
    return group;
  };

  /** The lock is held; afterwards it is not. */
  const runGroup = (group: readonly Waiting[]): void => {
    let outcomes: Outcome[];
    try {
      outcomes = group.map(apply);
      commit.run();
      done.transactions += 1;
    } catch (error) {
      if (database.inTransaction) rollback.run();
      if (isInputOutputFault(error)) isLogSuspect = true;
      if (group.length === 1 || isStorageFault(error)) {
        for (const waiting of group) answer(waiting, toStoreError(error));
        return;
      }
      // Something is wrong with one of them: alone, each shows whether it was that one.
      for (const waiting of group) {
        begin.run();
        runGroup([waiting]);
      }
      return;
    }
    group.forEach((waiting, index) => {
      const outcome = outcomes[index];
      if (outcome !== undefined) answer(waiting, outcome);
    });
    reply(['statistics', 0, done.transactions, done.writes, done.lockWaits]);
  };

  const apply = ({ call, deletion }: Waiting): Outcome => {
    if (call[0] === 'deleteAll') return deletions.removePiece(call, deletion);
    try {
      return applySteps(toRecords, call[2]);
    } catch (error) {
      if (error instanceof StoreError) return error;
      throw error;
    }
  };

  const answer = ({ call }: Waiting, outcome: Outcome): void => {
    if (outcome instanceof StoreError) {
      const index = call[0] === 'write' && call[3] === 'versions' ? outcome.index : undefined;
      reply(['error', call[1], outcome.code, outcome.message, index ?? null]);
      return;
    }
    if ('removed' in outcome) {
      if (outcome.isComplete) reply(['count', call[1], outcome.removed]);
      else queue.push({ call, deletion: outcome, sinceMs: performance.now() });
      return;
    }
    done.writes += outcome.versions.length;
    reply(toWriteReply(call, outcome));
  };

  const failAll = (error: StoreError): void => {
    const failed = queue;
    queue = [];
    for (const waiting of failed) answer(waiting, error);
  };

  return {
    enqueue(call) {
      queue.push({ call, deletion: null, sinceMs: performance.now() });
      schedule(0);
    },
    whenIdle(callback) {
      onIdle = callback;
      if (queue.length === 0 && !isScheduled) callback();
    },
  };
}

function toWriteReply(call: ChangeCall, { versions, document }: Written): Reply {
  const answer = call[0] === 'write' ? call[3] : 'versions';
  if (answer === 'record') return ['record', call[1], document, versions[0] ?? 0];
  if (answer === 'version') return ['count', call[1], versions[0] ?? 0];
  return ['versions', call[1], versions];
}

function countCharacters(call: WriteCall): number {
  let characters = 0;
  for (const step of call[2]) {
    if (step[0] === 'insert') characters += step[4].length;
    else if (step[0] === 'update') characters += step[2].length;
  }
  return characters;
}
