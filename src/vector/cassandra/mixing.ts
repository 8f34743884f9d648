/**
 * One score of two sides. The cosines of chunks that only their words have brought are asked for where they may decide: most
 * of these chunks would not be among the hits with the best cosine that they can have.
 */

import { BestSlots, type CompareSlots } from '../best-slots.ts';
import { toScore } from '../scoring.ts';
import type { KeywordScores } from './keyword-side.ts';
import type { VectorMatches } from './vector-side.ts';

export interface Ranked {
  readonly slot: number;
  readonly cosine: number | null;
  readonly keyword: number | null;
  readonly score: number;
}

export interface Sides {
  readonly slots: readonly number[];
  readonly matches: VectorMatches;
  readonly keywords: KeywordScores;
  readonly weights: { readonly vector: number; readonly keyword: number };
  readonly wanted: number;
  readonly background: number;
  /** Whether question and store have vectors. */
  readonly hasCosines: boolean;
  readonly isEveryChunkWithVector: boolean;
  readonly compare: CompareSlots;
  /** Finds cosines; chunks without a vector are left out. */
  readonly compareMany: (slots: readonly number[]) => Promise<ReadonlyMap<number, number>>;
}

/** The best by both sides, in their order. */
export async function mixSides(sides: Sides): Promise<readonly Ranked[]> {
  const { slots, matches, keywords, weights, wanted, background, compare, hasCosines } = sides;
  const best = new BestSlots(wanted, compare);
  const ranked = new Map<number, Ranked>();
  const rank = (slot: number, cosine: number | null): Ranked => {
    const keyword = keywords.isKnown ? keywords.readScore(slot) : null;
    return { slot, cosine, keyword, score: toScore({ cosine, keyword }, weights, background) };
  };
  const offer = (one: Ranked): void => {
    ranked.set(one.slot, one);
    best.offer(one.slot, one.score);
  };
  const order = (): Ranked[] =>
    best
      .toSlots()
      .flatMap((slot) => ranked.get(slot) ?? [])
      .sort((a, b) => b.score - a.score || compare(a.slot, b.slot));

  if (!hasCosines || weights.vector === 0) {
    for (const slot of slots) offer(rank(slot, null));
    const hits = order();
    if (!hasCosines) return hits;
    // They decide nothing, and are part of the answer.
    const cosines = await sides.compareMany(hits.map(({ slot }) => slot));
    return hits.map((hit) => ({ ...hit, cosine: cosines.get(hit.slot) ?? null }));
  }

  const open: number[] = [];
  for (const slot of slots) {
    const cosine = matches.cosines.get(slot);
    if (cosine !== undefined) offer(rank(slot, cosine));
    // All that have a vector were compared: this one has none.
    else if (matches.bound === null) offer(rank(slot, null));
    else open.push(slot);
  }
  const toBound = (slot: number): number => {
    const alone = sides.isEveryChunkWithVector ? 0 : rank(slot, null).score;
    return Math.max(alone, rank(slot, matches.bound).score);
  };
  const promising = open.filter((slot) => toBound(slot) >= best.bound);
  const cosines = await sides.compareMany(promising);
  for (const slot of promising) offer(rank(slot, cosines.get(slot) ?? null));
  return order();
}
