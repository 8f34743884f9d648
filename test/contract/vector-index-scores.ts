/** What is found, in which order, with which scores. */

import { describe, expect, test } from 'bun:test';
import type { AttributeFilter } from '../../src/vector/attribute-filter.ts';
import { toBackground, toScore } from '../../src/vector/scoring.ts';
import type { IndexScope, NewChunk, SearchHit, SearchQuery } from '../../src/vector/vector-index.ts';
import { WANTED_MAX } from '../../src/vector/vector-index.ts';
import {
  type OpenIndex,
  publish,
  toChunk,
  toChunks,
  toPlaces,
  toQuery,
  toVector,
  useIndex,
} from './vector-index-fixture.ts';
import { type ReferenceFile, type ReferenceHit, searchSlowly } from './vector-index-reference.ts';

/** Vectors may be rounded once more on their way. */
const SCORE_DIGITS = 5;

export function describeScores(open: OpenIndex): void {
  describe('search', () => {
    const fixture = useIndex(open);

    test('any of the words may match; rare words count more, and so do repetitions and short chunks', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const filler = 'a b c d e f g h i j';
      await publish(
        index,
        scope,
        'f',
        toChunks(`common ${filler}`, `rare ${filler}`, `common ${filler}`, 'x', 'common'),
      );
      expect(toPlaces(await index.search(scope, toQuery('common rare', null)))).toEqual([
        'f:1',
        'f:4',
        'f:0',
        'f:2',
      ]);
      expect(toPlaces(await index.search(scope, toQuery('common unknown', null)))).toEqual([
        'f:4',
        'f:0',
        'f:2',
      ]);
      expect(await index.search(scope, toQuery('unknown', null))).toEqual([]);
    });

    test('a question without words is answered by vectors alone, one without a vector by words alone', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const chunks = [toChunk(0, 'apple', toVector(1, 0, 0)), toChunk(1, 'pear', toVector(0, 1, 0))];
      await publish(index, scope, 'f', chunks);
      const byVector = await index.search(scope, toQuery('', toVector(1, 0.1, 0)));
      expect(toPlaces(byVector)).toEqual(['f:0', 'f:1']);
      // What every chunk of the store would have does not count.
      const background = toBackground(toVector(1, 0.1, 0), [1, 1, 0], 2);
      for (const { cosine, score } of byVector) {
        const weights = { vector: 1, keyword: 1 };
        expect(score).toBeCloseTo(toScore({ cosine, keyword: null }, weights, background), 6);
      }
      const byWords = await index.search(scope, toQuery('pear', null));
      expect(byWords.map(({ file, chunk, cosine }) => [file, chunk.position, cosine])).toEqual([
        ['f', 1, null],
      ]);
      expect(await index.search(scope, toQuery('', null))).toEqual([]);
    });

    test('a store without vectors is searched by words, whatever the question brings', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'f', toChunks('apple', 'pear'));
      const hits = await index.search(scope, toQuery('apple', toVector(1, 2, 3)));
      expect(hits.map(({ chunk, cosine }) => [chunk.position, cosine])).toEqual([[0, null]]);
      expect(await index.search(scope, toQuery('', toVector(1, 2, 3)))).toEqual([]);
    });

    test('a chunk without a vector has no cosine, and is found by its words beside those that have one', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'f', [
        toChunk(0, 'apple', toVector(1, 0, 0)),
        toChunk(1, 'apple'),
        toChunk(2, 'pear'),
      ]);
      const hits = await index.search(scope, toQuery('apple', toVector(1, 0, 0)));
      expect(hits.map(({ chunk, cosine }) => [chunk.position, cosine])).toEqual([
        [0, 1],
        [1, null],
      ]);
    });

    test('a side that counts nothing brings no hits', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(index, scope, 'f', [
        toChunk(0, 'apple', toVector(1, 0, 0)),
        toChunk(1, 'pear', toVector(0, 1, 0)),
      ]);
      const ask = async (vector: number, keyword: number) =>
        await index.search(scope, toQuery('pear', toVector(1, 0, 0), { weights: { vector, keyword } }));
      expect(
        (await ask(0, 1)).map(({ chunk, score, keyword }) => [chunk.position, score === keyword]),
      ).toEqual([[1, true]]);
      expect((await ask(1, 0)).map(({ chunk, score, cosine }) => [chunk.position, score === cosine])).toEqual(
        [
          [0, true],
          [1, true],
        ],
      );
    });

    test('equal scores are ordered by file, then by position', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      for (const file of ['b', 'a', 'ä', 'A', '10', '9'])
        await publish(index, scope, file, toChunks('apple', 'apple'));
      const expected = ['10', '9', 'A', 'a', 'b', 'ä'].flatMap((file) => [`${file}:0`, `${file}:1`]);
      const places = async (wanted: number) =>
        toPlaces(await index.search(scope, toQuery('apple', null, { wanted })));
      expect(await places(12)).toEqual(expected);
      expect(await places(5)).toEqual(expected.slice(0, 5));
    });

    test('statistics are those of what can be found: staged, replaced and removed chunks count no more', async () => {
      const { index } = fixture;
      const [scope, plain] = [fixture.newScope(), fixture.newScope()];
      const kept = toChunks('apple pear', 'apple', 'plum plum plum');
      await publish(index, plain, 'kept', kept);
      const many = toChunks(...Array.from({ length: 300 }, () => 'apple plum x y z'));
      await publish(index, scope, 'gone', many);
      await publish(index, scope, 'kept', many);
      await publish(index, scope, 'kept', kept, { ingest: 'second' });
      await index.removeFile(scope, 'gone');
      await index.stageChunks(scope, 'staged', 'first', many.slice(0, 256));
      await index.stageChunks(scope, 'staged', 'first', many.slice(256));
      for (const words of ['apple', 'plum', 'apple pear plum x']) {
        const expected = await index.search(plain, toQuery(words, null));
        expect(await index.search(scope, toQuery(words, null))).toEqual(expected);
      }
    });

    test('as many hits come as are wanted, where there are as many', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      await publish(
        index,
        scope,
        'f',
        toChunks(...Array.from({ length: 250 }, (_, position) => `apple ${'x '.repeat(position)}`)),
      );
      for (const wanted of [1, 7, WANTED_MAX]) {
        const hits = await index.search(scope, toQuery('apple', null, { wanted }));
        expect(toPlaces(hits)).toEqual(Array.from({ length: wanted }, (_, position) => `f:${position}`));
      }
    });

    test('words with any characters are found as they are', async () => {
      const { index } = fixture;
      const scope = fixture.newScope();
      const words = ['err-4471', 'foo_bar', '日本', 'ñandú', '🦊', 'ﬁ', '￿', '𐍈', 'a'.repeat(96), "'", '%'];
      await publish(index, scope, 'f', toChunks(...words));
      for (const [position, word] of words.entries()) {
        expect(toPlaces(await index.search(scope, toQuery(word, null)))).toEqual([`f:${position}`]);
      }
    });
  });

  describe('against an exhaustive search', () => {
    const fixture = useIndex(open);

    for (const seed of [1, 2, 3, 4]) {
      test(`the same chunks, scores and order, in a store of many files that come and go (seed ${seed})`, async () => {
        const scope = fixture.newScope();
        const random = createRandom(seed);
        const files = await fillStore(fixture.index, scope, random);
        for (let question = 0; question < 40; question += 1) {
          const query = toRandomQuery(random);
          const hits = await fixture.index.search(scope, query);
          expectSame(hits, searchSlowly(files, query));
        }
      });
    }
  });
}

