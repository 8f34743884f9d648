/**
 * What a hit is worth: BM25 for the words, the cosine for the vectors, and one convex mix of the two. The same for
 * every engine.
 */

/** BM25's saturation of repetitions and its correction for length, as usual. */
export const BM25_K1 = 1.2;
export const BM25_B = 0.75;

/** What the two sides count where the request does not say. */
export const WEIGHTS_DEFAULT = Object.freeze({ vector: 0.4, keyword: 0.6 });

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

/** The most that BM25 can give for a query: of the terms that the store knows, their idf times their weight. */
export function toKeywordMaximum(weightedIdfs: readonly number[]): number {
  return (BM25_K1 + 1) * weightedIdfs.reduce((sum, idf) => sum + idf, 0);
}

export interface Sides {
  /** -1 to 1; null where there is no vector to compare. */
  readonly cosine: number | null;
  /** 0 to 1: BM25 by `toKeywordMaximum`; null where the query has no words that the store knows. */
  readonly keyword: number | null;
}

/** The mix of the two sides, 0 to 1. Where one is missing, the other stands alone. */
export function toScore(
  sides: Sides,
  weights: { readonly vector: number; readonly keyword: number },
): number {
  const vector = sides.cosine === null ? null : clamp(sides.cosine);
  const keyword = sides.keyword === null ? null : clamp(sides.keyword);
  if (vector === null || weights.vector === 0) return keyword ?? 0;
  if (keyword === null || weights.keyword === 0) return vector;
  return (weights.vector * vector + weights.keyword * keyword) / (weights.vector + weights.keyword);
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
