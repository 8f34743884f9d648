/**
 * The vector index on Apache Cassandra, DSE and Astra DB.
 *
 * Vectors have the cluster's own index, words have postings in tables, and `scoring.ts` mixes them as in every engine. A file is
 * shown by one conditional write (`file-states.ts`). Several servers may work on one store at once; one attempt to read a file is
 * one server's at a time, by its lease.
 */

import type { CqlSession } from '../../cassandra/session.ts';
import type { Clock } from '../../clock.ts';
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
import { CHUNKS_MAX, type IndexScope, type IndexStatistics, type VectorIndex } from '../vector-index.ts';
import { createChunkRows } from './chunk-rows.ts';
import { createFileStates } from './file-states.ts';
import { createIndexing } from './indexing.ts';
import { toStatistics } from './loaded-store.ts';
import { createPostingRows } from './posting-rows.ts';
import { createPostingsCache, POSTINGS_BYTES_DEFAULT } from './postings-cache.ts';
import { createPublishing } from './publishing.ts';
import { createReading } from './reading.ts';
import { createRegistry } from './registry.ts';
import { createRemoval } from './removal.ts';
import { createSearch } from './search.ts';
import { createStaging } from './staging.ts';
import { toKey } from './state-rows.ts';
import { createStoreLoader, LOADED_FILES_DEFAULT } from './store-loader.ts';
import { createTurns } from './turns.ts';
import { createVectorCache, VECTORS_BYTES_DEFAULT } from './vector-cache.ts';
import { checkDimensions, createVectorRows, toUnit } from './vector-rows.ts';
import { createVectorSide, EXACT_CHUNKS_DEFAULT } from './vector-side.ts';

export { VECTOR_MIGRATIONS } from './schema.ts';

export interface CassandraVectorIndexOptions {
  /** Its keyspace has the tables of `VECTOR_MIGRATIONS`. The index does not close it. */
  readonly session: CqlSession;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** Whether the cluster's operator decides about the options of tables (Astra DB). */
  readonly isManaged?: boolean;
  /** Chunks of a shard; a store that has more has more shards. */
  readonly shardChunksMax?: number;
  /** Stores up to this size, and filters that pass no more, are compared chunk by chunk. */
  readonly exactChunksMax?: number;
  /** What is kept in memory of all stores together. */
  readonly postingsBytesMax?: number;
  readonly vectorsBytesMax?: number;
  readonly loadedFilesMax?: number;
}

/** Some 75 MB of vectors with 384 dimensions, and a graph that one search goes through. */
export const SHARD_CHUNKS_DEFAULT = 32_768;

const NOTHING: IndexStatistics = Object.freeze({ chunks: 0, dimensions: null, languages: Object.freeze([]) });

