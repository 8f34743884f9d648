/**
 * The vectors of small stores, in memory: most stores are small, and all of their vectors are compared in less time than one
 * question to the cluster takes. A published version never changes, so what is here is true as long as the version is there.
 */

import type { IndexScope } from '../vector-index.ts';
import type { LoadedFile, LoadedStore } from './loaded-store.ts';
import { BUCKET_CHUNKS, fromVectorId } from './schema.ts';
import { toKey } from './state-rows.ts';
import { forEachBounded } from './turns.ts';
import type { VectorRows } from './vector-rows.ts';

export interface VersionVectors {
  /** One after the other, by position. */
  readonly values: Float32Array;
  /** Which positions have one. */
  readonly isThere: Uint8Array;
}

export interface VectorCache {
  /** The vectors of every file; null where they are too many to be kept. */
  read(
    scope: IndexScope,
    store: LoadedStore,
    dimensions: number,
  ): Promise<ReadonlyMap<string, VersionVectors> | null>;
}

export const VECTORS_BYTES_DEFAULT = 64 * 1024 * 1024;

/** Files that are read one by one; of more, whole shards are read. */
const RANGES_MAX = 25;
const READS_AT_ONCE = 4;

export function createVectorCache(rows: VectorRows, bytesMax: number): VectorCache {
  const stores = new Map<string, ReadonlyMap<string, VersionVectors>>();

  /** The store that was used last is last. */
  const keep = (key: string, versions: ReadonlyMap<string, VersionVectors>): void => {
    stores.delete(key);
    stores.set(key, versions);
    let bytes = 0;
    for (const one of stores.values()) bytes += toSize(one);
    for (const [oldest, one] of stores) {
      if (bytes <= bytesMax) break;
      stores.delete(oldest);
      bytes -= toSize(one);
    }
  };

  const readMissing = async (
    scope: IndexScope,
    store: LoadedStore,
    dimensions: number,
    files: readonly LoadedFile[],
  ): Promise<ReadonlyMap<string, VersionVectors>> => {
    const found = new Map(files.map(({ version, chunks }) => [version, toEmpty(chunks, dimensions)]));
    const put = (page: readonly { readonly id: string; readonly vector: Float32Array }[]): void => {
      for (const { id, vector } of page) {
        const { version, position } = fromVectorId(id);
        const vectors = found.get(version);
        if (vectors === undefined || position >= vectors.isThere.length) continue;
        vectors.values.set(vector, position * dimensions);
        vectors.isThere[position] = 1;
      }
    };
    if (files.length > RANGES_MAX) {
      await forEachBounded(store.shardChunks.keys(), READS_AT_ONCE, async (shard) => {
        for await (const page of rows.readShard({ ...scope, dimensions, shard })) put(page);
      });
      return found;
    }
    await forEachBounded(files, READS_AT_ONCE, async ({ version, shards }) => {
      for (const [bucket, shard] of shards.entries()) {
        const range = { version, from: bucket * BUCKET_CHUNKS, to: (bucket + 1) * BUCKET_CHUNKS };
        for await (const page of rows.readRange({ ...scope, dimensions, shard }, range)) put(page);
      }
    });
    return found;
  };

  return {
    async read(scope, store, dimensions) {
      if (4 * dimensions * store.chunks > bytesMax) return null;
      const key = toKey(scope);
      const known = stores.get(key);
      const missing = store.files.filter(({ version }) => known?.has(version) !== true);
      const read = missing.length === 0 ? NONE : await readMissing(scope, store, dimensions, missing);
      const versions = new Map<string, VersionVectors>();
      for (const { version } of store.files) {
        const vectors = known?.get(version) ?? read.get(version);
        if (vectors !== undefined) versions.set(version, vectors);
      }
      keep(key, versions);
      return versions;
    },
  };
}

const NONE: ReadonlyMap<string, VersionVectors> = new Map();

function toEmpty(chunks: number, dimensions: number): VersionVectors {
  return { values: new Float32Array(chunks * dimensions), isThere: new Uint8Array(chunks) };
}

function toSize(versions: ReadonlyMap<string, VersionVectors>): number {
  let bytes = 0;
  for (const { values, isThere } of versions.values()) bytes += values.byteLength + isThere.byteLength;
  return bytes;
}

/** The cosines of a file's vectors with a question of length 1, by position; those without a vector are left out. */
export function compareVectors(
  { values, isThere }: VersionVectors,
  question: Float32Array,
  put: (position: number, cosine: number) => void,
): void {
  const { length } = question;
  for (let position = 0; position < isThere.length; position += 1) {
    if (isThere[position] === 0) continue;
    const start = position * length;
    let product = 0;
    for (let at = 0; at < length; at += 1) product += (values[start + at] ?? 0) * (question[at] ?? 0);
    put(position, Math.max(-1, Math.min(1, product)));
  }
}
