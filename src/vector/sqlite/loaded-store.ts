/**
 * What a process knows of a store that it has searched: its files, the lengths of its chunks, where their postings are,
 * and codes where there are enough chunks to need them. Each chunk has a *slot*, its place in all of these.
 */

import type { AttributeFilter, Attributes } from '../attribute-filter.ts';
import { matchesFilter } from '../attribute-filter.ts';
import { BLOCK_BYTES, type BlockLayout, type BlockPool, toBlockLayout } from './block-pool.ts';
import { toPlaneBytes } from './codes.ts';

export interface LoadedVersion {
  readonly id: number;
  readonly file: string;
  attributes: Attributes;
  readonly languages: readonly string[];
  readonly chunks: number;
  readonly words: number;
  /** Of its first chunk; the others follow. */
  readonly slot: number;
}

/** Codes that are read at once. */
export interface LoadedPiece {
  /** The row's id. */
  readonly id: number;
  readonly count: number;
  readonly centre: number | null;
  readonly slot: number;
}

export interface LoadedSegment {
  readonly id: number;
  readonly directory: readonly string[];
  /** The slot of each of its chunks; -1 for those that are not findable. */
  readonly slots: Int32Array;
  /** Whether every chunk has a slot. */
  readonly isWhole: boolean;
  /** Whether some chunks belong to versions that may be published later. */
  readonly isPending: boolean;
}

/** Slots from `from` to `to`, exclusive. */
export interface SlotRange {
  readonly from: number;
  readonly to: number;
}

/** What a version, a piece, a term of a directory take beside what can be counted. */
const OBJECT_BYTES = 200;
/** Slots that may be of chunks that are gone, beside as many as there are others. */
const GONE_SLOTS_KEPT = 4096;

export class LoadedStore {
  readonly id: number;
  /** Everything that was published up to this revision is here. */
  revision = 0;
  /** The revision of the last removal that was looked at. */
  removals = 0;
  dimensions: number | null = null;
  readonly versions = new Map<number, LoadedVersion>();
  readonly segments = new Map<number, LoadedSegment>();
  readonly pieces: LoadedPiece[] = [];
  /** Of the pieces, from the first on, those whose codes are in the blocks. */
  piecesCoded = 0;
  /** Words of each slot's chunk. */
  lengths = new Uint32Array(64);
  slots = 0;
  /** Of what is findable. */
  chunks = 0;
  words = 0;
  readonly blocks: number[] = [];
  layout: BlockLayout | null = null;
  planeBytes = 0;
  private readonly pool: BlockPool;
  /** In the order of their slots, those that are gone too. */
  private readonly bySlot: LoadedVersion[] = [];
  private objects = 0;
  private allRanges: readonly SlotRange[] | null = null;

  constructor(id: number, pool: BlockPool) {
    this.id = id;
    this.pool = pool;
  }

  /** What it takes in memory. */
  get bytes(): number {
    let bytes =
      OBJECT_BYTES * (1 + this.objects) + 4 * this.lengths.length + BLOCK_BYTES * this.blocks.length;
    for (const { slots, directory } of this.segments.values()) {
      bytes += 4 * slots.length + 40 * directory.length + OBJECT_BYTES;
    }
    return bytes;
  }

  /** Whether so much of it is gone that it is better loaded anew. */
  get isWorn(): boolean {
    return this.slots - this.chunks > this.chunks + GONE_SLOTS_KEPT;
  }

  /** `pieces` are those of the version, in order, with the lengths of their chunks. */
  addVersion(
    version: Omit<LoadedVersion, 'slot'>,
    pieces: readonly { readonly id: number; readonly centre: number | null; readonly lengths: Uint32Array }[],
  ): void {
    const loaded: LoadedVersion = { ...version, slot: this.slots };
    this.versions.set(version.id, loaded);
    this.bySlot.push(loaded);
    this.reserveLengths(this.slots + version.chunks);
    let slot = this.slots;
    for (const { id, centre, lengths } of pieces) {
      this.lengths.set(lengths, slot);
      this.pieces.push({ id, count: lengths.length, centre, slot });
      slot += lengths.length;
    }
    this.slots += version.chunks;
    this.chunks += version.chunks;
    this.words += version.words;
    this.objects += 1 + pieces.length;
    this.allRanges = null;
  }

  /** Takes versions out, and their chunks out of the segments. */
  removeVersions(ids: readonly number[]): void {
    const isGone = new Uint8Array(this.slots);
    let isAnyGone = false;
    for (const id of ids) {
      const version = this.versions.get(id);
      if (version === undefined) continue;
      this.versions.delete(id);
      this.chunks -= version.chunks;
      this.words -= version.words;
      isGone.fill(1, version.slot, version.slot + version.chunks);
      isAnyGone = true;
    }
    if (!isAnyGone) return;
    this.allRanges = null;
    for (const segment of [...this.segments.values()]) {
      if (takeOut(segment.slots, isGone)) this.segments.set(segment.id, { ...segment, isWhole: false });
    }
  }

  /** Whose chunk a slot is. */
  findVersion(slot: number): LoadedVersion {
    let low = 0;
    let high = this.bySlot.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.bySlot[middle]?.slot ?? 0) <= slot) low = middle;
      else high = middle - 1;
    }
    const version = this.bySlot[low];
    if (version === undefined) throw new Error(`The slot ${slot} is nobody's.`);
    return version;
  }

  /** Slots of the files that pass, in ascending order; neighbours are joined. */
  findRanges(filter: AttributeFilter | null): readonly SlotRange[] {
    if (filter === null && this.allRanges !== null) return this.allRanges;
    const ranges: { from: number; to: number }[] = [];
    for (const { slot, chunks, attributes } of this.versions.values()) {
      if (filter !== null && !matchesFilter(filter, attributes)) continue;
      const last = ranges.at(-1);
      if (last?.to === slot) last.to += chunks;
      else ranges.push({ from: slot, to: slot + chunks });
    }
    if (filter === null) this.allRanges = ranges;
    return ranges;
  }

  /** Blocks for all slots. */
  reserveBlocks(dimensions: number): BlockLayout {
    this.planeBytes = toPlaneBytes(dimensions);
    this.layout ??= toBlockLayout(this.planeBytes);
    const wanted = Math.ceil(this.slots / this.layout.slots);
    while (this.blocks.length < wanted) this.blocks.push(this.pool.allocate());
    return this.layout;
  }

  /** Gives its memory back. It may not be used afterwards. */
  release(): void {
    for (const block of this.blocks) this.pool.free(block);
    this.blocks.length = 0;
  }

  private reserveLengths(count: number): void {
    if (count <= this.lengths.length) return;
    const larger = new Uint32Array(Math.max(count, Math.ceil(1.5 * this.lengths.length)));
    larger.set(this.lengths);
    this.lengths = larger;
  }
}

/** Answers whether there were any. */
function takeOut(slots: Int32Array, isGone: Uint8Array): boolean {
  let isFound = false;
  for (let i = 0; i < slots.length; i += 1) {
    const slot = slots[i] ?? -1;
    if (slot < 0 || isGone[slot] !== 1) continue;
    slots[i] = -1;
    isFound = true;
  }
  return isFound;
}

export function countSlots(ranges: readonly SlotRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** Each slot of the ranges. */
export function toSlots(ranges: readonly SlotRange[]): Int32Array {
  const slots = new Int32Array(countSlots(ranges));
  let next = 0;
  for (const { from, to } of ranges) for (let slot = from; slot < to; slot += 1) slots[next++] = slot;
  return slots;
}
