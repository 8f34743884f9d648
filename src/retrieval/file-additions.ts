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
import { toBatchWrites } from './cancellation.ts';
import { INGEST_SCOPE, type MembershipDeps, toBatchStatus, toIngestId, tryWrite } from './file-membership.ts';
import {
  cancelSome,
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

interface Added {
  readonly files: readonly VectorStoreFileRecord[];
  /** What is to be read now. */
  readonly ingests: readonly IngestRecord[];
}

/** Each file is up to six records, and a write holds 256. */
const SLICE_MAX = 40;
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
 * Adds files; one that is in the store already is read anew, and counts as cancelled where an earlier batch still had it
 * read. One that was deleted meanwhile is left out, and counts as cancelled in its batch. With a batch, begins behind
 * what the batch has added before, so that whoever takes it up after a crash goes on. Errors: `StoreUnusable`.
 */
export async function addFiles(
  deps: MembershipDeps,
  scope: Scope,
  storeId: string,
  additions: readonly FileAddition[],
  terms: AdditionTerms,
  batch: { readonly id: string; readonly begin: number } | null,
  /** Has a file read: called as soon as it is in the store, for a note that nobody works on is taken for abandoned. */
  start: (note: IngestRecord) => void,
): Promise<readonly VectorStoreFileRecord[]> {
  const files: VectorStoreFileRecord[] = [];
  for (let at = batch?.begin ?? 0; at < additions.length; at += SLICE_MAX) {
    const slice = additions.slice(at, at + SLICE_MAX);
    const added = await deps.serial.run(storeId, () =>
      addSlice(deps, { scope, storeId, slice, terms, batch, end: at + slice.length }),
    );
    files.push(...added.files);
    for (const note of added.ingests) start(note);
  }
  return files;
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
  const files = toStoreScope(scope, storeId);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const [store, batch, ...entries] = await Promise.all([
      deps.store.get<VectorStoreRecord>('vector_stores', scope, storeId),
      given.batch === null ? null : deps.store.get<FileBatchRecord>('file_batches', files, given.batch.id),
      ...slice.map((addition) => readEntry(deps, scope, storeId, addition)),
    ]);
    if (store === null) throw new StoreUnusable('gone');
    if (isExpired(store.record, deps.clock)) throw new StoreUnusable('expired');
    // Another process took the batch for one that nobody adds to, and was faster.
    if (batch !== null && batch.record.internal.added >= given.end) return { files: [], ingests: [] };
    const isCancelled = batch?.record.internal.is_cancelled === true;
    const made = entries.flatMap((entry) => toMember(deps, given, entry, isCancelled) ?? []);
    const writes = [
      // A file that is deleted at this moment finds itself in the store, or is found to be gone.
      ...made.map(({ file }) => ({ kind: 'require', collection: 'files', scope, id: file.id }) as const),
      toStoreWrite(deps, given, store, made),
      ...(batch === null ? [] : [toBatchProgress(files, batch, given, made)]),
      // In earlier batches, files that were still being read count as cancelled.
      ...(await toBatchWrites(deps, files, made.flatMap(toReadBefore))),
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

/** A file that is to be added, and what is there of it. */
interface Entry {
  readonly addition: FileAddition;
  readonly isThere: boolean;
  /** As it is in the store already. */
  readonly before: Versioned<VectorStoreFileRecord> | null;
}

async function readEntry(
  deps: Pick<MembershipDeps, 'store'>,
  scope: Scope,
  storeId: string,
  addition: FileAddition,
): Promise<Entry> {
  const { fileId } = addition;
  const [file, before] = await Promise.all([
    deps.store.get('files', scope, fileId),
    deps.store.get<VectorStoreFileRecord>('vector_store_files', toStoreScope(scope, storeId), fileId),
  ]);
  return { addition, isThere: file !== null, before };
}

interface Member {
  readonly file: VectorStoreFileRecord;
  readonly before: Versioned<VectorStoreFileRecord> | null;
  readonly ingest: IngestRecord | null;
  readonly writes: readonly Write[];
}

/** Null where nothing is to be done: the file is gone, or in the store already when its batch has been cancelled. */
function toMember(
  deps: Pick<MembershipDeps, 'clock'>,
  given: Slice,
  { addition, isThere, before }: Entry,
  isCancelled: boolean,
): Member | null {
  if (!isThere || (isCancelled && before !== null)) return null;
  const { fileId, attributes, chunking } = addition;
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
        embedding: terms.embedding,
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

function toReadBefore({ before }: Member): readonly Versioned<VectorStoreFileRecord>[] {
  return before?.record.status === 'in_progress' ? [before] : [];
}

/**
 * What is not read counts as cancelled: late files of a batch that has been cancelled, and files that are gone. The
 * last slice drops the list of what is to come.
 */
function toBatchProgress(
  files: Scope,
  { record, version }: Versioned<FileBatchRecord>,
  { slice, end }: Slice,
  made: readonly Member[],
): Write {
  const unread = slice.length - made.filter(({ ingest }) => ingest !== null).length;
  const counts = cancelSome(record.file_counts, unread);
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
