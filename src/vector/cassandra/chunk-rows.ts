/** The texts of chunks, with their words: what is staged is what is here. */

import type { CqlRow, CqlSession, CqlStatement } from '../../cassandra/session.ts';
import type { IndexScope, NewChunk, StoredChunk } from '../vector-index.ts';
import { toNumber, toText } from './columns.ts';
import { toBucket } from './schema.ts';

export interface ChunkWords {
  readonly position: number;
  /** As `encodeTerms` writes them. */
  readonly terms: string;
  /** What text, words and vector take. */
  readonly bytes: number;
  readonly hasVector: boolean;
}

export type WholeChunk = Omit<NewChunk, 'vector'>;

export interface ChunkRows {
  /** All of one bucket. */
  write(scope: IndexScope, version: string, bucket: number, chunks: readonly NewChunk[]): Promise<void>;
  /** Positions that are there, ascending. */
  readPositions(scope: IndexScope, version: string, bucket: number): Promise<readonly number[]>;
  /** By position, some at a time. */
  readWords(scope: IndexScope, version: string, bucket: number): AsyncIterable<readonly ChunkWords[]>;
  /** From a position on, in order, with their words; of one bucket. */
  readWhole(scope: IndexScope, version: string, from: number, limit: number): Promise<readonly WholeChunk[]>;
  /** From a position on, in order; of one bucket. */
  readFrom(scope: IndexScope, version: string, from: number, limit: number): Promise<readonly StoredChunk[]>;
  /** Those of one bucket that are there. */
  readMany(scope: IndexScope, version: string, positions: readonly number[]): Promise<readonly StoredChunk[]>;
  remove(scope: IndexScope, version: string, bucket: number): Promise<void>;
}

/** A batch is one write of the server: well below half a segment of its commit log. */
const BATCH_BYTES = 256 * 1024;
/** With texts of a few KiB a page has some hundred KiB. */
const PAGE_ROWS = 128;

const BUCKET = 'WHERE tenant = ? AND store = ? AND version = ? AND bucket = ?';
const COLUMNS = 'position, text_start, text_end, page, token_count, context, body';

export function createChunkRows(session: CqlSession): ChunkRows {
  const select = async (cql: string, values: CqlStatement['values']): Promise<readonly StoredChunk[]> =>
    (await session.read({ cql, values })).map(toStoredChunk);

  return {
    async write(scope, version, bucket, chunks) {
      let batch: CqlStatement[] = [];
      let bytes = 0;
      for (const chunk of chunks) {
        const size = toBytesOf(chunk);
        if (batch.length > 0 && bytes + size > BATCH_BYTES) {
          await session.writeTogether(batch);
          batch = [];
          bytes = 0;
        }
        batch.push(toInsert(scope, version, bucket, chunk, size));
        bytes += size;
      }
      await session.writeTogether(batch);
    },

    async readPositions(scope, version, bucket) {
      const rows = await session.read({
        cql: `SELECT position FROM index_chunks ${BUCKET}`,
        values: [scope.tenant, scope.store, version, bucket],
      });
      return rows.map((row) => toNumber(row.position));
    },

    async *readWords(scope, version, bucket) {
      const statement = {
        cql: `SELECT position, terms, bytes, has_vector FROM index_chunks ${BUCKET}`,
        values: [scope.tenant, scope.store, version, bucket],
      };
      for await (const rows of session.readPages(statement, PAGE_ROWS)) yield rows.map(toChunkWords);
    },

    readFrom: ({ tenant, store }, version, from, limit) =>
      select(`SELECT ${COLUMNS} FROM index_chunks ${BUCKET} AND position >= ? LIMIT ?`, [
        ...[tenant, store, version, toBucket(from), from],
        limit,
      ]),

    async readWhole({ tenant, store }, version, from, limit) {
      const rows = await session.read({
        cql: `SELECT ${COLUMNS}, terms FROM index_chunks ${BUCKET} AND position >= ? LIMIT ?`,
        values: [tenant, store, version, toBucket(from), from, limit],
      });
      return rows.map((row) => ({ ...toStoredChunk(row), terms: toText(row.terms) }));
    },

    readMany: ({ tenant, store }, version, positions) =>
      select(`SELECT ${COLUMNS} FROM index_chunks ${BUCKET} AND position IN ?`, [
        ...[tenant, store, version, toBucket(positions[0] ?? 0)],
        positions,
      ]),

    async remove({ tenant, store }, version, bucket) {
      await session.write({
        cql: `DELETE FROM index_chunks ${BUCKET}`,
        values: [tenant, store, version, bucket],
      });
    },
  };
}

/** In UTF-8. */
function toBytesOf({ text, context, terms, vector }: NewChunk): number {
  return (
    Buffer.byteLength(text) +
    Buffer.byteLength(context) +
    Buffer.byteLength(terms) +
    (vector?.byteLength ?? 0)
  );
}

function toInsert(
  { tenant, store }: IndexScope,
  version: string,
  bucket: number,
  chunk: NewChunk,
  bytes: number,
): CqlStatement {
  const { position, start, end, page, tokens, context, text, terms, vector } = chunk;
  return {
    cql: `INSERT INTO index_chunks (tenant, store, version, bucket, position, text_start, text_end, page, token_count,
      context, body, terms, bytes, has_vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    // Page 0 is none: a null would be one tombstone a chunk.
    values: [
      ...[tenant, store, version, bucket, position],
      ...[start, end, page ?? 0, tokens, context, text, terms, bytes, vector !== null],
    ],
  };
}

function toChunkWords(row: CqlRow): ChunkWords {
  return {
    position: toNumber(row.position),
    terms: toText(row.terms),
    bytes: toNumber(row.bytes),
    hasVector: row.has_vector === true,
  };
}

function toStoredChunk(row: CqlRow): StoredChunk {
  const page = toNumber(row.page);
  return {
    position: toNumber(row.position),
    text: toText(row.body),
    start: toNumber(row.text_start),
    end: toNumber(row.text_end),
    page: page === 0 ? null : page,
    context: toText(row.context),
    tokens: toNumber(row.token_count),
  };
}
