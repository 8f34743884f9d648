/** The run engine by itself, on a real store and with a scripted model behind it: for what no route can arrange. */

import type OpenAI from 'openai';
import { type Clock, systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { createLog } from '../../src/log.ts';
import type { Ports } from '../../src/ports.ts';
import { createEmbedders } from '../../src/providers/embeddings/embeddings.ts';
import { createOpenAiProvider } from '../../src/providers/openai/openai-provider.ts';
import { createUpstream } from '../../src/providers/outbound/upstream.ts';
import type { RequestHeaders } from '../../src/providers/provider.ts';
import type { ReadImage } from '../../src/runs/images.ts';
import { LEASE_SCOPE, toLeaseInsert } from '../../src/runs/leases.ts';
import { sweepRuns } from '../../src/runs/recovery.ts';
import { createRunEngine, type RunEngine } from '../../src/runs/run-engine.ts';
import { createHeaderKeeper } from '../../src/runs/run-headers.ts';
import { NO_USAGE, type RunRecord, type StepRecord, toRunScope } from '../../src/runs/run-records.ts';
import { isTerminal } from '../../src/runs/run-state.ts';
import { PLAIN_VIEW, type StepView } from '../../src/runs/step-views.ts';
import type { ServerTool } from '../../src/runs/tools/server-tool.ts';
import type { MessageObject } from '../../src/schemas/generated/messages.ts';
import type { Caller } from '../../src/services/caller.ts';
import { submitToolOutputs } from '../../src/services/runs.ts';
import type { Store } from '../../src/store/store.ts';
import { openSqliteStore } from '../store/sqlite-directory.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { waitUntil } from '../support/server.ts';
import { createPeer, type EnginePeer, type PeerOptions } from './engine-peer.ts';
import { readEvents, type SeenEvent } from './event-reader.ts';

export const TENANT = 'test';
export const CALLER: Caller = { scope: { tenant: TENANT }, headers: {}, requestId: 'req_test' };

export type ChatBody = OpenAI.Chat.ChatCompletionCreateParams;
type Content = MessageObject['content'];

export interface Question {
  /** What the user said, oldest first; a text or the parts of a message. One greeting unless told otherwise. */
  readonly words?: readonly (string | Content)[];
  /** Goes on in this thread instead of a new one. */
  readonly threadId?: string;
  /** Vector stores of the assistant, and of the thread. */
  readonly storeIds?: readonly string[];
  readonly threadStoreIds?: readonly string[];
  /** Fields of the run. */
  readonly run?: Partial<RunRecord>;
  readonly headers?: RequestHeaders;
  readonly view?: StepView;
}

export interface FinishedRun {
  readonly run: RunRecord;
  readonly events: readonly SeenEvent[];
  /** The assistant's messages of this run, oldest first, as they are stored. */
  readonly answers: readonly MessageObject[];
}

export interface EngineFixture {
  readonly upstream: ScriptedUpstream;
  readonly store: Store;
  /** Begins a streamed run. */
  begin(model: string, question?: Question): Promise<{ run: RunRecord; events: Promise<SeenEvent[]> }>;
  /** Runs to its rest. */
  ask(model: string, question?: Question): Promise<FinishedRun>;
  /** Answers all calls of a run with this output, and runs to its rest. */
  submit(run: RunRecord, output: string): Promise<FinishedRun>;
  cancel(run: RunRecord): Promise<void>;
  readRun(run: RunRecord): Promise<RunRecord>;
  readSteps(run: RunRecord): Promise<readonly StepRecord[]>;
  /** What the model's server was sent, oldest first. */
  toBodies(model: string): readonly ChatBody[];
  /**
   * Ends the engine as a restart does, and lets another go on with what is left, with another server of the model's.
   * Waits until this run has ended.
   */
  restart(run: RunRecord, later: ScriptedUpstream): Promise<FinishedRun>;
  /** Another process on the same store. */
  join(options: PeerOptions): EnginePeer;
  stop(): Promise<void>;
}

export interface EngineOptions {
  readonly toTools?: (ports: Pick<Ports, 'store' | 'clock'>) => readonly ServerTool[];
  readonly readImage?: ReadImage;
  readonly clock?: Clock;
  /** Absent: SQLite, in a directory of its own. */
  readonly openStore?: () => Promise<{ readonly store: Store; close(): Promise<void> }>;
}

export async function startEngineFixture(options: EngineOptions = {}): Promise<EngineFixture> {
  const { clock = systemClock } = options;
  const upstream = await startScriptedUpstream();
  const { store, close } = await (options.openStore ?? openSqliteStore)();
  const ids = createIds(systemClock);
  const log = createLog('silent', () => undefined);
  const ports = { store, clock, ids, log };
  const provider = createOpenAiProvider({
    upstream: createUpstream({ fetch }),
    clock,
    ids,
    retryPolicy: NO_RETRIES,
  });
  let baseUrl = upstream.url;
  const router = {
    resolve: (model: string) => ({
      provider,
      model,
      credentials: { apiKey: 'k', baseUrl, fromRequest: false },
    }),
    available: () => [],
  };
  const headerKeeper = createHeaderKeeper(null);
  const embedders = createEmbedders({ router, configured: null });
  const peers: EnginePeer[] = [];
  let engineCount = 0;
  const createEngine = (): RunEngine => {
    engineCount += 1;
    return createRunEngine(ports, {
      owner: `host/1/${engineCount}`,
      settings: { expiresMs: EXPIRES_MS },
      serverTools: options.toTools?.({ store, clock }) ?? [],
      ...(options.readImage === undefined ? {} : { readImage: options.readImage }),
    });
  };
  let runs = createEngine();

  const readRun = async ({ id, thread_id: parent }: RunRecord): Promise<RunRecord> => {
    const found = await store.get<RunRecord>('runs', { tenant: TENANT, parent }, id);
    if (found === null) throw new Error(`the run ${id} is lost`);
    return found.record;
  };

  const toFinished = async (run: RunRecord, events: readonly SeenEvent[]): Promise<FinishedRun> => {
    const scope = { tenant: TENANT, parent: run.thread_id };
    const page = await store.list<MessageObject>('messages', scope, WHOLE_LIST);
    const answers = page.items.map(({ record }) => record).filter(({ run_id: id }) => id === run.id);
    return { run: await readRun(run), events, answers };
  };

  const fixture: EngineFixture = {
    upstream,
    store,
    async begin(model, question = {}) {
      const run = await insertRun(ports, runs.owner, model, question);
      const stream = runs.start({
        tenant: TENANT,
        run: { record: run, version: 1 },
        resolveModel: () => router.resolve(model),
        requestId: CALLER.requestId,
        headers: question.headers ?? {},
        isContinued: false,
        opening: [],
        isStreamed: true,
        view: question.view ?? PLAIN_VIEW,
      });
      return { run, events: collect(stream) };
    },
    async ask(model, question) {
      const { run, events } = await fixture.begin(model, question);
      return toFinished(run, await events);
    },
    async submit(run, output) {
      const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
      const outputs = calls.map(({ id }) => ({ tool_call_id: id, output }));
      const deps = { store, clock, router, runs, headerKeeper, embedders };
      const body = { tool_outputs: outputs, stream: true };
      const { stream } = await submitToolOutputs(deps, CALLER, run.thread_id, run.id, body);
      return toFinished(run, await collect(stream));
    },
    async cancel(run) {
      const scope = { tenant: TENANT, parent: run.thread_id };
      await store.update<RunRecord>('runs', scope, run.id, { status: 'cancelling' });
      await runs.interrupt(TENANT, run.id, 'cancelled');
    },
    readRun,
    async readSteps(run) {
      const page = await store.list<StepRecord>('steps', toRunScope(TENANT, run.id), WHOLE_LIST);
      return page.items.map(({ record }) => record);
    },
    toBodies: (model) => upstream.requestsFor(model).map(({ body }) => body as ChatBody),
    async restart(run, later) {
      await runs.close(0);
      baseUrl = later.url;
      runs = createEngine();
      await sweepRuns({ ...ports, router, runs, headerKeeper, isProcessAlive: () => false });
      await waitUntil('the run has ended', async () => isTerminal((await readRun(run)).status));
      return toFinished(run, []);
    },
    join(given) {
      const peer = createPeer({ ports, router, headerKeeper, embedders, expiresMs: EXPIRES_MS }, given);
      peers.push(peer);
      return peer;
    },
    async stop() {
      await Promise.all([...peers.map((peer) => peer.runs.close(0)), runs.close(1_000)]);
      await close();
      await upstream.close();
    },
  };
  return fixture;
}

const EXPIRES_MS = 60_000;
const NO_RETRIES = Object.freeze({ attemptsMax: 1, backoffMs: 1, backoffMaxMs: 1, retryAfterMaxMs: 1 });
const WHOLE_LIST = Object.freeze({ limit: 100, order: 'asc' as const });

function collect(stream: ReadableStream<Uint8Array> | null): Promise<SeenEvent[]> {
  if (stream === null) throw new Error('the run is not streamed');
  return Array.fromAsync(readEvents(stream));
}

type InsertPorts = Pick<Ports, 'store' | 'clock' | 'ids'>;

/** Writes assistant, thread, messages, run and lease, as the services do. */
export async function insertRun(
  { store, clock, ids }: InsertPorts,
  owner: string,
  model: string,
  question: Question,
): Promise<RunRecord> {
  const scope = CALLER.scope;
  const assistantId = ids.create('assistant');
  const threadId = question.threadId ?? ids.create('thread');
  const run = { ...toRunRecord(ids.create('run'), model, assistantId, threadId), ...question.run };
  const parented = { ...scope, parent: threadId };
  await store.insert('assistants', scope, { id: assistantId, ...toResources(question.storeIds) });
  if (question.threadId === undefined) {
    const thread = { id: threadId, active_run_id: run.id, ...toResources(question.threadStoreIds) };
    await store.insert('threads', scope, thread);
  } else {
    await store.update<{ id: string; active_run_id: string }>('threads', scope, threadId, {
      active_run_id: run.id,
    });
  }
  for (const words of question.words ?? ['Hello.']) {
    await store.insert('messages', parented, toMessage(ids.create('message'), threadId, words));
  }
  await store.write([
    toLeaseInsert({ clock }, TENANT, run, owner),
    { kind: 'insert', collection: 'runs', scope: parented, record: run },
  ]);
  return run;
}

function toResources(storeIds: readonly string[] = []) {
  return { tool_resources: { file_search: { vector_store_ids: storeIds } } };
}

function toMessage(id: string, threadId: string, words: string | Content) {
  const content =
    typeof words === 'string' ? [{ type: 'text', text: { value: words, annotations: [] } }] : words;
  return { id, object: 'thread.message', thread_id: threadId, role: 'user', run_id: null, content };
}

function toRunRecord(id: string, model: string, assistantId: string, threadId: string): RunRecord {
  return {
    id,
    object: 'thread.run',
    created_at: 1,
    assistant_id: assistantId,
    thread_id: threadId,
    status: 'queued',
    started_at: null,
    expires_at: null,
    cancelled_at: null,
    failed_at: null,
    completed_at: null,
    required_action: null,
    last_error: null,
    model,
    instructions: '',
    tools: [{ type: 'file_search' }],
    metadata: {},
    temperature: null,
    top_p: null,
    max_completion_tokens: null,
    max_prompt_tokens: null,
    truncation_strategy: null,
    incomplete_details: null,
    usage: null,
    response_format: 'auto',
    tool_choice: 'auto',
    parallel_tool_calls: true,
    internal: { reasoning_effort: null, attempts: 0, credentials_from_request: false, usage: NO_USAGE },
  };
}

/** Whether any lease is left. */
export async function countLeases(store: Store): Promise<number> {
  return (await store.list('leases', LEASE_SCOPE, WHOLE_LIST)).items.length;
}
