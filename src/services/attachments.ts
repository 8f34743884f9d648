/** Files that come with messages: those for `file_search` go into the thread's vector store. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { isExpired, type VectorStoreRecord } from '../retrieval/vector-store-records.ts';
import type { CreateMessageRequest } from '../schemas/generated/messages.ts';
import type { Scope } from '../store/store.ts';
import { StoreError } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { getFile } from './file-records.ts';
import type { ThreadRecord } from './thread-records.ts';
import { THREAD_STORE_EXPIRY, type ToolResources } from './tool-resources.ts';
import type { VectorStoreDeps } from './vector-store-access.ts';
import { addCheckedFiles, checkFiles, toTerms } from './vector-store-files.ts';
import { toChunking } from './vector-store-options.ts';
import { createVectorStore, deleteVectorStore } from './vector-stores.ts';

const ATTEMPTS_MAX = 16;

/** Where a message stands in its request: '' or `messages[3]`. */
export interface GivenMessage {
  readonly body: Partial<Pick<CreateMessageRequest, 'content' | 'attachments'>>;
  readonly path: string;
}

/** Errors: 400 naming the parameter, for a file that is not there. */
export async function checkMessageFiles(
  deps: Pick<Ports, 'store' | 'clock'>,
  scope: Scope,
  messages: readonly GivenMessage[],
): Promise<void> {
  await Promise.all(
    messages.flatMap(toFilePlaces).map(async ({ fileId, param }) => {
      try {
        await getFile(deps, scope, fileId, param);
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== 'not_found') throw error;
        throw ApiError.invalidRequest(`No file found with id '${fileId}'.`, param);
      }
    }),
  );
}

function toFilePlaces({ body, path }: GivenMessage): { fileId: string; param: string }[] {
  const at = path === '' ? '' : `${path}.`;
  const attached = (body.attachments ?? []).map(({ file_id: fileId = '' }, index) => ({
    fileId,
    param: `${at}attachments[${index}].file_id`,
  }));
  const { content = '' } = body;
  if (typeof content === 'string') return attached;
  const pictured = content.flatMap((part, index) =>
    part.type === 'image_file'
      ? [{ fileId: part.image_file.file_id, param: `${at}content[${index}].image_file.file_id` }]
      : [],
  );
  return [...attached, ...pictured];
}

/** Files that messages attach for `file_search`, each once. */
export function toSearchedFiles(messages: readonly GivenMessage[]): readonly string[] {
  const ids = messages.flatMap(({ body }) =>
    (body.attachments ?? []).flatMap(({ file_id: id, tools }) =>
      id !== undefined && tools?.some(({ type }) => type === 'file_search') ? [id] : [],
    ),
  );
  return [...new Set(ids)];
}

/** Puts checked files into the vector store among these resources, or into a new one. Answers the resources with it. */
export async function addToResources(
  deps: VectorStoreDeps,
  caller: Caller,
  resources: ToolResources,
  fileIds: readonly string[],
): Promise<ToolResources> {
  if (fileIds.length === 0) return resources;
  const [storeId] = resources.file_search?.vector_store_ids ?? [];
  const store = storeId === undefined ? null : await findUsableStore(deps, caller.scope, storeId);
  if (store === null) {
    const made = await createVectorStore(deps, caller, {
      file_ids: [...fileIds],
      expires_after: THREAD_STORE_EXPIRY,
    });
    return { ...resources, file_search: { vector_store_ids: [made.id] } };
  }
  const chunking = toChunking(null);
  const additions = fileIds.map((fileId) => ({ fileId, attributes: {}, chunking }));
  const isDecided = store.internal.embedding !== undefined;
  const ofFiles = isDecided ? null : await checkFiles(deps, caller.scope, additions, 'attachments');
  const terms = toTerms(deps, caller, store, ofFiles);
  await addCheckedFiles(deps, caller, store, additions, terms, null);
  return resources;
}

/** Null for one that was deleted, or has expired: then the thread gets another. */
async function findUsableStore(
  deps: Pick<Ports, 'store' | 'clock'>,
  scope: Scope,
  id: string,
): Promise<VectorStoreRecord | null> {
  const found = await deps.store.get<VectorStoreRecord>('vector_stores', scope, id);
  return found === null || isExpired(found.record, deps.clock) ? null : found.record;
}

/** Puts files that come with messages into the vector store of a thread. Errors: 404 thread; 400. */
export async function attachToThread(
  deps: VectorStoreDeps,
  caller: Caller,
  threadId: string,
  fileIds: readonly string[],
): Promise<void> {
  if (fileIds.length === 0) return;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const found = await deps.store.get<ThreadRecord>('threads', caller.scope, threadId);
    if (found === null) throw ApiError.notFound('thread', threadId);
    const before: ToolResources = found.record.tool_resources ?? {};
    const after = await addToResources(deps, caller, before, fileIds);
    if (after === before) return;
    try {
      await deps.store.update<ThreadRecord>(
        'threads',
        caller.scope,
        threadId,
        { tool_resources: after },
        { ifVersion: found.version },
      );
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || (error.code !== 'conflict' && error.code !== 'not_found'))
        throw error;
      // Another message has made a store meanwhile, or a run has begun: this one is not needed.
      const [made] = after.file_search?.vector_store_ids ?? [];
      if (made !== undefined) await deleteVectorStore(deps, caller.scope, made);
    }
  }
  throw new ApiError('conflict', `Thread ${threadId} is being changed by others. Try again.`);
}
