/**
 * The write-ahead log beside the database. SQLite copies it into the database by itself each time it has
 * grown by so many pages; here is what remains to be done.
 */

import type { Database } from 'bun:sqlite';
import { statSync } from 'node:fs';
import { StoreError } from '../store.ts';
import { isInputOutputFault } from './faults.ts';

/**
 * Readers that overlap without end keep SQLite from beginning the log anew. Beyond this size, it is begun
 * anew at the price of a short wait.
 */
const LOG_BYTES_MAX = 64 * 1024 * 1024;
/** How long that may wait for readers of other processes, with the write lock held. */
const READER_WAIT_MS = 50;
/** What cannot be done, because one reader goes on, is not tried again before. */
const ATTEMPT_PAUSE_MS = 5000;
/** Transactions between two looks at the size. */
const LOOK_INTERVAL = 64;

export interface WriteAheadLog {
  /** Call it before a transaction. Errors: `unavailable` while the disk does not take what the log holds. */
  prepare(): void;
  /** Call it after a transaction. */
  keepBounded(): void;
  /** Call it with whatever a transaction failed by. */
  recordFault(error: unknown): void;
}

export function createWriteAheadLog(database: Database): WriteAheadLog {
  const file = `${database.filename}-wal`;
  const truncate = database.prepare<{ busy: number }, []>('PRAGMA wal_checkpoint(TRUNCATE)');
  let isSuspect = false;
  let looks = 0;
  let nextAttemptMs = 0;

  const tryTruncate = (): boolean => truncate.get()?.busy === 0;

  return {
    prepare() {
      if (!isSuspect) return;
      // After a failed sync nothing tells which pages of the log are on the disk, and a later sync may succeed
      // without them. So what the log holds is copied into the database first, and the log begun anew.
      if (!tryTruncate()) {
        throw new StoreError('unavailable', 'The write-ahead log cannot be renewed after a failed write.');
      }
      isSuspect = false;
    },
    keepBounded() {
      looks += 1;
      if (looks % LOOK_INTERVAL !== 0 || performance.now() < nextAttemptMs) return;
      const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
      if (size <= LOG_BYTES_MAX) return;
      database.run(`PRAGMA busy_timeout = ${READER_WAIT_MS}`);
      try {
        tryTruncate();
      } catch {
        // The log is as long as before, and nothing is lost; if the disk is at fault, the next commit shows it.
      } finally {
        database.run('PRAGMA busy_timeout = 0');
        nextAttemptMs = performance.now() + ATTEMPT_PAUSE_MS;
      }
    },
    recordFault(error) {
      if (isInputOutputFault(error)) isSuspect = true;
    },
  };
}

/** Closes a database that was written: what the log holds goes into the database, so that a copy of the one file is complete. */
export function closeDatabase(database: Database): void {
  try {
    database.run('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch {
    // Others read it, or the disk is full: the log stays beside the file, and whoever opens it reads both.
  }
  database.close();
}
