/** The making of a run: its fields, the claim of its thread, and the start of the work. */

import { toSeconds } from '../clock.ts';
import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { RunEvent } from '../runs/events.ts';
import { toLeaseInsert } from '../runs/leases.ts';
import { toMessageInsert } from '../runs/parts.ts';
import type { RunEngine, RunStart } from '../runs/run-engine.ts';
import type { HeaderKeeper } from '../runs/run-headers.ts';
import { type RunModel, resolveModel, searchesFromRequest } from '../runs/run-model.ts';
import { NO_USAGE, type RunRecord, toRun, toThreadScope } from '../runs/run-records.ts';
import { PLAIN_VIEW, type StepView } from '../runs/step-views.ts';
import { settleClaim } from '../runs/thread-claims.ts';
import type { CreateRunRequest, CreateThreadAndRunRequest, RunObject } from '../schemas/generated/runs.ts';
import {
  type InsertWrite,
  type Scope,
  StoreError,
  type Versioned,
  WRITES_MAX,
  type Write,
} from '../store/store.ts';
import { toTraceparent } from '../tracing/trace-context.ts';
import { type AssistantRecord, getAssistant } from './assistants.ts';
import { attachToThread, checkMessageFiles, toSearchedFiles } from './attachments.ts';
import { type Caller, withRunSlot } from './caller.ts';
import { type MessageRecord, toMessageRecord } from './message-records.ts';
import { toMetadata } from './metadata.ts';
import type { ThreadRecord } from './thread-records.ts';
import { getThread, insertMessages, toThread, toThreadRecords } from './threads.ts';
import { checkToolChoice, checkTools, refuseMissingTools } from './tools.ts';
import type { VectorStoreDeps } from './vector-store-access.ts';

export type RunDeps = Pick<Ports, 'router'> &
  VectorStoreDeps & { readonly runs: RunEngine; readonly headerKeeper: HeaderKeeper };

/** How the client wants to hear of its run. */
interface ReplyOptions {
  readonly isStreamed: boolean;
  /** What the stream shows of steps. */
  readonly view: StepView;
}

/** The run, and the body of the reply where it is streamed. */
export interface StartedRun {
  readonly run: RunObject;
  readonly stream: ReadableStream<Uint8Array> | null;
}

/** Messages that one run may bring along; together with the run they are one write. */
const ADDITIONAL_MESSAGES_MAX = 100;
/** Losing the claim to a change of the thread's metadata is followed by another try. */
const CLAIM_ATTEMPTS_MAX = 8;

/**
 * Creates a run on a thread and starts it. Errors: 404 thread; 400 assistant, parameters; 400 where the thread
 * has an active run, or the run needs a tool that this server does not have. Then nothing is written.
 */
export async function createRun(
  deps: RunDeps,
  caller: Caller,
  threadId: string,
  body: CreateRunRequest,
  view: StepView = PLAIN_VIEW,
): Promise<StartedRun> {
  const [thread, assistant] = await Promise.all([
    getThread(deps, caller.scope, threadId),
    getAssistant(deps, caller.scope, body.assistant_id, 'assistant_id'),
  ]);
  const run = toRunRecord(deps, threadId, assistant, body);
  const model = resolveModel(deps.router, run.model, caller.headers);
  const record = withOrigin(deps, run, model, caller);
  const messages = toAdditionalMessages(deps, threadId, body);
  return await withRunSlot(caller, async (held) => {
    await attachAdditional(deps, { ...caller, headers: model.headers }, thread.record, body);
    await claimThread(deps, caller, thread, record, messages);
    const reply = { isStreamed: body.stream === true, view };
    return start(deps, caller, { record, model, held }, reply, []);
  });
}

