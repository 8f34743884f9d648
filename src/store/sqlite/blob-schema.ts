/** The database file of the blobs: one row a piece. */

import type { Database } from 'bun:sqlite';
import type { BlobOpenRequest } from './blob-protocol.ts';
import { type Migration, openDatabase } from './schema.ts';

export const BLOB_FILE = 'files.db';
/** `UNDF`, in the file's header. */
export const BLOB_APPLICATION_ID = 0x554e4446;
export const BLOB_PAGE_BYTES = 16 * 1024;
/** Pieces are read once and written once: pages that are kept serve nobody. */
const CACHE_KIB = 2 * 1024;
/** The log is copied into the database each time it has grown by 16 MiB. */
const CHECKPOINT_PAGES = 1024;

export const BLOB_MIGRATIONS: readonly Migration[] = Object.freeze([
  {
    name: 'pieces',
    apply(database: Database) {
      database.run(`CREATE TABLE pieces (
        tenant TEXT NOT NULL,
        blob TEXT NOT NULL,
        number INTEGER NOT NULL,
        bytes BLOB NOT NULL
      ) STRICT`);
      database.run('CREATE UNIQUE INDEX pieces_place ON pieces (tenant, blob, number)');
    },
  },
]);

/** Opens or makes the file. Errors: `unavailable`, with what to do about it. */
export function openBlobDatabase({ directory, file, lockWaitMs }: BlobOpenRequest): Database {
  const database = openDatabase({
    directory,
    file,
    lockWaitMs,
    applicationId: BLOB_APPLICATION_ID,
    migrations: BLOB_MIGRATIONS,
    collections: {},
    // A piece fills 16 large pages rather than 64 small ones. The map of pages that comes with the vacuum makes
    // deletions ten times as fast, too: no page has to be read to be freed.
    layout: [`PRAGMA page_size = ${BLOB_PAGE_BYTES}`, 'PRAGMA auto_vacuum = INCREMENTAL'],
    cacheKib: CACHE_KIB,
  });
  database.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  return database;
}
