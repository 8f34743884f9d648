/**
 * Files added to a vector store, one or thousands at once. They are written in slices, each with the counts that it
 * changes; a batch counts all of its files from the beginning, and notes how far it is.
 */

import { randomUUID } from 'node:crypto';
import { toSeconds } from '../clock.ts';
import type { EmbeddingModel } from '../providers/embedder.ts';
import { toSortKey } from '../store/sort-keys.ts';
import { type Scope, StoreError, type Versioned, type Write } from '../store/store.ts';
import type { Attributes } from '../vector/attribute-filter.ts';
import {
  CANCELLED,
  INGEST_SCOPE,
  type MembershipDeps,
  settleFile,
  toBatchStatus,
  toIngestId,
  tryWrite,
} from './file-membership.ts';
import {
  type FileBatchRecord,
  type IngestRecord,
  isExpired,
  moveFile,
  toExpiry,
  toStoreScope,
  type VectorStoreFileRecord,
  type VectorStoreRecord,
} from './vector-store-records.ts';

/** A file as it is to be added. */
export interface FileAddition {
  readonly fileId: string;
  readonly attributes: Attributes;
  readonly chunking: { readonly tokensMax: number; readonly overlapTokens: number };
}

/** Who will read the files, with what. */
export interface AdditionTerms {
  /** This process, as it is named in leases. */
  readonly owner: string;
  readonly leaseMs: number;
  /** What a store that has no file yet gets. */
  readonly embedding: EmbeddingModel | null;
  readonly credentialsFromRequest: boolean;
  readonly sealedHeaders: string | null;
}

export interface Added {
  readonly files: readonly VectorStoreFileRecord[];
  /** What is to be read now. */
  readonly ingests: readonly IngestRecord[];
}

/** Each file is up to three records, and a write holds 256. */
const SLICE_MAX = 60;
const ATTEMPTS_MAX = 64;

/** The store is gone, or has expired. */
export class StoreUnusable extends Error {
  override readonly name = 'StoreUnusable';
  readonly reason: 'gone' | 'expired';

  constructor(reason: 'gone' | 'expired') {
    super(`The vector store is ${reason}.`);
    this.reason = reason;
  }
}

/**
 * Adds files; one that is in the store already is read anew. With a batch, begins behind what the batch has added
 * before, so that whoever takes it up after a crash goes on. Errors: `StoreUnusable`.
 */
export async function addFiles(
  deps: MembershipDeps,
  scope: Scope,
  storeId: string,
  additions: readonly FileAddition[],
  terms: AdditionTerms,
  batch: { readonly id: string; readonly begin: number } | null,
): Promise<Added> {
  const files: VectorStoreFileRecord[] = [];
  const ingests: IngestRecord[] = [];
  for (let at = batch?.begin ?? 0; at < additions.length; at += SLICE_MAX) {
    const slice = additions.slice(at, at + SLICE_MAX);
    await stopReading(deps, scope, storeId, slice);
    const added = await deps.serial.run(storeId, () =>
      addSlice(deps, { scope, storeId, slice, terms, batch, end: at + slice.length }),
    );
    files.push(...added.files);
    ingests.push(...added.ingests);
  }
  return { files, ingests };
}

/** A file that is being read for an earlier addition counts as cancelled there. */
async function stopReading(
  deps: MembershipDeps,
  scope: Scope,
  storeId: string,
  slice: readonly FileAddition[],
): Promise<void> {
  const files = toStoreScope(scope, storeId);
  await Promise.all(
    slice.map(async ({ fileId }) => {
      const found = await deps.store.get<VectorStoreFileRecord>('vector_store_files', files, fileId);
      if (found?.record.status !== 'in_progress') return;
      await settleFile(deps, { scope, storeId, fileId }, found.record.internal.ingest, CANCELLED);
    }),
  );
}

interface Slice {
  readonly scope: Scope;
  readonly storeId: string;
  readonly slice: readonly FileAddition[];
  readonly terms: AdditionTerms;
  readonly batch: { readonly id: string } | null;
  /** How many of the batch's files are added once this slice is. */
  readonly end: number;
}

async function addSlice(deps: MembershipDeps, given: Slice): Promise<Added> {
  const { scope, storeId, slice } = given;
  const filesScope = toStoreScope(scope, storeId);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const [store, batch, ...before] = await Promise.all([
      deps.store.get<VectorStoreRecord>('vector_stores', scope, storeId),
      given.batch === null
        ? null
        : deps.store.get<FileBatchRecord>('file_batches', filesScope, given.batch.id),
      ...slice.map(({ fileId }) =>
        deps.store.get<VectorStoreFileRecord>('vector_store_files', filesScope, fileId),
      ),
    ]);
    if (store === null) throw new StoreUnusable('gone');
    if (isExpired(store.record, deps.clock)) throw new StoreUnusable('expired');
    const made = slice.map((addition, index) =>
      toMember(deps, given, addition, before[index] ?? null, batch?.record.internal.is_cancelled === true),
    );
    const writes = [
      toStoreWrite(deps, given, store, made),
      ...(batch === null ? [] : [toBatchProgress(filesScope, batch, given.end, made)]),
      ...made.flatMap(({ writes }) => writes),
    ];
    if (await tryWrite(deps, writes)) {
      return {
        files: made.map(({ file }) => file),
        ingests: made.flatMap(({ ingest }) => ingest ?? []),
      };
    }
  }
  throw new StoreError('unavailable', 'The vector store is changed too often at once.');
}

