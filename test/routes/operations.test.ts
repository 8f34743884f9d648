/**
 * Every operation that is served, by the statuses that it has: 200 with an answer that its schema takes, 400, 404. There
 * is no 401 without authentication, which is the only mode so far.
 */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Value } from '@sinclair/typebox/value';
import { ErrorResponse } from '../../src/schemas/generated/errors.ts';
import { toServedOperations } from '../../src/schemas/openapi-document.ts';
import type { Operation } from '../../src/schemas/operation.ts';
import { startScriptedEmbedder } from '../support/scripted-embedder.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';

const MODEL = 'understudy/rehearsal';
const ASK = { role: 'user', content: 'What is the weather in Paris?' };
const TOOLS = [{ type: 'function', function: { name: 'get_weather' } }];

let server: TestServer;
const deaf = startScriptedEmbedder({ holds: true });

beforeAll(async () => {
  server = await startServer();
});

afterAll(async () => {
  await server.stop();
  await deaf.close();
});

/** Values of the path's parameters, fit for one call. */
type Params = Readonly<Record<string, string>>;

interface Case {
  /** Makes what the operation needs. */
  readonly prepare: () => Promise<Params>;
  readonly body?: (params: Params) => unknown;
  /** A body that is refused with the parameter at fault; or a query. */
  readonly bad: { readonly body?: unknown; readonly query?: string; readonly param: string | null };
  /** Ids that do not exist, by parameter, each a 404 of its own; none for collections of the root. */
  readonly missing: readonly Params[];
  /** What the right answer holds besides what its schema says. */
  readonly holds?: Readonly<Record<string, unknown>>;
  /** The right answer where it is no JSON. */
  readonly text?: string;
}

async function post(path: string, body: unknown): Promise<Record<string, string>> {
  const answer = await server.call('POST', `/v1${path}`, body);
  if (answer.status !== 200) throw new Error(`${path}: ${answer.text}`);
  return answer.json;
}

async function makeAssistant(): Promise<Params> {
  const { id = '' } = await post('/assistants', { model: MODEL, tools: TOOLS });
  return { assistant_id: id };
}

async function makeThread(): Promise<Params> {
  const { id = '' } = await post('/threads', { messages: [ASK] });
  return { thread_id: id };
}

async function makeMessage(): Promise<Params> {
  const thread = await makeThread();
  const { id = '' } = await post(`/threads/${thread.thread_id}/messages`, ASK);
  return { ...thread, message_id: id };
}

/** A run that waits for the output of its call. */
async function makeRun(): Promise<Params> {
  const { assistant_id = '' } = await makeAssistant();
  const { thread_id = '' } = await makeThread();
  const run = await server
    .client()
    .beta.threads.runs.createAndPoll(thread_id, { assistant_id }, { pollIntervalMs: 5 });
  const [call] = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  return { assistant_id, thread_id, run_id: run.id, call_id: call?.id ?? '' };
}

async function makeStep(): Promise<Params> {
  const run = await makeRun();
  const list = await server.call('GET', `/v1/threads/${run.thread_id}/runs/${run.run_id}/steps`);
  return { ...run, step_id: list.json.data[0].id };
}

async function makeRunnable(): Promise<Params> {
  return { ...(await makeAssistant()), ...(await makeThread()) };
}

/** A form with a file of some bytes; `fields` stand beside it. */
function makeForm(fileField: string, name: string, fields: Readonly<Record<string, string>> = {}): FormData {
  const form = new FormData();
  for (const [field, value] of Object.entries(fields)) form.append(field, value);
  form.append(fileField, new File(['some bytes'], name));
  return form;
}

async function makeFile(): Promise<Params> {
  const { id = '' } = await post('/files', makeForm('file', 'a.txt', { purpose: 'assistants' }));
  return { file_id: id };
}

async function makeUpload(): Promise<Params> {
  const { id = '' } = await post('/uploads', UPLOAD);
  return { upload_id: id };
}

async function makeUploadPart(): Promise<Params> {
  const upload = await makeUpload();
  const { id = '' } = await post(`/uploads/${upload.upload_id}/parts`, makeForm('data', 'blob'));
  return { ...upload, part_id: id };
}

async function makeStore(): Promise<Params> {
  const { id = '' } = await post('/vector_stores', { name: 'S' });
  return { vector_store_id: id };
}

