/** Misuse, concurrency, and the end of an index. */

import { describe, expect, test } from 'bun:test';
import type { StoreErrorCode } from '../../src/store/store.ts';
import { WEIGHTS_DEFAULT } from '../../src/vector/scoring.ts';
import type { IndexScope, NewChunk, SearchQuery, VectorIndex } from '../../src/vector/vector-index.ts';
import { CHUNKS_MAX, WANTED_MAX } from '../../src/vector/vector-index.ts';
import {
  expectRefusal,
  type OpenIndex,
  publish,
  toChunk,
  toChunks,
  toPlaces,
  toQuery,
  toVector,
  useIndex,
} from './vector-index-fixture.ts';

const ENTRY = { file: 'file', attributes: {}, languages: ['en'] };

/** Every method once. */
function callAll(index: VectorIndex, scope: IndexScope, file = 'file', ingest = 'first'): Promise<unknown>[] {
  return [
    index.stageChunks(scope, file, ingest, toChunks('apple')),
    index.countStaged(scope, file, ingest),
    index.publishFile(scope, { ...ENTRY, file }, ingest),
    index.setAttributes(scope, file, {}),
    index.removeFile(scope, file),
    index.readChunks(scope, file, 0, 1),
    index.describeFile(scope, file),
    index.exportChunks(scope, file, 0, 1),
    ...(file === 'file' && ingest === 'first'
      ? [index.removeStore(scope), index.describe(scope), index.search(scope, toQuery('apple', null))]
      : []),
  ];
}

async function expectRefusals(calls: readonly Promise<unknown>[], code: StoreErrorCode): Promise<void> {
  await Promise.all(calls.map((call) => expectRefusal(call, code)));
}

