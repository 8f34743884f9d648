/**
 * Files in and out of vector stores. Each change is one write with everything that counts it: the file's entry, the
 * store's and the batch's counts, and the note that the file is to be read. So the counts are true at every moment,
 * whatever process dies.
 */

import type { Ports } from '../ports.ts';
import type { Serial } from '../serial.ts';
import { SYSTEM_TENANT } from '../store/collections.ts';
import { type Scope, StoreError, type Versioned, type Write } from '../store/store.ts';
import type { Attributes } from '../vector/attribute-filter.ts';
import type { VectorIndex } from '../vector/vector-index.ts';
import {
  type FileBatchRecord,
  type FileError,
  type FileStatus,
  moveFile,
  toStoreScope,
  type VectorStoreFileRecord,
  type VectorStoreRecord,
} from './vector-store-records.ts';

export type MembershipDeps = Pick<Ports, 'store' | 'clock'> & {
  readonly index: VectorIndex;
  readonly serial: Serial;
};

export const INGEST_SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });
export const DELETION_SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });

/** A store's counts are changed by every process that works on it; each round somebody wins. */
const ATTEMPTS_MAX = 64;

/** What the reading of a file came to. */
export interface FileOutcome {
  readonly status: Exclude<FileStatus, 'in_progress'>;
  readonly usageBytes: number;
  readonly error: FileError | null;
}

export interface FilePlace {
  readonly scope: Scope;
  readonly storeId: string;
  readonly fileId: string;
}

/** Removes what a file has in the index. Scope: the system's. */
export interface FileDeletionRecord {
  readonly id: string;
  readonly kind: 'vector_store_file';
  readonly tenant: string;
  readonly store_id: string;
  readonly file_id: string;
}

export function toIngestId({ storeId, fileId }: Pick<FilePlace, 'storeId' | 'fileId'>): string {
  return `${storeId}/${fileId}`;
}

/**
 * Ends the reading of a file, provided that this attempt is still the one that counts. Answers whether it did: false
 * where the file was removed, cancelled or added anew meanwhile.
 */
export function settleFile(
  deps: MembershipDeps,
  place: FilePlace,
  ingest: string,
  outcome: FileOutcome,
): Promise<boolean> {
  return changeFile(deps, place, (file) => {
    if (file.record.internal.ingest !== ingest || file.record.status !== 'in_progress') return null;
    return {
      to: outcome.status,
      usageBytes: outcome.usageBytes,
      write: {
        kind: 'update',
        collection: 'vector_store_files',
        scope: toStoreScope(place.scope, place.storeId),
        id: place.fileId,
        change: { status: outcome.status, usage_bytes: outcome.usageBytes, last_error: outcome.error },
        ifVersion: file.version,
      },
      rest: [],
    };
  });
}

/**
 * Takes a file out of a vector store, and everything of it out of the index. False where it is not in it. What a crash
 * leaves in the index is removed by `finishDeletions`.
 */
export async function removeMember(deps: MembershipDeps, place: FilePlace): Promise<boolean> {
  const { scope, storeId, fileId } = place;
  const note: FileDeletionRecord = {
    id: toIngestId(place),
    kind: 'vector_store_file',
    tenant: scope.tenant,
    store_id: storeId,
    file_id: fileId,
  };
  const isRemoved = await changeFile(deps, place, (file) => ({
    to: null,
    usageBytes: 0,
    write: {
      kind: 'delete',
      collection: 'vector_store_files',
      scope: toStoreScope(scope, storeId),
      id: fileId,
      ifVersion: file.version,
    },
    rest: [
      {
        kind: 'delete',
        collection: 'file_stores',
        scope: { tenant: scope.tenant, parent: fileId },
        id: storeId,
      },
      { kind: 'delete', collection: 'deletions', scope: DELETION_SCOPE, id: note.id },
      { kind: 'insert', collection: 'deletions', scope: DELETION_SCOPE, record: note },
    ],
  }));
  if (isRemoved) await finishFileDeletion(deps, note);
  return isRemoved;
}

/** Removes from the index what a file had in a store, unless it was added again meanwhile. Idempotent. */
export async function finishFileDeletion(deps: MembershipDeps, note: FileDeletionRecord): Promise<void> {
  const scope: Scope = { tenant: note.tenant };
  // In turn with additions: nothing of a new attempt is taken away.
  await deps.serial.run(note.store_id, async () => {
    const again = await deps.store.get(
      'vector_store_files',
      toStoreScope(scope, note.store_id),
      note.file_id,
    );
    if (again === null)
      await deps.index.removeFile({ tenant: note.tenant, store: note.store_id }, note.file_id);
    await deps.store.delete('deletions', DELETION_SCOPE, note.id);
  });
}

