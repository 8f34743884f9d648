/** Postings of a version: written before it is shown, taken back where it changes or goes. */

import { decodeTerms } from '../terms.ts';
import type { IndexScope } from '../vector-index.ts';
import type { ChunkRows } from './chunk-rows.ts';
import { type PostingRows, TERM_LENGTH_MAX } from './posting-rows.ts';
import { PostingsWriter } from './postings.ts';
import type { BucketEntry, VersionEntry } from './registry.ts';
import { BUCKET_CHUNKS } from './schema.ts';
import type { VectorRows } from './vector-rows.ts';

export interface IndexedVersion {
  /** Words of all chunks. */
  readonly words: number;
  readonly bytes: number;
  readonly vectors: number;
  readonly vectorSum: Float64Array | null;
}

export interface Indexing {
  /** Chunks from position 0 up to the first gap, and up to the last position. */
  count(
    scope: IndexScope,
    entry: VersionEntry,
  ): Promise<{ readonly gapless: number; readonly total: number }>;
  /** Writes the postings, and counts what the version brings. May be done again. */
  index(scope: IndexScope, entry: VersionEntry): Promise<IndexedVersion>;
  unindex(scope: IndexScope, entry: VersionEntry): Promise<void>;
}

/** Different terms that are in memory at once: a document may consist of words that stand there once. */
const TERMS_AT_ONCE = 100_000;

export function createIndexing(deps: {
  readonly chunks: ChunkRows;
  readonly postings: PostingRows;
  readonly vectors: VectorRows;
}): Indexing {
  const { chunks, postings, vectors } = deps;

  /** Writes what was collected of chunks from a position on. */
  const flush = async (
    scope: IndexScope,
    shard: number,
    version: string,
    first: number,
    writers: ReadonlyMap<string, PostingsWriter>,
  ): Promise<void> => {
    const rows = [...writers].map(([term, writer]) => ({
      term,
      version,
      first,
      postings: writer.toBuffer(),
    }));
    await postings.write(scope, shard, rows);
  };

  const indexBucket = async (
    scope: IndexScope,
    version: string,
    { bucket, shard }: BucketEntry,
  ): Promise<{ words: number; bytes: number; hasVectors: boolean }> => {
    let writers = new Map<string, PostingsWriter>();
    let first = bucket * BUCKET_CHUNKS;
    const counts = { words: 0, bytes: 0, hasVectors: false };
    for await (const page of chunks.readWords(scope, version, bucket)) {
      for (const { position, terms, bytes, hasVector } of page) {
        const words = decodeTerms(terms);
        counts.words += words.length;
        counts.bytes += bytes;
        counts.hasVectors ||= hasVector;
        if (writers.size > TERMS_AT_ONCE) {
          await flush(scope, shard, version, first, writers);
          writers = new Map();
          first = position;
        }
        for (const [term, count] of words.counts) {
          if (term.length > TERM_LENGTH_MAX) continue;
          const writer = writers.get(term) ?? new PostingsWriter();
          writers.set(term, writer);
          writer.add(position - first, count, words.length);
        }
      }
    }
    await flush(scope, shard, version, first, writers);
    return counts;
  };

  const sumBucket = async (
    scope: IndexScope,
    version: string,
    { bucket, shard, dimensions }: BucketEntry,
    sum: Float64Array,
  ): Promise<number> => {
    let count = 0;
    const range = { version, from: bucket * BUCKET_CHUNKS, to: (bucket + 1) * BUCKET_CHUNKS };
    for await (const page of vectors.readRange({ ...scope, shard, dimensions }, range)) {
      count += page.length;
      for (const { vector } of page) {
        for (let at = 0; at < vector.length; at += 1) sum[at] = (sum[at] ?? 0) + (vector[at] ?? 0);
      }
    }
    return count;
  };

  return {
    async count(scope, { version, buckets }) {
      let gapless = 0;
      let total = 0;
      for (const { bucket } of buckets) {
        const positions = await chunks.readPositions(scope, version, bucket);
        total = Math.max(total, (positions.at(-1) ?? -1) + 1);
        for (const position of positions) if (position === gapless) gapless += 1;
      }
      return { gapless, total };
    },

    async index(scope, { version, buckets }) {
      const counts = { words: 0, bytes: 0, vectors: 0 };
      let vectorSum: Float64Array | null = null;
      for (const entry of buckets) {
        const { words, bytes, hasVectors } = await indexBucket(scope, version, entry);
        counts.words += words;
        counts.bytes += bytes;
        if (!hasVectors) continue;
        vectorSum ??= new Float64Array(entry.dimensions);
        counts.vectors += await sumBucket(scope, version, entry, vectorSum);
      }
      return { ...counts, vectorSum };
    },

    async unindex(scope, { version, buckets }) {
      for (const { bucket, shard } of buckets) {
        let terms = new Set<string>();
        for await (const page of chunks.readWords(scope, version, bucket)) {
          for (const words of page)
            for (const term of decodeTerms(words.terms).counts.keys()) terms.add(term);
          if (terms.size < TERMS_AT_ONCE) continue;
          await remove(scope, shard, version, terms);
          terms = new Set();
        }
        await remove(scope, shard, version, terms);
      }
    },
  };

  async function remove(
    scope: IndexScope,
    shard: number,
    version: string,
    terms: ReadonlySet<string>,
  ): Promise<void> {
    const written = [...terms].filter((term) => term.length <= TERM_LENGTH_MAX);
    await postings.remove(scope, shard, version, written);
  }
}
