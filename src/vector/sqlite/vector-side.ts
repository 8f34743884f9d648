/**
 * The vector side of a search, as a funnel: all chunks by one bit a coordinate, the best of them by two, the best of
 * those by their vectors themselves. Few chunks begin further down.
 */

import type { Database } from 'bun:sqlite';
import { BestSlots, type CompareSlots } from '../best-slots.ts';
import type { BlockPool } from './block-pool.ts';
import { toInner } from './codes.ts';
import { createEstimator } from './estimator.ts';
import { countSlots, type LoadedStore, type SlotRange, toSlots } from './loaded-store.ts';
import { toFloats } from './pieces.ts';
import { toChunkId } from './schema.ts';

/** Fewer chunks are not estimated at all. */
export const SCANNED_MIN = 512;
/** Vectors are read some at a time, the most promising first. */
const EXACT_STEP = 32;
/** How many times the usual error of an estimate a chunk may be behind, and still be looked at. */
const ERRORS_MAX = 2.5;

/** What the vector side has found for one question. */
export interface VectorMatches {
  /** The best chunks: the first of those that are wanted rightly so, the others by their estimates. */
  readonly candidates: readonly number[];
  /** Exact, of the chunks that were looked at. */
  readonly cosines: ReadonlyMap<number, number>;
  /** At most what the cosine of each of these chunks is likely to be; 1 where nothing is known. Slots ascend. */
  boundCosines(slots: readonly number[]): readonly number[];
}

export interface VectorSide {
  /**
   * Looks among the ranges for `depth` candidates, of which the first `wanted` are to be right. Where there are
   * `SCANNED_MIN` chunks, their codes must be loaded.
   */
  find(
    store: LoadedStore,
    ranges: readonly SlotRange[],
    query: Float32Array,
    wanted: number,
    depth: number,
    compare: CompareSlots,
  ): VectorMatches;
  /** The cosine of one chunk, or null where it has no vector. */
  compareOne(store: LoadedStore, slot: number, query: Float32Array): number | null;
}

export function createVectorSide(database: Database, pool: BlockPool): VectorSide {
  // As plain values: objects would cost half as much again, some hundred times a search.
  const readVector = database.prepare<unknown, [number]>('SELECT vector FROM vectors WHERE id = ?');
  const estimator = createEstimator(database, pool);

  const compareOne = (store: LoadedStore, slot: number, query: Float32Array): number | null => {
    const version = store.findVersion(slot);
    const bytes = readVector.values(toChunkId(version.id, slot - version.slot))[0]?.[0];
    if (!(bytes instanceof Uint8Array)) return null;
    return Math.max(-1, Math.min(1, toInner(query, toFloats(bytes))));
  };

  /** Few chunks: all of them are compared. */
  const compareAll = (
    store: LoadedStore,
    ranges: readonly SlotRange[],
    query: Float32Array,
    depth: number,
    compare: CompareSlots,
  ): VectorMatches => {
    const cosines = new Map<number, number>();
    const best = new BestSlots(depth, compare);
    for (const slot of toSlots(ranges)) {
      const cosine = compareOne(store, slot, query);
      if (cosine === null) continue;
      cosines.set(slot, cosine);
      best.offer(slot, cosine);
    }
    return { candidates: best.toSlots(), cosines, boundCosines: (slots) => slots.map(() => 1) };
  };

  return {
    compareOne,
    find(store, ranges, query, wanted, depth, compare) {
      if (countSlots(ranges) < SCANNED_MIN) return compareAll(store, ranges, query, depth, compare);
      const estimate = estimator.begin(store, query);
      const promising = estimate.findBest(ranges);
      const cosines = new Map<number, number>();
      const best = new BestSlots(wanted, compare);
      let squares = 0;
      let margin = Number.POSITIVE_INFINITY;
      // Until none of the others is likely to be among the best.
      for (let start = 0; start < promising.length; start += EXACT_STEP) {
        if ((promising[start]?.estimate ?? 0) + margin < best.bound) break;
        const step = promising.slice(start, start + EXACT_STEP);
        // In the order of the file, as far as slots are.
        for (const { slot, estimate } of step.sort((a, b) => a.slot - b.slot)) {
          const cosine = compareOne(store, slot, query);
          if (cosine === null) continue;
          squares += (cosine - estimate) ** 2;
          cosines.set(slot, cosine);
          best.offer(slot, cosine);
        }
        margin = ERRORS_MAX * Math.sqrt(squares / Math.max(1, cosines.size));
      }
      const leading = new BestSlots(depth, compare);
      for (const { slot, estimate } of promising) leading.offer(slot, cosines.get(slot) ?? estimate);
      return {
        candidates: leading.toSlots(),
        cosines,
        boundCosines: (slots) => estimate.estimateSlots(slots).map((value) => Math.min(1, value + margin)),
      };
    },
  };
}
