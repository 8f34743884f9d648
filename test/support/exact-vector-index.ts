/**
 * A vector index in memory that compares everything: slow, and right by its plainness. Engines are measured against it.
 */

import { matchesFilter } from '../../src/vector/attribute-filter.ts';
import { toBackground, toCandidates, toSaturation, toScore, weighTerms } from '../../src/vector/scoring.ts';
import { decodeTerms, encodeTerms, type TermCounts } from '../../src/vector/terms.ts';
import type {
  FileEntry,
  IndexScope,
  NewChunk,
  SearchHit,
  SearchQuery,
  StoredChunk,
  VectorIndex,
} from '../../src/vector/vector-index.ts';

interface IndexedChunk {
  readonly chunk: StoredChunk;
  readonly vector: Float32Array | null;
  readonly terms: TermCounts;
}

interface IndexedFile {
  staged: { ingest: string; chunks: NewChunk[] } | null;
  published: { entry: FileEntry; ingest: string; chunks: readonly IndexedChunk[] } | null;
}

interface Candidate extends IndexedChunk {
  readonly entry: FileEntry;
  readonly cosine: number | null;
  readonly bm25: number;
}

export function createExactVectorIndex(): VectorIndex {
  const stores = new Map<string, Map<string, IndexedFile>>();

  function openStore({ tenant, store }: IndexScope): Map<string, IndexedFile> {
    const key = JSON.stringify([tenant, store]);
    const files = stores.get(key) ?? new Map<string, IndexedFile>();
    stores.set(key, files);
    return files;
  }

  function openFile(scope: IndexScope, file: string): IndexedFile {
    const files = openStore(scope);
    const found = files.get(file) ?? { staged: null, published: null };
    files.set(file, found);
    return found;
  }

  function listPublished(scope: IndexScope) {
    return [...openStore(scope).values()].flatMap(({ published }) => published ?? []);
  }

  return {
    engine: 'exact',

    async stageChunks(scope, file, ingest, chunks) {
      const found = openFile(scope, file);
      if (found.staged?.ingest !== ingest) found.staged = { ingest, chunks: [] };
      for (const chunk of chunks) found.staged.chunks[chunk.position] = chunk;
    },

    async countStaged(scope, file, ingest) {
      const { staged } = openFile(scope, file);
      if (staged?.ingest !== ingest) return 0;
      // A position that was left out is a hole in the array.
      let count = 0;
      while (count in staged.chunks) count += 1;
      return count;
    },

    async publishFile(scope, entry, ingest) {
      const found = openFile(scope, entry.file);
      if (found.staged?.ingest === ingest) {
        found.published = { entry, ingest, chunks: found.staged.chunks.map(toIndexed) };
        found.staged = null;
      }
      const chunks = found.published?.chunks ?? [];
      return { chunks: chunks.length, bytes: chunks.reduce((sum, { chunk }) => sum + chunk.text.length, 0) };
    },

    async setAttributes(scope, file, attributes) {
      const { published } = openFile(scope, file);
      if (published !== null) published.entry = { ...published.entry, attributes };
    },

    async removeFile(scope, file) {
      openStore(scope).delete(file);
    },

    async removeStore(scope) {
      openStore(scope).clear();
    },

    async readChunks(scope, file, from, limit) {
      const chunks = openFile(scope, file).published?.chunks ?? [];
      return chunks.slice(from, from + limit).map(({ chunk }) => chunk);
    },

    async describeFile(scope, file) {
      const { published } = openFile(scope, file);
      if (published === null) return null;
      return { ...published.entry, ingest: published.ingest, chunks: published.chunks.length };
    },

    async exportChunks(scope, file, from, limit) {
      const chunks = openFile(scope, file).published?.chunks ?? [];
      return chunks
        .slice(from, from + limit)
        .map(({ chunk, vector, terms }) => ({ ...chunk, vector, terms: encodeTerms(terms) }));
    },

    async describe(scope) {
      const files = listPublished(scope);
      const chunks = files.flatMap((file) => file.chunks);
      const counts = new Map<string, number>();
      for (const { entry, chunks: own } of files) {
        for (const language of entry.languages)
          counts.set(language, (counts.get(language) ?? 0) + own.length);
      }
      return {
        chunks: chunks.length,
        dimensions: chunks.find(({ vector }) => vector !== null)?.vector?.length ?? null,
        languages: [...counts].sort(([, a], [, b]) => b - a).map(([language]) => language),
      };
    },

    async search(scope, query) {
      const files = listPublished(scope);
      const chunks = files.flatMap((file) => file.chunks.map((chunk) => ({ ...chunk, entry: file.entry })));
      return rank(chunks, query);
    },

    async close() {
      stores.clear();
    },
  };
}

function toIndexed({ terms, vector, ...chunk }: NewChunk): IndexedChunk {
  return { chunk, vector, terms: decodeTerms(terms) };
}

function rank(
  chunks: readonly (IndexedChunk & { readonly entry: FileEntry })[],
  query: SearchQuery,
): readonly SearchHit[] {
  const { terms, vector, filter, wanted, weights } = query;
  const withTerm = terms.map(({ term }) => chunks.filter((chunk) => chunk.terms.counts.has(term)).length);
  const { factors, maximum } = weighTerms(terms, chunks.length, withTerm);
  const averageLength = chunks.reduce((sum, chunk) => sum + chunk.terms.length, 0) / chunks.length;
  const vectors = chunks.flatMap((chunk) => chunk.vector ?? []);
  const background = vector === null ? 0 : toBackground(vector, toSum(vectors), vectors.length);

  const compared = chunks
    .filter(({ entry }) => filter === null || matchesFilter(filter, entry.attributes))
    .map((chunk): Candidate => {
      const { counts, length } = chunk.terms;
      const parts = terms.map(({ term }, index) => {
        const count = counts.get(term);
        return count === undefined ? 0 : (factors[index] ?? 0) * toSaturation(count, length, averageLength);
      });
      const cosine = vector === null || chunk.vector === null ? null : multiply(vector, chunk.vector);
      return { ...chunk, cosine, bm25: parts.reduce((sum, part) => sum + part, 0) };
    });

  const depth = toCandidates(wanted);
  const byVector = weights.vector > 0 ? compared.filter(({ cosine }) => cosine !== null) : [];
  const byKeyword = weights.keyword > 0 || vector === null ? compared.filter(({ bm25 }) => bm25 > 0) : [];
  const candidates = new Set([
    ...byVector.sort((a, b) => (b.cosine ?? 0) - (a.cosine ?? 0)).slice(0, depth),
    ...byKeyword.sort((a, b) => b.bm25 - a.bm25).slice(0, depth),
  ]);
  return [...candidates]
    .map(({ entry, chunk, cosine, bm25 }): SearchHit => {
      const keyword = maximum === 0 ? null : Math.min(1, bm25 / maximum);
      const score = toScore({ cosine, keyword }, weights, background);
      return { file: entry.file, attributes: entry.attributes, chunk, score, cosine, keyword: keyword ?? 0 };
    })
    .sort((a, b) => b.score - a.score || compare(a.file, b.file) || a.chunk.position - b.chunk.position)
    .slice(0, wanted);
}

function toSum(vectors: readonly Float32Array[]): Float64Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) for (const [at, value] of vector.entries()) sum[at] = (sum[at] ?? 0) + value;
  return sum;
}

function multiply(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
