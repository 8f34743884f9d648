/** Several processes on one file. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { StoreError } from '../../src/store/store.ts';
import { COUNTER_ID, type Counter, SHARED_SCOPE } from './sqlite-child.ts';
import { makeSqliteDirectory, type SqliteDirectory } from './sqlite-directory.ts';
import { startChild } from './sqlite-process.ts';

describe('several processes on one SQLite file', () => {
  let directory: SqliteDirectory;
  beforeEach(async () => {
    directory = await makeSqliteDirectory();
  });
  afterEach(() => directory.remove());

  test('two that write at once lose no update and meet no error', async () => {
    const store = await directory.open();
    await store.insert<Counter>('messages', SHARED_SCOPE, { id: COUNTER_ID, count: 0 });
    const children = [1, 2].map(() => startChild(['raise', directory.path, '150']));
    const ids = await Promise.all(
      children.map(async (child) => {
        const lines = await Array.fromAsync(child.lines);
        expect(await child.wait()).toEqual({ exitCode: 0, errors: '' });
        return lines;
      }),
    );
    expect(ids.map((lines) => lines.length)).toEqual([150, 150]);
    const counter = await store.get<Counter>('messages', SHARED_SCOPE, COUNTER_ID);
    expect(counter).toEqual({ record: { id: COUNTER_ID, count: 300 }, version: 301 });
    const found = await Promise.all(ids.flat().map((id) => store.get('messages', SHARED_SCOPE, id)));
    expect(found.filter((one) => one === null)).toEqual([]);
  }, 60_000);

  test('what one has acknowledged the other reads at once', async () => {
    const [one, other] = [await directory.open(), await directory.open()];
    await one.insert<Counter>('messages', SHARED_SCOPE, { id: COUNTER_ID, count: 0 });
    for (let count = 1; count <= 40; count += 1) {
      const [writer, reader] = count % 2 === 0 ? [one, other] : [other, one];
      await writer.update<Counter>('messages', SHARED_SCOPE, COUNTER_ID, { count });
      expect((await reader.get<Counter>('messages', SHARED_SCOPE, COUNTER_ID))?.record.count).toBe(count);
    }
  });

  test('while another holds the write lock, the event loop ticks, reads answer, and writes wait for their turn', async () => {
    const store = await directory.open();
    await store.insert<Counter>('messages', SHARED_SCOPE, { id: COUNTER_ID, count: 0 });
    const holder = startChild(['hold', directory.path]);
    expect(await holder.readLine()).toBe('held');

    let answered = 0;
    const writes = Array.from({ length: 20 }, (_, index) =>
      store.insert('messages', SHARED_SCOPE, { id: `waiting-${index}` }).then(() => {
        answered += 1;
      }),
    );
    const holdMs = 1000;
    const begin = performance.now();
    let last = begin;
    let gapMaxMs = 0;
    let ticks = 0;
    const ticker = setInterval(() => {
      gapMaxMs = Math.max(gapMaxMs, performance.now() - last);
      last = performance.now();
      ticks += 1;
    }, 5);
    let reads = 0;
    while (performance.now() - begin < holdMs) {
      const [counter, page] = await Promise.all([
        store.get<Counter>('messages', SHARED_SCOPE, COUNTER_ID),
        store.list('messages', SHARED_SCOPE, { limit: 10, order: 'asc' }),
        new Promise((resolve) => setTimeout(resolve, 1)),
      ]);
      expect(counter?.record.count).toBe(0);
      expect(page.items).toHaveLength(1);
      reads += 2;
    }
    clearInterval(ticker);
    expect(answered).toBe(0);
    expect(ticks).toBeGreaterThan(10);
    expect(reads).toBeGreaterThan(20);
    // A loop that waits for the lock would show one gap as long as the lock is held.
    expect(gapMaxMs).toBeLessThan(holdMs / 2);

    holder.endInput();
    await Promise.all(writes);
    expect(await holder.wait()).toEqual({ exitCode: 0, errors: '' });
    expect((await store.list('messages', SHARED_SCOPE, { limit: 100, order: 'asc' })).items).toHaveLength(21);
    expect(store.getStatistics().lockWaits).toBeGreaterThan(0);
  }, 30_000);

  test('a lock that is held for longer than the bound refuses the writes as unavailable, and nothing of them is written', async () => {
    const store = await directory.open({ lockWaitMs: 100 });
    const holder = startChild(['hold', directory.path]);
    expect(await holder.readLine()).toBe('held');
    const refused = await Promise.all(
      Array.from({ length: 5 }, (_, index) =>
        store.insert('messages', SHARED_SCOPE, { id: `refused-${index}` }).then(
          () => 'written',
          (error: unknown) => (error instanceof StoreError ? error.code : error),
        ),
      ),
    );
    expect(refused).toEqual(Array.from({ length: 5 }, () => 'unavailable'));
    await store.ping();
    holder.endInput();
    await holder.wait();
    await store.insert('messages', SHARED_SCOPE, { id: 'later' });
    const page = await store.list('messages', SHARED_SCOPE, { limit: 10, order: 'asc' });
    expect(page.items.map((item) => item.record.id)).toEqual(['later']);
  }, 30_000);

  test('a store opens and closes while another process holds the write lock', async () => {
    await (await directory.open()).close();
    const holder = startChild(['hold', directory.path]);
    expect(await holder.readLine()).toBe('held');
    const store = await directory.open();
    expect(await store.get('messages', SHARED_SCOPE, 'nothing')).toBeNull();
    await store.close();
    holder.endInput();
    expect((await holder.wait()).exitCode).toBe(0);
  }, 30_000);

  test('several that start at once on a directory that is not there make one database', async () => {
    const path = `${directory.path}/new/data`;
    const children = Array.from({ length: 6 }, () => startChild(['open', path]));
    const ends = await Promise.all(children.map((child) => child.wait()));
    expect(ends).toEqual(ends.map(() => ({ exitCode: 0, errors: '' })));
  }, 60_000);
});
