/** SQLite stores in directories of their own, removed behind the test. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSqliteStore,
  type SqliteStore,
  type SqliteStoreOptions,
} from '../../src/store/sqlite/sqlite-store.ts';

export interface SqliteDirectory {
  readonly path: string;
  open(options?: Partial<SqliteStoreOptions>): Promise<SqliteStore>;
  /** Closes every store that was opened here, then removes the directory. */
  remove(): Promise<void>;
}

export async function makeSqliteDirectory(): Promise<SqliteDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'understudy-store-'));
  const stores: SqliteStore[] = [];
  return {
    path,
    async open(options = {}) {
      const store = await createSqliteStore({ directory: path, ...options });
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
export async function openSqliteStore() {
  const directory = await makeSqliteDirectory();
  return { store: await directory.open(), reopen: directory.open, close: directory.remove };
}