export function describeIndexLifecycle(open: OpenIndex): void {
  describe('misuse', () => {
    const fixture = useIndex(open);

    test('scopes and names that are empty or endless are misuse in every call', async () => {
      const long = 'x'.repeat(10_000);
      const scopes = [
        { tenant: '', store: 's' },
        { tenant: 't', store: '' },
        { tenant: long, store: 's' },
      ];
      for (const scope of scopes) {
        await expectRefusals(callAll(fixture.index, scope), 'misuse');
      }
      for (const file of ['', long]) {
        await expectRefusals(callAll(fixture.index, fixture.newScope(), file), 'misuse');
      }
      const scope = fixture.newScope();
      await expectRefusal(fixture.index.stageChunks(scope, 'file', '', toChunks('a')), 'misuse');
      await expectRefusal(fixture.index.publishFile(scope, ENTRY, ''), 'misuse');
    });

    test('a chunk that breaks the contract is misuse, and none of its call is kept', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const bad: Partial<NewChunk>[] = [
        { position: -1 },
        { position: 1.5 },
        { position: 2 ** 40 },
        { start: -1 },
        { start: 9, end: 8 },
        { page: 0 },
        { terms: 'nonsense' },
        { vector: Float32Array.of(Number.NaN, 1, 1) },
        { vector: Float32Array.of(Number.POSITIVE_INFINITY, 1, 1) },
        { vector: Float32Array.of(0, 0, 0) },
        { vector: new Float32Array(0) },
        { vector: toVector(1, 2) },
      ];
      for (const part of bad) {
        const chunks = [toChunk(0, 'apple', toVector(1, 2, 3)), toChunk(1, 'apple', toVector(1, 2, 3), part)];
        await expectRefusal(index.stageChunks(scope, 'file', 'first', chunks), 'misuse');
      }
      const twice = [toChunk(0, 'apple'), toChunk(0, 'pear')];
      await expectRefusal(index.stageChunks(scope, 'file', 'first', twice), 'misuse');
      const many = toChunks(...Array.from({ length: CHUNKS_MAX + 1 }, () => 'apple'));
      await expectRefusal(index.stageChunks(scope, 'file', 'first', many), 'misuse');
      expect(await index.countStaged(scope, 'file', 'first')).toBe(0);
      await index.stageChunks(scope, 'file', 'first', []);
    });

    test('vectors of other dimensions than the store has are misuse, in chunks and in questions', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'a', [toChunk(0, 'apple', toVector(1, 2, 3))]);
      expect((await index.describe(scope)).dimensions).toBe(3);
      const other = [toChunk(0, 'apple', toVector(1, 2))];
      await expectRefusal(index.stageChunks(scope, 'b', 'first', other), 'misuse');
      expect(await index.countStaged(scope, 'b', 'first')).toBe(0);
      await expectRefusal(index.search(scope, toQuery('apple', toVector(1, 2))), 'misuse');
    });

    test('a question that breaks the contract is misuse', async () => {
      const scope = fixture.newScope();
      const bad: Partial<SearchQuery>[] = [
        { wanted: 0 },
        { wanted: WANTED_MAX + 1 },
        { wanted: 1.5 },
        { weights: { vector: 0, keyword: 0 } },
        { weights: { vector: -1, keyword: 1 } },
        { weights: { vector: Number.NaN, keyword: 1 } },
        { terms: [{ term: 'apple', weight: -1 }] },
        { vector: Float32Array.of(Number.NaN) },
        { vector: Float32Array.of(0, 0) },
      ];
      for (const part of bad) {
        await expectRefusal(fixture.index.search(scope, { ...toQuery('apple', null), ...part }), 'misuse');
      }
      await expectRefusal(fixture.index.readChunks(scope, 'file', -1, 1), 'misuse');
      await expectRefusal(fixture.index.readChunks(scope, 'file', 0, 0), 'misuse');
    });
  });

  describe('concurrency', () => {
    const fixture = useIndex(open);

    test('searches while files are published, replaced and removed see whole files, and never two versions', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const CHUNKS = 40;
      const toFile = (mark: string) =>
        Array.from({ length: CHUNKS }, (_, position) =>
          toChunk(position, `all ${mark}`, toVector(1, position, 2)),
        );
      let isOver = false;
      const work = (async () => {
        for (let round = 0; round < 12; round += 1) {
          await publish(index, scope, 'file', toFile(`m${round}`), { ingest: `attempt-${round}` });
          if (round % 4 === 3) await index.removeFile(scope, 'file');
        }
        isOver = true;
      })();
      const seen = new Set<number>();
      while (!isOver) {
        const hits = await index.search(scope, toQuery('all', toVector(1, 1, 1), { wanted: WANTED_MAX }));
        expect([0, CHUNKS]).toContain(hits.length);
        expect(new Set(hits.map(({ chunk }) => chunk.text)).size).toBeLessThanOrEqual(1);
        expect(new Set(hits.map(({ chunk }) => chunk.position)).size).toBe(hits.length);
        seen.add(hits.length);
      }
      await work;
      expect(seen).toContain(CHUNKS);
    });

    test('a file that was published by one index is found by another one in its next search', async () => {
      const { index, opened } = fixture;
      const scope = fixture.newScope();
      const other = await opened.reopen();
      for (let round = 0; round < 10; round += 1) {
        const [writer, reader] = round % 2 === 0 ? [index, other] : [other, index];
        await publish(writer, scope, `file-${round}`, [toChunk(0, `apple r${round}`, toVector(1, round, 0))]);
        expect(toPlaces(await reader.search(scope, toQuery(`r${round}`, null)))).toEqual([`file-${round}:0`]);
        expect(await reader.search(scope, toQuery('apple', toVector(1, 0, 0), { wanted: 50 }))).toHaveLength(
          round + 1,
        );
        expect((await reader.describe(scope)).chunks).toBe(round + 1);
      }
      await index.removeFile(scope, 'file-3');
      expect(await other.search(scope, toQuery('r3', null))).toEqual([]);
      expect(await other.search(scope, toQuery('apple', toVector(1, 0, 0), { wanted: 50 }))).toHaveLength(9);
      await other.close();
    });
  });

  describe('open and closed', () => {
    test('close writes what was accepted before it, refuses what comes later, and may be called again', async () => {
      const opened = await open();
      try {
        const { index } = opened;
        const scope = { tenant: 't', store: 's' };
        expect(index.engine).toMatch(/^[a-z]+$/);
        const staged = index.stageChunks(scope, 'file', 'first', toChunks('apple', 'pear'));
        const published = index.publishFile(scope, ENTRY, 'first');
        const closing = index.close();
        const late = callAll(index, scope);
        await expectRefusals(late, 'unavailable');
        await Promise.all([staged, published, closing, index.close()]);
        expect((await published).chunks).toBe(2);
        await expectRefusals(callAll(index, scope), 'unavailable');
        const again = await opened.reopen();
        expect(toPlaces(await again.search(scope, toQuery('apple pear', null)))).toEqual([
          'file:0',
          'file:1',
        ]);
      } finally {
        await opened.close();
      }
    });

    test('everything is there after closing and opening again: hits, scores, chunks, what was staged', async () => {
      const opened = await open();
      try {
        const scope = { tenant: 't', store: 's' };
        const chunks = Array.from({ length: 300 }, (_, position) =>
          toChunk(position, `apple w${position % 7}`, toVector(1, position, 300 - position)),
        );
        await publish(opened.index, scope, 'file', chunks, { attributes: { n: 1 } });
        await opened.index.stageChunks(scope, 'staged', 'first', toChunks('pear', 'pear'));
        const query = toQuery('apple w3', toVector(1, 2, 3), { weights: WEIGHTS_DEFAULT });
        const before = await opened.index.search(scope, query);
        expect(before).toHaveLength(10);
        await opened.index.close();
        const again = await opened.reopen();
        expect(await again.search(scope, query)).toEqual(before);
        expect(await again.countStaged(scope, 'staged', 'first')).toBe(2);
        expect(await again.describe(scope)).toEqual({ chunks: 300, dimensions: 3, languages: ['en'] });
      } finally {
        await opened.close();
      }
    });
  });
}
