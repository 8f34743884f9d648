/** Stores and versions, as the thread that writes sees them. */

import type { Database } from 'bun:sqlite';
import type { IndexScope } from '../vector-index.ts';
import { DEAD, POSITIONS_MAX, PUBLISHED, type STAGED, toChunkId } from './schema.ts';

export interface StoreRow {
  readonly id: number;
  readonly dimensions: number | null;
  readonly vectors: number;
  /** 64-bit floats. */
  readonly vector_sum: Uint8Array | null;
}

export interface VersionRow {
  readonly id: number;
  readonly store: number;
  readonly ingest: string;
  readonly state: number;
  readonly prepared: number;
  readonly replacements: number;
  readonly bytes: number;
}

/** Reads and small changes that several kinds of work share. Changes go into the caller's transaction. */
export interface Stores {
  find(scope: IndexScope): StoreRow | null;
  findById(id: number): StoreRow | null;
  /** Whether the store has lost its name. */
  isHidden(id: number): boolean;
  /** Finds or makes. */
  ensure(scope: IndexScope): StoreRow;
  findVersion(store: number, file: string, state: typeof STAGED | typeof PUBLISHED): VersionRow | null;
  findVersionById(id: number): VersionRow | null;
  /** Hides a version; its rows are freed later. */
  kill(version: number): void;
  /** Counts a change that searches can see, and answers its number. */
  revise(store: number, isRemoval: boolean): number;
  /** Chunks of a version from position 0 on, without a gap. */
  countStaged(version: VersionRow): number;
  /** Chunks of a version up to its last position, gaps counted. */
  countPositions(version: VersionRow): number;
}

const STORE_FIELDS = 'id, dimensions, vectors, vector_sum';
const VERSION_FIELDS = 'id, store, ingest, state, prepared, replacements, bytes';

export function createStores(database: Database): Stores {
  const find = database.prepare<StoreRow, [string, string]>(
    `SELECT ${STORE_FIELDS} FROM stores WHERE tenant = ? AND store = ?`,
  );
  const findById = database.prepare<StoreRow, [number]>(`SELECT ${STORE_FIELDS} FROM stores WHERE id = ?`);
  const findHidden = database.prepare<{ id: number }, [number]>(
    'SELECT id FROM stores WHERE id = ? AND tenant IS NULL',
  );
  const insert = database.prepare<StoreRow, [string, string]>(
    `INSERT INTO stores (tenant, store) VALUES (?, ?) RETURNING ${STORE_FIELDS}`,
  );
  const findVersion = database.prepare<VersionRow, [number, string, number]>(
    `SELECT ${VERSION_FIELDS} FROM versions WHERE store = ? AND file = ? AND state = ? AND state < ${DEAD}`,
  );
  const findVersionById = database.prepare<VersionRow, [number]>(
    `SELECT ${VERSION_FIELDS} FROM versions WHERE id = ?`,
  );
  const kill = database.prepare<void, [number]>(`UPDATE versions SET state = ${DEAD} WHERE id = ?`);
  const revise = database.prepare<{ revision: number }, [number, number]>(
    `UPDATE stores SET revision = revision + 1, removals = CASE ?2 WHEN 1 THEN revision + 1 ELSE removals END
     WHERE id = ?1 RETURNING revision`,
  );
  const readIds = database.prepare<{ id: number }, [number, number]>(
    'SELECT id FROM staged_terms WHERE id >= ? AND id < ? ORDER BY id',
  );
  const readLast = database.prepare<{ last: number | null }, [number, number]>(
    'SELECT max(id) AS last FROM staged_terms WHERE id >= ? AND id < ?',
  );

  return {
    find: ({ tenant, store }) => find.get(tenant, store),
    findById: (id) => findById.get(id),
    isHidden: (id) => findHidden.get(id) !== null,
    ensure({ tenant, store }) {
      const row = find.get(tenant, store) ?? insert.get(tenant, store);
      if (row === null) throw new Error('A store that was inserted is not there.');
      return row;
    },
    findVersion: (store, file, state) => findVersion.get(store, file, state),
    findVersionById: (id) => findVersionById.get(id),
    kill: (version) => void kill.run(version),
    revise: (store, isRemoval) => revise.get(store, isRemoval ? 1 : 0)?.revision ?? 0,
    countStaged({ id, state, prepared }) {
      if (state === PUBLISHED) return prepared;
      let next = toChunkId(id, prepared);
      for (const row of readIds.iterate(next, toChunkId(id + 1, 0))) {
        if (row.id !== next) break;
        next += 1;
      }
      return next % POSITIONS_MAX;
    },
    countPositions({ id, prepared }) {
      const { last } = readLast.get(toChunkId(id, prepared), toChunkId(id + 1, 0)) ?? { last: null };
      return last === null ? prepared : (last % POSITIONS_MAX) + 1;
    },
  };
}
