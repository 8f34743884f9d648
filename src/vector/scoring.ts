/**
 * What a hit is worth: BM25 for the words, the cosine for the vectors, and one convex mix of the two. The same for
 * every engine.
 *
 * What an engine does for a query, with the counts of the store's published chunks:
 * 1. Once: `weighTerms(query.terms, chunks, chunksWithTerm)`, and `toBackground(query.vector, sum, vectors)`, for which it
 *    keeps the sum of the store's vectors and their number. A filter changes none of these.
 * 2. BM25 of a chunk: the sum over its terms of `factors[i] * toSaturation(count, length, averageLength)`; its
 *    `keyword` is that over `maximum`, at most 1 (null where `maximum` is 0).
 * 3. `toCandidates(wanted)` chunks of each side, then both scores for each candidate, then
 *    `toScore({ cosine, keyword }, query.weights, background)`.
 */

import type { QueryTerm } from './vector-index.ts';

/** BM25's saturation of repetitions and its correction for length, as usual. */
export const BM25_K1 = 1.2;
export const BM25_B = 0.75;

/** What the two sides count where the request does not say. */
export const WEIGHTS_DEFAULT = Object.freeze({ vector: 0.5, keyword: 0.5 });

/**
 * What a word that the store does not know counts in the maximum. Nothing, and in a small store a chunk that has one
 * stray word of a long question would have the full score; all, and a question with a foreign word or a slip would be
 * left to the vectors.
 */
const UNKNOWN_SHARE = 0.5;

/** So many vectors have to be there until half of the background is believed. */
const BACKGROUND_VECTORS = 4;
/** Texts that are nearly the same must not be told apart by noise. */
const BACKGROUND_MAX = 0.9;

const CANDIDATES_MIN = 100;
const CANDIDATES_PER_WANTED = 4;

/** How many hits each side brings before they are mixed. */
export function toCandidates(wanted: number): number {
  return Math.max(CANDIDATES_MIN, CANDIDATES_PER_WANTED * wanted);
}

/** How much a term tells. `chunks` and `withTerm` are counts of the vector store; positive also for a term that all have. */
export function toIdf(chunks: number, withTerm: number): number {
  return Math.log(1 + (chunks - withTerm + 0.5) / (withTerm + 0.5));
}

/** What repetitions and length make of a term, from 0 to `BM25_K1 + 1`. To be multiplied by idf and the query's weight. */
export function toSaturation(count: number, length: number, averageLength: number): number {
  const relative = averageLength > 0 ? length / averageLength : 1;
  return (count * (BM25_K1 + 1)) / (count + BM25_K1 * (1 - BM25_B + BM25_B * relative));
}

export interface WeighedTerms {
  /** For each term, what its saturation is multiplied by; 0 where the store does not know the term. */
  readonly factors: readonly number[];
  /** What BM25 is divided by to be a part of 1; 0 where the store knows no term at all. */
  readonly maximum: number;
}

/**
 * What each term of a query tells. Forms of one word (`QueryTerm.word`) share an idf, from the chunks that have any of
 * them: a form of another language is rare in the store, but tells no more than the word; and the maximum counts the
 * word once. `chunks` and `chunksWithTerm` (parallel to `terms`) are counts of the vector store.
 */
export function weighTerms(
  terms: readonly QueryTerm[],
  chunks: number,
  chunksWithTerm: readonly number[],
): WeighedTerms {
  const words = new Map<number, { withWord: number; weight: number }>();
  // Terms without a word stand for themselves, under keys that no word has.
  const keys = terms.map(({ word }, index) => word ?? -1 - index);
  for (const [index, { weight }] of terms.entries()) {
    const key = keys[index] ?? 0;
    const word = words.get(key) ?? { withWord: 0, weight: 0 };
    const withWord = Math.min(chunks, word.withWord + (chunksWithTerm[index] ?? 0));
    words.set(key, { withWord, weight: Math.max(word.weight, weight) });
  }
  let known = 0;
  let unknown = 0;
  const idfs = new Map<number, number>();
  for (const [key, { withWord, weight }] of words) {
    const idf = toIdf(chunks, withWord);
    idfs.set(key, withWord > 0 ? idf : 0);
    if (withWord > 0) known += weight * idf;
    else if (key >= 0) unknown += weight * idf;
  }
  return {
    factors: terms.map(({ weight }, index) =>
      (chunksWithTerm[index] ?? 0) > 0 ? weight * (idfs.get(keys[index] ?? 0) ?? 0) : 0,
    ),
    maximum: known > 0 ? toKeywordMaximum([known, UNKNOWN_SHARE * unknown]) : 0,
  };
}

/** The most that BM25 can give for a query: of the terms that the store knows, their idf times their weight. */
export function toKeywordMaximum(weightedIdfs: readonly number[]): number {
  return (BM25_K1 + 1) * weightedIdfs.reduce((sum, idf) => sum + idf, 0);
}

/**
 * What any chunk of the store would have as its cosine, 0 to 0.9: the query's product with the mean of the store's
 * vectors. Models differ in it (with some no two texts have less than 0.7), and so do collections: only what is above
 * tells. `sum` is the sum of the store's `vectors` unit vectors; fewer of them are believed less.
 */
export function toBackground(query: ArrayLike<number>, sum: ArrayLike<number>, vectors: number): number {
  let product = 0;
  for (let at = 0; at < query.length; at += 1) product += (query[at] ?? 0) * (sum[at] ?? 0);
  const background = product / (vectors + BACKGROUND_VECTORS);
  return Math.min(BACKGROUND_MAX, clamp(background));
}

export interface Sides {
  /** -1 to 1; null where there is no vector to compare. */
  readonly cosine: number | null;
  /** 0 to 1: BM25 by the maximum of `weighTerms`; null where the query has no words that the store knows. */
  readonly keyword: number | null;
}

/** The mix of the two sides, 0 to 1. Where one is missing, the other stands alone. `background` is of the query. */
export function toScore(
  sides: Sides,
  weights: { readonly vector: number; readonly keyword: number },
  background = 0,
): number {
  const vector = sides.cosine === null ? null : clamp((sides.cosine - background) / (1 - background));
  const keyword = sides.keyword === null ? null : clamp(sides.keyword);
  if (vector === null || weights.vector === 0) return keyword ?? 0;
  if (keyword === null || weights.keyword === 0) return vector;
  return (weights.vector * vector + weights.keyword * keyword) / (weights.vector + weights.keyword);
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
