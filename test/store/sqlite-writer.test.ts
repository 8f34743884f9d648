/** The writer on a database of its own, given what the port would not let through; and the log beside the file. */

import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Place, Reply, Step, WriteCall } from '../../src/store/sqlite/protocol.ts';
import { createRecordsByCollection } from '../../src/store/sqlite/records.ts';
import { openDatabase } from '../../src/store/sqlite/schema.ts';
import { DATABASE_FILE } from '../../src/store/sqlite/sqlite-store.ts';
import { createWriter } from '../../src/store/sqlite/writer.ts';
import { makeSqliteDirectory, type SqliteDirectory } from './sqlite-directory.ts';

const MEBIBYTE = 1024 * 1024;

describe('the SQLite writer', () => {
  let directory: SqliteDirectory;
  let file: string;
  beforeEach(async () => {
    directory = await makeSqliteDirectory();
    file = join(directory.path, DATABASE_FILE);
  });
  afterEach(() => directory.remove());

  const toInsert = (id: string, tenant = 't'): Step => {
    const place: Place = ['assistants', tenant, '', id];
    return ['insert', place, `key-${id}`, 'given', `{"id":"${id}"}`, []];
  };

  test('a write that breaks the transaction is refused alone: its neighbours are committed', async () => {
    const database = openDatabase({ directory: directory.path, file, lockWaitMs: 1000 });
    const toRecords = createRecordsByCollection(database);
    const replies: Reply[] = [];
    const writer = createWriter({
      database,
      toRecords,
      lockWaitMs: 1000,
      reply: (reply) => replies.push(reply),
      flush: () => {},
    });
    const calls: WriteCall[] = [
      ['write', 1, [toInsert('a')], 'versions'],
      // A column refuses the second step, after the first one's change has been made.
      ['write', 2, [toInsert('b'), toInsert('c', null as unknown as string)], 'versions'],
      // This one fails before any change.
      ['write', 3, [['update', ['assistants', 't', '', 'a'], 'not JSON', null]], 'versions'],
      ['write', 4, [toInsert('d')], 'versions'],
    ];
    for (const call of calls) writer.enqueue(call);
    await new Promise<void>((resolve) => writer.whenIdle(resolve));
    const outcomes = replies
      .filter((reply) => reply[0] !== 'statistics')
      .map((reply) => [reply[1], reply[0], reply[2]]);
    expect(outcomes).toEqual([
      [1, 'versions', [1]],
      [2, 'error', 'unavailable'],
      [3, 'error', 'unavailable'],
      [4, 'versions', [1]],
    ]);
    expect(database.query('SELECT id FROM assistants ORDER BY id').values()).toEqual([['a'], ['d']]);
    database.close();
  });

  test('a reader that stays long lets the log grow; once it is gone, the log is cut back', async () => {
    const store = await directory.open();
    const scope = { tenant: 't', parent: 'p' };
    const write = (id: string) =>
      store.insert('messages', scope, { id, text: 'x'.repeat(MEBIBYTE) } as { id: string });
    await write('first');
    const reader = new Database(file, { readonly: true });
    reader.run('BEGIN');
    expect(reader.query('SELECT count(*) FROM messages').values()).toEqual([[1]]);
    for (let number = 0; number < 24; number += 1) await write(`during-${number}`);
    const grown = statSync(`${file}-wal`).size;
    expect(grown).toBeGreaterThan(24 * MEBIBYTE);
    expect(reader.query('SELECT count(*) FROM messages').values()).toEqual([[1]]);
    reader.run('COMMIT');
    reader.close();
    for (let number = 0; number < 3; number += 1) await write(`after-${number}`);
    expect(statSync(`${file}-wal`).size).toBeLessThanOrEqual(16 * MEBIBYTE);
  });
});
