/**
 * What can be found in a store, in memory: its files and where their chunks lie. Each chunk has a *slot*, a number that stays
 * its own as long as the *lineage* does: what comes is added behind, and a removal begins a new lineage.
 */

import type { CqlRow } from '../../cassandra/session.ts';
import { type AttributeFilter, type Attributes, matchesFilter } from '../attribute-filter.ts';
import type { CompareSlots } from '../best-slots.ts';
import type { IndexStatistics } from '../vector-index.ts';
import { toIntegers, toNumber, toText, toTextOrNull } from './columns.ts';
import { BUCKET_CHUNKS } from './schema.ts';
import type { StoreState } from './state-rows.ts';

export interface LoadedFile {
  readonly file: string;
  readonly version: string;
  readonly attributes: Attributes;
  readonly languages: readonly string[];
  readonly chunks: number;
  /** Of all its chunks. */
  readonly words: number;
  /** Of each bucket. */
  readonly shards: readonly number[];
  /** The store's revision when it was published. */
  readonly published: number;
  /** Of its first chunk. */
  readonly slot: number;
}

/** Slots, `to` exclusive. */
export interface SlotRange {
  readonly from: number;
  readonly to: number;
}

/** One state of a store; never changed. */
export interface LoadedStore {
  readonly lineage: symbol;
  readonly revision: number;
  readonly dimensions: number | null;
  readonly vectors: number;
  readonly vectorSum: Float64Array | null;
  /** By slot. */
  readonly files: readonly LoadedFile[];
  readonly byVersion: ReadonlyMap<string, LoadedFile>;
  /** Chunks, and words of all of them. */
  readonly chunks: number;
  readonly words: number;
  /** Chunks in each shard. */
  readonly shardChunks: readonly number[];
}

/** The columns that a row is made from. */
export const LOADED_COLUMNS =
  'file, version, chunks, words, shards, attributes, languages, published, changed';

type UnplacedFile = Omit<LoadedFile, 'slot'>;

/** Null for a file of which nothing is published. */
export function toLoadedFile(row: CqlRow): UnplacedFile | null {
  const version = toTextOrNull(row.version);
  if (version === null) return null;
  return {
    ...{ file: toText(row.file), version },
    attributes: JSON.parse(toText(row.attributes)) as Attributes,
    languages: JSON.parse(toText(row.languages)) as string[],
    chunks: toNumber(row.chunks),
    words: toNumber(row.words),
    shards: toIntegers(row.shards),
    published: toNumber(row.published),
  };
}

/** A new lineage. */
export function createLoadedStore(state: StoreState, files: readonly UnplacedFile[]): LoadedStore {
  return place(Symbol('lineage'), state, files);
}

/** Brings changed files in; null where one of them has taken the place of another version. */
export function advanceLoadedStore(
  before: LoadedStore,
  state: StoreState,
  changed: readonly UnplacedFile[],
): LoadedStore | null {
  const known = new Map(before.files.map((file, index) => [file.file, index]));
  const files: UnplacedFile[] = [...before.files];
  for (const file of changed) {
    const index = known.get(file.file);
    if (index === undefined) files.push(file);
    else if (files[index]?.version === file.version) files[index] = file;
    else return null;
  }
  return place(before.lineage, state, files);
}

function place(lineage: symbol, state: StoreState, unplaced: readonly UnplacedFile[]): LoadedStore {
  let slot = 0;
  let words = 0;
  const shardChunks: number[] = [];
  const files = unplaced.map((file): LoadedFile => {
    const placed = { ...file, slot };
    slot += file.chunks;
    words += file.words;
    for (const [bucket, shard] of file.shards.entries()) {
      while (shardChunks.length <= shard) shardChunks.push(0);
      const chunks = Math.min(BUCKET_CHUNKS, file.chunks - bucket * BUCKET_CHUNKS);
      shardChunks[shard] = (shardChunks[shard] ?? 0) + chunks;
    }
    return placed;
  });
  return {
    ...{ lineage, files, words, shardChunks, chunks: slot },
    ...{ revision: state.revision ?? 0, dimensions: state.dimensions },
    ...{ vectors: state.vectors, vectorSum: state.vectorSum },
    byVersion: new Map(files.map((file) => [file.version, file])),
  };
}

/** The file that has a slot. */
export function findFile({ files }: LoadedStore, slot: number): LoadedFile {
  let low = 0;
  let high = files.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((files[middle]?.slot ?? 0) <= slot) low = middle;
    else high = middle - 1;
  }
  const found = files[low];
  if (found === undefined) throw new Error('A slot has no file.');
  return found;
}

/** Slots of the files that pass. */
export function findRanges(
  { files, chunks }: LoadedStore,
  filter: AttributeFilter | null,
): readonly SlotRange[] {
  if (filter === null) return chunks === 0 ? [] : [{ from: 0, to: chunks }];
  return files
    .filter(({ attributes }) => matchesFilter(filter, attributes))
    .map((file) => ({ from: file.slot, to: file.slot + file.chunks }));
}

export function countSlots(ranges: readonly SlotRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** By file, then by position: the order among equals. */
export function createComparison(store: LoadedStore): CompareSlots {
  return (a, b) => {
    const fileA = findFile(store, a).file;
    const fileB = findFile(store, b).file;
    if (fileA === fileB) return a - b;
    return fileA < fileB ? -1 : 1;
  };
}

export function toStatistics({ files, chunks, dimensions }: LoadedStore): IndexStatistics {
  const counts = new Map<string, number>();
  for (const file of files) {
    for (const language of file.languages) counts.set(language, (counts.get(language) ?? 0) + file.chunks);
  }
  const languages = [...counts]
    .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
    .map(([language]) => language);
  // Before the first file can be found, there is nothing to say of vectors either.
  return { chunks, dimensions: chunks > 0 ? dimensions : null, languages };
}
