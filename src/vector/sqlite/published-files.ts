/** Files that can be found, chunk by chunk: as they are shown, and as they were staged. */

import type { Database } from 'bun:sqlite';
import type { Attributes } from '../attribute-filter.ts';
import type { IndexScope, NewChunk, PublishedFile, StoredChunk } from '../vector-index.ts';
import { toFloats } from './pieces.ts';
import { createPublishedTerms } from './published-terms.ts';
import { POSITIONS_MAX, PUBLISHED, toChunkId } from './schema.ts';

/** The position is the low part of the id. */
export const CHUNK_FIELDS = `id % ${POSITIONS_MAX} AS position, text, start, "end", page, context, tokens`;

/** Reads inside of the caller's snapshot. */
export interface PublishedFiles {
  readChunks(scope: IndexScope, file: string, from: number, limit: number): readonly StoredChunk[];
  describe(scope: IndexScope, file: string): PublishedFile | null;
  exportChunks(scope: IndexScope, file: string, from: number, limit: number): readonly NewChunk[];
}

interface FileRow {
  readonly id: number;
  readonly prepared: number;
  readonly ingest: string;
  readonly attributes: string;
  readonly languages: string;
}

export function createPublishedFiles(database: Database): PublishedFiles {
  const find = database.prepare<FileRow, [string, string, string]>(
    `SELECT versions.id, prepared, ingest, attributes, languages
     FROM versions JOIN stores ON stores.id = versions.store
     WHERE tenant = ? AND stores.store = ? AND file = ? AND state = ${PUBLISHED}`,
  );
  const readRows = database.prepare<StoredChunk, [number, number]>(
    `SELECT ${CHUNK_FIELDS} FROM chunks WHERE id >= ? AND id < ? ORDER BY id`,
  );
  const readVectors = database.prepare<{ position: number; vector: Uint8Array }, [number, number]>(
    `SELECT id % ${POSITIONS_MAX} AS position, vector FROM vectors WHERE id >= ? AND id < ?`,
  );
  const readTerms = createPublishedTerms(database);

  const findFile = ({ tenant, store }: IndexScope, file: string) => find.get(tenant, store, file);
  const readRange = (version: FileRow, from: number, limit: number): StoredChunk[] => {
    const end = Math.max(from, Math.min(version.prepared, from + limit));
    return readRows.all(toChunkId(version.id, from), toChunkId(version.id, end));
  };

  return {
    readChunks(scope, file, from, limit) {
      const version = findFile(scope, file);
      return version === null ? [] : readRange(version, from, limit);
    },
    describe(scope, file) {
      const version = findFile(scope, file);
      if (version === null) return null;
      const { prepared: chunks, ingest } = version;
      const attributes = JSON.parse(version.attributes) as Attributes;
      return { file, attributes, languages: JSON.parse(version.languages) as string[], ingest, chunks };
    },
    exportChunks(scope, file, from, limit) {
      const version = findFile(scope, file);
      const chunks = version === null ? [] : readRange(version, from, limit);
      if (version === null || chunks.length === 0) return [];
      const end = from + chunks.length;
      const terms = readTerms(version.id, from, end);
      const vectors = new Map<number, Float32Array>();
      for (const row of readVectors.iterate(toChunkId(version.id, from), toChunkId(version.id, end))) {
        vectors.set(row.position, toFloats(row.vector).slice());
      }
      return chunks.map((chunk) => ({
        ...chunk,
        terms: terms[chunk.position - from] ?? '0',
        vector: vectors.get(chunk.position) ?? null,
      }));
    },
  };
}