interface Member {
  readonly file: VectorStoreFileRecord;
  readonly before: Versioned<VectorStoreFileRecord> | null;
  readonly ingest: IngestRecord | null;
  readonly writes: readonly Write[];
}

function toMember(
  deps: Pick<MembershipDeps, 'clock'>,
  given: Slice,
  { fileId, attributes, chunking }: FileAddition,
  before: Versioned<VectorStoreFileRecord> | null,
  isCancelled: boolean,
): Member {
  const { scope, storeId, terms } = given;
  const nowMs = deps.clock.nowMs();
  const attempt = randomUUID();
  const file: VectorStoreFileRecord = {
    id: fileId,
    object: 'vector_store.file',
    usage_bytes: 0,
    created_at: toSeconds(nowMs),
    vector_store_id: storeId,
    status: isCancelled ? 'cancelled' : 'in_progress',
    last_error: null,
    chunking_strategy: {
      type: 'static',
      static: {
        max_chunk_size_tokens: chunking.tokensMax,
        chunk_overlap_tokens: chunking.overlapTokens,
      },
    },
    attributes,
    batch_id: given.batch?.id ?? '',
    internal: { ingest: attempt, chunking },
  };
  const id = toIngestId({ storeId, fileId });
  const ingest: IngestRecord | null = isCancelled
    ? null
    : {
        id,
        tenant: scope.tenant,
        store_id: storeId,
        file_id: fileId,
        ingest: attempt,
        owner: terms.owner,
        until_ms: nowMs + terms.leaseMs,
        attempts: 0,
        is_begun: false,
        credentials_from_request: terms.credentialsFromRequest,
        sealed_headers: terms.sealedHeaders,
      };
  const writes: Write[] = [
    ...toFileWrites(scope, storeId, file, before, nowMs),
    { kind: 'delete', collection: 'ingests', scope: INGEST_SCOPE, id },
    ...(ingest === null
      ? []
      : [{ kind: 'insert', collection: 'ingests', scope: INGEST_SCOPE, record: ingest } as const]),
  ];
  return { file, before, ingest, writes };
}

function toFileWrites(
  scope: Scope,
  storeId: string,
  file: VectorStoreFileRecord,
  before: Versioned<VectorStoreFileRecord> | null,
  nowMs: number,
): Write[] {
  const collection = 'vector_store_files';
  const files = toStoreScope(scope, storeId);
  if (before !== null) {
    const { id: _, ...change } = file;
    return [{ kind: 'update', collection, scope: files, id: file.id, change, ifVersion: before.version }];
  }
  const note = { id: storeId };
  return [
    // Lists show files in the order in which they were added, not in that of their upload.
    { kind: 'insert', collection, scope: files, record: file, sortKey: toSortKey(nowMs) },
    {
      kind: 'insert',
      collection: 'file_stores',
      scope: { tenant: scope.tenant, parent: file.id },
      record: note,
    },
  ];
}

/** The first files fix the store's embedding model. */
function toStoreWrite(
  deps: Pick<MembershipDeps, 'clock'>,
  { scope, terms }: Slice,
  { record, version }: Versioned<VectorStoreRecord>,
  made: readonly Member[],
): Write {
  const now = toSeconds(deps.clock.nowMs());
  let counts = record.file_counts;
  let usage = record.usage_bytes;
  for (const { file, before } of made) {
    counts = moveFile(counts, before?.record.status ?? null, file.status);
    usage -= before?.record.usage_bytes ?? 0;
  }
  const { internal } = record;
  return {
    kind: 'update',
    collection: 'vector_stores',
    scope,
    id: record.id,
    change: {
      file_counts: counts,
      usage_bytes: usage,
      last_active_at: now,
      expires_at: toExpiry(record.expires_after, now),
      internal: internal.embedding === undefined ? { ...internal, embedding: terms.embedding } : internal,
    },
    ifVersion: version,
  };
}

/** Files of a cancelled batch that come in late count as cancelled; the last slice drops the list of what is to come. */
function toBatchProgress(
  files: Scope,
  { record, version }: Versioned<FileBatchRecord>,
  end: number,
  made: readonly Member[],
): Write {
  let counts = record.file_counts;
  for (const { file } of made) {
    if (file.status === 'cancelled') counts = moveFile(counts, 'in_progress', 'cancelled');
  }
  const isLast = end >= record.internal.additions.length;
  return {
    kind: 'update',
    collection: 'file_batches',
    scope: files,
    id: record.id,
    change: {
      file_counts: counts,
      status: toBatchStatus(record, counts),
      internal: {
        ...record.internal,
        added: end,
        additions: isLast ? [] : record.internal.additions,
      },
    },
    ifVersion: version,
  };
}