export function createCassandraVectorIndex(options: CassandraVectorIndexOptions): VectorIndex {
  const { turns, loader, staging, publishing, removal, search, reading } = compose(options);
  const pending = new Set<Promise<unknown>>();
  let isClosed = false;

  /** What is wrong with a call is said before anything waits. */
  const track = async <T>(check: () => void, work: () => Promise<T>): Promise<T> => {
    if (isClosed) throw new StoreError('unavailable', 'The index is closed.');
    check();
    const made = work();
    pending.add(made);
    try {
      return await made;
    } finally {
      pending.delete(made);
    }
  };
  /** Calls about one file follow each other; the removal of a store waits for all of its files, and they for it. */
  const share = <T>(scope: IndexScope, file: string, work: () => Promise<T>): Promise<T> =>
    turns.share(`store ${toKey(scope)}`, () => turns.share(toFileKey(scope, file), work));
  const alone = <T>(scope: IndexScope, file: string, work: () => Promise<T>): Promise<T> =>
    turns.share(`store ${toKey(scope)}`, () => turns.alone(toFileKey(scope, file), work));

  return {
    engine: 'cassandra',

    stageChunks(scope, file, ingest, newChunks) {
      let dimensions = 0;
      const check = () => {
        checkScope(scope);
        checkKeys(file, ingest);
        dimensions = checkChunks(newChunks);
        checkDimensions(dimensions);
        for (const { vector } of newChunks) if (vector !== null) toUnit(vector);
      };
      return track(check, async () => {
        if (newChunks.length === 0) return;
        await share(scope, file, () => staging.stage(scope, file, ingest, newChunks, dimensions));
      });
    },

    countStaged: (scope, file, ingest) =>
      track(
        () => checkNames(scope, file, ingest),
        () => share(scope, file, () => staging.countStaged(scope, file, ingest)),
      ),

    publishFile(scope, entry, ingest) {
      const check = () => {
        checkNames(scope, ingest);
        checkEntry(entry);
      };
      return track(check, () => alone(scope, entry.file, () => publishing.publish(scope, entry, ingest)));
    },

    setAttributes(scope, file, attributes) {
      const check = () => {
        checkNames(scope, file);
        checkAttributes(attributes);
      };
      return track(check, () => alone(scope, file, () => removal.setAttributes(scope, file, attributes)));
    },

    removeFile: (scope, file) =>
      track(
        () => checkNames(scope, file),
        () => alone(scope, file, () => removal.removeFile(scope, file)),
      ),

    removeStore: (scope) =>
      track(
        () => checkScope(scope),
        () => turns.alone(`store ${toKey(scope)}`, () => removal.removeStore(scope)),
      ),

    readChunks: (scope, file, from, limit) =>
      track(
        () => checkReading(scope, file, from, limit),
        () => reading.readChunks(scope, file, from, Math.min(limit, CHUNKS_MAX)),
      ),

    describeFile: (scope, file) =>
      track(
        () => checkNames(scope, file),
        () => reading.describeFile(scope, file),
      ),

    exportChunks: (scope, file, from, limit) =>
      track(
        () => checkReading(scope, file, from, limit),
        () => reading.exportChunks(scope, file, from, Math.min(limit, CHUNKS_MAX)),
      ),

    describe: (scope) =>
      track(
        () => checkScope(scope),
        async () => {
          const store = await loader.load(scope);
          return store === null ? NOTHING : toStatistics(store);
        },
      ),

    search(scope, query) {
      const check = () => {
        checkScope(scope);
        checkQuery(query);
        if (query.vector !== null) toUnit(query.vector);
      };
      return track(check, () => search(scope, query));
    },

    async close() {
      isClosed = true;
      await Promise.allSettled([...pending]);
    },
  };
}

function compose(options: CassandraVectorIndexOptions) {
  const { session, clock, isManaged = false, shardChunksMax = SHARD_CHUNKS_DEFAULT } = options;
  const turns = createTurns();
  const states = createFileStates({ session, clock, turns });
  const registry = createRegistry(session);
  const chunks = createChunkRows(session);
  const postings = createPostingRows(session);
  const vectors = createVectorRows({ session, clock, isManaged });
  const loadedFilesMax = options.loadedFilesMax ?? LOADED_FILES_DEFAULT;
  const loader = createStoreLoader({ session, states, turns, loadedFilesMax });
  const indexing = createIndexing({ chunks, postings, vectors });
  const removal = createRemoval({ states, registry, chunks, postings, vectors, indexing });
  const staging = createStaging({
    ...{ states, registry, chunks, vectors, indexing, removal, loader, turns, shardChunksMax },
  });
  const publishing = createPublishing({ states, registry, indexing, removal });
  const vectorSide = createVectorSide(
    vectors,
    createVectorCache(vectors, options.vectorsBytesMax ?? VECTORS_BYTES_DEFAULT),
    options.exactChunksMax ?? EXACT_CHUNKS_DEFAULT,
  );
  const cache = createPostingsCache(postings, options.postingsBytesMax ?? POSTINGS_BYTES_DEFAULT);
  const search = createSearch({ loader, states, postings: cache, vectorSide, chunks });
  const reading = createReading({ states, registry, chunks, vectors });
  return { turns, loader, staging, publishing, removal, search, reading };
}

function checkNames(scope: IndexScope, ...names: readonly string[]): void {
  checkScope(scope);
  checkKeys(...names);
}

function checkReading(scope: IndexScope, file: string, from: number, limit: number): void {
  checkNames(scope, file);
  checkPlace(from, limit);
}

function toFileKey(scope: IndexScope, file: string): string {
  return `file ${toKey(scope)} ${file}`;
}
