/** Threads: a conversation, and who may write into it. */

import { toSeconds } from '../clock.ts';
import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { LEASE_SCOPE } from '../runs/leases.ts';
import type { RunEngine } from '../runs/run-engine.ts';
import type {
  CreateThreadRequest,
  DeleteThreadResponse,
  ModifyThreadRequest,
  ThreadObject,
} from '../schemas/generated/threads.ts';
import { SYSTEM_TENANT } from '../store/collections.ts';
import type { Page, PageRequest, Scope, StoredRecord, Versioned, Where, Write } from '../store/store.ts';
import { StoreError, WRITES_MAX } from '../store/store.ts';
import { addToResources, checkMessageFiles, toSearchedFiles } from './attachments.ts';
import type { Caller } from './caller.ts';
import { readPage, rethrowMissing } from './lists.ts';
import { type MessageRecord, toMessageRecord } from './message-records.ts';
import { toMetadata } from './metadata.ts';
import type { ThreadRecord } from './thread-records.ts';
import {
  checkToolResources,
  type GivenResources,
  makeToolResources,
  THREAD_STORE_EXPIRY,
} from './tool-resources.ts';
import type { VectorStoreDeps } from './vector-store-access.ts';

type Deps = Pick<Ports, 'store' | 'clock' | 'ids'>;

/** The threads whose contents are still to be removed. Scope: the system's. */
export interface DeletionRecord extends StoredRecord {
  readonly tenant: string;
}

const DELETION_SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });
const RUNS_PAGE = 100;
/** Pages of runs that one deletion walks: ten million runs. */
const RUN_PAGES_MAX = 100_000;

export function toThread(record: ThreadRecord): ThreadObject {
  const { active_run_id: _, ...thread } = record;
  return thread;
}

/**
 * The thread and its first messages, not stored yet; vector stores that come along are made, once everything else is
 * known to be right. `path` is where the thread stands in the request. Errors: 400, 404.
 */
export async function toThreadRecords(
  deps: VectorStoreDeps,
  caller: Caller,
  body: Omit<CreateThreadRequest, 'tool_resources'> & { tool_resources?: GivenResources },
  path: string,
): Promise<{ thread: ThreadRecord; messages: MessageRecord[] }> {
  const prefix = path === '' ? '' : `${path}.`;
  const bare: ThreadRecord = {
    id: deps.ids.create('thread'),
    object: 'thread',
    created_at: toSeconds(deps.clock.nowMs()),
    metadata: toMetadata(body.metadata, `${prefix}metadata`),
    tool_resources: {},
    active_run_id: null,
  };
  const given = (body.messages ?? []).map((message, index) => ({
    body: message,
    path: `${prefix}messages[${index}]`,
  }));
  const messages = given.map((message) => toMessageRecord(deps, bare.id, message.body, message.path));
  await checkToolResources(deps, caller.scope, body.tool_resources, `${prefix}tool_resources`);
  await checkMessageFiles(deps, caller.scope, given);
  const made = await makeToolResources(deps, caller, body.tool_resources, THREAD_STORE_EXPIRY);
  const resources = await addToResources(deps, caller, made, toSearchedFiles(given));
  return { thread: { ...bare, tool_resources: resources }, messages };
}

export async function createThread(
  deps: VectorStoreDeps,
  caller: Caller,
  body: CreateThreadRequest,
): Promise<ThreadRecord> {
  const { scope } = caller;
  const { thread, messages } = await toThreadRecords(deps, caller, body, '');
  const rest = await insertMessages(deps, scope, thread.id, messages, WRITES_MAX - 1);
  await deps.store.write([
    ...rest,
    { kind: 'insert', collection: 'threads', scope, record: thread, isFresh: true },
  ]);
  return thread;
}

/**
 * Stores the first messages of a thread that is not visible yet, and answers the last `restMax` of their writes:
 * the caller makes the thread visible in one write with them, so that nobody sees a thread that lacks some.
 */
