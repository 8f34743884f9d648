/**
 * Merges small segments to larger ones, so that a question reads few of them however many files the store has. Segments
 * of like size wait until there are enough of them; so each posting is written again a few times at most.
 *
 * A merge takes many steps, each bounded. Another process may remove files meanwhile: then their numbers stay without
 * a member. A process that dies leaves a building segment behind, which counts as dead after a while.
 */

import type { Clock } from '../../clock.ts';
import { StoreError } from '../../store/store.ts';
import { type MergeInput, mergeEntries } from './merge-entries.ts';
import type { PostingsBlock } from './postings.ts';
import type { Job } from './scheduler.ts';
import type { Member, SegmentRow, Segments } from './segments.ts';
import type { Stores } from './stores.ts';

/** So many segments of like size are merged to one. */
const MERGED_MIN = 8;
/** Each tier has segments of so many times as many chunks as the one below. */
const TIER_FACTOR = 8;
/** Chunks of the lowest tier. */
const TIER_CHUNKS = 64;
/** Segments that one merge takes at most. */
const MERGED_MAX = 16;
/** Larger ones are left as they are. */
const CHUNKS_MAX = 2 ** 21;
/** A segment of which more than this part is gone is written anew. */
const GONE_PART_MAX = 0.5;
const MEMBERS_PER_STEP = 512;
/** A building segment that nobody has worked at for so long was left behind. */
const ABANDONED_MS = 60_000;

export interface MergingDeps {
  readonly stores: Stores;
  readonly segments: Segments;
  readonly clock: Clock;
  readonly onMerged: (count: number) => void;
}

export interface Merging {
  /** The store may have segments to merge. */
  wake(store: number): void;
  /** The next step, or null where there is nothing to merge. */
  next(): Job | null;
}

export function createMerging(deps: MergingDeps): Merging {
  const waiting = new Set<number>();
  let current: Merge | null = null;

  const choose = (): Merge | null => {
    for (const store of waiting) {
      const chosen = chooseSegments(deps.segments.list(store));
      const isTaken = isBuilding(deps, store);
      if (chosen.length > 0 && !isTaken) return startMerge(deps, store, chosen);
      waiting.delete(store);
    }
    return null;
  };

  return {
    wake: (store) => void waiting.add(store),
    next() {
      current ??= choose();
      if (current === null) return null;
      const merge = current;
      const leave = (): void => {
        if (current === merge) current = null;
      };
      const step = merge.prepareStep();
      if (step === null) {
        leave();
        return { weight: 0, apply: () => false, finish() {}, refuse() {} };
      }
      return {
        weight: step.weight,
        apply() {
          step.apply();
          return false;
        },
        finish() {
          merge.settle();
          if (merge.isAtEnd()) leave();
        },
        refuse: leave,
      };
    },
  };
}

/** Whether another process, or this one before, is at a merge of the store. */
function isBuilding({ segments, clock }: MergingDeps, store: number): boolean {
  const touched = segments.readBuilding(store);
  return touched !== null && clock.nowMs() - touched < ABANDONED_MS;
}

/** Of the lowest tier that has enough of them; or one of which much is gone. */
export function chooseSegments(rows: readonly SegmentRow[]): readonly SegmentRow[] {
  const tiers = new Map<number, SegmentRow[]>();
  for (const row of rows) {
    if (row.alive > CHUNKS_MAX) continue;
    const tier = toTier(row.alive);
    tiers.set(tier, [...(tiers.get(tier) ?? []), row]);
  }
  for (const tier of [...tiers.keys()].sort((a, b) => a - b)) {
    const found = tiers.get(tier) ?? [];
    if (found.length >= MERGED_MIN) return found.slice(0, MERGED_MAX);
  }
  return rows.filter(({ chunks, alive }) => chunks - alive > chunks * GONE_PART_MAX).slice(0, 1);
}

