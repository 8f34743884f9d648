/**
 * Removal. What is removed is hidden at once, by one small change; its rows are freed afterwards, some at a time. What
 * is left to do stands in the tables themselves (versions and segments that are dead, stores without a name), so that
 * another start goes on with it.
 */

import type { Database } from 'bun:sqlite';
import type { Attributes } from '../attribute-filter.ts';
import type { IndexScope } from '../vector-index.ts';
import { BUILDING, DEAD, PUBLISHED, READY, STAGED, toBlockId, toChunkId } from './schema.ts';
import type { Segments } from './segments.ts';
import type { Stores } from './stores.ts';
import type { VectorSums } from './vector-sums.ts';

/** Rows of chunks that one step frees. */
const CHUNKS_PER_STEP = 256;
/** Blocks and members of a segment, and versions of a store, that one step frees. */
const ROWS_PER_STEP = 512;

export interface Removal {
  setAttributes(scope: IndexScope, file: string, attributes: Attributes): void;
  /** Hides; answers the versions that are to be freed. */
  hideFile(scope: IndexScope, file: string): readonly number[];
  /** Hides; answers the store that is to be freed. */
  hideStore(scope: IndexScope): number | null;
  /** Frees some rows of a version; true once nothing is left of it. */
  freeVersion(version: number): boolean;
  /** Frees some rows of a store that is hidden; true once nothing is left of it. */
  freeStore(store: number): boolean;
  freeSegment(segment: number): boolean;
  /** Frees some of the words that a published version was staged with; true once none is left. */
  trimVersion(version: number): boolean;
  /** What is left to free. */
  findWork(): RemovalWork | null;
}

export interface RemovalWork {
  readonly kind: 'version' | 'store' | 'segment' | 'trim';
  readonly id: number;
}

export function createRemoval(
  database: Database,
  stores: Stores,
  segments: Segments,
  sums: VectorSums,
): Removal {
  const setAttributes = database.prepare<void, [number, string, number]>(
    'UPDATE versions SET attributes = ?2, revision = ?3 WHERE id = ?1',
  );
  const hideStore = database.prepare<{ id: number }, [string, string]>(
    'UPDATE stores SET tenant = NULL, store = NULL WHERE tenant = ? AND store = ? RETURNING id',
  );
  const free = createFreeing(database, segments);
  const finders = (
    [
      ['version', `SELECT id FROM versions WHERE state = ${DEAD} LIMIT 1`],
      ['trim', `SELECT id FROM versions WHERE state = ${PUBLISHED} AND has_terms = 1 LIMIT 1`],
      ['segment', `SELECT id FROM segments WHERE state = ${DEAD} LIMIT 1`],
      ['store', 'SELECT id FROM stores WHERE tenant IS NULL LIMIT 1'],
    ] as const
  ).map(([kind, sql]) => ({ kind, query: database.prepare<{ id: number }, []>(sql) }));

  return {
    setAttributes(scope, file, attributes) {
      const store = stores.find(scope);
      const version = store === null ? null : stores.findVersion(store.id, file, PUBLISHED);
      if (version === null) return;
      setAttributes.run(version.id, JSON.stringify(attributes), stores.revise(version.store, false));
    },
    hideFile(scope, file) {
      const store = stores.find(scope);
      if (store === null) return [];
      const published = stores.findVersion(store.id, file, PUBLISHED);
      const staged = stores.findVersion(store.id, file, STAGED);
      if (published !== null) {
        stores.revise(store.id, true);
        sums.hide(store.id, published.id);
      }
      const hidden = [published, staged].filter((version) => version !== null).map(({ id }) => id);
      for (const id of hidden) stores.kill(id);
      return hidden;
    },
    hideStore: ({ tenant, store }) => hideStore.get(tenant, store)?.id ?? null,
    ...free,
    findWork() {
      for (const { kind, query } of finders) {
        const row = query.get();
        if (row !== null) return { kind, id: row.id };
      }
      return null;
    },
  };
}