export async function insertMessages(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  threadId: string,
  messages: readonly MessageRecord[],
  restMax: number,
): Promise<Write[]> {
  const writes = messages.map(
    (record): Write => ({
      kind: 'insert',
      collection: 'messages',
      scope: { tenant: scope.tenant, parent: threadId },
      record,
      isFresh: true,
    }),
  );
  let start = 0;
  while (writes.length - start > restMax) {
    const end = Math.min(start + WRITES_MAX, writes.length - restMax);
    await deps.store.write(writes.slice(start, end));
    start = end;
  }
  return writes.slice(start);
}

export async function getThread(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  id: string,
): Promise<Versioned<ThreadRecord>> {
  const found = await deps.store.get<ThreadRecord>('threads', scope, id);
  if (found === null) throw ApiError.notFound('thread', id);
  return found;
}

export function listThreads(
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  page: PageRequest,
  metadata: Readonly<Record<string, string>>,
): Promise<Page<ThreadRecord>> {
  const where: Where | undefined = Object.keys(metadata).length === 0 ? undefined : { metadata };
  return readPage(page, () => deps.store.list<ThreadRecord>('threads', scope, page, where));
}

export async function modifyThread(
  deps: VectorStoreDeps,
  caller: Caller,
  id: string,
  body: ModifyThreadRequest,
): Promise<ThreadRecord> {
  const { scope } = caller;
  await checkToolResources(deps, scope, body.tool_resources);
  const change: Partial<ThreadRecord> = {
    ...(body.metadata === undefined ? {} : { metadata: toMetadata(body.metadata) }),
    ...(body.tool_resources === undefined
      ? {}
      : { tool_resources: await makeToolResources(deps, caller, body.tool_resources) }),
  };
  const { record } = await deps.store
    .update<ThreadRecord>('threads', scope, id, change)
    .catch(rethrowMissing('thread', id));
  return record;
}

/**
 * Removes the thread at once and then what is in it. The note of what is left to remove is written with
 * the removal, so that a crash in between leaves nothing behind for good.
 */
export async function deleteThread(
  deps: Pick<Deps, 'store'> & { readonly runs: Pick<RunEngine, 'interrupt'> },
  scope: Scope,
  id: string,
): Promise<DeleteThreadResponse> {
  const { record } = await getThread(deps, scope, id);
  const note: DeletionRecord = { id, tenant: scope.tenant };
  try {
    await deps.store.write([
      { kind: 'require', collection: 'threads', scope, id },
      { kind: 'insert', collection: 'deletions', scope: DELETION_SCOPE, record: note },
      { kind: 'delete', collection: 'threads', scope, id },
    ]);
  } catch (error) {
    // Two deletions at once: the other one has left its note, or has already removed the thread.
    if (error instanceof StoreError && (error.code === 'not_found' || error.code === 'conflict')) {
      throw ApiError.notFound('thread', id);
    }
    throw error;
  }
  if (record.active_run_id !== null) await deps.runs.interrupt(scope.tenant, record.active_run_id, 'gone');
  await removeThreadContents(deps, note);
  return { id, object: 'thread.deleted', deleted: true };
}

/** Removes steps, runs and messages of a thread that is gone, then the note. Idempotent. */
export async function removeThreadContents(deps: Pick<Deps, 'store'>, note: DeletionRecord): Promise<void> {
  const scope: Scope = { tenant: note.tenant, parent: note.id };
  for (let page = 0; page < RUN_PAGES_MAX; page += 1) {
    const runs = await deps.store.list('runs', scope, { limit: RUNS_PAGE, order: 'asc' });
    for (const { record } of runs.items) {
      const steps: Scope = { tenant: note.tenant, parent: record.id };
      await deps.store.deleteAll('steps', steps);
      await deps.store.write([
        { kind: 'delete', collection: 'leases', scope: LEASE_SCOPE, id: record.id },
        { kind: 'delete', collection: 'runs', scope, id: record.id },
      ]);
      // A step that was written just before the run went: after it none can come.
      await deps.store.deleteAll('steps', steps);
    }
    if (!runs.hasMore) break;
  }
  await deps.store.deleteAll('messages', scope);
  await deps.store.delete('deletions', DELETION_SCOPE, note.id);
}
