/**
 * The vector index in an embedded SQLite database, in a file of its own beside the records'. Two threads hold it: one
 * writes, one reads, each with its own connection, so that reading a document never holds up a search.
 */

import { StoreError } from '../../store/store.ts';
import {
  checkAttributes,
  checkChunks,
  checkEntry,
  checkKeys,
  checkPlace,
  checkQuery,
  checkScope,
} from '../checks.ts';
import type { NewChunk, SearchQuery, VectorIndex } from '../vector-index.ts';
import { CHUNKS_MAX } from '../vector-index.ts';
import { createThreadCaller } from './caller.ts';
import { toInner } from './codes.ts';
import type { ReadMethods, ReadStatistics, StagedChunks, WriteMethods, WriteStatistics } from './protocol.ts';

export { INDEX_FILE } from './schema.ts';

/** How long a write may wait for another process that holds the file. */
export const LOCK_WAIT_DEFAULT_MS = 30_000;
/** Stores that are kept in memory may take so many bytes. */
export const CACHE_BYTES_DEFAULT = 256 * 1024 * 1024;

export interface SqliteVectorIndexOptions {
  /** Made when it is missing, for its owner only. */
  readonly directory: string;
  readonly lockWaitMs?: number;
  /** Called once where a thread ends by itself: nothing answers from then on. */
  readonly onLost?: (reason: string) => void;
  /** Bytes of stores that are kept in memory; a store that is larger alone is kept all the same. */
  readonly cacheBytesMax?: number;
  /** Start the threads; tests keep hold of them. */
  readonly startThreads?: () => IndexThreads;
}

export interface IndexThreads {
  readonly writing: Worker;
  readonly reading: Worker;
}

export type IndexEngineStatistics = WriteStatistics & ReadStatistics;

export interface SqliteVectorIndex extends VectorIndex {
  /** What the threads have done, for metrics. Errors: `unavailable`. */
  getStatistics(): Promise<IndexEngineStatistics>;
}

/** Opens the database. Errors: `unavailable`, saying what is wrong with the directory or the file. */
export async function createSqliteVectorIndex(options: SqliteVectorIndexOptions): Promise<SqliteVectorIndex> {
  const {
    directory,
    lockWaitMs = LOCK_WAIT_DEFAULT_MS,
    cacheBytesMax = CACHE_BYTES_DEFAULT,
    startThreads = startOwnThreads,
    onLost,
  } = options;
  const threads = startThreads();
  const tellLost = createOnce(onLost);
  const writer = createThreadCaller<WriteMethods>(threads.writing, tellLost);
  const reader = createThreadCaller<ReadMethods>(threads.reading, tellLost);
  try {
    await writer.call('open', [{ directory, lockWaitMs }]);
    await reader.call('open', [{ directory, lockWaitMs, cacheBytesMax }]);
  } catch (error) {
    threads.writing.terminate();
    threads.reading.terminate();
    throw error;
  }

  return {
    engine: 'sqlite',

    async stageChunks(scope, file, ingest, chunks) {
      checkScope(scope);
      checkKeys(file, ingest);
      const dimensions = checkChunks(chunks);
      if (chunks.length === 0) return;
      const staged = toStagedChunks(chunks, dimensions);
      const { buffer } = staged.vectors;
      const bytes = chunks.reduce(
        (sum, { text, terms }) => sum + text.length + terms.length,
        buffer.byteLength,
      );
      await writer.call('stage', [scope, file, ingest, staged], { bytes, transfer: [buffer] });
    },

    async countStaged(scope, file, ingest) {
      checkScope(scope);
      checkKeys(file, ingest);
      return await writer.call('countStaged', [scope, file, ingest]);
    },

    async publishFile(scope, entry, ingest) {
      checkScope(scope);
      checkEntry(entry);
      checkKeys(ingest);
      return await writer.call('publish', [scope, entry, ingest]);
    },

    async setAttributes(scope, file, attributes) {
      checkScope(scope);
      checkKeys(file);
      checkAttributes(attributes);
      await writer.call('setAttributes', [scope, file, attributes]);
    },

    async removeFile(scope, file) {
      checkScope(scope);
      checkKeys(file);
      await writer.call('removeFile', [scope, file]);
    },

    async removeStore(scope) {
      checkScope(scope);
      await writer.call('removeStore', [scope]);
    },

    async readChunks(scope, file, from, limit) {
      checkScope(scope);
      checkKeys(file);
      checkPlace(from, limit);
      return await reader.call('readChunks', [scope, file, from, Math.min(limit, CHUNKS_MAX)]);
    },

    async describeFile(scope, file) {
      checkScope(scope);
      checkKeys(file);
      return await reader.call('describeFile', [scope, file]);
    },

    async exportChunks(scope, file, from, limit) {
      checkScope(scope);
      checkKeys(file);
      checkPlace(from, limit);
      return await reader.call('exportChunks', [scope, file, from, Math.min(limit, CHUNKS_MAX)]);
    },

    async describe(scope) {
      checkScope(scope);
      return await reader.call('describe', [scope]);
    },

    async search(scope, query) {
      checkScope(scope);
      checkQuery(query);
      return await reader.call('search', [scope, toSearchCall(query)]);
    },

    async getStatistics() {
      const [writing, reading] = await Promise.all([
        writer.call('getStatistics', []),
        reader.call('getStatistics', []),
      ]);
      return { ...writing, ...reading };
    },

    async close() {
      await Promise.all([reader.close(), writer.close()]);
    },
  };
}

/**
 * The compiled executable keeps the entry points beside each other as they were below `src`, and this
 * module inside of the first of them.
 */
function startOwnThreads(): IndexThreads {
  const folder = import.meta.url.endsWith('/sqlite-vector-index.ts') ? './' : './vector/sqlite/';
  return {
    writing: new Worker(new URL(`${folder}write-thread.ts`, import.meta.url)),
    reading: new Worker(new URL(`${folder}read-thread.ts`, import.meta.url)),
  };
}

/** Two threads, one loss. */
function createOnce(tell: ((reason: string) => void) | undefined): (reason: string) => void {
  let isTold = false;
  return (reason) => {
    if (isTold) return;
    isTold = true;
    tell?.(reason);
  };
}

/** Puts the vectors into one buffer, which can be handed over. */
function toStagedChunks(chunks: readonly NewChunk[], dimensions: number): StagedChunks {
  const count = chunks.filter(({ vector }) => vector !== null).length;
  const vectors = new Float32Array(count * dimensions);
  let next = 0;
  for (const { vector } of chunks) {
    if (vector === null) continue;
    vectors.set(toUnit(vector), next);
    next += dimensions;
  }
  return {
    dimensions,
    vectors,
    chunks: chunks.map(({ vector, ...chunk }) => ({ ...chunk, hasVector: vector !== null })),
  };
}

function toSearchCall({ vector, terms, wanted, weights, filter }: SearchQuery) {
  return { vector: vector === null ? null : toUnit(vector), terms, wanted, weights, filter };
}

/** As far as a vector of 32-bit floats that was brought to unit length may be from it: so it is left as it is. */
const UNIT_TOLERANCE = 2 ** -23;

/** What a model calls unit length may be off by a little; cosines are not. Always a copy. */
function toUnit(vector: Float32Array): Float32Array<ArrayBuffer> {
  const length = Math.sqrt(toInner(vector, vector));
  if (!(length > 0)) throw new StoreError('misuse', 'A vector is zero.');
  if (Math.abs(length - 1) <= UNIT_TOLERANCE) return Float32Array.from(vector);
  return Float32Array.from(vector, (value) => value / length);
}
