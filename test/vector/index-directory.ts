/** SQLite indexes in directories of their own, removed behind the test. */

import { Database } from 'bun:sqlite';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSqliteVectorIndex,
  INDEX_FILE,
  type SqliteVectorIndex,
  type SqliteVectorIndexOptions,
} from '../../src/vector/sqlite/sqlite-vector-index.ts';

export interface IndexDirectory {
  readonly path: string;
  open(options?: Partial<SqliteVectorIndexOptions>): Promise<SqliteVectorIndex>;
  /** Rows of each table that is not empty. */
  countRows(): Readonly<Record<string, number>>;
  /** What is wrong with the file: nothing is `[['ok']]`. */
  checkIntegrity(): unknown;
  /** Closes every index that was opened here, then removes the directory. */
  remove(): Promise<void>;
}

export async function makeIndexDirectory(): Promise<IndexDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'understudy-index-'));
  const opened: SqliteVectorIndex[] = [];
  const read = <T>(work: (database: Database) => T): T => {
    const database = new Database(join(path, INDEX_FILE));
    try {
      return work(database);
    } finally {
      database.close();
    }
  };
  return {
    path,
    async open(options = {}) {
      const index = await createSqliteVectorIndex({ directory: path, ...options });
      opened.push(index);
      return index;
    },
    countRows: () => read(countTables),
    checkIntegrity: () => read((database) => database.query('PRAGMA integrity_check').values()),
    async remove() {
      await Promise.all(opened.map((index) => index.close()));
      await rm(path, { recursive: true, force: true });
    },
  };
}

function countTables(database: Database): Readonly<Record<string, number>> {
  const tables = database
    .query<{ name: string }, []>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )
    .all();
  const counts = tables.map(({ name }): [string, number] => [
    name,
    database.query<{ rows: number }, []>(`SELECT count(*) AS rows FROM ${name}`).get()?.rows ?? 0,
  ]);
  return Object.fromEntries(counts.filter(([, rows]) => rows > 0));
}

/** For the contract: an index over a new directory. */
export async function openSqliteIndex() {
  const directory = await makeIndexDirectory();
  return { index: await directory.open(), reopen: () => directory.open(), close: directory.remove };
}

/** Waits until a condition holds, at most `timeoutMs`. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`It did not come to pass within ${timeoutMs} ms.`);
    await Bun.sleep(5);
  }
}
