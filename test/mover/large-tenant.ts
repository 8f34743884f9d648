/** Tenants that take a while to be copied, written straight into a store. */

import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { PIECE_BYTES_MAX } from '../../src/store/blob-store.ts';
import type { CollectionName } from '../../src/store/collections.ts';
import { createSqliteBlobStore } from '../../src/store/sqlite/blob-store.ts';
import { createSqliteStore, DATABASE_FILE } from '../../src/store/sqlite/sqlite-store.ts';
import type { InsertWrite, Scope, StoredRecord } from '../../src/store/store.ts';
import { createSqliteVectorIndex } from '../../src/vector/sqlite/sqlite-vector-index.ts';
import { publish, toChunk, toVector } from '../contract/vector-index-fixture.ts';

/** Of the file. */
const PIECES = 40;

export const TENANT: Scope = Object.freeze({ tenant: 'default' });
const WRITES = 250;

export interface Imported {
  readonly collection: CollectionName;
  readonly scope: Scope;
  readonly record: StoredRecord & Readonly<Record<string, unknown>>;
  readonly sortKey?: string;
}

export async function importRecords(directory: string, records: readonly Imported[]): Promise<void> {
  const store = await createSqliteStore({ directory });
  try {
    for (let at = 0; at < records.length; at += WRITES) {
      const writes = records.slice(at, at + WRITES).map((one): InsertWrite => ({ kind: 'insert', ...one }));
      await store.write(writes);
    }
  } finally {
    await store.close();
  }
}

/** Threads with messages, runs and steps. Answers how many records they are. */
export async function makeThreads(directory: string, count: number): Promise<number> {
  const ids = createIds(systemClock);
  const records: Imported[] = [];
  for (let at = 0; at < count; at += 1) {
    const thread = ids.create('thread');
    const run = ids.create('run');
    const under: Scope = { ...TENANT, parent: thread };
    records.push({ collection: 'threads', scope: TENANT, record: { id: thread, at } });
    for (let message = 0; message < 3; message += 1) {
      records.push({ collection: 'messages', scope: under, record: { id: ids.create('message'), message } });
    }
    records.push({ collection: 'runs', scope: under, record: { id: run } });
    records.push({
      collection: 'steps',
      scope: { ...TENANT, parent: run },
      record: { id: ids.create('step') },
    });
  }
  await importRecords(directory, records);
  return records.length;
}

/** A file of many pieces, and a vector store whose files have many chunks. */
export async function makeDocuments(directory: string, files: number, chunksEach: number): Promise<void> {
  const ids = createIds(systemClock);
  const { tenant } = TENANT;
  const [blobs, index] = await Promise.all([
    createSqliteBlobStore({ directory }),
    createSqliteVectorIndex({ directory }),
  ]);
  try {
    const [file, store] = [ids.create('file'), ids.create('vector_store')];
    for (let piece = 0; piece < PIECES; piece += 1) {
      await blobs.putPiece(tenant, file, piece, new Uint8Array(PIECE_BYTES_MAX).fill(piece));
    }
    const parts = [{ blob: file, bytes: PIECES * PIECE_BYTES_MAX }];
    await importRecords(directory, [
      { collection: 'files', scope: TENANT, record: { id: file, internal: { parts } } },
    ]);
    for (let at = 0; at < files; at += 1) {
      const id = ids.create('file');
      const chunks = Array.from({ length: chunksEach }, (_, position) =>
        toChunk(position, `all f${at} p${position}`, toVector(at + 1, position + 1, 1)),
      );
      await publish(index, { tenant, store }, id, chunks);
      await importRecords(directory, [
        { collection: 'vector_store_files', scope: { tenant, parent: store }, record: { id } },
      ]);
    }
    await importRecords(directory, [{ collection: 'vector_stores', scope: TENANT, record: { id: store } }]);
  } finally {
    await Promise.all([blobs.close(), index.close()]);
  }
}

/** Records of a collection, while others write; 0 where there is no file yet. */
export function countRecords(directory: string, collection: CollectionName): number {
  try {
    const database = new Database(join(directory, DATABASE_FILE), { readonly: true });
    try {
      return (
        database.query<{ count: number }, []>(`SELECT count(*) AS count FROM "${collection}"`).get()?.count ??
        0
      );
    } finally {
      database.close();
    }
  } catch {
    return 0;
  }
}

/** Each record and its place, for every parent of a collection. */
export function readPlaces(directory: string, collection: CollectionName): unknown {
  const database = new Database(join(directory, DATABASE_FILE), { readonly: true });
  try {
    return database
      .query(`SELECT tenant, parent, sort_key, id, document FROM "${collection}" ORDER BY 1, 2, 3, 4`)
      .values();
  } finally {
    database.close();
  }
}
