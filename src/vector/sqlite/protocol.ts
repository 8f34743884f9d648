/**
 * What the event loop asks of the two threads of the index. A call is `[number, method, arguments]`, a reply
 * `[number, result]` or `[number, null, code, message]`. Both travel in batches.
 */

import type { StoreErrorCode } from '../../store/store.ts';
import type { AttributeFilter, Attributes } from '../attribute-filter.ts';
import type {
  FileEntry,
  IndexScope,
  IndexStatistics,
  NewChunk,
  PublishedFile as PublishedEntry,
  QueryTerm,
  SearchHit,
  StoredChunk,
} from '../vector-index.ts';
import type { IndexOpenRequest } from './schema.ts';

/** Chunks on their way to the thread: the vectors of all of them lie in one buffer, which is handed over. */
export interface StagedChunks {
  readonly chunks: readonly StagedChunk[];
  /** 0 where no chunk has a vector. */
  readonly dimensions: number;
  /** One behind the other, in the order of the chunks that have one. */
  readonly vectors: Float32Array<ArrayBuffer>;
}

export interface StagedChunk extends StoredChunk {
  readonly terms: string;
  readonly hasVector: boolean;
}

export interface PublishedFile {
  readonly chunks: number;
  readonly bytes: number;
}

export interface SearchCall {
  readonly vector: Float32Array<ArrayBuffer> | null;
  readonly terms: readonly QueryTerm[];
  readonly wanted: number;
  readonly weights: { readonly vector: number; readonly keyword: number };
  readonly filter: AttributeFilter | null;
}

/** The thread that writes. */
export interface WriteMethods {
  open(request: WriterOpenRequest): void;
  stage(scope: IndexScope, file: string, ingest: string, staged: StagedChunks): void;
  countStaged(scope: IndexScope, file: string, ingest: string): number;
  publish(scope: IndexScope, entry: FileEntry, ingest: string): PublishedFile;
  setAttributes(scope: IndexScope, file: string, attributes: Attributes): void;
  removeFile(scope: IndexScope, file: string): void;
  removeStore(scope: IndexScope): void;
  getStatistics(): WriteStatistics;
  close(): void;
}

/** The thread that reads. */
export interface ReadMethods {
  open(request: ReaderOpenRequest): void;
  search(scope: IndexScope, query: SearchCall): readonly SearchHit[];
  describe(scope: IndexScope): IndexStatistics;
  readChunks(scope: IndexScope, file: string, from: number, limit: number): readonly StoredChunk[];
  describeFile(scope: IndexScope, file: string): PublishedEntry | null;
  exportChunks(scope: IndexScope, file: string, from: number, limit: number): readonly NewChunk[];
  getStatistics(): ReadStatistics;
  close(): void;
}

export type WriterOpenRequest = IndexOpenRequest;

export interface ReaderOpenRequest extends IndexOpenRequest {
  /** Bytes of stores that are kept in memory; a store that is larger alone is kept all the same. */
  readonly cacheBytesMax: number;
}

export interface WriteStatistics {
  /** Committed. */
  readonly transactions: number;
  /** Attempts to begin that met another process's lock. */
  readonly lockWaits: number;
  /** Segments that were merged into others. */
  readonly merges: number;
}

export interface ReadStatistics {
  readonly searches: number;
  /** Stores that are in memory, and what they take. */
  readonly cachedStores: number;
  readonly cachedBytes: number;
  /** Stores that gave way to others. */
  readonly evictions: number;
}

export type Method = 'open' | 'close' | string;
export type CallMessage = readonly [call: number, method: string, parameters: readonly unknown[]];
export type ReplyMessage =
  | readonly [call: number, result: unknown]
  | readonly [call: number, result: null, code: StoreErrorCode, message: string];
