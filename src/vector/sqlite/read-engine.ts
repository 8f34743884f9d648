/**
 * All reading of the index, on the thread that reads. A search runs in one snapshot; what has to be loaded before is
 * loaded in steps, each in a snapshot of its own, between which other searches have their turn.
 */

import { isBusy } from '../../store/sqlite/faults.ts';
import { StoreError } from '../../store/store.ts';
import type { IndexScope, IndexStatistics, SearchHit, StoredChunk } from '../vector-index.ts';
import { createBlockPool } from './block-pool.ts';
import { createDescriptions } from './descriptions.ts';
import { createKeywordSide } from './keyword-side.ts';
import type { ReaderOpenRequest, ReadStatistics, SearchCall } from './protocol.ts';
import { CHUNK_FIELDS, createPublishedFiles } from './published-files.ts';
import { openIndexDatabase } from './schema.ts';
import { needsCodes, type SearchDeps, searchStore } from './search-store.ts';
import type { Reply } from './serve-calls.ts';
import { createStoreCache } from './store-cache.ts';
import { createStoreLoader } from './store-loader.ts';
import { createVectorSide } from './vector-side.ts';
import { toDoubles, type VectorSum } from './vector-sums.ts';

export interface ReadEngine {
  search(scope: IndexScope, query: SearchCall, reply: Reply): void;
  describe(scope: IndexScope, reply: Reply): void;
  readChunks(scope: IndexScope, file: string, from: number, limit: number, reply: Reply): void;
  describeFile(scope: IndexScope, file: string, reply: Reply): void;
  exportChunks(scope: IndexScope, file: string, from: number, limit: number, reply: Reply): void;
  getStatistics(): ReadStatistics;
  /** Ends after what was called before. */
  close(reply: Reply): void;
}

/** How long one step of loading may hold up other searches. */
const LOADING_STEP_MS = 15;
/** Reads meet a lock only while another process repairs the log after a crash or closes the file last. */
const BUSY_RETRY_MS = 2;

/** The store that a search loads, if it does. */
interface Holder {
  loads: number | null;
}

type Read = (holder: Holder) => unknown;

/** Stands for a search that is not at its end. */
const NOT_YET = Symbol('not yet');

/** Opens the database. Errors: `unavailable`. */
export function createReadEngine(request: ReaderOpenRequest): ReadEngine {
  const database = openIndexDatabase(request);
  const pool = createBlockPool();
  const cache = createStoreCache(pool, request.cacheBytesMax);
  const loader = createStoreLoader(database, pool);
  const describe = createDescriptions(database);
  const begin = database.prepare('BEGIN');
  const commit = database.prepare('COMMIT');
  const readChunk = database.prepare<StoredChunk, [number]>(
    `SELECT ${CHUNK_FIELDS} FROM chunks WHERE id = ?`,
  );
  const readVectorSum = database.prepare<VectorSum, [number]>(
    'SELECT shown AS vectors, shown_sum AS sum FROM stores WHERE id = ?',
  );
  const published = createPublishedFiles(database);
  const deps: SearchDeps = {
    vectorSide: createVectorSide(database, pool),
    keywordSide: createKeywordSide(database),
    readChunk: (id) => readChunk.get(id),
    readVectorSum(store) {
      const { vectors = 0, sum = null } = readVectorSum.get(store) ?? {};
      return { vectors, sum: sum === null ? new Float64Array(0) : toDoubles(sum) };
    },
  };
  /** The store that is being loaded: one at a time, or two that do not both fit would drive each other out for ever. */
  let loading: number | null = null;
  let searches = 0;
  let waiting = 0;
  let onIdle: (() => void) | null = null;

  /** One attempt at a search. */
  const attempt = (
    scope: IndexScope,
    query: SearchCall,
    holder: Holder,
  ): readonly SearchHit[] | typeof NOT_YET => {
    const state = loader.find(scope.tenant, scope.store);
    if (state === null) return [];
    checkDimensions(state.dimensions, query);
    if (cache.has(state.id) && cache.take(state.id).isWorn) cache.drop(state.id);
    const isCold = !cache.has(state.id) || loading === state.id;
    if (isCold && !mayLoad(state.id, holder)) return NOT_YET;
    const store = cache.take(state.id);
    const deadlineMs = performance.now() + LOADING_STEP_MS;
    if (!loader.catchUp(store, state, deadlineMs)) return NOT_YET;
    if (needsCodes(store, query)) {
      if (store.piecesCoded === 0 && !mayLoad(state.id, holder)) return NOT_YET;
      if (!loader.loadCodes(store, deadlineMs)) return NOT_YET;
    }
    cache.trim(store.id, loading);
    searches += 1;
    return searchStore(deps, store, query);
  };

  const mayLoad = (store: number, holder: Holder): boolean => {
    if (loading !== null && loading !== store) return false;
    loading = store;
    holder.loads = store;
    return true;
  };

  /** Reads in one snapshot. */
  const inSnapshot = <T>(read: () => T): T => {
    begin.run();
    try {
      return read();
    } finally {
      commit.run();
    }
  };

  /** Repeats until there is an answer. */
  const run = (read: Read, reply: Reply, sinceMs: number, holder: Holder): void => {
    try {
      const result = inSnapshot(() => read(holder));
      if (result === NOT_YET) {
        setImmediate(run, read, reply, sinceMs, holder);
        return;
      }
      reply.answer(result);
    } catch (error) {
      if (isBusy(error) && performance.now() - sinceMs < request.lockWaitMs) {
        setTimeout(run, BUSY_RETRY_MS, read, reply, sinceMs, holder);
        return;
      }
      reply.refuse(error);
    }
    if (holder.loads !== null && loading === holder.loads) loading = null;
    waiting -= 1;
    if (waiting === 0) onIdle?.();
  };

  const start = (read: Read, reply: Reply): void => {
    waiting += 1;
    run(read, reply, performance.now(), { loads: null });
  };

  return {
    search: (scope, query, reply) => start((holder) => attempt(scope, query, holder), reply),
    describe: (scope, reply) => start((): IndexStatistics => describe(scope), reply),
    readChunks: (scope, file, from, limit, reply) =>
      start(() => published.readChunks(scope, file, from, limit), reply),
    describeFile: (scope, file, reply) => start(() => published.describe(scope, file), reply),
    exportChunks: (scope, file, from, limit, reply) =>
      start(() => published.exportChunks(scope, file, from, limit), reply),
    getStatistics: () => ({ searches, ...cache.getStatistics() }),
    close(reply) {
      onIdle = () => {
        database.close();
        reply.answer(null);
      };
      if (waiting === 0) onIdle();
    },
  };
}

function checkDimensions(dimensions: number | null, { vector }: SearchCall): void {
  if (vector === null || dimensions === null || vector.length === dimensions) return;
  throw new StoreError(
    'misuse',
    `The vectors of this store have ${dimensions} dimensions, not ${vector.length}.`,
  );
}