/** A vector store with a file in it, read. */
async function makeStoreFile(): Promise<Params> {
  const params = { ...(await makeStore()), ...(await makeFile()) };
  const path = `/vector_stores/${params.vector_store_id}/files`;
  await post(path, { file_id: params.file_id, attributes: { a: 1 } });
  await waitUntil('the file is read', async () => {
    const { json } = await server.call('GET', `/v1${path}/${params.file_id}`);
    return json.status === 'completed';
  });
  return params;
}

async function makeBatch(): Promise<Params> {
  const params = { ...(await makeStore()), ...(await makeFile()) };
  const { id = '' } = await post(`/vector_stores/${params.vector_store_id}/file_batches`, {
    file_ids: [params.file_id],
  });
  return { ...params, batch_id: id };
}

/** A batch whose file waits for its embedding model, which never answers. */
async function makeWaitingBatch(): Promise<Params> {
  const { file_id = '' } = await makeFile();
  const headers = { 'embedding-model': 'deaf', 'embedding-param-base-url': deaf.url };
  const store = await server.call('POST', '/v1/vector_stores', {}, headers);
  const path = `/v1/vector_stores/${store.json.id}/file_batches`;
  const batch = await server.call('POST', path, { file_ids: [file_id] }, headers);
  return { vector_store_id: store.json.id, batch_id: batch.json.id };
}

const UPLOAD = { filename: 'a.txt', purpose: 'assistants', bytes: 10, mime_type: 'text/plain' };
const nothing = async (): Promise<Params> => ({});
const BAD_LIST = { query: '?limit=0', param: 'limit' };
const BAD_METADATA = { body: { metadata: { a: 1 } }, param: 'metadata.a' };

