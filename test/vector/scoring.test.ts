/** What hits are worth: that scores mean the same whatever the query, the store and the other hits are. */

import { describe, expect, test } from 'bun:test';
import {
  BM25_B,
  BM25_K1,
  toBackground,
  toCandidates,
  toIdf,
  toKeywordMaximum,
  toSaturation,
  toScore,
  WEIGHTS_DEFAULT,
  weighTerms,
} from '../../src/vector/scoring.ts';

describe('BM25', () => {
  test('is as it is published: idf, saturation, correction for length', () => {
    // Robertson and Zaragoza's formula, worked out by hand for 3 of 10 chunks, twice in one of half the usual length.
    expect(toIdf(10, 3)).toBeCloseTo(Math.log(1 + 7.5 / 3.5), 12);
    expect(toSaturation(2, 50, 100)).toBeCloseTo((2 * 2.2) / (2 + 1.2 * (0.25 + 0.75 * 0.5)), 12);
    expect(BM25_K1).toBe(1.2);
    expect(BM25_B).toBe(0.75);
  });

  test('a term that every chunk has still counts, and a rarer one counts more', () => {
    expect(toIdf(1_000, 1_000)).toBeGreaterThan(0);
    expect(toIdf(1_000, 1)).toBeGreaterThan(toIdf(1_000, 2));
  });

  test('repetitions add less and less, never more than the maximum; length takes away', () => {
    const counts = [1, 2, 4, 8, 1_000_000].map((count) => toSaturation(count, 100, 100));
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(Math.max(...counts)).toBeLessThan(BM25_K1 + 1);
    expect(toSaturation(1, 200, 100)).toBeLessThan(toSaturation(1, 100, 100));
    expect(toSaturation(1, 0, 0)).toBe(toSaturation(1, 7, 7));
  });
});

describe('the terms of a query', () => {
  test('without forms have their idf, and the maximum is the most that any chunk could reach', () => {
    const terms = [
      { term: 'pump', weight: 1, word: 0 },
      { term: 'seal', weight: 1, word: 1 },
    ];
    const { factors, maximum } = weighTerms(terms, 100, [10, 2]);
    expect(factors[0]).toBeCloseTo(toIdf(100, 10), 12);
    expect(factors[1]).toBeCloseTo(toIdf(100, 2), 12);
    expect(maximum).toBeCloseTo(toKeywordMaximum([toIdf(100, 10), toIdf(100, 2)]), 12);
  });

  test('that are forms of one word tell together as much as one word', () => {
    const english = { term: 'replic', weight: 1, word: 0 };
    const german = { term: 'replication', weight: 1, word: 0 };
    const single = weighTerms([english], 100, [12]);
    const both = weighTerms([english, german], 100, [10, 2]);
    expect(both.maximum).toBeCloseTo(single.maximum, 12);
    // The form that is rare, because few chunks are in its language, is worth no more than the other.
    expect(both.factors[0]).toBeCloseTo(both.factors[1] ?? Number.NaN, 12);
  });

  test('that the store does not know find nothing; a word makes the others count for less, a piece does not', () => {
    const known = { term: 'pump', weight: 1, word: 0 };
    const alone = weighTerms([known], 100, [10]);
    const withWord = weighTerms([known, { term: 'xyzzy', weight: 1, word: 1 }], 100, [10, 0]);
    const withPiece = weighTerms([known, { term: 'ねぎ', weight: 1 }], 100, [10, 0]);
    const withForm = weighTerms([known, { term: 'pumps', weight: 1, word: 0 }], 100, [10, 0]);
    expect(withWord.factors).toEqual([alone.factors[0] ?? Number.NaN, 0]);
    expect(withWord.maximum).toBeGreaterThan(alone.maximum);
    expect(withPiece.maximum).toBeCloseTo(alone.maximum, 12);
    expect(withForm.maximum).toBeCloseTo(alone.maximum, 12);
  });

  test('of which the store knows none have the maximum 0: the other side stands alone', () => {
    expect(weighTerms([{ term: 'xyzzy', weight: 1, word: 0 }], 100, [0])).toEqual({
      factors: [0],
      maximum: 0,
    });
    expect(weighTerms([], 0, [])).toEqual({ factors: [], maximum: 0 });
  });

  test('count by their weight', () => {
    const { factors } = weighTerms(
      [
        { term: 'a', weight: 1 },
        { term: 'b', weight: 0.25 },
      ],
      100,
      [10, 10],
    );
    expect(factors[1]).toBeCloseTo((factors[0] ?? Number.NaN) / 4, 12);
  });
});

