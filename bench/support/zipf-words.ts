/** Texts whose words follow Zipf's law, the same at every start: the word of rank r is 1/r as frequent as the first. */

import { encodeTerms } from '../../src/vector/terms.ts';
import type { QueryTerm } from '../../src/vector/vector-index.ts';
import type { Random } from './clustered-vectors.ts';

const VOCABULARY = 50_000;
/** The most frequent words are stop words, which nobody asks for. */
const STOP_WORDS = 50;
/** Common terms: each is in one of a hundred chunks at least. */
const COMMON_RANK_MAX = 1000;

/** A rank from `from` on, below `to`. Under Zipf's law the logarithm of the rank is spread evenly. */
function toRank(random: Random, from: number, to: number): number {
  return Math.min(to - 1, Math.floor(from * (to / from) ** random()));
}

function toWord(rank: number): string {
  return `w${rank.toString(36)}`;
}

export function makeText(random: Random, words: number): { readonly text: string; readonly terms: string } {
  const list = Array.from({ length: words }, () => toWord(toRank(random, 1, VOCABULARY)));
  const counts = new Map<string, number>();
  for (const word of list) counts.set(word, (counts.get(word) ?? 0) + 1);
  return { text: list.join(' '), terms: encodeTerms({ length: words, counts }) };
}

/** A question of different common words. */
export function makeQuestionTerms(random: Random, words: number): QueryTerm[] {
  const found = new Set<string>();
  while (found.size < words) found.add(toWord(toRank(random, STOP_WORDS, COMMON_RANK_MAX)));
  return [...found].map((term) => ({ term, weight: 1 }));
}
