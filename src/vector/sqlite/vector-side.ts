/**
 * The vector side of a search, as a funnel: all chunks by one bit a coordinate, the best of them by two, the best of
 * those by their vectors themselves. Few chunks begin further down.
 */

import type { Database } from 'bun:sqlite';
import type { BlockPool } from './block-pool.ts';
import { createCoders } from './centres.ts';
import { type CodedQuery, toInner } from './codes.ts';
import type { LoadedPiece, LoadedStore, SlotRange } from './loaded-store.ts';
import { toFloats } from './pieces.ts';
import { toChunkId } from './schema.ts';
import { BestSlots, type CompareSlots, findBestEstimates } from './selection.ts';

/** Fewer chunks are not estimated at all. */
export const SCANNED_MIN = 256;
/** Chunks whose second bits count: one in so many, within bounds. */
const FINE_PART = 25;
const FINE_MIN = 4096;
const FINE_MAX = 16_384;
/** Chunks whose vectors themselves are read, where estimates leave open which are the best. */
const EXACT_MAX = 1024;
/** They are read some at a time, the most promising first. */
const EXACT_STEP = 64;
/** How many times the usual error of an estimate a chunk may be behind, and still be looked at. */
const ERRORS_MAX = 3;

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

export function countSlots(ranges: readonly SlotRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
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

interface Estimate {
  readonly slot: number;
  readonly estimate: number;
}

function toSlots(ranges: readonly SlotRange[]): Int32Array {
  const slots = new Int32Array(countSlots(ranges));
  let next = 0;
  for (const { from, to } of ranges) for (let slot = from; slot < to; slot += 1) slots[next++] = slot;
  return slots;
}

/** A query, coded against one of the store's centres, in the kernel's memory. */
interface PlacedQuery extends CodedQuery {
  readonly place: number;
}

function createEstimator(database: Database, pool: BlockPool) {
  const readCentre = database.prepare<{ centre: Uint8Array }, [number]>(
    'SELECT centre FROM centres WHERE id = ?',
  );
  const coders = createCoders();
  let estimates = new Float32Array(0);

  /** Codes the query against each of the store's centres when it is first met. */
  const createPlacing = (query: Float32Array): ((centre: number) => PlacedQuery) => {
    const coder = coders(query.length);
    const placed = new Map<number, PlacedQuery>();
    let next = pool.queries;
    return (centre) => {
      const known = placed.get(centre);
      if (known !== undefined) return known;
      const row = readCentre.get(centre);
      const coded = coder.encodeQuery(
        query,
        row === null ? new Float32Array(query.length) : toFloats(row.centre),
      );
      if (next + coded.planes.length > pool.queries + pool.queriesBytes) {
        throw new Error('A store has too many centres.');
      }
      pool.readBytes().set(coded.planes, next);
      const result = { ...coded, place: next };
      next += coded.planes.length;
      placed.set(centre, result);
      return result;
    };
  };

  /** Estimates from the upper bits, one behind the other in the order of the ranges. */
  const estimateCoarsely = (
    store: LoadedStore,
    ranges: readonly SlotRange[],
    place: (centre: number) => PlacedQuery,
  ): void => {
    let next = 0;
    for (const { from, to } of ranges) {
      for (const run of toRuns(store.pieces, from, to)) {
        if (run.centre === null) estimates.fill(Number.NEGATIVE_INFINITY, next, next + run.to - run.from);
        else scanRun(pool, store, run.from, run.to, place(run.centre), estimates, next);
        next += run.to - run.from;
      }
    }
  };

  const estimateFinely = (
    store: LoadedStore,
    slots: Int32Array,
    place: (centre: number) => PlacedQuery,
  ): void => {
    const { layout, planeBytes, blocks, pieces } = store;
    if (layout === null) return;
    const floats = pool.readFloats();
    let piece = 0;
    for (let i = 0; i < slots.length; i += 1) {
      const slot = slots[i] ?? 0;
      // Slots ascend, and so do the pieces.
      while (slot >= (pieces[piece]?.slot ?? 0) + (pieces[piece]?.count ?? 1)) piece += 1;
      const centre = pieces[piece]?.centre ?? null;
      if (centre === null) {
        estimates[i] = Number.NEGATIVE_INFINITY;
        continue;
      }
      const query = place(centre);
      const block = blocks[Math.floor(slot / layout.slots)] ?? 0;
      const at = slot % layout.slots;
      const upper = pool.kernel.sum(block + layout.upper + at * planeBytes, planeBytes, query.place);
      const lower = pool.kernel.sum(block + layout.lower + at * planeBytes, planeBytes, query.place);
      const offset = floats[(block + layout.offsets) / 4 + at] ?? 0;
      const fine = floats[(block + layout.fine) / 4 + at] ?? 0;
      estimates[i] = query.base + offset + fine * query.step * (2 * lower + 4 * upper - 3 * query.total);
    }
  };

  const reserve = (count: number): void => {
    if (estimates.length < count) estimates = new Float32Array(Math.ceil(1.25 * count));
  };

  return {
    /** Estimates for one question. */
    begin(store: LoadedStore, query: Float32Array) {
      const place = createPlacing(query);
      return {
        /** Those that are worth an exact look, the most promising first. */
        findBest(ranges: readonly SlotRange[]): Estimate[] {
          const total = countSlots(ranges);
          reserve(total);
          let slots = toSlots(ranges);
          const fine = Math.min(FINE_MAX, Math.max(FINE_MIN, Math.ceil(total / FINE_PART)));
          if (total > fine) {
            estimateCoarsely(store, ranges, place);
            const all = slots;
            slots = findBestEstimates(estimates, total, fine).map((position) => all[position] ?? 0);
          }
          estimateFinely(store, slots, place);
          const best = Array.from(findBestEstimates(estimates, slots.length, EXACT_MAX), (position) => ({
            slot: slots[position] ?? 0,
            estimate: estimates[position] ?? 0,
          }));
          return best.sort((a, b) => b.estimate - a.estimate);
        },
        /** For slots in ascending order. */
        estimateSlots(slots: readonly number[]): number[] {
          reserve(slots.length);
          estimateFinely(store, Int32Array.from(slots), place);
          return Array.from(estimates.subarray(0, slots.length));
        },
      };
    },
  };
}

interface CentreRun extends SlotRange {
  readonly centre: number | null;
}

/** Cuts a range where the centre changes. */
function* toRuns(pieces: readonly LoadedPiece[], from: number, to: number): Generator<CentreRun> {
  let index = findPiece(pieces, from);
  for (let start = from; start < to; ) {
    const centre = pieces[index]?.centre ?? null;
    let end = start;
    while (end < to && (pieces[index]?.centre ?? null) === centre) {
      const piece = pieces[index];
      end = piece === undefined ? to : Math.min(to, piece.slot + piece.count);
      index += 1;
    }
    yield { from: start, to: end, centre };
    start = end;
  }
}

function findPiece(pieces: readonly LoadedPiece[], slot: number): number {
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((pieces[middle]?.slot ?? 0) <= slot) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Scans slots block by block, and copies what the kernel has found out. */
function scanRun(
  pool: BlockPool,
  { layout, planeBytes, blocks }: LoadedStore,
  from: number,
  to: number,
  query: PlacedQuery,
  estimates: Float32Array,
  position: number,
): void {
  if (layout === null) return;
  const floats = pool.readFloats();
  for (let slot = from; slot < to; ) {
    const block = blocks[Math.floor(slot / layout.slots)] ?? 0;
    const at = slot % layout.slots;
    const count = Math.min(to - slot, layout.slots - at);
    pool.kernel.scan(
      block + layout.upper + at * planeBytes,
      count,
      planeBytes,
      query.place,
      pool.out,
      block + layout.offsets + 4 * at,
      block + layout.coarse + 4 * at,
      query.base,
      2 * query.step,
      -query.step * query.total,
    );
    estimates.set(floats.subarray(pool.out / 4, pool.out / 4 + count), position + slot - from);
    slot += count;
  }
}
