/** What a search must answer, computed the slow way: every chunk, every term, no index. */

import { matchesFilter } from '../../src/vector/attribute-filter.ts';
import { toBackground, toCandidates, toSaturation, toScore, weighTerms } from '../../src/vector/scoring.ts';
import { decodeTerms, type TermCounts } from '../../src/vector/terms.ts';
import type { FileEntry, NewChunk, SearchQuery } from '../../src/vector/vector-index.ts';

export interface ReferenceFile {
  readonly entry: FileEntry;
  readonly chunks: readonly NewChunk[];
}

export interface ReferenceHit {
  readonly file: string;
  readonly position: number;
  readonly score: number;
  readonly cosine: number | null;
  readonly keyword: number;
}

interface Row {
  readonly file: string;
  readonly position: number;
  readonly words: TermCounts;
  readonly cosine: number | null;
  readonly isAllowed: boolean;
}

type ScoredRow = Row & { readonly keyword: number };

/** Assumes that the store knows a vector's dimensions where the query has one. */
export function searchSlowly(files: readonly ReferenceFile[], query: SearchQuery): ReferenceHit[] {
  const rows = files.flatMap((file) => file.chunks.map((chunk) => toRow(file, chunk, query)));
  const { scored, isKnown } = scoreWords(rows, query);
  const wanted = toCandidates(query.wanted);
  const allowed = scored.filter(({ isAllowed }) => isAllowed);
  const { weights } = query;
  const isCandidate = new Set<ScoredRow>();
  if (query.vector !== null && weights.vector > 0) {
    const found = allowed.filter(({ cosine }) => cosine !== null);
    for (const row of takeBest(found, wanted, ({ cosine }) => cosine ?? 0)) isCandidate.add(row);
  }
  if (isKnown && (weights.keyword > 0 || query.vector === null)) {
    const found = allowed.filter(({ keyword }) => keyword > 0);
    for (const row of takeBest(found, wanted, ({ keyword }) => keyword)) isCandidate.add(row);
  }
  const background = query.vector === null || weights.vector === 0 ? 0 : findBackground(files, query.vector);
  const hits = [...isCandidate].map(({ file, position, cosine, keyword }): ReferenceHit => {
    const score = toScore({ cosine, keyword: isKnown ? keyword : null }, weights, background);
    return { file, position, score, cosine, keyword };
  });
  return takeBest(hits, query.wanted, ({ score }) => score);
}

function findBackground(files: readonly ReferenceFile[], query: Float32Array): number {
  const vectors = files.flatMap(({ chunks }) => chunks.flatMap(({ vector }) => vector ?? []));
  const sum = Array.from(query, (_, at) => vectors.reduce((total, vector) => total + (vector[at] ?? 0), 0));
  return toBackground(query, sum, vectors.length);
}

function toRow({ entry, chunks: _ }: ReferenceFile, chunk: NewChunk, query: SearchQuery): Row {
  const { vector } = query;
  return {
    file: entry.file,
    position: chunk.position,
    words: decodeTerms(chunk.terms),
    cosine: vector === null || chunk.vector === null ? null : toCosine(vector, chunk.vector),
    isAllowed: query.filter === null || matchesFilter(query.filter, entry.attributes),
  };
}

function scoreWords(
  rows: readonly Row[],
  { terms }: SearchQuery,
): { readonly scored: readonly ScoredRow[]; readonly isKnown: boolean } {
  const chunksWithTerm = terms.map(({ term }) => rows.filter(({ words }) => words.counts.has(term)).length);
  const { factors, maximum } = weighTerms(terms, rows.length, chunksWithTerm);
  const averageLength = rows.reduce((sum, { words }) => sum + words.length, 0) / rows.length;
  const toKeyword = ({ words }: Row): number => {
    if (maximum === 0) return 0;
    let sum = 0;
    for (const [index, { term }] of terms.entries()) {
      const count = words.counts.get(term) ?? 0;
      if (count > 0) sum += (factors[index] ?? 0) * toSaturation(count, words.length, averageLength);
    }
    return Math.min(1, sum / maximum);
  };
  return { scored: rows.map((row) => ({ ...row, keyword: toKeyword(row) })), isKnown: maximum > 0 };
}

function toCosine(a: Float32Array, b: Float32Array): number {
  let product = 0;
  let squareA = 0;
  let squareB = 0;
  for (let i = 0; i < a.length; i += 1) {
    product += (a[i] ?? 0) * (b[i] ?? 0);
    squareA += (a[i] ?? 0) ** 2;
    squareB += (b[i] ?? 0) ** 2;
  }
  return Math.max(-1, Math.min(1, product / Math.sqrt(squareA * squareB)));
}

/** Descending, then by file and position. */
function takeBest<T extends { readonly file: string; readonly position: number }>(
  rows: readonly T[],
  wanted: number,
  toValue: (row: T) => number,
): T[] {
  return rows
    .toSorted((a, b) => toValue(b) - toValue(a) || compareText(a.file, b.file) || a.position - b.position)
    .slice(0, wanted);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
