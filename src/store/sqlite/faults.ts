/** SQLite's result codes, told apart by what a caller can do about them. */

import { SQLiteError } from 'bun:sqlite';
import { StoreError } from '../store.ts';

/** The low byte of an extended result code is the primary one. */
const PRIMARY_CODE_MASK = 0xff;
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

const STORAGE_FAULTS: ReadonlySet<number> = new Set([
  SQLITE_READONLY,
  SQLITE_IOERR,
  SQLITE_CORRUPT,
  SQLITE_FULL,
  SQLITE_CANTOPEN,
  SQLITE_NOTADB,
]);

/** Another connection holds a lock; the same statement may succeed a moment later. */
export function isBusy(error: unknown): boolean {
  return toPrimaryCode(error) === SQLITE_BUSY;
}

/** The file is no database at all. */
export function isNotADatabase(error: unknown): boolean {
  return toPrimaryCode(error) === SQLITE_NOTADB;
}

/** Reading or writing the file failed in a way that leaves open what reached the disk. */
export function isInputOutputFault(error: unknown): boolean {
  return toPrimaryCode(error) === SQLITE_IOERR;
}

/** The file or its disk is at fault, whoever asked for what. */
export function isStorageFault(error: unknown): boolean {
  return STORAGE_FAULTS.has(toPrimaryCode(error));
}

/** What a caller is told. Messages of SQLite name tables and conditions, never values. */
export function toStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new StoreError('unavailable', `The database cannot be used now: ${reason}.`, { cause: error });
}

function toPrimaryCode(error: unknown): number {
  return error instanceof SQLiteError ? error.errno & PRIMARY_CODE_MASK : 0;
}
