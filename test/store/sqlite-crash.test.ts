/** What a process that dies while it writes leaves behind, and a disk that is full. */

import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { DATABASE_FILE } from '../../src/store/sqlite/sqlite-store.ts';
import { SHARED_SCOPE } from './sqlite-child.ts';
import { makeSqliteDirectory, type SqliteDirectory } from './sqlite-directory.ts';
import { startChild } from './sqlite-process.ts';

const ROUNDS = 6;

/** The numbers in the ids of a collection, `first-12` → 12. */
function readNumbers(path: string, collection: 'messages' | 'runs'): Set<number> {
  const database = new Database(join(path, DATABASE_FILE));
  const rows = database.query<{ id: string }, []>(`SELECT id FROM ${collection}`).all();
  database.close();
  return new Set(rows.map((row) => Number(row.id.split('-')[1])));
}

function checkIntegrity(path: string): unknown {
  const database = new Database(join(path, DATABASE_FILE));
  const rows = database.query('PRAGMA integrity_check').values();
  database.close();
  return rows;
}

describe('crashes and full disks', () => {
  let directory: SqliteDirectory;
  beforeEach(async () => {
    directory = await makeSqliteDirectory();
  });
  afterEach(() => directory.remove());

  test(`kill -9 during writes, ${ROUNDS} times: no acknowledged write is lost, no pair is half there, the file is sound`, async () => {
    await (await directory.open()).close();
    const acknowledged = new Set<number>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const child = startChild(['pairs', directory.path, String(round * 1_000_000)]);
      // Killed at another moment of its life each time, with writes under way.
      const enough = 40 + round * 97;
      let seen = 0;
      for await (const line of child.lines) {
        acknowledged.add(Number(line));
        seen += 1;
        if (seen === enough) child.kill();
      }
      await child.wait();
      expect(seen).toBeGreaterThanOrEqual(enough);
      expect(checkIntegrity(directory.path)).toEqual([['ok']]);
      const firsts = readNumbers(directory.path, 'messages');
      const seconds = readNumbers(directory.path, 'runs');
      expect([...acknowledged].filter((number) => !firsts.has(number) || !seconds.has(number))).toEqual([]);
      expect([...firsts].filter((number) => !seconds.has(number))).toEqual([]);
      expect([...seconds].filter((number) => !firsts.has(number))).toEqual([]);
    }
    const store = await directory.open();
    const page = await store.list('messages', SHARED_SCOPE, { limit: 1000, order: 'asc' });
    expect(page.items.length).toBeGreaterThan(100);
    await store.insert('messages', SHARED_SCOPE, { id: 'after-the-crashes' });
  }, 120_000);

  test('a full disk refuses writes as unavailable, keeps what was acknowledged, and reads go on', async () => {
    await (await directory.open()).close();
    // Files may grow to 2 MiB; the signal that would end the process becomes an error of the write.
    const child = startChild(['fill', directory.path], `trap '' XFSZ; ulimit -f 4096;`);
    const lines = await Array.fromAsync(child.lines);
    expect(await child.wait()).toEqual({ exitCode: 0, errors: '' });
    expect(lines.pop()).toBe('read note-0');
    const outcomes = lines.map((line) => line.split(' ') as [number: string, outcome: string]);
    expect(outcomes.filter(([, outcome]) => outcome === 'written').length).toBeGreaterThan(10);
    // What is refused is refused in these words, whether or not a later one finds room again.
    const refused = outcomes.filter(([, outcome]) => outcome !== 'written');
    expect(refused.map(([, outcome]) => outcome)).toEqual(refused.map(() => 'unavailable'));
    expect(refused.length).toBeGreaterThan(0);
    expect(checkIntegrity(directory.path)).toEqual([['ok']]);
    const there = readNumbers(directory.path, 'messages');
    expect(
      outcomes.filter(([number, outcome]) => (outcome === 'written') !== there.has(Number(number))),
    ).toEqual([]);
  }, 60_000);
});