/**
 * Brings what a file is filtered by in the index up to its entry, whoever changes that meanwhile, in whatever process.
 * `known`: what the index has; null where that is not known.
 */
export async function alignAttributes(
  deps: Pick<MembershipDeps, 'store' | 'index'>,
  { scope, storeId, fileId }: FilePlace,
  known: Attributes | null,
): Promise<void> {
  const files = toStoreScope(scope, storeId);
  let indexed = known;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const file = await deps.store.get<VectorStoreFileRecord>('vector_store_files', files, fileId);
    if (file === null) return;
    const { attributes } = file.record;
    if (indexed !== null && Bun.deepEquals(attributes, indexed)) return;
    await deps.index.setAttributes({ tenant: scope.tenant, store: storeId }, fileId, attributes);
    // Read again: an older change may have come to the index after a newer one.
    indexed = attributes;
  }
}

interface FileChange {
  /** Null: the file leaves the store. */
  readonly to: FileStatus | null;
  readonly usageBytes: number;
  readonly write: Write;
  readonly rest: readonly Write[];
}

/** Changes a file's entry and all counts of it; false where it is not there or `plan` answers null. */
function changeFile(
  deps: MembershipDeps,
  place: FilePlace,
  plan: (file: Versioned<VectorStoreFileRecord>) => FileChange | null,
): Promise<boolean> {
  const { scope, storeId, fileId } = place;
  const files = toStoreScope(scope, storeId);
  return deps.serial.run(storeId, async () => {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const [store, file] = await Promise.all([
        deps.store.get<VectorStoreRecord>('vector_stores', scope, storeId),
        deps.store.get<VectorStoreFileRecord>('vector_store_files', files, fileId),
      ]);
      if (file === null) return false;
      const change = plan(file);
      if (change === null) return false;
      const batch = await readBatch(deps, scope, storeId, file.record);
      const writes = [
        change.write,
        ...(store === null ? [] : [toStoreWrite(scope, store, file.record, change)]),
        ...(batch === null ? [] : [toBatchWrite(files, batch, file.record.status, change.to ?? 'cancelled')]),
        ...change.rest,
        { kind: 'delete', collection: 'ingests', scope: INGEST_SCOPE, id: toIngestId(place) } as const,
      ];
      if (await tryWrite(deps, writes)) return true;
    }
    throw new StoreError('unavailable', 'The vector store is changed too often at once.');
  });
}

/** The batch that counts this file: only as long as it is being read. */
function readBatch(
  deps: Pick<MembershipDeps, 'store'>,
  scope: Scope,
  storeId: string,
  file: VectorStoreFileRecord,
): Promise<Versioned<FileBatchRecord> | null> {
  if (file.batch_id === '' || file.status !== 'in_progress') return Promise.resolve(null);
  return deps.store.get<FileBatchRecord>('file_batches', toStoreScope(scope, storeId), file.batch_id);
}

function toStoreWrite(
  scope: Scope,
  { record, version }: Versioned<VectorStoreRecord>,
  file: VectorStoreFileRecord,
  change: FileChange,
): Write {
  return {
    kind: 'update',
    collection: 'vector_stores',
    scope,
    id: record.id,
    change: {
      file_counts: moveFile(record.file_counts, file.status, change.to),
      usage_bytes: record.usage_bytes - file.usage_bytes + change.usageBytes,
    },
    ifVersion: version,
  };
}

/** A batch that has no file left to read is at its end. */
export function toBatchWrite(
  files: Scope,
  { record, version }: Versioned<FileBatchRecord>,
  from: FileStatus,
  to: FileStatus,
): Write {
  const counts = moveFile(record.file_counts, from, to);
  return {
    kind: 'update',
    collection: 'file_batches',
    scope: files,
    id: record.id,
    change: { file_counts: counts, status: toBatchStatus(record, counts) },
    ifVersion: version,
  };
}

/** As at OpenAI: failed only where every file did. */
export function toBatchStatus(
  record: FileBatchRecord,
  counts: FileBatchRecord['file_counts'],
): FileBatchRecord['status'] {
  if (record.internal.is_cancelled) return 'cancelled';
  if (counts.in_progress > 0) return 'in_progress';
  return counts.failed > 0 && counts.failed === counts.total ? 'failed' : 'completed';
}

/** False where somebody else was faster: then nothing is written. */
export async function tryWrite(deps: Pick<Ports, 'store'>, writes: readonly Write[]): Promise<boolean> {
  try {
    await deps.store.write(writes);
    return true;
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'conflict' || error.code === 'not_found'))
      return false;
    throw error;
  }
}
