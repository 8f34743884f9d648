/**
 * Estimates of cosines for one question, from the codes of a store: of all chunks from their upper bits, of the best of
 * them from both.
 */

import type { Database } from 'bun:sqlite';
import { type BlockPool, LIST_MAX } from './block-pool.ts';
import { createCoders } from './centres.ts';
import type { CodedQuery } from './codes.ts';
import { countSlots, type LoadedPiece, type LoadedStore, type SlotRange, toSlots } from './loaded-store.ts';
import { toFloats } from './pieces.ts';
import { findBestEstimates } from './selection.ts';

/** Chunks whose second bits count: one in so many, within bounds. */
const FINE_PART = 25;
const FINE_MIN = 4096;
const FINE_MAX = 16_384;
/** Chunks whose vectors themselves are read, where estimates leave open which are the best. */
const EXACT_MAX = 1024;
export interface Estimate {
  readonly slot: number;
  readonly estimate: number;
}

/** The slots at these positions of the ranges, counted from their beginning, ascending. */
function toSlotsAt(ranges: readonly SlotRange[], positions: Int32Array): Int32Array {
  const slots = new Int32Array(positions.length);
  let passed = 0;
  let next = 0;
  for (const { from, to } of ranges) {
    for (; next < positions.length && (positions[next] ?? 0) < passed + to - from; next += 1) {
      slots[next] = from + (positions[next] ?? 0) - passed;
    }
    passed += to - from;
  }
  return slots;
}

/** A query, coded against one of the store's centres, in the kernel's memory. */
interface PlacedQuery extends CodedQuery {
  readonly place: number;
}

export function createEstimator(database: Database, pool: BlockPool) {
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

  /** Estimates from both planes, for slots in ascending order. */
  const estimateFinely = (
    store: LoadedStore,
    slots: Int32Array,
    place: (centre: number) => PlacedQuery,
  ): void => {
    let piece = 0;
    for (let from = 0; from < slots.length; ) {
      // Slots ascend, and so do the pieces.
      piece = skipPieces(store.pieces, piece, slots[from] ?? 0);
      const centre = store.pieces[piece]?.centre ?? null;
      let to = from + 1;
      let last = piece;
      while (to < slots.length && to - from < LIST_MAX / 2) {
        last = skipPieces(store.pieces, last, slots[to] ?? 0);
        if ((store.pieces[last]?.centre ?? null) !== centre) break;
        to += 1;
      }
      if (centre === null) estimates.fill(Number.NEGATIVE_INFINITY, from, to);
      else estimateSome(pool, store, slots.subarray(from, to), place(centre), estimates.subarray(from, to));
      from = to;
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
          const fine = Math.min(FINE_MAX, Math.max(FINE_MIN, Math.ceil(total / FINE_PART)));
          if (total > fine) estimateCoarsely(store, ranges, place);
          const slots =
            total > fine ? toSlotsAt(ranges, findBestEstimates(estimates, total, fine)) : toSlots(ranges);
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

/** The piece of a slot, at or behind this one. */
function skipPieces(pieces: readonly LoadedPiece[], from: number, slot: number): number {
  let at = from;
  while (at + 1 < pieces.length && slot >= (pieces[at + 1]?.slot ?? 0)) at += 1;
  return at;
}

/** At most half as many slots as the list has places. */
function estimateSome(
  pool: BlockPool,
  { layout, planeBytes, blocks }: LoadedStore,
  slots: Int32Array,
  query: PlacedQuery,
  estimates: Float32Array,
): void {
  if (layout === null) return;
  const integers = pool.readIntegers();
  const floats = pool.readFloats();
  for (let i = 0; i < slots.length; i += 1) {
    const slot = slots[i] ?? 0;
    const planes = (blocks[Math.floor(slot / layout.slots)] ?? 0) + (slot % layout.slots) * planeBytes;
    integers[pool.list / 4 + 2 * i] = planes + layout.upper;
    integers[pool.list / 4 + 2 * i + 1] = planes + layout.lower;
  }
  pool.kernel.sum(pool.list, 2 * slots.length, planeBytes, query.place, pool.out);
  for (let i = 0; i < slots.length; i += 1) {
    const slot = slots[i] ?? 0;
    const factors = (blocks[Math.floor(slot / layout.slots)] ?? 0) / 4 + (slot % layout.slots);
    const upper = integers[pool.out / 4 + 2 * i] ?? 0;
    const lower = integers[pool.out / 4 + 2 * i + 1] ?? 0;
    const sum = query.step * (2 * lower + 4 * upper - 3 * query.total);
    const offset = floats[factors + layout.offsets / 4] ?? 0;
    estimates[i] = query.base + offset + (floats[factors + layout.fine / 4] ?? 0) * sum;
  }
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
