/**
 * The vector side of a search. Few chunks are compared one and all, in memory where they belong to a small store; of many
 * the server's index names the nearest of each shard, with cosines that are exact. What is not published, or does not pass the filter, is passed over: where too
 * little is left the index is asked for more, and in the end all are compared.
 */

import { BestSlots, type CompareSlots } from '../best-slots.ts';
import type { IndexScope } from '../vector-index.ts';
import { countSlots, findFile, type LoadedStore, type SlotRange } from './loaded-store.ts';
import { fromVectorId, toBucket, toVectorId } from './schema.ts';
import { forEachBounded } from './turns.ts';
import { compareVectors, type VectorCache } from './vector-cache.ts';
import {
  NEAREST_MAX,
  type ShardScope,
  toVectorBytes,
  type VectorMatch,
  type VectorRows,
} from './vector-rows.ts';

export interface VectorMatches {
  readonly candidates: readonly number[];
  /** Of all chunks that were looked at. */
  readonly cosines: ReadonlyMap<number, number>;
  /** At most what the others are likely to have; null where all that pass and have a vector were looked at. */
  readonly bound: number | null;
}

export interface VectorQuestion {
  readonly scope: IndexScope;
  readonly store: LoadedStore;
  readonly vector: Float32Array;
  readonly dimensions: number;
}

export interface VectorLimits {
  /** Hits. */
  readonly wanted: number;
  /** Candidates, at most. */
  readonly depth: number;
  /** Whether no other side has a say: then candidates far behind the hits are of no use. */
  readonly isAlone: boolean;
}

export interface VectorSide {
  /** The nearest among the ranges: as many as matter for the wanted hits, more where they come at no cost. */
  find(
    question: VectorQuestion,
    ranges: readonly SlotRange[],
    limits: VectorLimits,
    compare: CompareSlots,
  ): Promise<VectorMatches>;
  /** The cosines of these chunks; those without a vector are left out. */
  compareMany(question: VectorQuestion, slots: readonly number[]): Promise<ReadonlyMap<number, number>>;
}

/** So many chunks are compared one and all: that is exact, and costs no more than asking the index. */
export const EXACT_CHUNKS_DEFAULT = 2000;
const SHARDS_AT_ONCE = 4;
/** What the index is asked for costs in proportion. */
const LIMIT_GROWTH = 4;
/** The index misses less where it is asked for more. */
const ALONE_SLACK = 1.5;
/** The best are not spread evenly among shards. */
const SHARD_SLACK = 1.5;
/** More than what the filter lets through on average. */
const FILTER_SLACK = 1.5;
/** The index is approximate, and may have missed one that is a little nearer than its last. */
const INDEX_ERROR = 0.02;
/** The least that must be left of what the index has named, before all are compared. */
const SURVIVORS_MIN = 50;
const SURVIVORS_PER_WANTED = 4;

interface Nearest {
  readonly matches: ReadonlyMap<number, number>;
  /** The least cosine that the index has named, where it may have named more. */
  readonly end: number;
}

