/** Lists of files that are longer than a page of the store. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { listFiles } from '../../src/services/files.ts';
import type { Scope } from '../../src/store/store.ts';
import { type Files, HOUR_MS, openFiles } from './file-fixture.ts';

const COUNT = 2600;
const scope: Scope = { tenant: 't' };
const ids: string[] = [];
let files: Files;

beforeAll(async () => {
  files = await openFiles();
  const createdAt = Math.floor(files.clock.nowMs() / 1000);
  for (let at = 0; at < COUNT; at += 200) {
    const records = Array.from({ length: 200 }, (_, index) => ({
      id: files.ids.create('file'),
      object: 'file',
      bytes: 1,
      created_at: createdAt,
      // Every third expires in an hour.
      ...(index % 3 === 0 ? { expires_at: createdAt + 3600 } : {}),
      filename: 'a',
      purpose: index % 2 === 0 ? 'vision' : 'evals',
      status: 'processed',
      internal: { parts: [], content_type: null },
    }));
    ids.push(...records.map(({ id }) => id));
    await files.store.write(
      records.map((record) => ({ kind: 'insert', collection: 'files', scope, record })),
    );
  }
}, 60_000);
afterAll(() => files.close());

async function list(limit: number, order: 'asc' | 'desc', after?: string, purpose: string | null = null) {
  const page = { limit, order, ...(after === undefined ? {} : { after }) };
  const { items, hasMore } = await listFiles(files, scope, page, purpose);
  return { ids: items.map(({ record }) => record.id), hasMore };
}

test('one page may hold them all, in both orders', async () => {
  expect(await list(10_000, 'asc')).toEqual({ ids, hasMore: false });
  expect(await list(10_000, 'desc')).toEqual({ ids: ids.toReversed(), hasMore: false });
  expect(await list(COUNT, 'asc')).toEqual({ ids, hasMore: false });
  expect(await list(COUNT - 1, 'asc')).toEqual({ ids: ids.slice(0, -1), hasMore: true });
});

test('pages of any size follow on each other without a gap', async () => {
  for (const limit of [999, 1000, 1001, 1500]) {
    const seen: string[] = [];
    let after: string | undefined;
    for (let pages = 0; pages < 10; pages += 1) {
      const page = await list(limit, 'desc', after);
      seen.push(...page.ids);
      after = page.ids.at(-1);
      if (!page.hasMore) break;
      expect(page.ids).toHaveLength(limit);
    }
    expect(seen).toEqual(ids.toReversed());
  }
});

test('a purpose picks its own', async () => {
  const { ids: found, hasMore } = await list(10_000, 'asc', undefined, 'evals');
  expect([found.length, hasMore]).toEqual([COUNT / 2, false]);
  expect((await list(10, 'asc', undefined, 'nothing')).ids).toEqual([]);
});

test('what has expired is in no page, and pages are full all the same', async () => {
  files.advance(2 * HOUR_MS);
  const alive = ids.filter((_, index) => (index % 200) % 3 !== 0);
  expect(await list(10_000, 'asc')).toEqual({ ids: alive, hasMore: false });
  expect(await list(1200, 'asc')).toEqual({ ids: alive.slice(0, 1200), hasMore: true });
});
