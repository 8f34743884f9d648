/** Vector stores: what they are made of, and their life. */

import { toSeconds } from '../clock.ts';
import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { DELETION_SCOPE } from '../retrieval/file-membership.ts';
import { finishStoreDeletion, type StoreDeletionRecord } from '../retrieval/store-deletion.ts';
import { isExpired, NO_FILES, toExpiry, type VectorStoreRecord } from '../retrieval/vector-store-records.ts';
import type {
  CreateVectorStoreRequest,
  DeleteVectorStoreResponse,
  UpdateVectorStoreRequest,
} from '../schemas/generated/vector-stores.ts';
import { type Page, type PageRequest, type Scope, StoreError, type Write } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { toExpirationDelete, toExpirationMove } from './expirations.ts';
import { readPage } from './lists.ts';
import { toMetadata } from './metadata.ts';
import { getVectorStore, toExpired, type VectorStoreDeps } from './vector-store-access.ts';
import { addCheckedFiles, cancelFiles, checkFiles, toTerms } from './vector-store-files.ts';
import { toChunking } from './vector-store-options.ts';

/** The store is changed by every file that is read into it, in every process. */
const ATTEMPTS_MAX = 64;
const NAME_LENGTH_MAX = 256;
const MS_PER_SECOND = 1000;

/** Errors: 400; 404 for a file that is not there. Then nothing is written. */
export async function createVectorStore(
  deps: VectorStoreDeps,
  caller: Caller,
  body: CreateVectorStoreRequest,
): Promise<VectorStoreRecord> {
  const chunking = toChunking(body.chunking_strategy);
  const additions = [...new Set(body.file_ids ?? [])].map((fileId) => ({ fileId, attributes: {}, chunking }));
  const ofFiles = await checkFiles(deps, caller.scope, additions, 'file_ids');
  const record = toVectorStoreRecord(deps, caller, body);
  deps.ingests.warm();
  // Headers that cannot be used are refused before anything is written.
  const terms = additions.length === 0 ? null : toTerms(deps, caller, record, ofFiles);
  await deps.store.write([
    ...toExpirationWrites(caller.scope.tenant, record),
    { kind: 'insert', collection: 'vector_stores', scope: caller.scope, record, isFresh: true },
  ]);
  if (terms === null) return record;
  await addCheckedFiles(deps, caller, record, additions, terms, null);
  return (await getVectorStore(deps, caller.scope, record.id)).record;
}

function toVectorStoreRecord(
  deps: VectorStoreDeps,
  caller: Caller,
  body: CreateVectorStoreRequest,
): VectorStoreRecord {
  const now = toSeconds(deps.clock.nowMs());
  const expiresAfter = body.expires_after ?? null;
  // A request that names a model means it, files or not.
  const named = deps.embedders.readNamed(caller.headers);
  return {
    id: deps.ids.create('vector_store'),
    object: 'vector_store',
    created_at: now,
    name: toName(body.name ?? ''),
    description: body.description ?? null,
    usage_bytes: 0,
    file_counts: NO_FILES,
    expires_after: expiresAfter,
    expires_at: toExpiry(expiresAfter, now),
    last_active_at: now,
    metadata: toMetadata(body.metadata),
    internal: named === null ? {} : { embedding: named },
  };
}

function toName(name: string): string {
  if (name.length <= NAME_LENGTH_MAX) return name;
  throw new ApiError(
    'invalid_value',
    `Invalid 'name': string too long. Expected a string with maximum length ${NAME_LENGTH_MAX}, but got a string with length ${name.length} instead.`,
    { param: 'name', wireCode: 'string_above_max_length' },
  );
}

function toExpirationWrites(tenant: string, record: VectorStoreRecord): Write[] {
  const dueMs = toDueMs(record);
  if (dueMs === null) return [toExpirationDelete(record.id)];
  return toExpirationMove(tenant, 'vector_store', record.id, dueMs);
}

function toDueMs(record: VectorStoreRecord): number | null {
  return record.expires_at === null ? null : record.expires_at * MS_PER_SECOND;
}