export function createVectorSide(rows: VectorRows, cache: VectorCache, exactChunksMax: number): VectorSide {
  const compareMany: VectorSide['compareMany'] = async ({ scope, store, vector, dimensions }, slots) => {
    const bytes = toVectorBytes(vector, dimensions);
    const idsByShard = new Map<number, string[]>();
    for (const slot of slots) {
      const file = findFile(store, slot);
      const position = slot - file.slot;
      const shard = file.shards[toBucket(position)] ?? 0;
      const ids = idsByShard.get(shard) ?? [];
      idsByShard.set(shard, ids);
      ids.push(toVectorId(file.version, position));
    }
    const cosines = new Map<number, number>();
    await forEachBounded(idsByShard, SHARDS_AT_ONCE, async ([shard, ids]) => {
      addMatches(cosines, store, await rows.compareMany({ ...scope, dimensions, shard }, bytes, ids));
    });
    return cosines;
  };

  /** Compares all chunks of the shards that pass. */
  const scan = async (
    { scope, store, vector, dimensions }: VectorQuestion,
    isAllowed: (slot: number) => boolean,
    shards: Iterable<number>,
  ): Promise<Map<number, number>> => {
    const bytes = toVectorBytes(vector, dimensions);
    const cosines = new Map<number, number>();
    await forEachBounded(shards, SHARDS_AT_ONCE, async (shard) => {
      for await (const page of rows.compareAll({ ...scope, dimensions, shard }, bytes)) {
        addMatches(cosines, store, page, isAllowed);
      }
    });
    return cosines;
  };

  /** A small store: all of it is compared, and what does not pass is left out. */
  const compareStore = async (
    question: VectorQuestion,
    ranges: readonly SlotRange[],
  ): Promise<ReadonlyMap<number, number>> => {
    const { scope, store, vector, dimensions } = question;
    const isAllowed = createMembership(store, ranges);
    const versions = await cache.read(scope, store, dimensions);
    if (versions === null) return await scan(question, isAllowed, store.shardChunks.keys());
    const cosines = new Map<number, number>();
    for (const { slot, version } of store.files) {
      const vectors = versions.get(version);
      if (vectors === undefined || !isAllowed(slot)) continue;
      compareVectors(vectors, vector, (position, cosine) => cosines.set(slot + position, cosine));
    }
    return cosines;
  };

  const askIndex = async (
    shard: ShardScope,
    { store, vector }: VectorQuestion,
    limit: number,
    isAllowed: (slot: number) => boolean,
  ): Promise<Nearest> => {
    const named = await rows.findNearest(shard, toVectorBytes(vector, shard.dimensions), limit);
    const matches = new Map<number, number>();
    addMatches(matches, store, named, isAllowed);
    return { matches, end: named.length < limit ? Number.NEGATIVE_INFINITY : (named.at(-1)?.cosine ?? -1) };
  };

  const findByIndex = async (
    question: VectorQuestion,
    ranges: readonly SlotRange[],
    { wanted, depth, isAlone }: VectorLimits,
  ): Promise<Omit<VectorMatches, 'candidates'>> => {
    const { scope, store, dimensions } = question;
    const isAllowed = createMembership(store, ranges);
    const enough = Math.min(depth, Math.max(SURVIVORS_MIN, SURVIVORS_PER_WANTED * wanted));
    // So many of each shard that the best `enough` of all are among them, and mostly `depth` altogether.
    const ofShard = Math.ceil((SHARD_SLACK * depth) / store.shardChunks.length);
    const few = Math.min(depth, Math.ceil(ALONE_SLACK * enough));
    const least = isAlone ? few : Math.min(depth, Math.max(enough, ofShard));
    const share = countSlots(ranges) / store.chunks;
    let limit = Math.min(NEAREST_MAX, Math.ceil(share < 1 ? (FILTER_SLACK * least) / share : least));
    const shards = new Map<number, Nearest>();
    let short: readonly number[] = [...store.shardChunks.keys()];
    for (;;) {
      const asked = limit;
      await forEachBounded(short, SHARDS_AT_ONCE, async (shard) => {
        shards.set(shard, await askIndex({ ...scope, dimensions, shard }, question, asked, isAllowed));
      });
      short = findShort(shards, enough);
      if (short.length === 0 || limit === NEAREST_MAX) break;
      limit = Math.min(NEAREST_MAX, LIMIT_GROWTH * limit);
    }
    const cosines = short.length > 0 ? await scan(question, isAllowed, short) : new Map<number, number>();
    let bound = -1;
    for (const { matches, end } of shards.values()) {
      bound = Math.max(bound, end + INDEX_ERROR);
      for (const [slot, cosine] of matches) cosines.set(slot, cosine);
    }
    return { cosines, bound: Math.min(1, bound) };
  };

  return {
    compareMany,
    async find(question, ranges, limits, compare) {
      const { store } = question;
      const count = countSlots(ranges);
      const found =
        store.chunks <= exactChunksMax
          ? await compareStore(question, ranges)
          : count <= exactChunksMax
            ? await compareMany(question, toSlots(ranges))
            : null;
      const { cosines, bound } =
        found === null ? await findByIndex(question, ranges, limits) : { cosines: found, bound: null };
      const best = new BestSlots(limits.depth, compare);
      for (const [slot, cosine] of cosines) best.offer(slot, cosine);
      return { candidates: best.toSlots(), cosines, bound };
    },
  };
}

/** Shards whose next vectors might belong to the best `count` of all. */
function findShort(shards: ReadonlyMap<number, Nearest>, count: number): readonly number[] {
  const all = [...shards.values()].flatMap(({ matches }) => [...matches.values()]).sort((a, b) => b - a);
  const least = all[count - 1] ?? Number.NEGATIVE_INFINITY;
  return [...shards].filter(([, { end }]) => end > least).map(([shard]) => shard);
}

function addMatches(
  cosines: Map<number, number>,
  store: LoadedStore,
  matches: readonly VectorMatch[],
  isAllowed?: (slot: number) => boolean,
): void {
  for (const { id, cosine } of matches) {
    const { version, position } = fromVectorId(id);
    const file = store.byVersion.get(version);
    // Staged, or on its way out.
    if (file === undefined || position >= file.chunks) continue;
    const slot = file.slot + position;
    if (isAllowed === undefined || isAllowed(slot)) cosines.set(slot, cosine);
  }
}

function createMembership(store: LoadedStore, ranges: readonly SlotRange[]): (slot: number) => boolean {
  if (countSlots(ranges) === store.chunks) return () => true;
  const starts = new Set(ranges.map(({ from }) => from));
  // A filter passes whole files, whose first slots these are.
  return (slot) => starts.has(findFile(store, slot).slot);
}

function toSlots(ranges: readonly SlotRange[]): readonly number[] {
  return ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, at) => from + at));
}
