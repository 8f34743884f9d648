/** Files that can be found, chunk by chunk: as they are shown, and as they were staged. */

import type { Attributes } from '../attribute-filter.ts';
import { decodeTerms, encodeTerms } from '../terms.ts';
import type { IndexScope, NewChunk, PublishedFile, StoredChunk } from '../vector-index.ts';
import type { ChunkRows } from './chunk-rows.ts';
import type { FileStates } from './file-states.ts';
import type { BucketEntry, Registry } from './registry.ts';
import { BUCKET_CHUNKS, fromVectorId, toBucket } from './schema.ts';
import type { PublishedState } from './state-rows.ts';
import type { VectorRows } from './vector-rows.ts';

export interface Reading {
  readChunks(scope: IndexScope, file: string, from: number, limit: number): Promise<readonly StoredChunk[]>;
  describeFile(scope: IndexScope, file: string): Promise<PublishedFile | null>;
  exportChunks(scope: IndexScope, file: string, from: number, limit: number): Promise<readonly NewChunk[]>;
}

export function createReading(deps: {
  readonly states: FileStates;
  readonly registry: Registry;
  readonly chunks: ChunkRows;
  readonly vectors: VectorRows;
}): Reading {
  const { states, registry, chunks, vectors } = deps;

  const find = async (scope: IndexScope, file: string): Promise<PublishedState | null> => {
    const { store, file: state } = await states.read(scope, file);
    return store.isRemoving ? null : state.published;
  };

  const readVectors = async (
    scope: IndexScope,
    version: string,
    buckets: readonly BucketEntry[],
    from: number,
    to: number,
  ): Promise<ReadonlyMap<number, Float32Array>> => {
    const found = new Map<number, Float32Array>();
    for (const { bucket, shard, dimensions } of buckets) {
      const range = {
        version,
        from: Math.max(from, bucket * BUCKET_CHUNKS),
        to: Math.min(to, (bucket + 1) * BUCKET_CHUNKS),
      };
      if (dimensions === 0 || range.from >= range.to) continue;
      for await (const page of vectors.readRange({ ...scope, shard, dimensions }, range)) {
        for (const { id, vector } of page) found.set(fromVectorId(id).position, vector);
      }
    }
    return found;
  };

  return {
    async readChunks(scope, file, from, limit) {
      const published = await find(scope, file);
      if (published === null) return [];
      return await readBuckets(from, Math.min(published.chunks, from + limit), (at, count) =>
        chunks.readFrom(scope, published.version, at, count),
      );
    },

    async describeFile(scope, file) {
      const published = await find(scope, file);
      if (published === null) return null;
      const { ingest, chunks: count, attributes, languages } = published;
      return {
        ...{ file, ingest, chunks: count },
        attributes: JSON.parse(attributes) as Attributes,
        languages: JSON.parse(languages) as string[],
      };
    },

    async exportChunks(scope, file, from, limit) {
      const published = await find(scope, file);
      if (published === null) return [];
      const { version } = published;
      const to = Math.min(published.chunks, from + limit);
      const whole = await readBuckets(from, to, (at, count) => chunks.readWhole(scope, version, at, count));
      const { buckets } = await registry.readVersion(scope, file, version);
      const found = await readVectors(scope, version, buckets, from, to);
      return whole.map(({ terms, ...chunk }) => ({
        ...chunk,
        terms: sortTerms(terms),
        vector: found.get(chunk.position) ?? null,
      }));
    },
  };
}

/** Bucket by bucket, since each is a partition. */
async function readBuckets<T>(
  from: number,
  to: number,
  read: (from: number, count: number) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const found: T[] = [];
  for (let at = from; at < to; ) {
    const end = Math.min(to, (toBucket(at) + 1) * BUCKET_CHUNKS);
    found.push(...(await read(at, end - at)));
    at = end;
  }
  return found;
}

/** As every engine gives them, in the order of JavaScript's comparison. */
function sortTerms(terms: string): string {
  const { length, counts } = decodeTerms(terms);
  return encodeTerms({ length, counts: new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1))) });
}
