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
import { PAGE_LIMIT_MAX, StoreError, WRITES_MAX } from '../store/store.ts';
import { readPage, rethrowMissing } from './lists.ts';
import { type MessageRecord, toMessageRecord } from './message-records.ts';
import { toMetadata } from './metadata.ts';
import { type GivenResources, toToolResources } from './tool-resources.ts';

/** `active_run_id` is the claim of the one run that may be active; it is not on the wire. */
export type ThreadRecord = ThreadObject & { active_run_id: string | null };

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

/** The thread and its first messages, not stored yet. `path` is where it stands in the request. Errors: 400. */
export function toThreadRecords(
  deps: Pick<Deps, 'clock' | 'ids'>,
  body: Omit<CreateThreadRequest, 'tool_resources'> & { tool_resources?: GivenResources },
  path: string,
): { thread: ThreadRecord; messages: MessageRecord[] } {
  const prefix = path === '' ? '' : `${path}.`;
  const thread: ThreadRecord = {
    id: deps.ids.create('thread'),
    object: 'thread',
    created_at: toSeconds(deps.clock.nowMs()),
    metadata: toMetadata(body.metadata, `${prefix}metadata`),
    tool_resources: toToolResources(body.tool_resources, `${prefix}tool_resources`),
    active_run_id: null,
  };
  const messages = (body.messages ?? []).map((message, index) =>
    toMessageRecord(deps, thread.id, message, `${prefix}messages[${index}]`),
  );
  return { thread, messages };
}

export async function createThread(
  deps: Deps,
  scope: Scope,
  body: CreateThreadRequest,
): Promise<ThreadRecord> {
  const { thread, messages } = toThreadRecords(deps, body, '');
  const rest = await insertMessages(deps, scope, thread.id, messages, WRITES_MAX - 1);
  await deps.store.write([...rest, { kind: 'insert', collection: 'threads', scope, record: thread }]);
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
  deps: Pick<Deps, 'store'>,
  scope: Scope,
  id: string,
  body: ModifyThreadRequest,
): Promise<ThreadRecord> {
  const change: Partial<ThreadRecord> = {
    ...(body.metadata === undefined ? {} : { metadata: toMetadata(body.metadata) }),
    ...(body.tool_resources === undefined ? {} : { tool_resources: toToolResources(body.tool_resources) }),
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
  if (record.active_run_id !== null) await deps.runs.interrupt(record.active_run_id, 'gone');
  await removeThreadContents(deps, note);
  return { id, object: 'thread.deleted', deleted: true };
}

/** Removes steps, runs and messages of a thread that is gone, then the note. Idempotent. */
async function removeThreadContents(deps: Pick<Deps, 'store'>, note: DeletionRecord): Promise<void> {
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

/** Finishes the deletions that a crash has cut short. Answers how many. */
export async function finishDeletions(deps: Pick<Deps, 'store'>): Promise<number> {
  const page = await deps.store.list<DeletionRecord>('deletions', DELETION_SCOPE, {
    limit: PAGE_LIMIT_MAX,
    order: 'asc',
  });
  for (const { record } of page.items) await removeThreadContents(deps, record);
  return page.items.length;
}
