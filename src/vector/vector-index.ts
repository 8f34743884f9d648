/**
 * The vector index port: the chunks of vector stores, found by their vectors and by their words.
 *
 * Every engine passes `test/contract/vector-index.ts`. An engine stores and finds; what a word is stands in
 * `analyser.ts`, and what a score is in `scoring.ts`, for all engines.
 */

import type { AttributeFilter, Attributes } from './attribute-filter.ts';

/** Whose chunks, and of which vector store. Nothing is ever found outside of it. */
export interface IndexScope {
  readonly tenant: string;
  readonly store: string;
}

/** A piece of a file, on its way into the index. */
export interface NewChunk {
  /** Counts the chunks of the file from 0, without gaps. */
  readonly position: number;
  readonly text: string;
  /** Where `text` stands in the text of the file: UTF-16 units, `end` exclusive. */
  readonly start: number;
  readonly end: number;
  /** The page that it begins on, from 1; null where the format has no pages. */
  readonly page: number | null;
  /** Title and headings above the text, which are searched with it; empty where there are none. */
  readonly context: string;
  /** The words of text and context, as `encodeTerms` of `analyser.ts` writes them. */
  readonly terms: string;
  /** Tokens of the embedding tokenizer. */
  readonly tokens: number;
  /** Of unit length and of the store's dimensions; null in a store without an embedding model. */
  readonly vector: Float32Array | null;
}

export type StoredChunk = Omit<NewChunk, 'terms' | 'vector'>;

export interface IndexStatistics {
  /** Chunks that can be found. */
  readonly chunks: number;
  /** Of the vectors; null before the first. */
  readonly dimensions: number | null;
  /** Languages that words were analysed for, as ISO 639-1 codes, most chunks first. */
  readonly languages: readonly string[];
}

export interface FileEntry {
  /** The id of the file. */
  readonly file: string;
  readonly attributes: Attributes;
  /** How the file's words were analysed. */
  readonly languages: readonly string[];
}

/** A file that can be found, and how it came to be so. */
export interface PublishedFile extends FileEntry {
  /** The attempt that was published. */
  readonly ingest: string;
  readonly chunks: number;
}

export interface QueryTerm {
  readonly term: string;
  /** How much the term counts; 1 for a word that stands once in the question. */
  readonly weight: number;
  /**
   * Which word of the question it is a form of, counted from 0: forms of one word tell together as much as one word
   * (`weighTerms` of `scoring.ts`). Absent: no word, but a piece or a name made of words; nothing is lost where the
   * store does not know it.
   */
  readonly word?: number;
}

export interface SearchQuery {
  /** Of unit length; null: by words alone. */
  readonly vector: Float32Array | null;
  /** Any of them may match. Empty: by vector alone. */
  readonly terms: readonly QueryTerm[];
  /** 1 to `WANTED_MAX`. */
  readonly wanted: number;
  /** What each side counts in the score; at least one is positive. */
  readonly weights: { readonly vector: number; readonly keyword: number };
  readonly filter: AttributeFilter | null;
}

export interface SearchHit {
  readonly file: string;
  readonly attributes: Attributes;
  readonly chunk: StoredChunk;
  /** 0 to 1; a list of hits descends by it, then by file and position. */
  readonly score: number;
  /** Cosine, -1 to 1; null where there is no vector to compare. */
  readonly cosine: number | null;
  /** BM25 as a part of the most that the query could have, 0 to 1. */
  readonly keyword: number;
}

export const WANTED_MAX = 200;
/** Chunks that one `stageChunks` may bring. */
export const CHUNKS_MAX = 256;

export interface VectorIndex {
  /** What to call the engine in banner and bench: `sqlite`, `cassandra`. */
  readonly engine: string;

  /**
   * Keeps chunks of a file that cannot be found yet. Acknowledged when durable. A chunk whose position is there
   * already replaces it. `ingest` names the attempt: what another attempt has staged of this file is dropped. Chunks of
   * an attempt that is published already change nothing.
   * Errors: `StoreError` (`unavailable`; `misuse` where a vector is not finite, is zero or has other dimensions).
   */
  stageChunks(scope: IndexScope, file: string, ingest: string, chunks: readonly NewChunk[]): Promise<void>;

  /**
   * How many chunks of this attempt are there, staged or published, from position 0 without a gap: where to go on after
   * a crash.
   */
  countStaged(scope: IndexScope, file: string, ingest: string): Promise<number>;

  /**
   * Makes the staged chunks of an attempt findable, all at once, in the place of those that the file had. Idempotent:
   * an attempt that is published already is left as it is. `bytes` is what text, vectors and words take. Where nothing
   * of the attempt is there, or a position is missing, nothing is published and what the file had stays; `chunks` is then
   * what `countStaged` answers.
   */
  publishFile(
    scope: IndexScope,
    entry: FileEntry,
    ingest: string,
  ): Promise<{ chunks: number; bytes: number }>;

  /** Changes what a published file is filtered by. Nothing happens where it is not there. */
  setAttributes(scope: IndexScope, file: string, attributes: Attributes): Promise<void>;

  /** Removes what is staged and what is published of a file: hidden at once, gone when it answers. Idempotent. */
  removeFile(scope: IndexScope, file: string): Promise<void>;

  /** Removes everything of a store. Idempotent. */
  removeStore(scope: IndexScope): Promise<void>;

  /** Published chunks of a file from a position on, in order; at most `limit`, at most `CHUNKS_MAX`. */
  readChunks(scope: IndexScope, file: string, from: number, limit: number): Promise<readonly StoredChunk[]>;

  /** What a published file was published with, its attributes as they are now; null where it is not published. */
  describeFile(scope: IndexScope, file: string): Promise<PublishedFile | null>;

  /**
   * Published chunks of a file from a position on, in order, as `stageChunks` takes them; at most `limit`, at most `CHUNKS_MAX`.
   * For copying a store to another index, which then finds the same: vectors are those that are compared, to the bit, and
   * staged again they stay so; words are the same with the same counts, in the order of JavaScript's comparison. It may cost
   * as much as reading a large part of the store, and is cheapest for files in the order in which they were published.
   */
  exportChunks(scope: IndexScope, file: string, from: number, limit: number): Promise<readonly NewChunk[]>;

  describe(scope: IndexScope): Promise<IndexStatistics>;

  /**
   * The best hits, by rules that are the same for all engines: candidates of each side, both scores for every
   * candidate, one mix of them. A side whose weight is 0 brings no candidates, unless the other one is missing. Sees
   * every file published before the call, by any process.
   */
  search(scope: IndexScope, query: SearchQuery): Promise<readonly SearchHit[]>;

  /** Ends after what was accepted is written. Later calls reject with `unavailable`. Idempotent. */
  close(): Promise<void>;
}
