/** Files of vector stores, by themselves and in batches. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { EmbeddingModel } from '../providers/embedder.ts';
import { cancelMembers } from '../retrieval/cancellation.ts';
import { checkNamed } from '../retrieval/embedding-choice.ts';
import {
  type AdditionTerms,
  addFiles,
  type FileAddition,
  StoreUnusable,
} from '../retrieval/file-additions.ts';
import {
  alignAttributes,
  type FilePlace,
  type MembershipDeps,
  removeMember,
  toIngestId,
} from '../retrieval/file-membership.ts';
import {
  type FileStoreRecord,
  toStoreScope,
  type VectorStoreFileRecord,
  type VectorStoreRecord,
} from '../retrieval/vector-store-records.ts';
import type {
  CreateVectorStoreFileRequest,
  DeleteVectorStoreFileResponse,
} from '../schemas/generated/vector-stores.ts';
import {
  PAGE_LIMIT_MAX,
  type Page,
  type PageRequest,
  type Scope,
  StoreError,
  type Versioned,
  type Where,
} from '../store/store.ts';
import type { Caller } from './caller.ts';
import { getFile, toNoSuchFile } from './file-records.ts';
import { readPage } from './lists.ts';
import { getUsableStore, getVectorStore, toExpired, type VectorStoreDeps } from './vector-store-access.ts';
import { toAttributes, toChunking } from './vector-store-options.ts';

/** Passes over a store's files that are being read, of which each ends some. */
const PASSES_MAX = 1000;
/** Files that are looked up at once. */
const LOOKUPS_AT_ONCE = 256;
const REMOVALS_AT_ONCE = 64;

/**
 * Answers the embedding model that the first of the files which name one was uploaded for, or null. Errors: 404 for the first file
 * that is not there, naming the parameter.
 */
export async function checkFiles(
  deps: Pick<VectorStoreDeps, 'store' | 'clock'>,
  scope: Scope,
  additions: readonly Pick<FileAddition, 'fileId'>[],
  param: string,
): Promise<EmbeddingModel | null> {
  let named: EmbeddingModel | null = null;
  for (let at = 0; at < additions.length; at += LOOKUPS_AT_ONCE) {
    const slice = additions.slice(at, at + LOOKUPS_AT_ONCE);
    const files = await Promise.all(slice.map(({ fileId }) => getFile(deps, scope, fileId, param)));
    named ??= files.find(({ internal }) => internal.embedding !== undefined)?.internal.embedding ?? null;
  }
  return named;
}

/** Errors: 404 store or file; 400 parameters, an expired store, another embedding model than the store's. */
export async function createVectorStoreFile(
  deps: VectorStoreDeps,
  caller: Caller,
  storeId: string,
  body: CreateVectorStoreFileRequest,
): Promise<VectorStoreFileRecord> {
  const addition: FileAddition = {
    fileId: body.file_id,
    attributes: toAttributes(body.attributes),
    chunking: toChunking(body.chunking_strategy),
  };
  const { record: store } = await getUsableStore(deps, caller.scope, storeId);
  const ofFiles = await checkFiles(deps, caller.scope, [addition], 'file_id');
  const terms = toTerms(deps, caller, store, ofFiles);
  const [file] = await addCheckedFiles(deps, caller, store, [addition], terms, null);
  // It was deleted between the look at it and its addition.
  if (file === undefined) throw toNoSuchFile(addition.fileId, 'file_id');
  return file;
}

/** Adds files that were there a moment ago, and has them read. Errors: 404; 400 for a store that has expired. */
export async function addCheckedFiles(
  deps: VectorStoreDeps,
  caller: Caller,
  store: VectorStoreRecord,
  additions: readonly FileAddition[],
  terms: AdditionTerms,
  batch: { readonly id: string; readonly begin: number } | null,
): Promise<readonly VectorStoreFileRecord[]> {
  try {
    return await addFiles(deps, caller.scope, store.id, additions, terms, batch, (note) =>
      deps.ingests.start(note, caller.headers),
    );
  } catch (error) {
    if (!(error instanceof StoreUnusable)) throw error;
    throw error.reason === 'gone' ? ApiError.notFound('vector_store', store.id) : toExpired(store.id);
  }
}

/**
 * With what the files will be read. A store without a model gets the one that the request names, else `ofFiles`, which the files were
 * uploaded for. Errors: 400 where the request names another model than the store's.
 */
export function toTerms(
  deps: VectorStoreDeps,
  caller: Caller,
  store: VectorStoreRecord,
  ofFiles: EmbeddingModel | null,
): AdditionTerms {
  const { ingests, embedders, sealer } = deps;
  const fixed = store.internal.embedding;
  const named = embedders.readNamed(caller.headers);
  const embedding = fixed === undefined ? (named ?? ofFiles ?? embedders.choose(caller.headers)) : fixed;
  checkNamed(named, embedding);
  const fromRequest = embedding !== null && isFromRequest(deps, embedding, caller);
  return {
    owner: ingests.owner,
    leaseMs: ingests.leaseMs,
    embedding,
    credentialsFromRequest: fromRequest,
    sealedHeaders: fromRequest ? sealer.seal(caller.headers) : null,
  };
}

/** A model that cannot be used fails the file, where a program looks for it; a header that may not be is a 400. */
function isFromRequest(deps: VectorStoreDeps, embedding: EmbeddingModel, caller: Caller): boolean {
  try {
    return deps.embedders.resolve(embedding, caller.headers).fromRequest;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    return false;
  }
}