/** Creates a thread with its messages, and a run on it. Errors: as `createRun`. */
export async function createThreadAndRun(
  deps: RunDeps,
  caller: Caller,
  body: CreateThreadAndRunRequest,
  view: StepView = PLAIN_VIEW,
): Promise<StartedRun> {
  const assistant = await getAssistant(deps, caller.scope, body.assistant_id, 'assistant_id');
  const given = { ...body.thread, tool_resources: body.thread?.tool_resources ?? body.tool_resources };
  // The run is looked at first: nothing of the thread is made for one that cannot be.
  const draft = toRunRecord(deps, '', assistant, body);
  const model = resolveModel(deps.router, draft.model, caller.headers);
  return await withRunSlot(caller, async (held) => {
    const made = await toThreadRecords(deps, { ...caller, headers: model.headers }, given, 'thread');
    const run: RunRecord = { ...draft, thread_id: made.thread.id };
    const record = withOrigin(deps, run, model, caller);
    const thread: ThreadRecord = { ...made.thread, active_run_id: record.id };
    const rest = await insertMessages(deps, caller.scope, thread.id, made.messages, WRITES_MAX - 3);
    await deps.store.write([
      toLease(deps, caller, record),
      ...rest,
      toRunInsert(caller.scope, record),
      { kind: 'insert', collection: 'threads', scope: caller.scope, record: thread, isFresh: true },
    ]);
    const reply = { isStreamed: body.stream === true, view };
    return start(deps, caller, { record, model, held }, reply, [
      { event: 'thread.created', data: toThread(thread) },
    ]);
  });
}

/** A run that is written, and what it is worked on with. */
interface MadeRun {
  readonly record: RunRecord;
  readonly model: RunModel;
  readonly held: Pick<RunStart, 'keyId' | 'slot'>;
}

function start(
  deps: RunDeps,
  caller: Caller,
  { record, model, held }: MadeRun,
  reply: ReplyOptions,
  before: readonly RunEvent[],
): StartedRun {
  const run = toRun(record);
  const stream = deps.runs.start({
    tenant: caller.scope.tenant,
    run: { record, version: 1 },
    resolveModel: model.resolve,
    requestId: caller.requestId,
    headers: model.headers,
    ...held,
    isContinued: false,
    opening: [
      ...before,
      { event: 'thread.run.created', data: run },
      { event: 'thread.run.queued', data: run },
    ],
    ...reply,
  });
  return { run, stream };
}

function toLease(deps: RunDeps, { scope: { tenant }, headers }: Caller, run: RunRecord): InsertWrite {
  const kept = deps.headerKeeper.keep(headers, { tenant, runId: run.id });
  return toLeaseInsert(deps, tenant, run, deps.runs.owner, kept);
}

/** With what is kept of its request. */
function withOrigin(deps: RunDeps, run: RunRecord, model: RunModel, { key, trace }: Caller): RunRecord {
  const isFromRequest = model.isFromRequest || searchesFromRequest(deps.embedders, run, model.headers);
  const internal = {
    ...run.internal,
    credentials_from_request: isFromRequest,
    ...(key === undefined ? {} : { key_id: key.id }),
    ...(trace === undefined ? {} : { trace: toTraceparent(trace) }),
  };
  return { ...run, internal };
}

/** The run's own fields win over the assistant's; null is the assistant's too, as at OpenAI. */
function toRunRecord(
  deps: RunDeps,
  threadId: string,
  assistant: AssistantRecord,
  body: CreateRunRequest | CreateThreadAndRunRequest,
): RunRecord {
  const tools = body.tools ?? assistant.tools;
  checkTools(tools);
  refuseMissingTools(tools);
  checkToolChoice(body.tool_choice ?? null, tools);
  const nowMs = deps.clock.nowMs();
  const given = body as Partial<CreateRunRequest>;
  const instructions = [
    body.instructions ?? assistant.instructions ?? '',
    given.additional_instructions ?? '',
  ];
  return {
    id: deps.ids.create('run'),
    object: 'thread.run',
    created_at: toSeconds(nowMs),
    assistant_id: assistant.id,
    thread_id: threadId,
    status: 'queued',
    started_at: null,
    expires_at: toSeconds(nowMs + deps.runs.expiresMs),
    cancelled_at: null,
    failed_at: null,
    completed_at: null,
    required_action: null,
    last_error: null,
    model: body.model ?? assistant.model,
    instructions: instructions.filter((text) => text !== '').join('\n\n'),
    tools,
    metadata: toMetadata(body.metadata),
    temperature: body.temperature ?? assistant.temperature ?? null,
    top_p: body.top_p ?? assistant.top_p ?? null,
    max_completion_tokens: body.max_completion_tokens ?? null,
    max_prompt_tokens: body.max_prompt_tokens ?? null,
    truncation_strategy: toTruncation(body.truncation_strategy),
    incomplete_details: null,
    usage: null,
    response_format: body.response_format ?? assistant.response_format ?? 'auto',
    tool_choice: body.tool_choice ?? 'auto',
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    internal: {
      reasoning_effort: given.reasoning_effort ?? assistant.reasoning_effort ?? null,
      attempts: 0,
      credentials_from_request: false,
      usage: NO_USAGE,
    },
  };
}

