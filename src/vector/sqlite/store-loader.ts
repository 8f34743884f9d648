/**
 * Brings what a process knows of a store up to what the file says: all inside of one snapshot, and in steps, so that
 * the first search of a large store does not hold up those of others.
 */

import type { Database } from 'bun:sqlite';
import type { Attributes } from '../attribute-filter.ts';
import type { BlockPool } from './block-pool.ts';
import { FACTORS } from './codes.ts';
import type { LoadedPiece, LoadedSegment, LoadedStore } from './loaded-store.ts';
import { toFloats } from './pieces.ts';
import { PUBLISHED, READY, toChunkId } from './schema.ts';
import type { Member } from './segments.ts';

/** The row of a store, as the snapshot has it. */
export interface StoreState {
  readonly id: number;
  readonly revision: number;
  readonly removals: number;
  readonly dimensions: number | null;
}

export interface StoreLoader {
  find(tenant: string, store: string): StoreState | null;
  /** Reads what has changed, until `deadlineMs` (of `performance.now`); whether it came to the end. */
  catchUp(store: LoadedStore, state: StoreState, deadlineMs: number): boolean;
  /** Reads the codes of what is loaded; whether it came to the end. */
  loadCodes(store: LoadedStore, deadlineMs: number): boolean;
}

interface ChangedVersion {
  readonly id: number;
  readonly file: string;
  readonly revision: number;
  readonly prepared: number;
  readonly words: number;
  readonly attributes: string;
  readonly languages: string;
}

export function createStoreLoader(database: Database, pool: BlockPool): StoreLoader {
  const findStore = database.prepare<StoreState, [string, string]>(
    'SELECT id, revision, removals, dimensions FROM stores WHERE tenant = ? AND store = ?',
  );
  const readPublished = database.prepare<{ id: number }, [number]>(
    `SELECT id FROM versions WHERE store = ? AND state = ${PUBLISHED}`,
  );
  const readChanges = database.prepare<ChangedVersion, [number, number]>(
    `SELECT id, file, revision, prepared, words, attributes, languages FROM versions
     WHERE store = ? AND state = ${PUBLISHED} AND revision > ? ORDER BY revision`,
  );
  const readPieces = database.prepare<
    { id: number; count: number; centre: number | null; lengths: Uint8Array },
    [number, number]
  >('SELECT id, count, centre, lengths FROM codes WHERE id >= ? AND id < ? ORDER BY id');
  const readCodes = database.prepare<{ factors: Uint8Array; planes: Uint8Array }, [number]>(
    'SELECT factors, planes FROM codes WHERE id = ?',
  );
  const readSegments = createSegmentReader(database);

  const addVersion = (store: LoadedStore, row: ChangedVersion): void => {
    const attributes = JSON.parse(row.attributes) as Attributes;
    const known = store.versions.get(row.id);
    if (known !== undefined) {
      known.attributes = attributes;
      return;
    }
    const rows = readPieces.all(toChunkId(row.id, 0), toChunkId(row.id + 1, 0));
    store.addVersion(
      {
        id: row.id,
        file: row.file,
        attributes,
        languages: JSON.parse(row.languages) as string[],
        chunks: row.prepared,
        words: row.words,
      },
      rows.map(({ id, centre, lengths }) => ({ id, centre, lengths: toIntegers(lengths) })),
    );
  };

  const removeVersions = (store: LoadedStore): void => {
    const published = new Set(readPublished.all(store.id).map(({ id }) => id));
    store.removeVersions([...store.versions.keys()].filter((id) => !published.has(id)));
  };

  return {
    find: (tenant, store) => findStore.get(tenant, store),
    catchUp(store, { revision, removals, dimensions }, deadlineMs) {
      if (store.revision === revision) return true;
      store.dimensions = dimensions;
      if (removals > store.removals) {
        removeVersions(store);
        store.removals = removals;
      }
      for (const row of readChanges.iterate(store.id, store.revision)) {
        addVersion(store, row);
        store.revision = row.revision;
        if (performance.now() > deadlineMs) return false;
      }
      readSegments(store);
      store.revision = revision;
      return true;
    },
    loadCodes(store, deadlineMs) {
      if (store.dimensions === null) return true;
      store.reserveBlocks(store.dimensions);
      for (; store.piecesCoded < store.pieces.length; store.piecesCoded += 1) {
        if (performance.now() > deadlineMs) return false;
        const piece = store.pieces[store.piecesCoded];
        if (piece !== undefined) putCodes(pool, store, piece, readCodes.get(piece.id));
      }
      return true;
    },
  };
}

