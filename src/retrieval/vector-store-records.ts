/** Vector stores, their files and batches as they are stored, and as they go onto the wire. */

import { type Clock, toSeconds } from '../clock.ts';
import type { EmbeddingModel } from '../providers/embedder.ts';
import type {
  VectorStoreFileBatchObject,
  VectorStoreFileObject,
  VectorStoreObject,
} from '../schemas/generated/vector-stores.ts';
import type { Scope, StoredRecord } from '../store/store.ts';
import type { Attributes } from '../vector/attribute-filter.ts';

export type FileCounts = VectorStoreObject['file_counts'];
export type FileStatus = VectorStoreFileObject['status'];
export type FileError = NonNullable<VectorStoreFileObject['last_error']>;
export type ExpiresAfter = NonNullable<VectorStoreObject['expires_after']>;

export const NO_FILES: FileCounts = Object.freeze({
  in_progress: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  total: 0,
});

/** What a vector store carries besides what the client sees. */
export interface VectorStoreInternals {
  /** Fixed with the first file: null for a store that is searched by words alone; absent before. */
  readonly embedding?: EmbeddingModel | null;
  /** Set once its contents were dropped because it expired. */
  readonly is_emptied?: boolean;
}

/** `status` is not stored: it follows from the counts and the time. */
export type VectorStoreRecord = Omit<VectorStoreObject, 'status' | 'expires_after' | 'expires_at'> & {
  readonly description: string | null;
  readonly expires_after: ExpiresAfter | null;
  /** Seconds since the epoch, a number of days after `last_active_at`. */
  readonly expires_at: number | null;
  readonly internal: VectorStoreInternals;
};

export interface FileInternals {
  /** Names the attempt at reading the file: what an earlier one has left is dropped. */
  readonly ingest: string;
  readonly chunking: { readonly tokensMax: number; readonly overlapTokens: number };
}

/** A file of a vector store; its `id` is the file's. */
export type VectorStoreFileRecord = Omit<VectorStoreFileObject, 'attributes'> & {
  readonly attributes: Attributes;
  /** Empty where the file was added by itself. Lists are filtered by it. */
  readonly batch_id: string;
  readonly internal: FileInternals;
};

export type FileBatchRecord = VectorStoreFileBatchObject & {
  readonly internal: {
    readonly is_cancelled: boolean;
    /** How many of `additions` are in the store. */
    readonly added: number;
    /** All files of the batch until the last of them is in the store, then none. */
    readonly additions: readonly {
      readonly fileId: string;
      readonly attributes: Attributes;
      readonly chunking: FileInternals['chunking'];
    }[];
  };
};

/** Where a file's vector stores are noted, under the stores' ids. Parent: the file. */
export type FileStoreRecord = StoredRecord;

/** A file that is still to be read. */
export interface IngestRecord extends StoredRecord {
  readonly tenant: string;
  readonly store_id: string;
  readonly file_id: string;
  /** As in the file's `internal.ingest`. */
  readonly ingest: string;
  /** The process that reads it, or will. */
  readonly owner: string;
  readonly until_ms: number;
  /** How often a process has begun on it after the first. */
  readonly attempts: number;
  /** Whether its owner has begun to read it: only that counts as an attempt. */
  readonly is_begun: boolean;
  /** Whether the embedding model's key or address came with the request. */
  readonly credentials_from_request: boolean;
  /** Those headers, sealed; null where the server has no secret, or none are needed. */
  readonly sealed_headers: string | null;
  /** The model that the file is embedded by; null: none. */
  readonly embedding: EmbeddingModel | null;
  /** Of a note that stands for the files of a batch that are still to be added: which one. */
  readonly batch_id?: string;
}

export function toStoreScope(scope: Scope, storeId: string): Scope {
  return { tenant: scope.tenant, parent: storeId };
}

export function isExpired(record: VectorStoreRecord, clock: Clock): boolean {
  return record.expires_at !== null && record.expires_at <= toSeconds(clock.nowMs());
}

export function toVectorStore(record: VectorStoreRecord, clock: Clock): VectorStoreObject {
  const { internal: _, description, expires_after, ...store } = record;
  const status = isExpired(record, clock)
    ? 'expired'
    : record.file_counts.in_progress > 0
      ? 'in_progress'
      : 'completed';
  return {
    ...store,
    ...(description === null ? {} : { description }),
    status,
    ...(expires_after === null ? {} : { expires_after }),
  };
}

export function toVectorStoreFile(record: VectorStoreFileRecord): VectorStoreFileObject {
  const { internal: _, batch_id: _b, ...file } = record;
  return { ...file, attributes: { ...record.attributes } };
}

export function toFileBatch(record: FileBatchRecord): VectorStoreFileBatchObject {
  const { internal: _, ...batch } = record;
  return batch;
}

/** When a store that was used now ends, in seconds since the epoch. */
export function toExpiry(expiresAfter: ExpiresAfter | null, nowSeconds: number): number | null {
  return expiresAfter === null ? null : nowSeconds + expiresAfter.days * SECONDS_A_DAY;
}

const SECONDS_A_DAY = 86_400;

/** The counts with one file moved from a status to another; null stands for not being there. */
export function moveFile(counts: FileCounts, from: FileStatus | null, to: FileStatus | null): FileCounts {
  const moved = { ...counts };
  if (from !== null) {
    moved[from] -= 1;
    moved.total -= 1;
  }
  if (to !== null) {
    moved[to] += 1;
    moved.total += 1;
  }
  return moved;
}

/** The counts with files that are being read cancelled. */
export function cancelSome(counts: FileCounts, count: number): FileCounts {
  return { ...counts, in_progress: counts.in_progress - count, cancelled: counts.cancelled + count };
}