describe('the background of a query', () => {
  const toUnit = (values: readonly number[]) => {
    const length = Math.hypot(...values);
    return values.map((value) => value / length);
  };
  const toSum = (vectors: readonly (readonly number[])[]) =>
    (vectors[0] ?? []).map((_, at) => vectors.reduce((sum, vector) => sum + (vector[at] ?? 0), 0));
  const multiply = (a: readonly number[], b: readonly number[]) =>
    a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

  /** Vectors in which everything has something in common, as some models make them: no cosine is below about 0.7. */
  function makeVectors(common: number): (readonly number[])[] {
    return Array.from({ length: 500 }, (_, at) =>
      toUnit([Math.sin(at), Math.sin(at * 1.7 + 1), Math.cos(at * 0.9), Math.cos(at * 2.3 + 2), common]),
    );
  }

  test('takes out what all cosines of a model have in common', () => {
    const query = toUnit([1, 0.2, 0.3, 0.1, 0]);
    const score = (common: number) => {
      const vectors = makeVectors(common);
      const asked = toUnit([...query.slice(0, 4), common]);
      const background = toBackground(asked, toSum(vectors), vectors.length);
      const best = Math.max(...vectors.map((vector) => multiply(asked, vector)));
      return { best, score: toScore({ cosine: best, keyword: null }, WEIGHTS_DEFAULT, background) };
    };
    const plain = score(0.1);
    const flat = score(3);
    expect(Math.abs(flat.score - plain.score)).toBeLessThan(0.1);
  });

  test('is 0 for a first vector, grows with the store, and never takes all', () => {
    const query = [1, 0];
    expect(toBackground(query, [0, 0], 0)).toBe(0);
    expect(toBackground(query, [1, 0], 1)).toBeLessThan(0.25);
    expect(toBackground(query, [800, 0], 1_000)).toBeGreaterThan(0.75);
    expect(toBackground(query, [1_000_000, 0], 1_000_000)).toBe(0.9);
    expect(toBackground(query, [-500, 0], 500)).toBe(0);
  });
});

describe('a score', () => {
  const sides = [-1, -0.2, 0, 0.3, 0.75, 1, 1.000001];

  test('is from 0 to 1 and grows with each side', () => {
    for (const background of [0, 0.3, 0.9]) {
      for (const keyword of [null, 0, 0.4, 1]) {
        const scores = sides.map((cosine) => toScore({ cosine, keyword }, WEIGHTS_DEFAULT, background));
        expect(scores).toEqual(scores.toSorted((a, b) => a - b));
        expect(Math.min(...scores)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...scores)).toBeLessThanOrEqual(1);
      }
      expect(toScore({ cosine: 0.5, keyword: 0.6 }, WEIGHTS_DEFAULT, background)).toBeGreaterThan(
        toScore({ cosine: 0.5, keyword: 0.5 }, WEIGHTS_DEFAULT, background),
      );
    }
  });

  test('is that of one side where the other is missing or counts nothing', () => {
    expect(toScore({ cosine: 0.6, keyword: null }, WEIGHTS_DEFAULT)).toBeCloseTo(0.6, 12);
    expect(toScore({ cosine: null, keyword: 0.7 }, WEIGHTS_DEFAULT)).toBeCloseTo(0.7, 12);
    expect(toScore({ cosine: 0.6, keyword: 0.7 }, { vector: 1, keyword: 0 })).toBeCloseTo(0.6, 12);
    expect(toScore({ cosine: 0.6, keyword: 0.7 }, { vector: 0, keyword: 1 })).toBeCloseTo(0.7, 12);
    expect(toScore({ cosine: null, keyword: null }, WEIGHTS_DEFAULT)).toBe(0);
  });

  test('depends on how the weights compare, not on how large they are', () => {
    const hit = { cosine: 0.6, keyword: 0.2 };
    expect(toScore(hit, { vector: 3, keyword: 1 })).toBeCloseTo(
      toScore(hit, { vector: 0.75, keyword: 0.25 }),
      12,
    );
    expect(toScore(hit, { vector: 3, keyword: 1 })).toBeCloseTo(0.5, 12);
  });
});

test('each side brings a hundred candidates, and more where many are wanted', () => {
  expect([1, 25, 26, 50, 200].map(toCandidates)).toEqual([100, 100, 104, 200, 800]);
});
