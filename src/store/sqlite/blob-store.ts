/**
 * Blobs in an embedded SQLite database, in a file of its own beside the records', on a thread of its own: an upload
 * holds up no write of a record.
 */

import { join } from 'node:path';
import type { BlobStore } from '../blob-store.ts';
import { checkPiece } from '../checks.ts';
import { type BlobStatistics, createBlobCaller } from './blob-caller.ts';
import type { BlobReply } from './blob-protocol.ts';
import { BLOB_FILE } from './blob-schema.ts';

export type { BlobStatistics } from './blob-caller.ts';
export { BLOB_FILE } from './blob-schema.ts';

/** How long a write may wait for another process that holds the file. */
export const LOCK_WAIT_DEFAULT_MS = 30_000;

export interface SqliteBlobStoreOptions {
  /** Made when it is missing, for its owner only. */
  readonly directory: string;
  readonly lockWaitMs?: number;
  /** Called once where the database's thread ends by itself: nothing answers from then on. */
  readonly onLost?: (reason: string) => void;
  /** Starts the database's thread; tests keep hold of it. */
  readonly startThread?: () => Worker;
}

export interface SqliteBlobStore extends BlobStore {
  getStatistics(): BlobStatistics;
}

/** Opens the database. Errors: `unavailable`, saying what is wrong with the directory or the file. */
export async function createSqliteBlobStore(options: SqliteBlobStoreOptions): Promise<SqliteBlobStore> {
  const caller = createBlobCaller((options.startThread ?? startThread)(), options.onLost);
  await caller.open({
    directory: options.directory,
    file: join(options.directory, BLOB_FILE),
    lockWaitMs: options.lockWaitMs ?? LOCK_WAIT_DEFAULT_MS,
  });

  return {
    async putPiece(tenant, blob, index, bytes) {
      checkPiece(tenant, blob, index, bytes.byteLength);
      const reply = await caller.call((call) => ['put', call, tenant, blob, index, toOwn(bytes)]);
      if (reply[0] !== 'done') throw toProtocolFault(reply);
    },

    async getPiece(tenant, blob, index) {
      checkPiece(tenant, blob, index, 0);
      const reply = await caller.call((call) => ['get', call, tenant, blob, index]);
      if (reply[0] !== 'piece') throw toProtocolFault(reply);
      return reply[2];
    },

    async deleteBlob(tenant, blob) {
      checkPiece(tenant, blob, 0, 0);
      const reply = await caller.call((call) => ['delete', call, tenant, blob]);
      if (reply[0] !== 'done') throw toProtocolFault(reply);
    },

    close: () => caller.close(),
    getStatistics: () => caller.getStatistics(),
  };
}

/** As in `sqlite-store.ts`: the executable keeps the entry points beside each other as they were below `src`. */
function startThread(): Worker {
  const isSource = import.meta.url.endsWith('/blob-store.ts');
  return new Worker(
    new URL(isSource ? './blob-thread.ts' : './store/sqlite/blob-thread.ts', import.meta.url),
  );
}

/** Bytes that have a buffer to themselves are handed over as they are; a part of a larger one is copied out of it. */
function toOwn(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength;
  return isWhole ? new Uint8Array(buffer) : new Uint8Array(bytes);
}

function toProtocolFault(reply: BlobReply): Error {
  return new Error(`The thread of the files' database answered '${reply[0]}' out of place.`);
}
