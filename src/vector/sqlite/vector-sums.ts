/**
 * The sum of the vectors that can be found in a store, from which a search takes what any chunk would have as its cosine.
 * It changes with what is published and removed, in the same transaction.
 */

import type { Database } from 'bun:sqlite';
import { toFloats } from './pieces.ts';
import { toChunkId } from './schema.ts';

export interface VectorSums {
  /** Adds vectors to those of a version that is still staged. */
  extend(version: number, sum: Float64Array, vectors: number): void;
  /** The version can be found from now on. */
  show(store: number, version: number): void;
  /** The version, which could be found, cannot any more. */
  hide(store: number, version: number): void;
}

export interface VectorSum {
  readonly vectors: number;
  /** 64-bit floats; null where there is no vector. */
  readonly sum: Uint8Array | null;
}

/** Of a version with so few vectors the sum is not kept, but made again from them when the version goes. */
const UNKEPT_VECTORS_MAX = 64;

/** All of these run inside of the caller's transaction. */
export function createVectorSums(database: Database): VectorSums {
  const readVersion = database.prepare<VectorSum, [number]>(
    'SELECT vectors, vector_sum AS sum FROM versions WHERE id = ?',
  );
  const writeVersion = database.prepare<void, [number, number, Float64Array | null]>(
    'UPDATE versions SET vectors = ?2, vector_sum = ?3 WHERE id = ?1',
  );
  const readStore = database.prepare<VectorSum, [number]>(
    'SELECT shown AS vectors, shown_sum AS sum FROM stores WHERE id = ?',
  );
  const writeStore = database.prepare<void, [number, number, Float64Array | null]>(
    'UPDATE stores SET shown = ?2, shown_sum = ?3 WHERE id = ?1',
  );
  const readVectors = database.prepare<{ vector: Uint8Array }, [number, number]>(
    'SELECT vector FROM vectors WHERE id >= ? AND id < ? ORDER BY id',
  );

  /** The version's vectors, added up anew. */
  const addUp = (version: number): Float64Array | null => {
    let total: Float64Array | null = null;
    for (const { vector } of readVectors.iterate(toChunkId(version, 0), toChunkId(version + 1, 0))) {
      const floats = toFloats(vector);
      total ??= new Float64Array(floats.length);
      addTo(total, floats, 1);
    }
    return total;
  };

  const change = (store: number, version: number, sign: 1 | -1): void => {
    const { vectors, sum } = readVersion.get(version) ?? NOTHING;
    const own = sum === null ? addUp(version) : toDoubles(sum);
    if (vectors === 0 || own === null) return;
    const before = readStore.get(store) ?? NOTHING;
    const shown = before.vectors + sign * vectors;
    const total = before.sum === null ? new Float64Array(own.length) : toDoubles(before.sum);
    // Begun anew, so that nothing is left of what rounding has added up.
    writeStore.run(store, shown, shown === 0 ? null : addTo(total, own, sign));
  };

  return {
    extend(version, sum, vectors) {
      const before = readVersion.get(version) ?? NOTHING;
      const total = before.sum === null ? sum : addTo(toDoubles(before.sum), sum, 1);
      writeVersion.run(version, before.vectors + vectors, total);
    },
    show(store, version) {
      change(store, version, 1);
      const { vectors } = readVersion.get(version) ?? NOTHING;
      if (vectors <= UNKEPT_VECTORS_MAX) writeVersion.run(version, vectors, null);
    },
    hide: (store, version) => change(store, version, -1),
  };
}

const NOTHING: VectorSum = Object.freeze({ vectors: 0, sum: null });

function addTo(sum: Float64Array, more: Float64Array | Float32Array, sign: 1 | -1): Float64Array {
  for (let i = 0; i < sum.length; i += 1) sum[i] = (sum[i] ?? 0) + sign * (more[i] ?? 0);
  return sum;
}

/** A copy of a row's bytes. */
export function toDoubles(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.slice().buffer);
}