export function listVectorStores(
  deps: Pick<Ports, 'store'>,
  scope: Scope,
  page: PageRequest,
): Promise<Page<VectorStoreRecord>> {
  return readPage(page, () => deps.store.list<VectorStoreRecord>('vector_stores', scope, page));
}

/** Errors: 404; 400, also where it has expired: what it held is gone. */
export async function modifyVectorStore(
  deps: Pick<VectorStoreDeps, 'store' | 'clock'>,
  scope: Scope,
  id: string,
  body: UpdateVectorStoreRequest,
): Promise<VectorStoreRecord> {
  const name = body.name === undefined ? {} : { name: toName(body.name ?? '') };
  const metadata = body.metadata === undefined ? {} : { metadata: toMetadata(body.metadata) };
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const { record, version } = await getVectorStore(deps, scope, id);
    if (isExpired(record, deps.clock) && body.expires_after !== undefined) throw toExpired(id);
    const expiresAfter = body.expires_after === undefined ? record.expires_after : body.expires_after;
    const now = toSeconds(deps.clock.nowMs());
    const isTimed = body.expires_after !== undefined;
    const change: Partial<VectorStoreRecord> = {
      ...name,
      ...metadata,
      ...(isTimed
        ? { expires_after: expiresAfter, expires_at: toExpiry(expiresAfter, now), last_active_at: now }
        : {}),
    };
    const changed = { ...record, ...change };
    try {
      await deps.store.write([
        { kind: 'update', collection: 'vector_stores', scope, id, change: { ...change }, ifVersion: version },
        ...(isTimed ? toExpirationWrites(scope.tenant, changed) : []),
      ]);
      return changed;
    } catch (error) {
      if (!(error instanceof StoreError) || (error.code !== 'conflict' && error.code !== 'not_found'))
        throw error;
    }
  }
  throw new ApiError('conflict', `The vector store '${id}' is changed too often at once. Try again.`);
}

/**
 * Removes the store at once, and then what is in it. The note of what is left to remove is written with the removal.
 * Errors: 404.
 */
export async function deleteVectorStore(
  deps: VectorStoreDeps,
  scope: Scope,
  id: string,
): Promise<DeleteVectorStoreResponse> {
  // A name that no store can have makes no note either.
  await getVectorStore(deps, scope, id);
  const note: StoreDeletionRecord = { id, kind: 'vector_store', tenant: scope.tenant };
  try {
    await deps.store.write([
      { kind: 'require', collection: 'vector_stores', scope, id },
      { kind: 'insert', collection: 'deletions', scope: DELETION_SCOPE, record: note },
      toExpirationDelete(id),
      { kind: 'delete', collection: 'vector_stores', scope, id },
    ]);
  } catch (error) {
    // Two deletions at once: the other one has left its note, or has already removed the store.
    if (error instanceof StoreError && (error.code === 'not_found' || error.code === 'conflict')) {
      throw ApiError.notFound('vector_store', id);
    }
    throw error;
  }
  await finishStoreDeletion(deps, note);
  return { id, object: 'vector_store.deleted', deleted: true };
}

/**
 * What becomes of a store whose time has come. Answers when it is due again, or null where it is not any more. Its files
 * stay listed, so that a program can put them into a new store; what was read of them goes.
 */
export async function expireVectorStore(
  deps: VectorStoreDeps,
  tenant: string,
  id: string,
): Promise<number | null> {
  const scope: Scope = { tenant };
  const found = await deps.store.get<VectorStoreRecord>('vector_stores', scope, id);
  if (found === null || found.record.expires_at === null) return null;
  if (!isExpired(found.record, deps.clock)) return toDueMs(found.record);
  await deps.store.update<VectorStoreRecord>('vector_stores', scope, id, {
    internal: { ...found.record.internal, is_emptied: true },
  });
  await cancelFiles(deps, scope, id, {});
  await deps.index.removeStore({ tenant, store: id });
  return null;
}
