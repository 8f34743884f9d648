/** What a published file was published with: given back, so that another index can find the same. */

import { describe, expect, test } from 'bun:test';
import { decodeTerms } from '../../src/vector/terms.ts';
import {
  CHUNKS_MAX,
  type IndexScope,
  type NewChunk,
  type VectorIndex,
} from '../../src/vector/vector-index.ts';
import {
  type OpenIndex,
  publish,
  toChunk,
  toChunks,
  toQuery,
  toVector,
  useIndex,
} from './vector-index-fixture.ts';

async function exportAll(index: VectorIndex, scope: IndexScope, file: string): Promise<NewChunk[]> {
  const chunks: NewChunk[] = [];
  for (;;) {
    const some = await index.exportChunks(scope, file, chunks.length, CHUNKS_MAX);
    if (some.length === 0) return chunks;
    chunks.push(...some);
  }
}

/** Words in an order that says nothing of how they were staged. */
function toPlain({ terms, vector, ...chunk }: NewChunk) {
  const { length, counts } = decodeTerms(terms);
  const numbers = vector === null ? null : [...vector];
  return { ...chunk, length, counts: [...counts].sort(([a], [b]) => (a < b ? -1 : 1)), numbers };
}

const toPlains = (chunks: readonly NewChunk[]) => chunks.map(toPlain);

/** Chunks of a file that differ in everything. */
function makeChunks(count: number, seed: number, hasVector = (_: number) => true): NewChunk[] {
  return Array.from({ length: count }, (_, position) => {
    const words = `common common w${position} s${seed} été w${position % 7} 漢字`;
    const vector = hasVector(position) ? toVector(seed + 1, position + 0.1, Math.sin(position)) : null;
    return toChunk(position, words, vector, {
      start: position * 90,
      end: position * 90 + 50,
      page: position % 3 === 0 ? null : position,
      context: position % 2 === 0 ? '' : `Part ${position}`,
      tokens: position + 1,
    });
  });
}

export function describeExports(open: OpenIndex): void {
  describe('exports', () => {
    const fixture = useIndex(open);

    test('a file is described as it was published, with its attributes as they are now; null before and after', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      expect(await index.describeFile(scope, 'file')).toBeNull();
      await index.stageChunks(scope, 'file', 'first', toChunks('apple', 'pear'));
      expect(await index.describeFile(scope, 'file')).toBeNull();
      await index.publishFile(
        scope,
        { file: 'file', attributes: { a: 1 }, languages: ['de', 'en'] },
        'first',
      );
      const entry = { file: 'file', languages: ['de', 'en'], ingest: 'first', chunks: 2 };
      expect(await index.describeFile(scope, 'file')).toEqual({ ...entry, attributes: { a: 1 } });
      await index.setAttributes(scope, 'file', { b: true, c: 'x' });
      expect(await index.describeFile(scope, 'file')).toEqual({ ...entry, attributes: { b: true, c: 'x' } });
      expect(await index.describeFile({ ...scope, store: `${scope.store}x` }, 'file')).toBeNull();
      await index.removeFile(scope, 'file');
      expect(await index.describeFile(scope, 'file')).toBeNull();
    });

    test('chunks come back as they were staged: text, places, words and their counts, vectors', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const chunks = makeChunks(600, 1, (position) => position % 5 !== 0);
      await publish(index, scope, 'other', makeChunks(10, 9));
      await publish(index, scope, 'file', chunks);
      await index.stageChunks(scope, 'file', 'second', toChunks('not', 'published'));
      const exported = await exportAll(index, scope, 'file');
      expect(toPlains(exported)).toEqual(toPlains(chunks));
      const terms = decodeTerms(exported[3]?.terms ?? '').counts;
      expect([...terms.keys()]).toEqual([...terms.keys()].sort());
    });

    test('as many as are wanted from a position on, never more than the bound', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'file', makeChunks(300, 2));
      const read = async (from: number, limit: number) =>
        (await index.exportChunks(scope, 'file', from, limit)).map(({ position }) => position);
      expect(await read(254, 3)).toEqual([254, 255, 256]);
      expect(await read(299, 5)).toEqual([299]);
      expect(await read(300, 5)).toEqual([]);
      expect(await read(0, 1000)).toHaveLength(CHUNKS_MAX);
      expect(await index.exportChunks(scope, 'nobody', 0, 5)).toEqual([]);
    });

    test('words are whole after many files have come and gone, and merged in the background', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const files = Array.from({ length: 24 }, (_, seed) => ({
        file: `f${seed}`,
        chunks: makeChunks(20, seed),
      }));
      for (const { file, chunks } of files) await publish(index, scope, file, chunks);
      for (const { file } of files.filter((_, at) => at % 4 === 0)) await index.removeFile(scope, file);
      for (const { file, chunks } of files.filter((_, at) => at % 4 !== 0)) {
        expect(toPlains(await exportAll(index, scope, file))).toEqual(toPlains(chunks));
      }
    });

    test('a copy of a copy is the same to the bit, and finds the same with the same scores', async () => {
      const { index } = fixture;
      const [scope, copy, again] = [fixture.newScope(), fixture.newScope(), fixture.newScope()];
      // As models answer them: nearly of unit length.
      const rough = makeChunks(40, 3).map((chunk) => ({
        ...chunk,
        vector: chunk.vector?.map((value) => value * 1.0003) ?? null,
      }));
      await publish(index, scope, 'file', rough);
      const first = await exportAll(index, scope, 'file');
      await publish(index, copy, 'file', first);
      const second = await exportAll(index, copy, 'file');
      await publish(index, again, 'file', second);
      expect(second).toEqual(first);
      expect(await exportAll(index, again, 'file')).toEqual(first);
      const query = toQuery('common w3 été', toVector(1, 2, 3));
      expect(await index.search(copy, query)).toEqual(await index.search(scope, query));
      expect(await index.describe(copy)).toEqual(await index.describe(scope));
    });
  });
}
