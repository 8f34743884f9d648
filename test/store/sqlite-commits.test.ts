/** Group commit: which writes share a transaction, when they are acknowledged, what bounds there are. */

import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { DATABASE_FILE, PENDING_CALLS_MAX } from '../../src/store/sqlite/sqlite-store.ts';
import { type Scope, type StoredRecord, StoreError, type Write } from '../../src/store/store.ts';
import { expectRefusal } from '../contract/store-fixture.ts';
import { makeSqliteDirectory, type SqliteDirectory } from './sqlite-directory.ts';

const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** Counts the commits in a write-ahead log, by its format: a frame that ends a transaction names the database's size. */
function countCommits(path: string): number {
  const log = readFileSync(`${join(path, DATABASE_FILE)}-wal`);
  if (log.length < LOG_HEADER_BYTES) return 0;
  const frameBytes = FRAME_HEADER_BYTES + log.readUInt32BE(8);
  const salt = log.toString('hex', 16, 24);
  let commits = 0;
  for (let at = LOG_HEADER_BYTES; at + frameBytes <= log.length; at += frameBytes) {
    const isOfThisLog = log.toString('hex', at + 8, at + 16) === salt;
    if (isOfThisLog && log.readUInt32BE(at + 4) > 0) commits += 1;
  }
  return commits;
}

describe('group commit', () => {
  let directory: SqliteDirectory;
  const ids = createIds(systemClock);
  const scope: Scope = { tenant: 't', parent: 'p' };
  const newRecords = (count: number): StoredRecord[] =>
    Array.from({ length: count }, () => ({ id: ids.create('message') }));

  beforeEach(async () => {
    directory = await makeSqliteDirectory();
  });
  afterEach(() => directory.remove());

  test('500 writes that wait together share a handful of transactions, as the log on the disk shows', async () => {
    const store = await directory.open();
    const before = store.getStatistics();
    const commitsBefore = countCommits(directory.path);
    await Promise.all(newRecords(500).map((record) => store.insert('messages', scope, record)));
    const after = store.getStatistics();
    expect(after.writes - before.writes).toBe(500);
    expect(after.transactions - before.transactions).toBeLessThanOrEqual(5);
    expect(countCommits(directory.path) - commitsBefore).toBe(after.transactions - before.transactions);
  });

  test('one write after another has a transaction each', async () => {
    const store = await directory.open();
    const commitsBefore = countCommits(directory.path);
    for (const record of newRecords(10)) await store.insert('messages', scope, record);
    expect(countCommits(directory.path) - commitsBefore).toBe(10);
  });

  test('a write is acknowledged after its commit: another connection sees it by then', async () => {
    const store = await directory.open();
    const other = new Database(join(directory.path, DATABASE_FILE), { readonly: true });
    const find = other.query('SELECT 1 FROM messages WHERE id = ?');
    await Promise.all(
      newRecords(200).map(async (record) => {
        await store.insert('messages', scope, record);
        expect(find.get(record.id)).not.toBeNull();
      }),
    );
    other.close();
  });

  test('refused and empty writes commit nothing', async () => {
    const store = await directory.open();
    await store.insert('messages', scope, { id: 'there' });
    const commitsBefore = countCommits(directory.path);
    const outcomes = await Promise.allSettled([
      store.insert('messages', scope, { id: 'there' }),
      store.update('messages', scope, 'missing', {}),
      store.write([{ kind: 'require', collection: 'messages', scope, id: 'there' }]),
      store.delete('messages', scope, 'missing'),
    ]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'rejected',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(countCommits(directory.path)).toBe(commitsBefore);
  });

  test('several writes of one call are all or nothing, wherever the refused one stands', async () => {
    const store = await directory.open();
    for (let position = 0; position < 5; position += 1) {
      const records = newRecords(4);
      const writes: Write[] = records.map((record) => ({
        kind: 'insert',
        collection: 'messages',
        scope,
        record,
      }));
      writes.splice(position, 0, { kind: 'require', collection: 'messages', scope, id: 'missing' });
      expect((await expectRefusal(store.write(writes), 'not_found')).index).toBe(position);
      const found = await Promise.all(records.map((record) => store.get('messages', scope, record.id)));
      expect(found).toEqual([null, null, null, null]);
    }
  });

  test('a transaction is bounded: many steps at once take several', async () => {
    const store = await directory.open();
    const before = store.getStatistics().transactions;
    const calls = Array.from({ length: 40 }, () =>
      store.write(
        newRecords(200).map((record) => ({ kind: 'insert', collection: 'messages', scope, record })),
      ),
    );
    await Promise.all(calls);
    expect(store.getStatistics().transactions - before).toBeGreaterThanOrEqual(7);
  });

  test('deleteAll goes in pieces, and a write that comes with it is acknowledged before the last of them', async () => {
    const store = await directory.open();
    await Promise.all(newRecords(3000).map((record) => store.insert('messages', scope, record)));
    const before = store.getStatistics().transactions;
    const order: string[] = [];
    await Promise.all([
      store.deleteAll('messages', scope).then((count) => order.push(`deleted ${count}`)),
      store
        .insert('messages', { tenant: 't', parent: 'q' }, { id: 'other' })
        .then(() => order.push('inserted')),
    ]);
    expect(order).toEqual(['inserted', 'deleted 3000']);
    expect(store.getStatistics().transactions - before).toBeGreaterThan(10);
  });

  test('what is inserted behind the end of a list while it is deleted stays', async () => {
    const store = await directory.open();
    await Promise.all(newRecords(1500).map((record) => store.insert('messages', scope, record)));
    const deleting = store.deleteAll('messages', scope);
    await store.insert('messages', { tenant: 't', parent: 'q' }, { id: 'the-first-piece-is-gone' });
    const [late] = newRecords(1);
    await store.insert('messages', scope, late ?? { id: '' });
    expect(await deleting).toBe(1500);
    expect(await store.get('messages', scope, late?.id ?? '')).not.toBeNull();
  });

  test('calls beyond the bound of what may wait are refused as unavailable, and the others are done', async () => {
    const store = await directory.open();
    const outcomes = await Promise.all(
      Array.from({ length: PENDING_CALLS_MAX + 10 }, () =>
        store.get('messages', scope, 'missing').then(
          () => 'done',
          (error: unknown) => (error instanceof StoreError ? error.code : error),
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(PENDING_CALLS_MAX);
    expect(outcomes.filter((outcome) => outcome === 'unavailable')).toHaveLength(10);
    await store.ping();
  });
});