type Random = () => number;

/** Mulberry32: from 0 to 1, the same at every start. */
function createRandom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const DIMENSIONS = 24;
const FILES = 24;

function toInteger(random: Random, below: number): number {
  return Math.floor(random() * below);
}

function toRandomVector(random: Random): Float32Array {
  return toVector(...Array.from({ length: DIMENSIONS }, () => random() - 0.5));
}

/** A few words are everywhere, most are rare. */
function toRandomWords(random: Random, count: number): string {
  return Array.from({ length: count }, () => `w${Math.floor(60 * random() ** 3)}`).join(' ');
}

function toRandomChunks(random: Random): NewChunk[] {
  return Array.from({ length: 1 + toInteger(random, 18) }, (_, position) => {
    const vector = random() < 0.9 ? toRandomVector(random) : null;
    return toChunk(position, toRandomWords(random, 1 + toInteger(random, 20)), vector);
  });
}

async function fillStore(
  index: Parameters<typeof publish>[0],
  scope: IndexScope,
  random: Random,
): Promise<ReferenceFile[]> {
  const files = new Map<string, ReferenceFile>();
  for (let step = 0; step < 2 * FILES; step += 1) {
    const file = `file-${toInteger(random, FILES)}`;
    if (files.has(file) && random() < 0.3) {
      await index.removeFile(scope, file);
      files.delete(file);
      continue;
    }
    const entry = { file, attributes: { n: toInteger(random, 4) }, languages: ['en'] };
    const chunks = toRandomChunks(random);
    await publish(index, scope, file, chunks, { ...entry, ingest: `attempt-${step}` });
    files.set(file, { entry, chunks });
    // Searches in between, so that what is in memory is brought up to date in small steps, too.
    if (step % 5 === 0) await index.search(scope, toRandomQuery(random));
  }
  return [...files.values()];
}

function toRandomQuery(random: Random): SearchQuery {
  const filter: AttributeFilter | null =
    random() < 0.5 ? null : { type: 'lte', key: 'n', value: toInteger(random, 4) };
  const vector = random() < 0.7 ? toRandomVector(random) : null;
  const words = vector !== null && random() < 0.3 ? '' : toRandomWords(random, 1 + toInteger(random, 8));
  const weights = { vector: random(), keyword: random() };
  const query = toQuery(words, vector, { filter, weights, wanted: 1 + toInteger(random, 60) });
  const terms = [
    ...new Map(query.terms.map((one) => [one.term, { ...one, weight: random() + 0.1 }])).values(),
  ];
  return { ...query, terms };
}

function expectSame(hits: readonly SearchHit[], expected: readonly ReferenceHit[]): void {
  expect(toPlaces(hits)).toEqual(expected.map(({ file, position }) => `${file}:${position}`));
  for (const [place, { score, cosine, keyword }] of hits.entries()) {
    const wanted = expected[place];
    expect(score).toBeCloseTo(wanted?.score ?? Number.NaN, SCORE_DIGITS);
    expect(keyword).toBeCloseTo(wanted?.keyword ?? Number.NaN, SCORE_DIGITS);
    if (wanted?.cosine === null) expect(cosine).toBeNull();
    else expect(cosine).toBeCloseTo(wanted?.cosine ?? Number.NaN, SCORE_DIGITS);
  }
}
