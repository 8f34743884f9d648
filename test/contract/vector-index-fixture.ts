/** What every case of the vector index's contract begins with. */

import { afterAll, beforeAll } from 'bun:test';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import type { Attributes } from '../../src/vector/attribute-filter.ts';
import { WEIGHTS_DEFAULT } from '../../src/vector/scoring.ts';
import { encodeTerms } from '../../src/vector/terms.ts';
import type {
  IndexScope,
  NewChunk,
  QueryTerm,
  SearchHit,
  SearchQuery,
  VectorIndex,
} from '../../src/vector/vector-index.ts';

export { expectRefusal } from './store-fixture.ts';

/** One engine's index over storage of its own. */
export interface OpenedIndex {
  readonly index: VectorIndex;
  /** Opens the same storage again: beside the first index, or after it. */
  reopen(): Promise<VectorIndex>;
  /** Closes what is open and removes the storage. */
  close(): Promise<void>;
}

export type OpenIndex = () => Promise<OpenedIndex>;

export interface IndexFixture {
  /** Shared by the cases of one group, which is why each takes a scope of its own. */
  readonly index: VectorIndex;
  readonly opened: OpenedIndex;
  newScope(): IndexScope;
}

/** Opens one index for a group of cases and closes it behind them. Call it inside of `describe`. */
export function useIndex(open: OpenIndex): IndexFixture {
  const ids = createIds(systemClock);
  let opened: OpenedIndex | null = null;
  beforeAll(async () => {
    opened = await open();
  });
  afterAll(async () => {
    await opened?.close();
  });
  const take = (): OpenedIndex => {
    if (opened === null) throw new Error('The index is used before it is open.');
    return opened;
  };
  return {
    get index() {
      return take().index;
    },
    get opened() {
      return take();
    },
    newScope: () => ({ tenant: ids.create('request'), store: ids.create('vector_store') }),
  };
}

export const DIMENSIONS = 3;

/** A vector of unit length. */
export function toVector(...values: readonly number[]): Float32Array {
  const length = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / length);
}

/** A chunk whose words are separated by spaces. */
export function toChunk(
  position: number,
  words: string,
  vector: Float32Array | null = null,
  rest: Partial<NewChunk> = {},
): NewChunk {
  const list = words.split(' ').filter((word) => word !== '');
  const counts = new Map<string, number>();
  for (const word of list) counts.set(word, (counts.get(word) ?? 0) + 1);
  return {
    position,
    text: words,
    start: position * 100,
    end: position * 100 + words.length,
    page: null,
    context: '',
    terms: encodeTerms({ length: list.length, counts }),
    tokens: list.length,
    vector,
    ...rest,
  };
}

/** Chunks with these words, one after the other. */
export function toChunks(...words: readonly string[]): NewChunk[] {
  return words.map((text, position) => toChunk(position, text));
}

export interface PublishOptions {
  readonly attributes?: Attributes;
  readonly languages?: readonly string[];
  readonly ingest?: string;
}

/** Stages and publishes a file. */
export async function publish(
  index: VectorIndex,
  scope: IndexScope,
  file: string,
  chunks: readonly NewChunk[],
  { attributes = {}, languages = ['en'], ingest = 'first' }: PublishOptions = {},
): Promise<{ chunks: number; bytes: number }> {
  for (let i = 0; i < chunks.length; i += 256) {
    await index.stageChunks(scope, file, ingest, chunks.slice(i, i + 256));
  }
  return await index.publishFile(scope, { file, attributes, languages }, ingest);
}

export function toTerms(words: string): QueryTerm[] {
  return words.split(' ').map((term) => ({ term, weight: 1 }));
}

/** Asks by words, by a vector, or by both. */
export function toQuery(
  words: string,
  vector: Float32Array | null,
  rest: Partial<SearchQuery> = {},
): SearchQuery {
  const terms = words === '' ? [] : toTerms(words);
  return { vector, terms, wanted: 10, weights: WEIGHTS_DEFAULT, filter: null, ...rest };
}

/** `file:position` of each hit. */
export function toPlaces(hits: readonly SearchHit[]): string[] {
  return hits.map(({ file, chunk }) => `${file}:${chunk.position}`);
}
