/** Chunks on their way in: kept, but not to be found. */

import type { Database } from 'bun:sqlite';
import { StoreError } from '../../store/store.ts';
import type { IndexScope } from '../vector-index.ts';
import type { StagedChunk, StagedChunks } from './protocol.ts';
import { PUBLISHED, STAGED, toChunkId } from './schema.ts';
import type { Segments } from './segments.ts';
import type { Stores, VersionRow } from './stores.ts';

export interface Staging {
  /**
   * Inside of the caller's transaction. Answers the version, or null where the attempt is published already. Throws
   * `StoreError` (`misuse`: other dimensions) before any change.
   */
  stage(scope: IndexScope, file: string, ingest: string, staged: StagedChunks): number | null;
}

export function createStaging(database: Database, stores: Stores, segments: Segments): Staging {
  const setDimensions = database.prepare<void, [number, number]>(
    'UPDATE stores SET dimensions = ?2 WHERE id = ?1',
  );
  const insertVersion = database.prepare<{ id: number }, [number, string, string]>(
    `INSERT INTO versions (store, file, ingest, state) VALUES (?, ?, ?, ${STAGED}) RETURNING id`,
  );
  const insertTerms = database.prepare<void, [number, string]>(
    'INSERT OR IGNORE INTO staged_terms (id, terms) VALUES (?, ?)',
  );
  const updateTerms = database.prepare<void, [number, string]>(
    'UPDATE staged_terms SET terms = ?2 WHERE id = ?1',
  );
  const putChunk = database.prepare<void, [number, number, number, number | null, number, string, string]>(
    'INSERT OR REPLACE INTO chunks (id, start, "end", page, tokens, context, text) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const putVector = database.prepare<void, [number, Float32Array]>(
    'INSERT OR REPLACE INTO vectors (id, vector) VALUES (?, ?)',
  );
  const removeVector = database.prepare<void, [number]>('DELETE FROM vectors WHERE id = ?');
  const recordReplacement = database.prepare<void, [number]>(
    'UPDATE versions SET replacements = replacements + 1 WHERE id = ?',
  );
  const unprepare = createUnprepare(database, segments);

  const toVersion = (store: number, file: string, ingest: string): VersionRow | number => {
    const before = stores.findVersion(store, file, STAGED);
    if (before?.ingest === ingest) return before;
    if (before !== null) stores.kill(before.id);
    return insertVersion.get(store, file, ingest)?.id ?? 0;
  };

  /** Answers whether the position was there. */
  const putOne = (version: number, chunk: StagedChunk, vector: Float32Array | null): boolean => {
    const id = toChunkId(version, chunk.position);
    const isReplaced = insertTerms.run(id, chunk.terms).changes === 0;
    if (isReplaced) updateTerms.run(id, chunk.terms);
    putChunk.run(id, chunk.start, chunk.end, chunk.page, chunk.tokens, chunk.context, chunk.text);
    if (vector !== null) putVector.run(id, vector);
    else if (isReplaced) removeVector.run(id);
    return isReplaced;
  };

  return {
    stage(scope, file, ingest, { chunks, dimensions, vectors }) {
      const known = stores.find(scope)?.dimensions ?? null;
      if (dimensions > 0 && known !== null && known !== dimensions) {
        throw new StoreError(
          'misuse',
          `The vectors of this store have ${known} dimensions, not ${dimensions}.`,
        );
      }
      const store = stores.ensure(scope);
      if (stores.findVersion(store.id, file, PUBLISHED)?.ingest === ingest) return null;
      if (dimensions > 0 && known === null) setDimensions.run(store.id, dimensions);
      const row = toVersion(store.id, file, ingest);
      const version = typeof row === 'number' ? row : row.id;
      const prepared = typeof row === 'number' ? 0 : row.prepared;
      let next = 0;
      let firstReplaced = Number.POSITIVE_INFINITY;
      for (const chunk of chunks) {
        const vector = chunk.hasVector ? vectors.subarray(next, next + dimensions) : null;
        next += vector?.length ?? 0;
        if (putOne(version, chunk, vector)) firstReplaced = Math.min(firstReplaced, chunk.position);
      }
      if (firstReplaced !== Number.POSITIVE_INFINITY) recordReplacement.run(version);
      if (firstReplaced < prepared) unprepare(version);
      return version;
    },
  };
}

/** Takes back codes and postings of a staged version: they are made anew. */
function createUnprepare(database: Database, segments: Segments): (version: number) => void {
  const removeCodes = database.prepare<void, [number, number]>('DELETE FROM codes WHERE id >= ? AND id < ?');
  const reset = database.prepare<void, [number]>(
    'UPDATE versions SET prepared = 0, words = 0, bytes = 0 WHERE id = ?',
  );
  return (version) => {
    removeCodes.run(toChunkId(version, 0), toChunkId(version + 1, 0));
    segments.removeMembers(version);
    reset.run(version);
  };
}
