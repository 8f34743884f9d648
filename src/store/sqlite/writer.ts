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
import { isBusy, isStorageFault, toStoreError } from './faults.ts';
import { createLockPacing } from './lock-pacing.ts';
import { type ChangeCall, countCharacters, type Reply } from './protocol.ts';
import type { Records } from './records.ts';
import { createWriteAheadLog } from './write-ahead-log.ts';
import { applySteps, type Written } from './writes.ts';

/** Bounds of one transaction, which is how long a reader of this process may have to wait. */
const STEPS_PER_TRANSACTION_MAX = 1024;
const CHARACTERS_PER_TRANSACTION_MAX = 8 * 1024 * 1024;
/** How long it commits between two pauses that it makes for another process. */
const CONTENTION_TURN_MS = 5;

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
  /** Shares no transaction: it was in one that failed, and may have been the reason. */
  readonly isAlone: boolean;
}

type Outcome = Written | Deletion | StoreError;

export function createWriter(options: WriterOptions): Writer {
  const { database, toRecords, reply, flush } = options;
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const rollback = database.prepare('ROLLBACK');
  const deletions = createDeletions(database, toRecords);
  const log = createWriteAheadLog(database);
  const pacing = createLockPacing({ turnMs: CONTENTION_TURN_MS, beginsWithTurn: true });

  let queue: Waiting[] = [];
  let isScheduled = false;
  let onIdle: (() => void) | null = null;
  const done = { transactions: 0, writes: 0, lockWaits: 0 };

  /** Runs the next transaction after all messages that are there have been taken in, or when the delay is over. */
  const schedule = (delayMs: number): void => {
    isScheduled = true;
    if (delayMs === 0) setImmediate(runNext);
    else setTimeout(runNext, delayMs);
  };

  const runNext = (): void => {
    isScheduled = false;
    const delayMs = queue.length > 0 ? commitNext() : 0;
    flush();
    // A pause is kept also where nothing waits yet: what comes meanwhile gathers.
    if (queue.length > 0 || delayMs > 0) schedule(delayMs);
    else onIdle?.();
  };

  /** Answers how long to pause afterwards. */
  const commitNext = (): number => {
    try {
      log.prepare();
      begin.run();
    } catch (error) {
      if (isBusy(error)) return waitForLock();
      refuse(() => true, toStoreError(error));
      return 0;
    }
    pacing.hold();
    runGroup(takeGroup());
    log.keepBounded();
    return pacing.toPause(performance.now());
  };

  /** Answers how long to wait for the next attempt. */
  const waitForLock = (): number => {
    const nowMs = performance.now();
    done.lockWaits += 1;
    refuse(
      (waiting) => nowMs - waiting.sinceMs >= options.lockWaitMs,
      new StoreError('unavailable', 'Another process has held the database for too long.'),
    );
    return pacing.meet(nowMs);
  };

  const refuse = (isRefused: (waiting: Waiting) => boolean, error: StoreError): void => {
    const refused = queue.filter(isRefused);
    queue = queue.filter((waiting) => !isRefused(waiting));
    for (const waiting of refused) answer(waiting, error);
  };

  const takeGroup = (): Waiting[] => {
    let count = 0;
    let steps = 0;
    let characters = 0;
    for (const { call, isAlone } of queue) {
      const isFull = steps >= STEPS_PER_TRANSACTION_MAX || characters >= CHARACTERS_PER_TRANSACTION_MAX;
      if (count > 0 && (isFull || isAlone)) break;
      count += 1;
      steps += call[0] === 'write' ? call[2].length : deletions.pieceMax;
      characters += call[0] === 'write' ? countCharacters(call[2]) : 0;
      if (isAlone) break;
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
    } catch (error) {
      if (database.inTransaction) rollback.run();
      log.recordFault(error);
      if (group.length === 1 || isStorageFault(error)) {
        for (const waiting of group) answer(waiting, toStoreError(error));
      } else {
        // Something is wrong with one of them: alone, each shows whether it was that one.
        queue = [...group.map((waiting) => ({ ...waiting, isAlone: true })), ...queue];
      }
      return;
    }
    done.transactions += 1;
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
      // A refusal, found before anything was changed; anything else ends the transaction.
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
      else queue.push({ call, deletion: outcome, sinceMs: performance.now(), isAlone: false });
      return;
    }
    done.writes += outcome.versions.length;
    reply(toWriteReply(call, outcome));
  };

  return {
    enqueue(call) {
      queue.push({ call, deletion: null, sinceMs: performance.now(), isAlone: false });
      if (!isScheduled) schedule(0);
    },
    whenIdle(callback) {
      onIdle = callback;
      if (!isScheduled) callback();
    },
  };
}

function toWriteReply(call: ChangeCall, { versions, document }: Written): Reply {
  const answer = call[0] === 'write' ? call[3] : 'versions';
  if (answer === 'record') return ['record', call[1], document, versions[0] ?? 0];
  if (answer === 'version') return ['count', call[1], versions[0] ?? 0];
  return ['versions', call[1], versions];
}
