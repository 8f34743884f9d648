/** Messages of a thread. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { settleClaim } from '../runs/thread-claims.ts';
import type {
  CreateMessageRequest,
  DeleteMessageResponse,
  ModifyMessageRequest,
} from '../schemas/generated/messages.ts';
import type { Page, PageRequest, Scope, Versioned, Write } from '../store/store.ts';
import { StoreError } from '../store/store.ts';
import { attachToThread, checkMessageFiles, toSearchedFiles } from './attachments.ts';
import type { Caller } from './caller.ts';
import { readPage, rethrowMissing } from './lists.ts';
import { type MessageRecord, toContent, toMessageRecord } from './message-records.ts';
import { toMetadata } from './metadata.ts';
import type { ThreadRecord } from './thread-records.ts';
import { getThread } from './threads.ts';
import type { VectorStoreDeps } from './vector-store-access.ts';

type Deps = Pick<Ports, 'store' | 'clock' | 'ids'>;

/** Adds a message. Errors: 404 thread; 400 while a run is active, or for a file that is not there. */
export async function createMessage(
  deps: VectorStoreDeps,
  caller: Caller,
  threadId: string,
  body: CreateMessageRequest,
): Promise<MessageRecord> {
  const { scope } = caller;
  const record = toMessageRecord(deps, threadId, body, '');
  const given = [{ body, path: '' }];
  await checkMessageFiles(deps, scope, given);
  const searched = toSearchedFiles(given);
  if (searched.length > 0) {
    // First a look whether the message can be added at all: its files should not be in the store without it.
    const thread = await getThread(deps, scope, threadId);
    if (thread.record.active_run_id !== null) throw toBusy(thread.record);
    await attachToThread(deps, caller, threadId, searched);
  }
  await writeToIdleThread(
    deps,
    scope,
    threadId,
    {
      kind: 'insert',
      collection: 'messages',
      scope: toMessageScope(scope, threadId),
      record,
      isFresh: true,
    },
    toBusy,
  );
  return record;
}

/** A run that ends makes way for the next message; one that begins at the same moment does not. */
const ATTEMPTS_MAX = 3;

/** Writes to a message of a thread that no run works on. Errors: 404 thread; `toBusyError`'s; `StoreError` of the write, with index 1. */
async function writeToIdleThread(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  threadId: string,
  write: Write,
  toBusyError: (thread: ThreadRecord) => ApiError,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await deps.store.write([
        { kind: 'require', collection: 'threads', scope, id: threadId, equals: { active_run_id: null } },
        write,
      ]);
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || error.index !== 0) throw error;
      if (error.code === 'not_found') throw ApiError.notFound('thread', threadId);
      if (error.code !== 'conflict') throw error;
      const thread = await getThread(deps, scope, threadId);
      const settled = (await settleClaim(deps, scope, thread)) ?? thread;
      // It was taken by a run that has ended by now.
      if (settled.record.active_run_id !== null || attempt === ATTEMPTS_MAX)
        throw toBusyError(settled.record);
    }
  }
}

function toBusy(thread: ThreadRecord): ApiError {
  return ApiError.invalidRequest(
    `Can't add messages to ${thread.id} while a run ${thread.active_run_id ?? ''} is active.`,
  );
}

export async function getMessage(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  threadId: string,
  id: string,
): Promise<MessageRecord> {
  return (await findMessage(deps, scope, threadId, id)).record;
}

async function findMessage(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  threadId: string,
  id: string,
): Promise<Versioned<MessageRecord>> {
  const found = await deps.store.get<MessageRecord>('messages', toMessageScope(scope, threadId), id);
  if (found !== null) return found;
  await getThread(deps, scope, threadId);
  throw ApiError.notFound('message', id);
}

export async function listMessages(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  threadId: string,
  page: PageRequest,
  runId: string | null,
): Promise<Page<MessageRecord>> {
  const where = runId === null ? undefined : { fields: { run_id: runId } };
  const found = await readPage(page, () =>
    deps.store.list<MessageRecord>('messages', toMessageScope(scope, threadId), page, where),
  );
  // An empty page may mean that there is no such thread; a full one answers that by itself.
  if (found.items.length === 0) await getThread(deps, scope, threadId);
  return found;
}

/**
 * Changes a message's metadata, and its content: the whole of it, for the runs that come. Errors: 404; 400, also where the content is
 * to change while a run is active.
 */
export async function modifyMessage(
  deps: Pick<Deps, 'store' | 'clock'>,
  scope: Scope,
  threadId: string,
  id: string,
  body: ModifyMessageRequest,
): Promise<MessageRecord> {
  if (body.content !== undefined) return editMessage(deps, scope, threadId, id, body, body.content);
  if (body.metadata === undefined) return getMessage(deps, scope, threadId, id);
  const metadata = toMetadata(body.metadata);
  await getThread(deps, scope, threadId);
  const { record } = await deps.store
    .update<MessageRecord>('messages', toMessageScope(scope, threadId), id, { metadata })
    .catch(rethrowMissing('message', id));
  return record;
}

/** Of edits at the same moment each is made whole, one after the other; every round, one of them is. */
const EDITS_MAX = 64;

/** A run reads its thread once, so what it reads does not change while it is active. */
async function editMessage(
  deps: Pick<Deps, 'store' | 'clock'>,
  scope: Scope,
  threadId: string,
  id: string,
  body: ModifyMessageRequest,
  content: NonNullable<ModifyMessageRequest['content']>,
): Promise<MessageRecord> {
  const change: Partial<MessageRecord> = {
    content: toContent(content, 'content'),
    ...(body.metadata === undefined ? {} : { metadata: toMetadata(body.metadata) }),
  };
  await checkMessageFiles(deps, scope, [{ body: { content }, path: '' }]);
  for (let attempt = 0; attempt < EDITS_MAX; attempt += 1) {
    const { record, version } = await findMessage(deps, scope, threadId, id);
    const parent = toMessageScope(scope, threadId);
    const write: Write = {
      kind: 'update',
      collection: 'messages',
      scope: parent,
      id,
      change,
      ifVersion: version,
    };
    try {
      await writeToIdleThread(deps, scope, threadId, write, (thread) => toBusyForEdit(thread, id));
      return { ...record, ...change };
    } catch (error) {
      if (!(error instanceof StoreError) || (error.code !== 'conflict' && error.code !== 'not_found'))
        throw error;
    }
  }
  throw new ApiError('conflict', `Message ${id} is being changed by too many requests at once. Try again.`);
}

function toBusyForEdit(thread: ThreadRecord, id: string): ApiError {
  const run = thread.active_run_id ?? '';
  return ApiError.invalidRequest(`Can't change the content of message ${id} while a run ${run} is active.`);
}

export async function deleteMessage(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  threadId: string,
  id: string,
): Promise<DeleteMessageResponse> {
  const parent = toMessageScope(scope, threadId);
  const found = await findMessage(deps, scope, threadId, id);
  if (found.record.status === 'in_progress') {
    throw ApiError.invalidRequest(
      `Can't delete message ${id} while run ${found.record.run_id ?? ''} is writing it.`,
    );
  }
  if (!(await deps.store.delete('messages', parent, id))) throw ApiError.notFound('message', id);
  return { id, object: 'thread.message.deleted', deleted: true };
}

export function toMessageScope(scope: Scope, threadId: string): Scope {
  return { tenant: scope.tenant, parent: threadId };
}