type Freeing = Pick<Removal, 'freeVersion' | 'freeStore' | 'freeSegment' | 'trimVersion'>;

/** All of these run inside of the caller's transaction. */
function createFreeing(database: Database, segments: Segments): Freeing {
  const removeSome = (table: string, limit: number) =>
    database.prepare<void, [number, number]>(
      `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} WHERE id >= ? AND id < ? LIMIT ${limit})`,
    );
  const removeTerms = removeSome('staged_terms', CHUNKS_PER_STEP);
  const ofChunks = [
    removeTerms,
    removeSome('vectors', CHUNKS_PER_STEP),
    removeSome('chunks', CHUNKS_PER_STEP),
    removeSome('codes', CHUNKS_PER_STEP),
  ];
  const removeVersion = database.prepare<void, [number]>('DELETE FROM versions WHERE id = ?');
  const setTrimmed = database.prepare<void, [number]>('UPDATE versions SET has_terms = 0 WHERE id = ?');
  const removePostings = removeSome('postings', ROWS_PER_STEP);
  const removeMembers = database.prepare<void, [number]>(
    `DELETE FROM members WHERE segment = ?1
     AND base IN (SELECT base FROM members WHERE segment = ?1 LIMIT ${ROWS_PER_STEP})`,
  );
  const removeSegment = database.prepare<void, [number]>('DELETE FROM segments WHERE id = ?');
  const killVersions = database.prepare<void, [number]>(
    `UPDATE versions SET state = ${DEAD} WHERE id IN
     (SELECT id FROM versions WHERE store = ? AND state < ${DEAD} LIMIT ${ROWS_PER_STEP})`,
  );
  const findVersion = database.prepare<{ id: number }, [number]>(
    'SELECT id FROM versions WHERE store = ? LIMIT 1',
  );
  const killSegments = database.prepare<void, [number]>(
    `UPDATE segments SET state = ${DEAD} WHERE store = ? AND state IN (${BUILDING}, ${READY})`,
  );
  const findSegment = database.prepare<{ id: number }, [number]>(
    'SELECT id FROM segments WHERE store = ? LIMIT 1',
  );
  const removeCentres = database.prepare<void, [number]>('DELETE FROM centres WHERE store = ?');
  const removeStore = database.prepare<void, [number]>('DELETE FROM stores WHERE id = ?');

  const freeVersion = (version: number): boolean => {
    const first = toChunkId(version, 0);
    const end = toChunkId(version + 1, 0);
    // Of all tables the same chunks, more or less; a step that finds no full share in any is the last.
    const isMore = ofChunks
      .map((remove) => remove.run(first, end).changes)
      .some((changes) => changes >= CHUNKS_PER_STEP);
    if (isMore) return false;
    segments.removeMembers(version);
    removeVersion.run(version);
    return true;
  };

  const freeSegment = (segment: number): boolean => {
    const postings = removePostings.run(toBlockId(segment, 0), toBlockId(segment + 1, 0)).changes;
    const members = removeMembers.run(segment).changes;
    if (postings >= ROWS_PER_STEP || members >= ROWS_PER_STEP) return false;
    removeSegment.run(segment);
    return true;
  };

  return {
    freeVersion,
    freeSegment,
    freeStore(store) {
      if (killVersions.run(store).changes > 0) return false;
      killSegments.run(store);
      const version = findVersion.get(store);
      if (version !== null) {
        freeVersion(version.id);
        return false;
      }
      const segment = findSegment.get(store);
      if (segment !== null) {
        freeSegment(segment.id);
        return false;
      }
      removeCentres.run(store);
      removeStore.run(store);
      return true;
    },
    trimVersion(version) {
      const first = toChunkId(version, 0);
      if (removeTerms.run(first, toChunkId(version + 1, 0)).changes >= CHUNKS_PER_STEP) return false;
      setTrimmed.run(version);
      return true;
    },
  };
}
