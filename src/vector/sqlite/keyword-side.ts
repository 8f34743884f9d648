/**
 * The keyword side of a search: BM25 over the postings. Every chunk's score is known afterwards, so that a chunk that
 * the vectors have found has both.
 */

import type { Database } from 'bun:sqlite';
import { BestSlots, type CompareSlots } from '../best-slots.ts';
import { toSaturation, weighTerms } from '../scoring.ts';
import type { QueryTerm } from '../vector-index.ts';
import type { LoadedSegment, LoadedStore, SlotRange } from './loaded-store.ts';
import { findBlock, findPostings, forEachPosting, NumberReader, type PostingsList } from './postings.ts';
import { toBlockId } from './schema.ts';

export interface KeywordScores {
  /** Whether the store knows any of the terms. */
  readonly isKnown: boolean;
  /** BM25 as a part of the most that the query could have, 0 to 1. */
  readScore(slot: number): number;
  /** The best chunks among the ranges that have any of the terms; at most `wanted`. */
  findBest(ranges: readonly SlotRange[], wanted: number, compare: CompareSlots): readonly number[];
}

/** The scores are good until the next call. */
export type KeywordSide = (store: LoadedStore, terms: readonly QueryTerm[]) => KeywordScores;

interface FoundPostings extends PostingsList {
  readonly segment: LoadedSegment;
}

export function createKeywordSide(database: Database): KeywordSide {
  const readBlock = database.prepare<{ bytes: Uint8Array }, [number]>(
    'SELECT bytes FROM postings WHERE id = ?',
  );
  const encoder = new TextEncoder();
  let scores = new Float64Array(0);

  /** The postings of a term in all segments that have it. */
  const find = (store: LoadedStore, term: string): readonly FoundPostings[] => {
    const found: FoundPostings[] = [];
    const bytes = encoder.encode(term);
    for (const segment of store.segments.values()) {
      const block = findBlock(segment.directory, term);
      if (block < 0) continue;
      const row = readBlock.values(toBlockId(segment.id, block))[0]?.[0];
      const list = row instanceof Uint8Array ? findPostings(row, bytes) : null;
      if (list !== null) found.push({ ...list, segment });
    }
    return found;
  };

  const add = (store: LoadedStore, lists: readonly FoundPostings[], factor: number): void => {
    const { lengths } = store;
    const averageLength = store.chunks > 0 ? store.words / store.chunks : 0;
    for (const { segment, bytes, start, end } of lists) {
      const { slots } = segment;
      const reader = new NumberReader(bytes, start);
      let chunk = -1;
      // As `forEachPosting`, whose callbacks would cost as much again: this is the inner loop of a search by words.
      while (reader.at < end) {
        const head = reader.next();
        chunk += (head >>> 1) + 1;
        const count = (head & 1) === 1 ? reader.next() : 1;
        const slot = slots[chunk] ?? -1;
        if (slot < 0) continue;
        const saturation = toSaturation(count, lengths[slot] ?? 0, averageLength);
        scores[slot] = (scores[slot] ?? 0) + factor * saturation;
      }
    }
  };

  return (store, terms) => {
    const lists = terms.map(({ term }) => find(store, term));
    const { factors, maximum } = weighTerms(terms, store.chunks, lists.map(countChunks));
    if (maximum > 0) {
      if (scores.length < store.slots) scores = new Float64Array(Math.ceil(1.25 * store.slots));
      scores.fill(0, 0, store.slots);
      for (const [index, found] of lists.entries()) add(store, found, factors[index] ?? 0);
    }
    const values = scores;
    const readScore = (slot: number): number => Math.min(1, (values[slot] ?? 0) / maximum);
    return {
      isKnown: maximum > 0,
      readScore,
      findBest(ranges, wanted, compare) {
        const best = new BestSlots(wanted, compare);
        // Above nothing at first, later above the least of those that are kept.
        let bound = Number.MIN_VALUE;
        for (const { from, to } of ranges) {
          for (let slot = from; slot < to; slot += 1) {
            const value = values[slot] ?? 0;
            if (value < bound) continue;
            best.offer(slot, value);
            bound = Math.max(bound, best.bound);
          }
        }
        return best.toSlots();
      },
    };
  };
}

/** Findable chunks that have the term. */
function countChunks(lists: readonly FoundPostings[]): number {
  let count = 0;
  for (const list of lists) {
    if (list.segment.isWhole) {
      count += list.chunks;
      continue;
    }
    const { slots } = list.segment;
    forEachPosting(list, (chunk) => {
      if ((slots[chunk] ?? -1) >= 0) count += 1;
    });
  }
  return count;
}