const CASES: Readonly<Record<string, Case>> = {
  listAssistants: { prepare: makeAssistant, bad: BAD_LIST, missing: [] },
  createAssistant: {
    prepare: nothing,
    body: () => ({ model: MODEL, name: 'A', tools: TOOLS, metadata: { a: 'b' } }),
    bad: { body: {}, param: 'model' },
    missing: [],
    holds: { name: 'A', metadata: { a: 'b' }, temperature: 1 },
  },
  getAssistant: {
    prepare: makeAssistant,
    bad: { query: '/%ff', param: null },
    missing: [{ assistant_id: 'asst_x' }],
  },
  modifyAssistant: {
    prepare: makeAssistant,
    body: () => ({ name: 'B' }),
    bad: { body: { model: 5 }, param: 'model' },
    missing: [{ assistant_id: 'asst_x' }],
    holds: { name: 'B', model: MODEL },
  },
  deleteAssistant: {
    prepare: makeAssistant,
    bad: { query: '/%ff', param: null },
    missing: [{ assistant_id: 'asst_x' }],
    holds: { deleted: true },
  },
  createThread: {
    prepare: nothing,
    body: () => ({ messages: [ASK] }),
    bad: { body: { messages: [{ role: 'nobody', content: 'x' }] }, param: 'messages[0].role' },
    missing: [],
  },
  listThreads: { prepare: makeThread, bad: BAD_LIST, missing: [] },
  getThread: {
    prepare: makeThread,
    bad: { query: '/%ff', param: null },
    missing: [{ thread_id: 'thread_x' }],
  },
  modifyThread: {
    prepare: makeThread,
    body: () => ({ metadata: { a: 'b' } }),
    bad: BAD_METADATA,
    missing: [{ thread_id: 'thread_x' }],
    holds: { metadata: { a: 'b' } },
  },
  deleteThread: {
    prepare: makeThread,
    bad: { query: '/%ff', param: null },
    missing: [{ thread_id: 'thread_x' }],
    holds: { deleted: true },
  },
  listMessages: { prepare: makeMessage, bad: BAD_LIST, missing: [{ thread_id: 'thread_x' }] },
  createMessage: {
    prepare: makeThread,
    body: () => ASK,
    bad: { body: { role: 'user' }, param: 'content' },
    missing: [{ thread_id: 'thread_x' }],
    holds: { role: 'user', status: 'completed' },
  },
  getMessage: {
    prepare: makeMessage,
    bad: { query: '/%ff', param: null },
    missing: [{ thread_id: 'thread_x' }, { message_id: 'msg_x' }],
  },
  modifyMessage: {
    prepare: makeMessage,
    body: () => ({ metadata: { a: 'b' } }),
    bad: BAD_METADATA,
    missing: [{ thread_id: 'thread_x' }, { message_id: 'msg_x' }],
    holds: { metadata: { a: 'b' } },
  },
  deleteMessage: {
    prepare: makeMessage,
    bad: { query: '/%ff', param: null },
    missing: [{ thread_id: 'thread_x' }, { message_id: 'msg_x' }],
    holds: { deleted: true },
  },
  createThreadAndRun: {
    prepare: makeAssistant,
    body: ({ assistant_id }) => ({ assistant_id, thread: { messages: [ASK] } }),
    bad: { body: {}, param: 'assistant_id' },
    missing: [{ assistant_id: 'asst_x' }],
    holds: { status: 'queued' },
  },
  listRuns: { prepare: makeRun, bad: BAD_LIST, missing: [{ thread_id: 'thread_x' }] },
  createRun: {
    prepare: makeRunnable,
    body: ({ assistant_id }) => ({ assistant_id }),
    bad: { body: { assistant_id: 'asst_x', max_prompt_tokens: 1 }, param: 'max_prompt_tokens' },
    missing: [{ thread_id: 'thread_x' }, { assistant_id: 'asst_x' }],
    holds: { status: 'queued', model: MODEL },
  },
  getRun: {
    prepare: makeRun,
    bad: { query: '/%ff', param: null },
    missing: [{ thread_id: 'thread_x' }, { run_id: 'run_x' }],
    holds: { status: 'requires_action' },
  },
  modifyRun: {
    prepare: makeRun,
    body: () => ({ metadata: { a: 'b' } }),
    bad: BAD_METADATA,
    missing: [{ thread_id: 'thread_x' }, { run_id: 'run_x' }],
    holds: { metadata: { a: 'b' } },
  },
  cancelRun: {
    prepare: makeRun,
    bad: { query: '/%ff', param: null },
    missing: [{ thread_id: 'thread_x' }, { run_id: 'run_x' }],
    holds: { status: 'cancelling' },
  },
  submitToolOuputsToRun: {
    prepare: makeRun,
    body: ({ call_id }) => ({ tool_outputs: [{ tool_call_id: call_id, output: 'sunny' }] }),
    bad: {
      body: { tool_outputs: [{ tool_call_id: 'call_x', output: '' }] },
      param: 'tool_outputs[0].tool_call_id',
    },
    missing: [{ thread_id: 'thread_x' }, { run_id: 'run_x' }],
    holds: { status: 'queued', required_action: null },
  },
  listRunSteps: {
    prepare: makeRun,
    bad: BAD_LIST,
    missing: [{ thread_id: 'thread_x' }, { run_id: 'run_x' }],
  },
  getRunStep: {
    prepare: makeStep,
    bad: { query: '/%ff', param: null },
    missing: [{ thread_id: 'thread_x' }, { run_id: 'run_x' }, { step_id: 'step_x' }],
    holds: { type: 'tool_calls', status: 'in_progress' },
  },
  createChatCompletion: {
    prepare: nothing,
    body: () => ({ model: MODEL, messages: [ASK] }),
    bad: { body: { messages: [ASK] }, param: 'model' },
    missing: [],
  },
  createEmbedding: {
    prepare: nothing,
    body: () => ({ model: MODEL, input: 'a', dimensions: 8 }),
    bad: { body: { input: 'a' }, param: 'model' },
    missing: [],
  },
  listFiles: { prepare: makeFile, bad: { query: '?limit=10001', param: 'limit' }, missing: [] },
  createFile: {
    prepare: nothing,
    body: () =>
      makeForm('file', 'a.txt', {
        purpose: 'assistants',
        'expires_after[anchor]': 'created_at',
        'expires_after[seconds]': '3600',
      }),
    bad: { body: makeForm('file', 'a.txt', { purpose: 'nonsense' }), param: 'purpose' },
    missing: [],
    holds: { bytes: 10, filename: 'a.txt', purpose: 'assistants', status: 'processed' },
  },
  retrieveFile: {
    prepare: makeFile,
    bad: { query: '/%ff', param: null },
    missing: [{ file_id: 'file-x' }],
    holds: { bytes: 10, filename: 'a.txt', purpose: 'assistants', status: 'processed' },
  },
  deleteFile: {
    prepare: makeFile,
    bad: { query: '/%ff', param: null },
    missing: [{ file_id: 'file-x' }],
    holds: { deleted: true },
  },
  downloadFile: {
    prepare: makeFile,
    bad: { query: '/%ff', param: null },
    missing: [{ file_id: 'file-x' }],
    text: 'some bytes',
  },
  createUpload: {
    prepare: nothing,
    body: () => UPLOAD,
    bad: { body: { ...UPLOAD, bytes: 0 }, param: 'bytes' },
    missing: [],
    holds: { status: 'pending', bytes: 10, filename: 'a.txt', purpose: 'assistants' },
  },
  addUploadPart: {
    prepare: makeUpload,
    body: () => makeForm('data', 'blob'),
    bad: { body: makeForm('wrong', 'blob'), param: 'data' },
    missing: [{ upload_id: 'upload_x' }],
  },
  completeUpload: {
    prepare: makeUploadPart,
    body: ({ part_id }) => ({ part_ids: [part_id] }),
    bad: { body: { part_ids: ['part_x'] }, param: 'part_ids[0]' },
    missing: [{ upload_id: 'upload_x' }],
    holds: { status: 'completed', file: { bytes: 10, filename: 'a.txt' } },
  },
  cancelUpload: {
    prepare: makeUpload,
    bad: { query: '/%ff', param: null },
    missing: [{ upload_id: 'upload_x' }],
    holds: { status: 'cancelled' },
  },
  listVectorStores: { prepare: makeStore, bad: BAD_LIST, missing: [] },
  createVectorStore: {
    prepare: makeFile,
    body: ({ file_id }) => ({ name: 'S', file_ids: [file_id], metadata: { a: 'b' } }),
    bad: BAD_METADATA,
    missing: [],
    holds: { name: 'S', metadata: { a: 'b' }, file_counts: { total: 1, failed: 0, cancelled: 0 } },
  },
  getVectorStore: {
    prepare: makeStore,
    bad: { query: '/%ff', param: null },
    missing: [{ vector_store_id: 'vs_x' }],
    holds: { name: 'S', status: 'completed', usage_bytes: 0 },
  },
  modifyVectorStore: {
    prepare: makeStore,
    body: () => ({ name: 'T', expires_after: { anchor: 'last_active_at', days: 1 } }),
    bad: BAD_METADATA,
    missing: [{ vector_store_id: 'vs_x' }],
    holds: { name: 'T', expires_after: { anchor: 'last_active_at', days: 1 } },
  },
  deleteVectorStore: {
    prepare: makeStoreFile,
    bad: { query: '/%ff', param: null },
    missing: [{ vector_store_id: 'vs_x' }],
    holds: { deleted: true },
  },
  searchVectorStore: {
    prepare: makeStoreFile,
    body: () => ({ query: 'bytes' }),
    bad: { body: {}, param: 'query' },
    missing: [{ vector_store_id: 'vs_x' }],
    holds: { search_query: ['bytes'], data: [{ filename: 'a.txt', attributes: { a: 1 } }], has_more: false },
  },
  listVectorStoreFiles: {
    prepare: makeStoreFile,
    bad: BAD_LIST,
    missing: [{ vector_store_id: 'vs_x' }],
  },
  createVectorStoreFile: {
    prepare: async () => ({ ...(await makeStore()), ...(await makeFile()) }),
    body: ({ file_id }) => ({ file_id, attributes: { a: 'b' } }),
    bad: { body: {}, param: 'file_id' },
    missing: [{ vector_store_id: 'vs_x' }, { file_id: 'file-x' }],
    holds: { attributes: { a: 'b' }, last_error: null },
  },
  getVectorStoreFile: {
    prepare: makeStoreFile,
    bad: { query: '/%ff', param: null },
    missing: [{ vector_store_id: 'vs_x' }, { file_id: 'file-x' }],
    holds: { status: 'completed', attributes: { a: 1 } },
  },
  updateVectorStoreFileAttributes: {
    prepare: makeStoreFile,
    body: () => ({ attributes: { b: true } }),
    bad: { body: { attributes: { b: [] } }, param: 'attributes.b' },
    missing: [{ vector_store_id: 'vs_x' }, { file_id: 'file-x' }],
    holds: { attributes: { b: true } },
  },
  deleteVectorStoreFile: {
    prepare: makeStoreFile,
    bad: { query: '/%ff', param: null },
    missing: [{ vector_store_id: 'vs_x' }, { file_id: 'file-x' }],
    holds: { deleted: true },
  },
  retrieveVectorStoreFileContent: {
    prepare: makeStoreFile,
    bad: { query: '/%ff', param: null },
    missing: [{ vector_store_id: 'vs_x' }, { file_id: 'file-x' }],
    holds: { data: [{ type: 'text', text: 'some bytes' }] },
  },
  createVectorStoreFileBatch: {
    prepare: async () => ({ ...(await makeStore()), ...(await makeFile()) }),
    body: ({ file_id }) => ({ files: [{ file_id, attributes: { a: 1 } }] }),
    bad: { body: {}, param: 'file_ids' },
    missing: [{ vector_store_id: 'vs_x' }, { file_id: 'file-x' }],
    holds: { file_counts: { total: 1, failed: 0 } },
  },
  getVectorStoreFileBatch: {
    prepare: makeBatch,
    bad: { query: '/%ff', param: null },
    missing: [{ vector_store_id: 'vs_x' }, { batch_id: 'vsfb_x' }],
    holds: { file_counts: { total: 1 } },
  },
  cancelVectorStoreFileBatch: {
    prepare: makeWaitingBatch,
    bad: { query: '/%ff', param: null },
    missing: [{ vector_store_id: 'vs_x' }, { batch_id: 'vsfb_x' }],
    holds: { status: 'cancelled', file_counts: { in_progress: 0, cancelled: 1, total: 1 } },
  },
  listFilesInVectorStoreBatch: {
    prepare: makeBatch,
    bad: BAD_LIST,
    missing: [{ vector_store_id: 'vs_x' }, { batch_id: 'vsfb_x' }],
  },
  listModels: { prepare: nothing, bad: { query: '/%ff', param: null }, missing: [] },
  retrieveModel: {
    prepare: async () => ({ model: MODEL }),
    bad: { query: '/%ff', param: null },
    missing: [{ model: 'understudy/nobody' }],
  },
};

