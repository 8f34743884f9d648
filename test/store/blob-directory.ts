/** SQLite blob stores in directories of their own, removed behind the test. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSqliteBlobStore,
  type SqliteBlobStore,
  type SqliteBlobStoreOptions,
} from '../../src/store/sqlite/blob-store.ts';

export interface BlobDirectory {
  readonly path: string;
  open(options?: Partial<SqliteBlobStoreOptions>): Promise<SqliteBlobStore>;
  /** Closes every store that was opened here, then removes the directory. */
  remove(): Promise<void>;
}

export async function makeBlobDirectory(): Promise<BlobDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'understudy-blobs-'));
  const stores: SqliteBlobStore[] = [];
  return {
    path,
    async open(options = {}) {
      const store = await createSqliteBlobStore({ directory: path, ...options });
      stores.push(store);
      return store;
    },
    async remove() {
      await Promise.all(stores.map((store) => store.close()));
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** For the contract: a store over a new directory. */
export async function openSqliteBlobStore() {
  const directory = await makeBlobDirectory();
  return { blobs: await directory.open(), reopen: directory.open, close: directory.remove };
}