function createSegmentReader(database: Database): (store: LoadedStore) => void {
  const readIds = database.prepare<{ id: number }, [number]>(
    `SELECT id FROM segments WHERE store = ? AND state = ${READY} ORDER BY id`,
  );
  const readSegment = database.prepare<{ chunks: number; directory: string }, [number]>(
    'SELECT chunks, directory FROM segments WHERE id = ?',
  );
  const readMembers = database.prepare<Member, [number]>(
    'SELECT base, version, position, count FROM members WHERE segment = ? ORDER BY base',
  );

  const load = (store: LoadedStore, id: number): LoadedSegment | null => {
    const row = readSegment.get(id);
    if (row === null) return null;
    const slots = new Int32Array(row.chunks).fill(-1);
    let found = 0;
    let isPending = false;
    for (const { base, version, position, count } of readMembers.all(id)) {
      const slot = store.versions.get(version)?.slot;
      if (slot === undefined) {
        isPending = true;
        continue;
      }
      for (let i = 0; i < count; i += 1) slots[base + i] = slot + position + i;
      found += count;
    }
    const directory = JSON.parse(row.directory) as string[];
    return { id, directory, slots, isWhole: found === row.chunks, isPending };
  };

  return (store) => {
    const ids = readIds.all(store.id).map(({ id }) => id);
    const wanted = new Set(ids);
    for (const id of [...store.segments.keys()]) if (!wanted.has(id)) store.segments.delete(id);
    for (const id of ids) {
      if (store.segments.get(id)?.isPending === false) continue;
      const segment = load(store, id);
      if (segment !== null) store.segments.set(id, segment);
    }
  };
}

/** Puts a piece's codes into the store's blocks. Without codes its slots are never found by them. */
function putCodes(
  pool: BlockPool,
  store: LoadedStore,
  { slot, count }: LoadedPiece,
  row: { readonly factors: Uint8Array; readonly planes: Uint8Array } | null,
): void {
  const { layout, planeBytes, blocks } = store;
  if (layout === null) return;
  const bytes = pool.readBytes();
  const floats = pool.readFloats();
  const factors = row === null || row.factors.length === 0 ? null : toFloats(row.factors);
  let done = 0;
  while (done < count) {
    const at = slot + done;
    const block = blocks[Math.floor(at / layout.slots)] ?? 0;
    const first = at % layout.slots;
    const share = Math.min(count - done, layout.slots - first);
    if (row !== null && factors !== null) {
      const upper = row.planes.subarray(done * planeBytes, (done + share) * planeBytes);
      const lower = row.planes.subarray((count + done) * planeBytes, (count + done + share) * planeBytes);
      bytes.set(upper, block + layout.upper + first * planeBytes);
      bytes.set(lower, block + layout.lower + first * planeBytes);
    }
    for (let i = 0; i < share; i += 1) {
      const from = (done + i) * FACTORS;
      const to = block / 4 + first + i;
      floats[to + layout.offsets / 4] = factors?.[from] ?? Number.NEGATIVE_INFINITY;
      floats[to + layout.coarse / 4] = factors?.[from + 1] ?? 0;
      floats[to + layout.fine / 4] = factors?.[from + 2] ?? 0;
    }
    done += share;
  }
}

function toIntegers(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.slice().buffer);
}
