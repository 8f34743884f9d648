/**
 * Group commit of pieces, as in `writer.ts`: everything that waits when a transaction begins shares it, and its one
 * sync. Another process's lock is never waited for inside of SQLite, which would stop this thread's reads.
 */

import type { Database } from 'bun:sqlite';
import { StoreError } from '../store.ts';
import type { BlobReply, ChangeCall, DeleteCall, PutCall } from './blob-protocol.ts';
import { isBusy, isStorageFault, toStoreError } from './faults.ts';
import { createLockPacing } from './lock-pacing.ts';
import { createWriteAheadLog } from './write-ahead-log.ts';

/** Bounds of one transaction, which is how long a reader of this process may have to wait. */
const PUTS_PER_TRANSACTION_MAX = 32;
const DELETES_PER_TRANSACTION_MAX = 8;
/** Pieces that one deletion removes in one transaction. */
const DELETED_PIECES_MAX = 64;
/** How long it commits between two pauses that it makes for another process. */
const CONTENTION_TURN_MS = 20;

export interface BlobWriterOptions {
  readonly database: Database;
  readonly lockWaitMs: number;
  /** Called after a transaction in which a blob has gone. */
  readonly onDeleted: () => void;
  readonly reply: (reply: BlobReply) => void;
  /** Sends the replies off. */
  readonly flush: () => void;
}

export interface BlobWriter {
  /** Takes a change for the next transaction. */
  enqueue(call: ChangeCall): void;
  /** Whether nothing waits. */
  isIdle(): boolean;
  /** Calls back once nothing waits any more. */
  whenIdle(callback: () => void): void;
}

interface Waiting {
  readonly call: ChangeCall;
  readonly sinceMs: number;
  /** Shares no transaction: it was in one that failed, and may have been the reason. */
  readonly isAlone: boolean;
}

export function createBlobWriter(options: BlobWriterOptions): BlobWriter {
  const { database, reply, flush } = options;
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const rollback = database.prepare('ROLLBACK');
  const log = createWriteAheadLog(database);
  const pacing = createLockPacing({ turnMs: CONTENTION_TURN_MS, beginsWithTurn: false });
  const pieces = preparePieces(database);

  let queue: Waiting[] = [];
  let isScheduled = false;
  let onIdle: (() => void) | null = null;
  const done = { transactions: 0, pieces: 0, lockWaits: 0 };

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
      ({ sinceMs }) => nowMs - sinceMs >= options.lockWaitMs,
      new StoreError('unavailable', 'Another process holds the database of the files for too long.'),
    );
    return pacing.meet(nowMs);
  };

  const refuse = (isRefused: (waiting: Waiting) => boolean, { code, message }: StoreError): void => {
    for (const { call } of queue.filter(isRefused)) reply(['error', call[1], code, message]);
    queue = queue.filter((waiting) => !isRefused(waiting));
  };

  const takeGroup = (): readonly Waiting[] => {
    let count = 0;
    let puts = 0;
    let deletes = 0;
    for (const { call, isAlone } of queue) {
      if (count > 0 && isAlone) break;
      if (puts >= PUTS_PER_TRANSACTION_MAX || deletes >= DELETES_PER_TRANSACTION_MAX) break;
      count += 1;
      if (call[0] === 'put') puts += 1;
      else deletes += 1;
      if (isAlone) break;
    }
    const group = queue.slice(0, count);
    queue = queue.slice(count);
    return group;
  };

  /** The lock is held; afterwards it is not. */
  const runGroup = (group: readonly Waiting[]): void => {
    let unfinished: DeleteCall[];
    try {
      unfinished = group.flatMap(({ call }) => apply(call));
      commit.run();
    } catch (error) {
      if (database.inTransaction) rollback.run();
      log.recordFault(error);
      const { code, message } = toStoreError(error);
      if (group.length === 1 || isStorageFault(error)) {
        for (const { call } of group) reply(['error', call[1], code, message]);
      } else {
        // Something is wrong with one of them: alone, each shows whether it was that one.
        queue = [...group.map((waiting) => ({ ...waiting, isAlone: true })), ...queue];
      }
      return;
    }
    done.transactions += 1;
    for (const { call } of group) {
      if (call[0] === 'delete' && unfinished.includes(call)) {
        queue.push({ call, sinceMs: performance.now(), isAlone: false });
        continue;
      }
      if (call[0] === 'put') done.pieces += 1;
      else options.onDeleted();
      reply(['done', call[1]]);
    }
    reply(['statistics', 0, done.transactions, done.pieces, done.lockWaits]);
  };

  /** Answers the deletion where it is not at its end. */
  const apply = (call: ChangeCall): DeleteCall[] => {
    if (call[0] === 'put') {
      pieces.put(call);
      return [];
    }
    return pieces.deleteSome(call) < DELETED_PIECES_MAX ? [] : [call];
  };

  return {
    enqueue(call) {
      queue.push({ call, sinceMs: performance.now(), isAlone: false });
      if (!isScheduled) schedule(0);
    },
    isIdle: () => !isScheduled,
    whenIdle(callback) {
      onIdle = callback;
      if (!isScheduled) callback();
    },
  };
}

function preparePieces(database: Database) {
  const put = database.prepare<void, [string, string, number, Uint8Array]>(
    `INSERT INTO pieces (tenant, blob, number, bytes) VALUES (?, ?, ?, ?)
     ON CONFLICT (tenant, blob, number) DO UPDATE SET bytes = excluded.bytes`,
  );
  const remove = database.prepare<void, [string, string]>(
    `DELETE FROM pieces WHERE rowid IN
     (SELECT rowid FROM pieces WHERE tenant = ? AND blob = ? ORDER BY number LIMIT ${DELETED_PIECES_MAX})`,
  );
  return {
    put: ([, , tenant, blob, index, bytes]: PutCall): void => void put.run(tenant, blob, index, bytes),
    /** Answers how many pieces went. */
    deleteSome: ([, , tenant, blob]: DeleteCall): number => remove.run(tenant, blob).changes,
  };
}
