/** A search over one store: candidates of both sides, both scores for each of them, one mix. Inside of one snapshot. */

import { BestSlots, type CompareSlots } from '../best-slots.ts';
import { toBackground, toCandidates, toScore } from '../scoring.ts';
import type { SearchHit, StoredChunk } from '../vector-index.ts';
import type { KeywordScores, KeywordSide } from './keyword-side.ts';
import { countSlots, type LoadedStore } from './loaded-store.ts';
import type { SearchCall } from './protocol.ts';
import { toChunkId } from './schema.ts';
import { SCANNED_MIN, type VectorMatches, type VectorSide } from './vector-side.ts';

export interface SearchDeps {
  readonly vectorSide: VectorSide;
  readonly keywordSide: KeywordSide;
  readonly readChunk: (id: number) => StoredChunk | null;
  /** The sum of the vectors that can be found in a store, and their number. */
  readonly readVectorSum: (store: number) => { readonly sum: Float64Array; readonly vectors: number };
}

/** A chunk that may be a hit. */
interface Candidate {
  readonly slot: number;
  /** What it is worth at most, as long as its cosine is not known. */
  readonly bound: number;
  readonly keyword: number | null;
}

interface Ranked {
  readonly slot: number;
  readonly cosine: number | null;
  readonly keyword: number | null;
  readonly score: number;
}

const NO_MATCHES: VectorMatches = Object.freeze({
  candidates: [],
  cosines: new Map<number, number>(),
  boundCosines: (slots: readonly number[]) => slots.map(() => 1),
});

/** Whether the search will estimate, and so needs the store's codes. */
export function needsCodes(store: LoadedStore, { vector, weights, filter }: SearchCall): boolean {
  if (vector === null || store.dimensions === null || weights.vector === 0) return false;
  return countSlots(store.findRanges(filter)) >= SCANNED_MIN;
}

/** The store is caught up, and its codes are loaded where they are needed. */
export function searchStore(deps: SearchDeps, store: LoadedStore, query: SearchCall): readonly SearchHit[] {
  const ranges = store.findRanges(query.filter);
  if (ranges.length === 0) return [];
  const compare = createComparison(store);
  const keywords = deps.keywordSide(store, query.terms);
  const vector = store.dimensions === null ? null : query.vector;
  const depth = toCandidates(query.wanted);
  // A side that counts nothing brings no candidates, unless the other one is missing.
  const byVector = vector !== null && query.weights.vector > 0;
  const byKeyword = keywords.isKnown && (query.weights.keyword > 0 || vector === null);
  const background = byVector ? readBackground(deps, store.id, vector) : 0;
  const matches = byVector
    ? deps.vectorSide.find(store, ranges, vector, query.wanted, depth, compare)
    : NO_MATCHES;
  const slots = new Set(matches.candidates);
  if (byKeyword) for (const slot of keywords.findBest(ranges, depth, compare)) slots.add(slot);
  const candidates = toCandidatesOf(
    [...slots].sort((a, b) => a - b),
    matches,
    keywords,
    query,
    background,
  );
  const readCosine = (slot: number): number | null =>
    matches.cosines.get(slot) ?? (vector === null ? null : deps.vectorSide.compareOne(store, slot, vector));
  const ranked = rank(candidates, readCosine, { ...query, background }, compare);
  return ranked.flatMap((one) => toHit(deps, store, one));
}

function readBackground(deps: SearchDeps, store: number, vector: Float32Array): number {
  const { sum, vectors } = deps.readVectorSum(store);
  return toBackground(vector, sum, vectors);
}

/** Slots ascend. */
function toCandidatesOf(
  slots: readonly number[],
  matches: VectorMatches,
  keywords: KeywordScores,
  { vector, weights }: SearchCall,
  background: number,
): Candidate[] {
  const unknown = vector === null ? [] : slots.filter((slot) => !matches.cosines.has(slot));
  const bounds = new Map(matches.boundCosines(unknown).map((bound, i) => [unknown[i] ?? 0, bound]));
  return slots.map((slot) => {
    const keyword = keywords.isKnown ? keywords.readScore(slot) : null;
    const cosine = matches.cosines.get(slot) ?? bounds.get(slot) ?? null;
    // Without its vector, which it may not have, a chunk is worth what its words are.
    const alone = matches.cosines.has(slot) ? 0 : toScore({ cosine: null, keyword }, weights);
    return { slot, keyword, bound: Math.max(alone, toScore({ cosine, keyword }, weights, background)) };
  });
}

/** The best, by both scores. Vectors are read of those only that may be among them. */
function rank(
  candidates: Candidate[],
  readCosine: (slot: number) => number | null,
  { wanted, weights, background }: Pick<SearchCall, 'wanted' | 'weights'> & { readonly background: number },
  compare: CompareSlots,
): readonly Ranked[] {
  const best = new BestSlots(wanted, compare);
  const ranked = new Map<number, Ranked>();
  for (const { slot, bound, keyword } of candidates.sort((a, b) => b.bound - a.bound)) {
    if (bound < best.bound) break;
    const cosine = readCosine(slot);
    const score = toScore({ cosine, keyword }, weights, background);
    ranked.set(slot, { slot, cosine, keyword, score });
    best.offer(slot, score);
  }
  return best
    .toSlots()
    .flatMap((slot) => ranked.get(slot) ?? [])
    .sort((a, b) => b.score - a.score || compare(a.slot, b.slot));
}

function toHit(
  { readChunk }: SearchDeps,
  store: LoadedStore,
  { slot, cosine, keyword, score }: Ranked,
): SearchHit[] {
  const version = store.findVersion(slot);
  const chunk = readChunk(toChunkId(version.id, slot - version.slot));
  if (chunk === null) return [];
  return [
    { file: version.file, attributes: version.attributes, chunk, score, cosine, keyword: keyword ?? 0 },
  ];
}

/** By file, then by position: the order among equals. */
function createComparison(store: LoadedStore): CompareSlots {
  return (a, b) => {
    const fileA = store.findVersion(a).file;
    const fileB = store.findVersion(b).file;
    if (fileA === fileB) return a - b;
    return fileA < fileB ? -1 : 1;
  };
}