/** Errors: 404. */
export async function getVectorStoreFile(
  deps: Pick<Ports, 'store'>,
  scope: Scope,
  storeId: string,
  fileId: string,
): Promise<Versioned<VectorStoreFileRecord>> {
  const files = toStoreScope(scope, storeId);
  const found = await deps.store.get<VectorStoreFileRecord>('vector_store_files', files, fileId);
  if (found !== null) return found;
  await getVectorStore(deps, scope, storeId);
  throw toNoSuchMember({ storeId, fileId });
}

function toNoSuchMember({ storeId, fileId }: Pick<FilePlace, 'storeId' | 'fileId'>): ApiError {
  return new ApiError('not_found', `No file found with id '${fileId}' in vector store '${storeId}'.`);
}

/** `where` narrows by status and batch. Errors: 404 store; 400 cursor. */
export async function listVectorStoreFiles(
  deps: Pick<Ports, 'store'>,
  scope: Scope,
  storeId: string,
  page: PageRequest,
  where: Readonly<Record<string, string>>,
): Promise<Page<VectorStoreFileRecord>> {
  await getVectorStore(deps, scope, storeId);
  const files = toStoreScope(scope, storeId);
  const conditions: Where | undefined = Object.keys(where).length === 0 ? undefined : { fields: where };
  return readPage(page, () =>
    deps.store.list<VectorStoreFileRecord>('vector_store_files', files, page, conditions),
  );
}

const STATUSES = ['in_progress', 'completed', 'failed', 'cancelled'];

/** The condition of the query parameter `filter`. Errors: 400. */
export function toStatusFilter(filter: string | null): Record<string, string> {
  if (filter === null || filter === '') return {};
  if (STATUSES.includes(filter)) return { status: filter };
  const known = STATUSES.map((status) => `'${status}'`).join(', ');
  throw ApiError.invalidValue(
    'filter',
    `Invalid value: '${filter.slice(0, 64)}'. Supported values are: ${known}.`,
  );
}

/** Errors: 404; 400. */
export async function modifyVectorStoreFile(
  deps: Pick<VectorStoreDeps, 'store' | 'index'>,
  scope: Scope,
  storeId: string,
  fileId: string,
  given: Readonly<Record<string, string | number | boolean>> | null,
): Promise<VectorStoreFileRecord> {
  const attributes = toAttributes(given);
  const place = { scope, storeId, fileId };
  await getVectorStoreFile(deps, scope, storeId, fileId);
  try {
    const { record } = await deps.store.update<VectorStoreFileRecord>(
      'vector_store_files',
      toStoreScope(scope, storeId),
      fileId,
      { attributes },
    );
    await alignAttributes(deps, place, null);
    return record;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'not_found') throw toNoSuchMember(place);
    throw error;
  }
}

/** Errors: 404. */
export async function deleteVectorStoreFile(
  deps: VectorStoreDeps,
  scope: Scope,
  storeId: string,
  fileId: string,
): Promise<DeleteVectorStoreFileResponse> {
  await getVectorStoreFile(deps, scope, storeId, fileId);
  const place = { scope, storeId, fileId };
  if (!(await removeFromStore(deps, place))) throw toNoSuchMember(place);
  return { id: fileId, object: 'vector_store.file.deleted', deleted: true };
}

/** The reading stops only once the file is out: nothing of it is kept afterwards. */
async function removeFromStore(
  deps: MembershipDeps & Pick<VectorStoreDeps, 'ingests'>,
  place: FilePlace,
): Promise<boolean> {
  await deps.ingests.stop(toIngestId(place));
  return await removeMember(deps, place);
}

/** Takes a file that is deleted out of every vector store. */
export async function detachFile(
  deps: MembershipDeps & Pick<VectorStoreDeps, 'ingests'>,
  scope: Scope,
  fileId: string,
): Promise<void> {
  const parent: Scope = { tenant: scope.tenant, parent: fileId };
  for (;;) {
    const page = await deps.store.list<FileStoreRecord>('file_stores', parent, {
      limit: PAGE_LIMIT_MAX,
      order: 'asc',
    });
    for (const { record } of page.items) {
      const isRemoved = await removeFromStore(deps, { scope, storeId: record.id, fileId });
      // A note without its file: of a store that is being deleted.
      if (!isRemoved) await deps.store.delete('file_stores', parent, record.id);
    }
    if (!page.hasMore) return;
  }
}

/** Cancels the files of a store that are being read, or wait to be, and that `where` holds for. */
export async function cancelFiles(
  deps: VectorStoreDeps,
  scope: Scope,
  storeId: string,
  where: Readonly<Record<string, string>>,
): Promise<void> {
  const files = toStoreScope(scope, storeId);
  const index = { tenant: scope.tenant, store: storeId };
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const page = await deps.store.list<VectorStoreFileRecord>(
      'vector_store_files',
      files,
      { limit: PAGE_LIMIT_MAX, order: 'asc' },
      { fields: { ...where, status: 'in_progress' } },
    );
    if (page.items.length === 0) return;
    const records = page.items.map(({ record }) => record);
    await Promise.all(records.map(({ id: fileId }) => deps.ingests.stop(toIngestId({ storeId, fileId }))));
    const cancelled = await cancelMembers(deps, scope, storeId, records);
    for (let at = 0; at < cancelled.length; at += REMOVALS_AT_ONCE) {
      const ids = cancelled.slice(at, at + REMOVALS_AT_ONCE);
      await Promise.all(ids.map((id) => deps.index.removeFile(index, id)));
    }
  }
}
