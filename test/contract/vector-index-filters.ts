/** Attributes and filters. */

import { describe, expect, test } from 'bun:test';
import type { AttributeFilter, Attributes } from '../../src/vector/attribute-filter.ts';
import {
  type OpenIndex,
  publish,
  toChunk,
  toChunks,
  toQuery,
  toVector,
  useIndex,
} from './vector-index-fixture.ts';

const FILES: Readonly<Record<string, Attributes>> = {
  a: { n: 1, kind: 'x', open: true },
  b: { n: 2, kind: 'y', open: false },
  c: { n: 3, kind: 'y' },
  d: {},
  e: { n: '2', kind: 'X' },
};

const CASES: readonly (readonly [AttributeFilter, string])[] = [
  [{ type: 'eq', key: 'n', value: 2 }, 'b'],
  [{ type: 'eq', key: 'n', value: '2' }, 'e'],
  [{ type: 'eq', key: 'open', value: true }, 'a'],
  [{ type: 'ne', key: 'n', value: 2 }, 'acde'],
  [{ type: 'gt', key: 'n', value: 1 }, 'bc'],
  [{ type: 'gte', key: 'n', value: 2 }, 'bc'],
  [{ type: 'lt', key: 'n', value: 2 }, 'a'],
  [{ type: 'lte', key: 'n', value: 2 }, 'ab'],
  [{ type: 'gt', key: 'kind', value: 'X' }, 'abc'],
  [{ type: 'in', key: 'n', value: [1, '2'] }, 'ae'],
  [{ type: 'nin', key: 'n', value: [1, 2] }, 'cde'],
  [{ type: 'eq', key: 'nowhere', value: 1 }, ''],
  [{ type: 'and', filters: [] }, 'abcde'],
  [{ type: 'or', filters: [] }, ''],
  [
    {
      type: 'and',
      filters: [
        { type: 'eq', key: 'kind', value: 'y' },
        { type: 'lt', key: 'n', value: 3 },
      ],
    },
    'b',
  ],
  [
    {
      type: 'or',
      filters: [
        { type: 'eq', key: 'open', value: true },
        {
          type: 'and',
          filters: [
            { type: 'ne', key: 'kind', value: 'y' },
            { type: 'or', filters: [{ type: 'eq', key: 'n', value: '2' }] },
          ],
        },
      ],
    },
    'ae',
  ],
];

export function describeAttributeFilters(open: OpenIndex): void {
  describe('attributes', () => {
    const fixture = useIndex(open);

    test('every comparison and nesting holds for both sides of a search', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      for (const [file, attributes] of Object.entries(FILES)) {
        await publish(index, scope, file, [toChunk(0, 'apple', toVector(1, 2, 3))], { attributes });
      }
      const find = async (words: string, vector: Float32Array | null, filter: AttributeFilter) =>
        (await index.search(scope, toQuery(words, vector, { filter }))).map(({ file }) => file).join('');
      for (const [filter, expected] of CASES) {
        expect([filter, await find('apple', null, filter)]).toEqual([filter, expected]);
        expect([filter, await find('', toVector(1, 2, 3), filter)]).toEqual([filter, expected]);
      }
    });

    test('a filter that few files pass still yields as many hits as are wanted', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      // Those that pass are the worst by both sides.
      for (let file = 0; file < 40; file += 1) {
        const isWanted = file % 13 === 0;
        const chunks = Array.from({ length: 30 }, (_, position) =>
          toChunk(
            position,
            isWanted ? 'apple a b c d e f' : 'apple',
            isWanted ? toVector(-1, position, 0) : toVector(1, 0, position),
          ),
        );
        await publish(index, scope, `file-${file}`, chunks, { attributes: { isWanted } });
      }
      const filter: AttributeFilter = { type: 'eq', key: 'isWanted', value: true };
      for (const [words, vector] of [
        ['apple', null],
        ['', toVector(1, 0, 0)],
        ['apple', toVector(1, 0, 0)],
      ] as const) {
        const hits = await index.search(scope, toQuery(words, vector, { filter, wanted: 100 }));
        expect(hits).toHaveLength(100);
        expect(new Set(hits.map(({ attributes }) => attributes.isWanted))).toEqual(new Set([true]));
      }
    });

    test('statistics stay those of the whole store, so that a filter changes no score', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'a', toChunks('apple pear', 'apple'), { attributes: { n: 1 } });
      await publish(index, scope, 'b', toChunks('apple', 'apple', 'plum plum'), { attributes: { n: 2 } });
      const all = await index.search(scope, toQuery('apple pear', null));
      const filter: AttributeFilter = { type: 'eq', key: 'n', value: 1 };
      const filtered = await index.search(scope, toQuery('apple pear', null, { filter }));
      expect(filtered).toEqual(all.filter(({ file }) => file === 'a'));
      expect(filtered).toHaveLength(2);
    });

    test('changed attributes count in the next search, replace all that were there, and leave the chunks as they are', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'a', toChunks('apple'), { attributes: { n: 1, old: true } });
      await publish(index, scope, 'b', toChunks('apple'), { attributes: { n: 1 } });
      const [before] = await index.search(scope, toQuery('apple', null));
      await index.setAttributes(scope, 'a', { n: 2 });
      const filter: AttributeFilter = { type: 'eq', key: 'n', value: 2 };
      const hits = await index.search(scope, toQuery('apple', null, { filter }));
      expect(hits.map(({ file, attributes }) => [file, attributes])).toEqual([['a', { n: 2 }]]);
      expect([hits[0]?.score, hits[0]?.chunk]).toEqual([before?.score, before?.chunk]);
    });

    test('attributes of a file that is not there, or not published yet, are set on nothing', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await index.setAttributes(scope, 'a', { n: 1 });
      await index.stageChunks(scope, 'a', 'first', toChunks('apple'));
      await index.setAttributes(scope, 'a', { n: 1 });
      await index.publishFile(scope, { file: 'a', attributes: { n: 2 }, languages: [] }, 'first');
      const [hit] = await index.search(scope, toQuery('apple', null));
      expect(hit?.attributes).toEqual({ n: 2 });
    });

    test('attributes keep their types and may have any names and values', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const attributes: Attributes = {
        'Ünï "key"': '\0 ☃',
        toString: 'own',
        zero: 0,
        negative: -1.5e300,
        no: false,
        empty: '',
      };
      await publish(index, scope, 'a', toChunks('apple'), { attributes });
      const [hit] = await index.search(scope, toQuery('apple', null));
      expect(hit?.attributes).toEqual(attributes);
    });
  });
}
