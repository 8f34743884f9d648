/**
 * What a store's vectors are coded against: their mean, taken anew each time the store has grown by a factor. So most
 * of a store is coded against a mean that is nearly right, and nothing is ever coded again.
 */

import type { Database } from 'bun:sqlite';
import { type Coder, createCoder } from './codes.ts';
import type { StoreRow } from './stores.ts';

/** A new centre is made when there are so many times as many vectors. */
const GROWTH = 8;
/** A mean of so many vectors does not change any more. */
const VECTORS_MAX = 100_000;
/** Coders, one for each number of dimensions, that are kept at once. */
const CODERS_MAX = 8;

export interface StoreCentre {
  /** Null: it is not in the file yet, and is to follow the one named by `after`. */
  readonly id: number | null;
  /** The store's latest centre when this one was chosen; 0 where there was none. */
  readonly after: number;
  readonly vectors: number;
  readonly centre: Float32Array;
  /** The sum of the vectors that are coded with it now, and how many they are. */
  readonly addedSum: Float64Array;
  readonly added: number;
}

export interface Centres {
  /** For vectors that are about to be coded; null where there are none. */
  choose(
    store: StoreRow | null,
    vectors: readonly Float32Array[],
  ): { readonly centre: StoreCentre; readonly coder: Coder } | null;
  /** Whether nobody has made a newer centre since this one was chosen. */
  isLatest(store: number, centre: StoreCentre): boolean;
  /** Inside of a transaction. Adds to the store's sum; answers the centre's id. */
  keep(store: number, centre: StoreCentre): number;
}

export function createCentres(database: Database): Centres {
  const findLatest = database.prepare<{ id: number; vectors: number; centre: Uint8Array }, [number]>(
    'SELECT id, vectors, centre FROM centres WHERE store = ? ORDER BY id DESC LIMIT 1',
  );
  const insert = database.prepare<{ id: number }, [number, number, Float32Array]>(
    'INSERT INTO centres (store, vectors, centre) VALUES (?, ?, ?) RETURNING id',
  );
  const readSum = database.prepare<Pick<StoreRow, 'vector_sum'>, [number]>(
    'SELECT vector_sum FROM stores WHERE id = ?',
  );
  const writeSum = database.prepare<void, [number, Float64Array, number]>(
    'UPDATE stores SET vector_sum = ?2, vectors = vectors + ?3 WHERE id = ?1',
  );
  const coders = createCoders();

  return {
    choose(store, vectors) {
      const [first] = vectors;
      if (store === null || first === undefined) return null;
      const coder = coders(first.length);
      const added = { addedSum: toSum(vectors, first.length), added: vectors.length };
      const latest = findLatest.get(store.id);
      const total = store.vectors + vectors.length;
      if (latest !== null && (latest.vectors >= VECTORS_MAX || total < GROWTH * latest.vectors)) {
        const centre = new Float32Array(latest.centre.slice().buffer);
        return {
          coder,
          centre: { ...added, id: latest.id, after: latest.id, vectors: latest.vectors, centre },
        };
      }
      const sum = addTo(toDoubles(store.vector_sum, first.length), added.addedSum);
      const centre = Float32Array.from(sum, (value) => value / total);
      return { coder, centre: { ...added, id: null, after: latest?.id ?? 0, vectors: total, centre } };
    },
    isLatest: (store, { after }) => (findLatest.get(store)?.id ?? 0) === after,
    keep(store, { id, vectors, centre, addedSum, added }) {
      const before = toDoubles(readSum.get(store)?.vector_sum ?? null, addedSum.length);
      writeSum.run(store, addTo(before, addedSum), added);
      return id ?? insert.get(store, vectors, centre)?.id ?? 0;
    },
  };
}

/** Answers the coder for so many dimensions. The least lately used give way. */
export function createCoders(): (dimensions: number) => Coder {
  const coders = new Map<number, Coder>();
  return (dimensions) => {
    const coder = coders.get(dimensions) ?? createCoder(dimensions);
    coders.delete(dimensions);
    coders.set(dimensions, coder);
    const [oldest] = coders.keys();
    if (coders.size > CODERS_MAX && oldest !== undefined) coders.delete(oldest);
    return coder;
  };
}

function toSum(vectors: readonly Float32Array[], dimensions: number): Float64Array {
  const sum = new Float64Array(dimensions);
  for (const vector of vectors) addTo(sum, vector);
  return sum;
}

function addTo(sum: Float64Array, more: Float64Array | Float32Array): Float64Array {
  for (let i = 0; i < sum.length; i += 1) sum[i] = (sum[i] ?? 0) + (more[i] ?? 0);
  return sum;
}

function toDoubles(bytes: Uint8Array | null, dimensions: number): Float64Array {
  return bytes === null ? new Float64Array(dimensions) : new Float64Array(bytes.slice().buffer);
}
