/** Postings in blocks, segments that are merged, and what is chosen for it. */

import { describe, expect, test } from 'bun:test';
import { chooseSegments } from '../../src/vector/sqlite/merging.ts';
import {
  BlockWriter,
  findBlock,
  findPostings,
  forEachPosting,
  type PostingsBlock,
  PostingsWriter,
  readEntries,
} from '../../src/vector/sqlite/postings.ts';

type Pairs = readonly (readonly [chunk: number, count: number])[];

function writeBlocks(entries: ReadonlyMap<string, Pairs>): PostingsBlock[] {
  const blocks = new BlockWriter();
  const postings = new PostingsWriter();
  for (const term of [...entries.keys()].sort()) {
    for (const [chunk, count] of entries.get(term) ?? []) postings.add(chunk, count);
    blocks.add(term, postings);
    postings.clear();
  }
  blocks.closeBlock();
  return blocks.take();
}

function find(blocks: readonly PostingsBlock[], term: string): Pairs | null {
  const block =
    blocks[
      findBlock(
        blocks.map(({ first }) => first),
        term,
      )
    ];
  const list = block === undefined ? null : findPostings(block.bytes, new TextEncoder().encode(term));
  if (list === null) return null;
  const pairs: (readonly [number, number])[] = [];
  forEachPosting(list, (chunk, count) => pairs.push([chunk, count]));
  expect(list.chunks).toBe(pairs.length);
  return pairs;
}

describe('postings', () => {
  test('every term is found with its chunks and counts, whatever its characters, its length and its numbers', () => {
    const entries = new Map<string, Pairs>([
      ['a', [[0, 1]]],
      [
        'b',
        [
          [0, 3],
          [1, 1],
          [130, 128],
          [20_000, 1],
          [3_000_000, 70_000],
        ],
      ],
      ['ab', [[2, 1]]],
      ['日本', [[7, 2]]],
      ['🦊', [[8, 1]]],
      ['\uffff', [[9, 1]]],
      ['x'.repeat(300), [[10, 1]]],
      ['all', Array.from({ length: 50_000 }, (_, chunk) => [chunk, 1 + (chunk % 3)] as const)],
    ]);
    for (let i = 0; i < 5000; i += 1) entries.set(`term-${i}`, [[i, 1]]);
    const blocks = writeBlocks(entries);
    expect(blocks.length).toBeGreaterThan(3);
    for (const [term, pairs] of entries) expect(find(blocks, term)).toEqual(pairs);
    for (const term of ['', '0', 'al', 'term', 'term-5000', 'zzz', '\u{10ffff}'])
      expect(find(blocks, term)).toBeNull();
  });

  test('a block is read from its beginning to its end, in order', () => {
    const blocks = writeBlocks(
      new Map([
        ['b', [[1, 1]]],
        ['a', [[0, 2]]],
        ['c', []],
      ]),
    );
    expect(
      blocks.flatMap(({ bytes }) => [...readEntries(bytes)].map(({ term, chunks }) => [term, chunks])),
    ).toEqual([
      ['a', 1],
      ['b', 1],
      ['c', 0],
    ]);
  });

  test('a term with long postings has a block alone', () => {
    const long: Pairs = Array.from({ length: 10_000 }, (_, chunk) => [chunk, 1]);
    const blocks = writeBlocks(
      new Map([
        ['a', [[0, 1]]],
        ['b', long],
        ['c', [[0, 1]]],
      ]),
    );
    expect(blocks.map(({ first }) => first)).toEqual(['a', 'b', 'c']);
  });
});

describe('the choice of segments to merge', () => {
  const toRows = (...sizes: readonly (number | readonly [chunks: number, alive: number])[]) =>
    sizes.map((size, id) => {
      const [chunks, alive] = typeof size === 'number' ? [size, size] : size;
      return { id, chunks, alive };
    });

  test('nothing is merged before there are eight of like size', () => {
    expect(chooseSegments(toRows(1, 2, 3, 4, 5, 6, 7, 500, 600, 5000))).toEqual([]);
  });

  test('the smallest of like size are merged, not the larger ones beside them', () => {
    const rows = toRows(5000, 20, 20, 20, 20, 300, 20, 20, 20, 20);
    expect(chooseSegments(rows).map(({ id }) => id)).toEqual([1, 2, 3, 4, 6, 7, 8, 9]);
  });

  test('one of which more than half is gone is written anew; the largest are left alone', () => {
    expect(chooseSegments(toRows(100, [100, 49], [100, 51])).map(({ id }) => id)).toEqual([1]);
    expect(chooseSegments(toRows(...Array.from({ length: 20 }, () => 3_000_000)))).toEqual([]);
  });
});
