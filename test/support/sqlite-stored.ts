/** `stored.ts` for SQLite: its files. */

import { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CollectionName } from '../../src/store/collections.ts';
import { BLOB_FILE } from '../../src/store/sqlite/blob-store.ts';
import { createSqliteStore, DATABASE_FILE } from '../../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';
import { INDEX_FILE } from '../../src/vector/sqlite/sqlite-vector-index.ts';
import type { KeptRecord } from './stored.ts';

const INDEX_TABLES = ['stores', 'versions', 'chunks', 'vectors'];

export function countPieces(dataDirectory: string): number {
  return countRows(dataDirectory, BLOB_FILE, 'pieces');
}

export function countFilterValues(dataDirectory: string, collection: CollectionName): number {
  return countRows(dataDirectory, DATABASE_FILE, `${collection}_filters`);
}

export function countIndexRows(dataDirectory: string): number {
  const counts = INDEX_TABLES.map((table) => countRows(dataDirectory, INDEX_FILE, table));
  return counts.reduce((sum, count) => sum + count, 0);
}

export function readRecords(dataDirectory: string, collection: CollectionName): readonly KeptRecord[] {
  const rows = query<{ id: string; parent: string; document: string }>(
    dataDirectory,
    DATABASE_FILE,
    collection,
    'id, parent, document',
  );
  return rows.map(({ id, parent, document }) => ({ id, parent, document: JSON.parse(document) }));
}

export async function readEverything(dataDirectory: string): Promise<string> {
  const files = await Array.fromAsync(new Bun.Glob('**/*').scan({ cwd: dataDirectory, dot: true }));
  if (!files.includes(DATABASE_FILE)) throw new Error(`${dataDirectory} has no ${DATABASE_FILE}.`);
  const texts = files.map(async (file) =>
    Buffer.from(await Bun.file(join(dataDirectory, file)).arrayBuffer()).toString('latin1'),
  );
  return (await Promise.all(texts)).join('\n');
}

export function openStore(dataDirectory: string): Promise<Store> {
  return createSqliteStore({ directory: dataDirectory });
}

function countRows(dataDirectory: string, file: string, table: string): number {
  return query<{ count: number }>(dataDirectory, file, table, 'count(*) AS count')[0]?.count ?? 0;
}

/** Nothing where there is no such file or table yet. */
function query<T>(dataDirectory: string, file: string, table: string, columns: string): T[] {
  const path = join(dataDirectory, file);
  if (!existsSync(path)) return [];
  const database = new Database(path);
  try {
    database.run('PRAGMA busy_timeout = 2000');
    // A server may be making the file at this moment.
    const known = database.query('SELECT 1 FROM sqlite_schema WHERE name = ?').get(table);
    return known === null ? [] : database.query<T, []>(`SELECT ${columns} FROM "${table}"`).all();
  } finally {
    database.close();
  }
}