function toTruncation(given: CreateRunRequest['truncation_strategy']): RunRecord['truncation_strategy'] {
  const type = given?.type ?? 'auto';
  const lastMessages = given?.last_messages ?? null;
  if (type === 'last_messages' && lastMessages === null) {
    throw ApiError.invalidRequest(
      "'truncation_strategy.last_messages' is needed where 'truncation_strategy.type' is 'last_messages'.",
      'truncation_strategy.last_messages',
    );
  }
  return { type, last_messages: type === 'auto' ? null : lastMessages };
}

function toAdditionalMessages(deps: RunDeps, threadId: string, body: CreateRunRequest): MessageRecord[] {
  const given = body.additional_messages ?? [];
  if (given.length > ADDITIONAL_MESSAGES_MAX) {
    throw new ApiError(
      'invalid_value',
      `Invalid 'additional_messages': array too long. Expected an array with maximum length ${ADDITIONAL_MESSAGES_MAX}, but got an array with length ${given.length} instead.`,
      { param: 'additional_messages', wireCode: 'array_above_max_length' },
    );
  }
  return given.map((message, index) =>
    toMessageRecord(deps, threadId, message, `additional_messages[${index}]`),
  );
}

/** Files of the additional messages, checked, and put into the thread's vector store unless the run cannot be anyway. */
async function attachAdditional(
  deps: RunDeps,
  caller: Caller,
  thread: ThreadRecord,
  body: CreateRunRequest,
): Promise<void> {
  const given = (body.additional_messages ?? []).map((message, index) => ({
    body: message,
    path: `additional_messages[${index}]`,
  }));
  await checkMessageFiles(deps, caller.scope, given);
  const searched = toSearchedFiles(given);
  if (searched.length === 0) return;
  if (thread.active_run_id !== null) throw toActive(thread);
  await attachToThread(deps, caller, thread.id, searched);
}

function toActive({ id, active_run_id: activeId }: ThreadRecord): ApiError {
  return ApiError.invalidRequest(`Thread ${id} already has an active run ${activeId}.`);
}

function toRunInsert(scope: Scope, record: RunRecord): Write {
  return {
    kind: 'insert',
    collection: 'runs',
    scope: toThreadScope(scope.tenant, record.thread_id),
    record,
    isFresh: true,
  };
}

/**
 * Makes the run the thread's active one, by compare-and-set, and everything that belongs to it, in one write.
 */
async function claimThread(
  deps: RunDeps,
  caller: Caller,
  found: Versioned<ThreadRecord>,
  run: RunRecord,
  messages: readonly MessageRecord[],
): Promise<void> {
  const { scope } = caller;
  const lease = toLease(deps, caller, run);
  let thread = found;
  for (let attempt = 0; attempt < CLAIM_ATTEMPTS_MAX; attempt += 1) {
    const { id } = thread.record;
    thread = (await settleClaim(deps, scope, thread)) ?? thread;
    if (thread.record.active_run_id !== null) throw toActive(thread.record);
    const claim: Write = {
      kind: 'update',
      collection: 'threads',
      scope,
      id,
      change: { active_run_id: run.id },
      ifVersion: thread.version,
    };
    try {
      const inserts = messages.map((message) => toMessageInsert(scope.tenant, message));
      await deps.store.write([claim, lease, ...inserts, toRunInsert(scope, run)]);
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || error.index !== 0) throw error;
      thread = await getThread(deps, scope, id);
    }
  }
  throw new ApiError('conflict', `Thread ${found.record.id} is being changed by others. Try again.`);
}
