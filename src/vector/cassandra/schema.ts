/**
 * The tables of the index. Everything lies in partitions of one store.
 *
 * An attempt to read a file is a *version* with an id that is never used again. Its chunks lie in *buckets* of
 * `BUCKET_CHUNKS`; each bucket belongs to a *shard* of the store, in which its vectors and postings lie beside those of
 * others. What can be found is told by one row of a file in `index_files`, and only by that: rows of other versions are
 * passed over wherever they are met.
 *
 * `index_files` is written by conditional writes alone, all other tables by plain ones alone.
 */

import type { Migration } from '../../cassandra/schema.ts';

/** Chunks of a file that share a partition of texts. */
export const BUCKET_CHUNKS = 1024;
/** Vectors of more dimensions are no longer indexed well, and each number of dimensions is a table. */
export const DIMENSIONS_MAX = 4096;
/** Of the row of `index_versions` that is about the version and not about one of its buckets. */
export const HEAD_BUCKET = -1;

/** What a crash may leave to be replayed: the server builds the graph of every vector anew that was not flushed. */
const FLUSH_PERIOD_MS = 60_000;

const TABLES = Object.freeze([
  // One row a file: what is published of it, and which attempt is on its way. The static columns are about the store.
  `CREATE TABLE IF NOT EXISTS index_files (
    tenant text, store text, file text,
    revision bigint STATIC, removals bigint STATIC, is_removing boolean STATIC,
    dimensions int STATIC, vectors bigint STATIC, vector_sum blob STATIC,
    staged_ingest text, staged_version text,
    ingest text, version text, published bigint, changed bigint,
    chunks int, bytes bigint, words bigint, shards frozen<list<int>>, attributes text, languages text,
    PRIMARY KEY ((tenant, store), file))`,
  // What is to be freed some day: written before anything of a version or a bucket is.
  `CREATE TABLE IF NOT EXISTS index_versions (
    tenant text, store text, file text, version text, bucket int,
    shard int, dimensions int, is_indexed boolean,
    PRIMARY KEY ((tenant, store), file, version, bucket))`,
  // What a version brings to the store's sum of vectors, and takes away again. As large as a vector, so not beside the rows above.
  `CREATE TABLE IF NOT EXISTS index_sums (
    tenant text, store text, version text, vectors int, vector_sum blob,
    PRIMARY KEY ((tenant, store, version)))`,
  `CREATE TABLE IF NOT EXISTS index_chunks (
    tenant text, store text, version text, bucket int, position int,
    text_start bigint, text_end bigint, page int, token_count int, context text, body text, terms text,
    bytes int, has_vector boolean,
    PRIMARY KEY ((tenant, store, version, bucket), position))`,
  // A row is about some of a version's chunks, from position `first` on.
  `CREATE TABLE IF NOT EXISTS index_postings (
    tenant text, store text, shard int, term text, version text, first int, postings blob,
    PRIMARY KEY ((tenant, store, shard), term, version, first))`,
]);

/** For `migrate`. Tables of vectors are made when the first vector of their dimensions comes. */
export const VECTOR_MIGRATIONS: readonly Migration[] = Object.freeze([
  { name: 'index-1', statements: TABLES },
]);

export function toVectorTable(dimensions: number): string {
  return `index_vectors_${dimensions}`;
}

/** The table of one number of dimensions. `isManaged`: the operator of the cluster decides about options (Astra). */
export function toVectorMigration(dimensions: number, isManaged: boolean): Migration {
  const table = toVectorTable(dimensions);
  // Vectors do not shrink, and a search reads them one by one.
  const options = `WITH compression = {'enabled': false} AND memtable_flush_period_in_ms = ${FLUSH_PERIOD_MS}`;
  return {
    name: `index-vectors-${dimensions}`,
    needs: 'search of vectors (storage-attached indexes, since Cassandra 5.0)',
    statements: [
      `CREATE TABLE IF NOT EXISTS ${table} (
        tenant text, store text, shard int, id text, v vector<float, ${dimensions}>,
        PRIMARY KEY ((tenant, store, shard), id)) ${isManaged ? '' : options}`,
      `CREATE CUSTOM INDEX IF NOT EXISTS ${table}_v ON ${table} (v) USING 'StorageAttachedIndex'
        WITH OPTIONS = {'similarity_function': 'cosine'}`,
    ],
  };
}

export function toBucket(position: number): number {
  return Math.floor(position / BUCKET_CHUNKS);
}

/** Base 64 of 12 random bytes. */
const VERSION_LENGTH = 16;
const POSITION_RADIX = 36;
/** `POSITIONS_MAX` has so many digits. */
const POSITION_DIGITS = 5;

export function createVersionId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString('base64url');
}

/** The key of a vector: those of a version lie together, by position. */
export function toVectorId(version: string, position: number): string {
  return `${version}/${position.toString(POSITION_RADIX).padStart(POSITION_DIGITS, '0')}`;
}

export function fromVectorId(id: string): { readonly version: string; readonly position: number } {
  return {
    version: id.slice(0, VERSION_LENGTH),
    position: Number.parseInt(id.slice(VERSION_LENGTH + 1), POSITION_RADIX),
  };
}
