/** Batches: many files added to a vector store at once, counted together. */

import { toSeconds } from '../clock.ts';
import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { FileAddition } from '../retrieval/file-additions.ts';
import { INGEST_SCOPE, tryWrite } from '../retrieval/file-membership.ts';
import {
  type FileBatchRecord,
  type IngestRecord,
  NO_FILES,
  toStoreScope,
} from '../retrieval/vector-store-records.ts';
import type { CreateVectorStoreFileBatchRequest } from '../schemas/generated/vector-stores.ts';
import { type Scope, StoreError, type Versioned } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { getUsableStore, getVectorStore, type VectorStoreDeps } from './vector-store-access.ts';
import { addCheckedFiles, cancelFiles, checkFiles, toTerms } from './vector-store-files.ts';
import { toAttributes, toChunking } from './vector-store-options.ts';

/** The batch is changed by every file of it that is read, in every process. */
const ATTEMPTS_MAX = 64;

/** Errors: 404 store or file; 400. Then nothing is written. */
export async function createFileBatch(
  deps: VectorStoreDeps,
  caller: Caller,
  storeId: string,
  body: CreateVectorStoreFileBatchRequest,
): Promise<FileBatchRecord> {
  const { param, additions } = toAdditions(body);
  const { record: store } = await getUsableStore(deps, caller.scope, storeId);
  const ofFiles = await checkFiles(deps, caller.scope, additions, param);
  const terms = toTerms(deps, caller, store, ofFiles);
  const batch: FileBatchRecord = {
    id: deps.ids.create('file_batch'),
    object: 'vector_store.files_batch',
    created_at: toSeconds(deps.clock.nowMs()),
    vector_store_id: storeId,
    status: 'in_progress',
    file_counts: { ...NO_FILES, in_progress: additions.length, total: additions.length },
    internal: { is_cancelled: false, added: 0, additions },
  };
  // Should this process die before all files are in, another one finds the note and goes on.
  const note: IngestRecord = {
    id: batch.id,
    tenant: caller.scope.tenant,
    store_id: storeId,
    file_id: '',
    ingest: batch.id,
    owner: terms.owner,
    until_ms: deps.clock.nowMs() + terms.leaseMs,
    attempts: 0,
    is_begun: false,
    credentials_from_request: terms.credentialsFromRequest,
    sealed_headers: terms.sealedHeaders,
    batch_id: batch.id,
    embedding: terms.embedding,
  };
  const scope = toStoreScope(caller.scope, storeId);
  const isWritten = await tryWrite(deps, [
    { kind: 'require', collection: 'vector_stores', scope: caller.scope, id: storeId },
    { kind: 'insert', collection: 'ingests', scope: INGEST_SCOPE, record: note },
    { kind: 'insert', collection: 'file_batches', scope, record: batch, isFresh: true },
  ]);
  // Deleted since we looked.
  if (!isWritten) throw ApiError.notFound('vector_store', storeId);
  try {
    await addCheckedFiles(deps, caller, store, additions, terms, { id: batch.id, begin: 0 });
  } catch (error) {
    // The vector store is gone, or has expired: nobody can go on with this.
    if (error instanceof ApiError) await deps.store.delete('ingests', INGEST_SCOPE, note.id);
    throw error;
  }
  await deps.store.delete('ingests', INGEST_SCOPE, note.id);
  return (await getFileBatch(deps, caller.scope, storeId, batch.id)).record;
}

/** Errors: 400 naming the parameter. A file that is named twice is added once, as it was named last. */
function toAdditions(body: CreateVectorStoreFileBatchRequest): {
  param: string;
  additions: readonly FileAddition[];
} {
  if ((body.file_ids === undefined) === (body.files === undefined)) {
    throw ApiError.invalidRequest("Exactly one of 'file_ids' and 'files' is needed.", 'file_ids');
  }
  const chunking = toChunking(body.chunking_strategy);
  const attributes = toAttributes(body.attributes);
  if (body.files === undefined) {
    const fileIds = [...new Set(body.file_ids ?? [])];
    return { param: 'file_ids', additions: fileIds.map((fileId) => ({ fileId, attributes, chunking })) };
  }
  // As at OpenAI: what stands beside 'files' is for 'file_ids' only.
  const byId = new Map<string, FileAddition>();
  for (const [index, file] of body.files.entries()) {
    const at = `files[${index}]`;
    byId.set(file.file_id, {
      fileId: file.file_id,
      attributes: toAttributes(file.attributes, `${at}.attributes`),
      chunking: toChunking(file.chunking_strategy, `${at}.chunking_strategy`),
    });
  }
  return { param: 'files', additions: [...byId.values()] };
}

/** Errors: 404. */
export async function getFileBatch(
  deps: Pick<Ports, 'store'>,
  scope: Scope,
  storeId: string,
  batchId: string,
): Promise<Versioned<FileBatchRecord>> {
  const found = await deps.store.get<FileBatchRecord>('file_batches', toStoreScope(scope, storeId), batchId);
  if (found !== null) return found;
  await getVectorStore(deps, scope, storeId);
  throw new ApiError('not_found', `No file batch found with id '${batchId}' in vector store '${storeId}'.`);
}

/** Cancels what is not read yet. Errors: 404; 400 for a batch that has ended. */
export async function cancelFileBatch(
  deps: VectorStoreDeps,
  scope: Scope,
  storeId: string,
  batchId: string,
): Promise<FileBatchRecord> {
  await markCancelled(deps, scope, storeId, batchId);
  await cancelFiles(deps, scope, storeId, { batch_id: batchId });
  return (await getFileBatch(deps, scope, storeId, batchId)).record;
}

async function markCancelled(
  deps: VectorStoreDeps,
  scope: Scope,
  storeId: string,
  batchId: string,
): Promise<void> {
  const files = toStoreScope(scope, storeId);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const { record, version } = await getFileBatch(deps, scope, storeId, batchId);
    if (record.status !== 'in_progress') {
      throw ApiError.invalidRequest(`Cannot cancel file batch with status '${record.status}'.`);
    }
    const change: Partial<FileBatchRecord> = {
      status: 'cancelled',
      internal: { ...record.internal, is_cancelled: true },
    };
    try {
      await deps.store.update<FileBatchRecord>('file_batches', files, batchId, change, {
        ifVersion: version,
      });
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || (error.code !== 'conflict' && error.code !== 'not_found'))
        throw error;
    }
  }
  throw new ApiError('conflict', `The file batch '${batchId}' is changed too often at once. Try again.`);
}
