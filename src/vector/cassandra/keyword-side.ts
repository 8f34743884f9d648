/**
 * The keyword side of a search: BM25 over the postings. Every chunk's score is known afterwards, so that a chunk that the
 * vectors have found has both.
 */

import { BestSlots, type CompareSlots } from '../best-slots.ts';
import { toSaturation, weighTerms } from '../scoring.ts';
import type { IndexScope, QueryTerm } from '../vector-index.ts';
import type { LoadedStore, SlotRange } from './loaded-store.ts';
import { POSTING_NUMBERS } from './postings.ts';
import type { PostingsCache } from './postings-cache.ts';

export interface KeywordScores {
  /** Whether the store knows any of the terms. */
  readonly isKnown: boolean;
  /** BM25 as a part of the most that the query could have, 0 to 1. */
  readScore(slot: number): number;
  /** The best chunks among the ranges that have any of the terms; at most `wanted`. */
  findBest(ranges: readonly SlotRange[], wanted: number, compare: CompareSlots): readonly number[];
}

export async function scoreKeywords(
  cache: PostingsCache,
  scope: IndexScope,
  store: LoadedStore,
  terms: readonly QueryTerm[],
): Promise<KeywordScores> {
  const found = await cache.read(
    scope,
    store,
    terms.map(({ term }) => term),
  );
  const lists = terms.map(({ term }) => found.get(term) ?? []);
  const withTerm = lists.map((runs) => countPostings(runs, store.chunks));
  const { factors, maximum } = weighTerms(terms, store.chunks, withTerm);
  const scores = new Float64Array(maximum > 0 ? store.chunks : 0);
  if (maximum > 0) {
    const averageLength = store.chunks > 0 ? store.words / store.chunks : 0;
    for (const [index, runs] of lists.entries()) {
      for (const run of runs) addScores(scores, run, factors[index] ?? 0, averageLength);
    }
  }
  return {
    isKnown: maximum > 0,
    readScore: (slot) => Math.min(1, (scores[slot] ?? 0) / maximum),
    findBest(ranges, wanted, compare) {
      const best = new BestSlots(wanted, compare);
      // Above nothing at first, later above the least of those that are kept.
      let bound = Number.MIN_VALUE;
      for (const { from, to } of ranges) {
        for (let slot = from; slot < to; slot += 1) {
          const value = scores[slot] ?? 0;
          if (value < bound) continue;
          best.offer(slot, value);
          bound = Math.max(bound, best.bound);
        }
      }
      return best.toSlots();
    },
  };
}

/** Those of slots that this state of the store has: a search beside this one may know of later ones. */
function countPostings(runs: readonly Uint32Array[], slots: number): number {
  let count = 0;
  for (const run of runs) {
    for (let at = 0; at < run.length; at += POSTING_NUMBERS) if ((run[at] ?? 0) < slots) count += 1;
  }
  return count;
}

function addScores(scores: Float64Array, run: Uint32Array, factor: number, averageLength: number): void {
  for (let at = 0; at < run.length; at += POSTING_NUMBERS) {
    const slot = run[at] ?? 0;
    // Beyond the end, where nothing is written.
    if (slot >= scores.length) continue;
    scores[slot] =
      (scores[slot] ?? 0) + factor * toSaturation(run[at + 1] ?? 0, run[at + 2] ?? 0, averageLength);
  }
}