function toPath(operation: Operation, params: Params): string {
  return `/v1${operation.path.replace(/\{(\w+)\}/g, (_, name) => params[name] ?? 'none')}`;
}

function callWith(operation: Operation, params: Params, body: unknown, query = '') {
  return server.call(operation.method, toPath(operation, params) + query, body);
}

function expectEnvelope(json: unknown): void {
  expect(Value.Check(ErrorResponse, json)).toBe(true);
  const { error } = json as ErrorResponse;
  expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type']);
  expect(error.type).toBe('invalid_request_error');
  expect(error.message).toMatch(/\S/);
}

test('every operation that is served has its cases', () => {
  expect([...toServedOperations().keys()].sort()).toEqual(Object.keys(CASES).sort());
});

for (const [id, operation] of toServedOperations()) {
  const given = CASES[id];
  if (given === undefined) continue;
  const { prepare, body, bad, missing, holds } = given;
  describe(`${operation.method} /v1${operation.path}`, () => {
    test('200 answers what the schema says', async () => {
      const params = await prepare();
      const { status, json, text } = await callWith(operation, params, body?.(params));
      expect(text).not.toContain('"internal"');
      expect(status).toBe(200);
      if (given.text !== undefined) {
        expect(text).toBe(given.text);
        return;
      }
      const schema = operation.responses[200]?.['application/json'];
      if (schema === undefined) throw new Error('the document has no answer for this operation');
      expect([...Value.Errors(schema, json)].map(({ path, message }) => `${path} ${message}`)).toEqual([]);
      if (holds !== undefined) expect(json).toMatchObject(holds);
    });

    test('400 names the parameter', async () => {
      const { status, json } = await callWith(operation, await prepare(), bad.body, bad.query);
      expect(status).toBe(400);
      expectEnvelope(json);
      expect(json.error.param).toBe(bad.param);
    });

    for (const wrong of missing) {
      test(`404 for an unknown ${Object.keys(wrong)[0]}`, async () => {
        const params = { ...(await prepare()), ...wrong };
        const { status, json } = await callWith(operation, params, body?.(params));
        expect(status).toBe(404);
        expectEnvelope(json);
        expect(json.error.message).toContain(Object.values(wrong)[0]);
      });
    }
  });
}