function toTier(chunks: number): number {
  let tier = 0;
  for (let bound = TIER_CHUNKS; chunks >= bound; bound *= TIER_FACTOR) tier += 1;
  return tier;
}

interface MergeStep {
  readonly weight: number;
  apply(): void;
}

interface Merge {
  /** Computes the next step; null where the merge cannot go on. */
  prepareStep(): MergeStep | null;
  /** The step is committed. */
  settle(): void;
  isAtEnd(): boolean;
}

/** Reads what is there now. Nothing is written before the first step. */
function startMerge(
  { stores, segments, clock, onMerged }: MergingDeps,
  store: number,
  rows: readonly SegmentRow[],
): Merge {
  const members: Member[] = [];
  const inputs = rows.map((row) => toInput(segments, row, members));
  const chunks = members.reduce((sum, { count }) => sum + count, 0);
  const entries = mergeEntries(segments, inputs);
  const directory: string[] = [];
  let segment: number | null = null;
  let membersWritten = 0;
  let blocksWritten = 0;
  let isRead = false;
  let isAtEnd = false;
  /** What the step under way does once it is committed. */
  let onSettled = (): void => undefined;

  const work = (weight: number, apply: () => void, settled: () => void): MergeStep => ({
    weight,
    apply() {
      if (segment !== null && !segments.touch(segment, clock.nowMs())) {
        throw new StoreError('unavailable', 'The merge was given up.');
      }
      apply();
      onSettled = settled;
    },
  });

  const begin = (): MergeStep => {
    let made = 0;
    return work(
      0,
      () => {
        // Between the choice and this transaction another process may have begun.
        if (stores.findById(store) === null || segments.readBuilding(store) !== null) {
          if (isBuilding({ segments, clock, stores, onMerged }, store)) {
            throw new StoreError('unavailable', 'Another process merges.');
          }
          segments.killBuilding(store);
        }
        made = segments.begin(store, chunks, clock.nowMs());
      },
      () => {
        segment = made;
      },
    );
  };

  const writeMembers = (target: number): MergeStep => {
    const some = members.slice(membersWritten, membersWritten + MEMBERS_PER_STEP);
    return work(
      some.length * 64,
      () => segments.insertMembers(target, some),
      () => {
        membersWritten += some.length;
      },
    );
  };

  const writeBlocks = (target: number, blocks: readonly PostingsBlock[]): MergeStep =>
    work(
      blocks.reduce((sum, { bytes }) => sum + bytes.length, 0),
      () => segments.appendBlocks(target, blocksWritten, blocks),
      () => {
        blocksWritten += blocks.length;
        for (const { first } of blocks) directory.push(first);
      },
    );

  const complete = (target: number): MergeStep =>
    work(
      0,
      () => {
        const replaced = inputs.map((input) => input.segment);
        segments.replace(target, directory, replaced);
        stores.revise(store, false);
      },
      () => {
        isAtEnd = true;
        onMerged(inputs.length);
      },
    );

  return {
    prepareStep() {
      if (segment === null) return begin();
      if (membersWritten < members.length) return writeMembers(segment);
      if (isRead) return complete(segment);
      const next = entries.next();
      if (next.done === true) {
        if (!next.value) return null;
        isRead = true;
        return complete(segment);
      }
      return writeBlocks(segment, next.value);
    },
    settle: () => onSettled(),
    isAtEnd: () => isAtEnd,
  };
}

/** Adds the members as the output has them. */
function toInput(segments: Segments, { id, chunks }: SegmentRow, members: Member[]): MergeInput {
  const numbers = new Int32Array(chunks).fill(-1);
  const last = members.at(-1);
  let next = last === undefined ? 0 : last.base + last.count;
  for (const member of segments.readMembers(id)) {
    for (let i = 0; i < member.count; i += 1) numbers[member.base + i] = next + i;
    members.push({ ...member, base: next });
    next += member.count;
  }
  return { segment: id, numbers };
}
