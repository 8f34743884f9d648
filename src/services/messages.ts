/** Messages of a thread. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { settleClaim } from '../runs/thread-claims.ts';
import type {
  CreateMessageRequest,
  DeleteMessageResponse,
  ModifyMessageRequest,
} from '../schemas/generated/messages.ts';
import type { Page, PageRequest, Scope } from '../store/store.ts';
import { StoreError } from '../store/store.ts';
import { attachToThread, checkMessageFiles, toSearchedFiles } from './attachments.ts';
import type { Caller } from './caller.ts';
import { readPage, rethrowMissing } from './lists.ts';
import { type MessageRecord, toMessageRecord } from './message-records.ts';
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
  for (let attempt = 1; ; attempt += 1) {
    try {
      await deps.store.write([
        { kind: 'require', collection: 'threads', scope, id: threadId, equals: { active_run_id: null } },
        {
          kind: 'insert',
          collection: 'messages',
          scope: toMessageScope(scope, threadId),
          record,
          isFresh: true,
        },
      ]);
      return record;
    } catch (error) {
      if (!(error instanceof StoreError) || error.index !== 0) throw error;
      if (error.code === 'not_found') throw ApiError.notFound('thread', threadId);
      if (error.code !== 'conflict') throw error;
      const thread = await getThread(deps, scope, threadId);
      const settled = (await settleClaim(deps, scope, thread)) ?? thread;
      // It was taken by a run that has ended by now.
      if (settled.record.active_run_id !== null || attempt === ATTEMPTS_MAX) throw toBusy(settled.record);
    }
  }
}

/** A run that ends makes way for the next message; one that begins at the same moment does not. */
const ATTEMPTS_MAX = 3;

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
  const found = await deps.store.get<MessageRecord>('messages', toMessageScope(scope, threadId), id);
  if (found !== null) return found.record;
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

export async function modifyMessage(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  threadId: string,
  id: string,
  body: ModifyMessageRequest,
): Promise<MessageRecord> {
  if (body.metadata === undefined) return getMessage(deps, scope, threadId, id);
  const metadata = toMetadata(body.metadata);
  await getThread(deps, scope, threadId);
  const { record } = await deps.store
    .update<MessageRecord>('messages', toMessageScope(scope, threadId), id, { metadata })
    .catch(rethrowMissing('message', id));
  return record;
}

export async function deleteMessage(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  threadId: string,
  id: string,
): Promise<DeleteMessageResponse> {
  const parent = toMessageScope(scope, threadId);
  const found = await deps.store.get<MessageRecord>('messages', parent, id);
  if (found === null) {
    await getThread(deps, scope, threadId);
    throw ApiError.notFound('message', id);
  }
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
