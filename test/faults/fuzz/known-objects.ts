/** Objects that are there, for requests that name them. */

import type { Answer, TestServer } from '../../support/server.ts';
import type { Random } from '../seeded-random.ts';

/** A local model: it answers at once, and knows what it is told to do. */
export const MODEL = 'understudy/rehearsal';

export type Params = Readonly<Record<string, string>>;

const TOOLS = [{ type: 'function', function: { name: 'get_weather' } }];
const ASK = { role: 'user', content: 'Please call get_weather for Oslo.' };
const UPLOAD = { filename: 'a.txt', purpose: 'assistants', bytes: 10, mime_type: 'text/plain' };
const POLLS_MAX = 2_000;
const POLL_MS = 5;
/** Of each kind, made before anything else. */
const POOL_SIZE = 4;

/** Operations that end, or change for good, what they name: each call needs its own. */
const CONSUMING: Readonly<Record<string, readonly (keyof Makers)[]>> = {
  deleteAssistant: ['assistant'],
  deleteThread: ['thread'],
  deleteMessage: ['message'],
  createRun: ['thread'],
  cancelRun: ['waitingRun'],
  submitToolOuputsToRun: ['waitingRun'],
  deleteFile: ['file'],
  addUploadPart: ['upload'],
  completeUpload: ['uploadPart'],
  cancelUpload: ['upload'],
  deleteVectorStore: ['store'],
  deleteVectorStoreFile: ['storeFile'],
  // Another request may have it read again meanwhile.
  retrieveVectorStoreFileContent: ['storeFile'],
  createVectorStoreFile: ['store', 'file'],
  createVectorStoreFileBatch: ['store', 'file'],
  cancelVectorStoreFileBatch: ['waitingBatch'],
};

interface Makers {
  assistant(): Promise<Params>;
  thread(): Promise<Params>;
  message(): Promise<Params>;
  waitingRun(): Promise<Params>;
  file(): Promise<Params>;
  picture(): Promise<Params>;
  upload(): Promise<Params>;
  uploadPart(): Promise<Params>;
  store(): Promise<Params>;
  storeFile(): Promise<Params>;
  batch(): Promise<Params>;
  /** Its file waits for an embedding model that never answers. */
  waitingBatch(): Promise<Params>;
}

export interface KnownObjects {
  /** What an operation may name so that it can succeed: `thread_id`, `call_id`, … */
  toParams(operationId: string, random: Random): Promise<Params>;
}

/** Makes some objects of each kind. `deafUrl` is where a model listens that never answers. Errors: the server refuses one. */
export async function makeKnownObjects(server: TestServer, deafUrl: string): Promise<KnownObjects> {
  const make = createMakers(server, deafUrl);
  const pool: Params[] = [];
  for (let count = 0; count < POOL_SIZE; count += 1) {
    const [run, message, storeFile, picture, upload, batch] = await Promise.all([
      make.waitingRun(),
      make.message(),
      make.storeFile(),
      make.picture(),
      make.upload(),
      make.batch(),
    ]);
    // One set fits together: the message is of its thread, the run and its step of another one.
    pool.push({ ...run, ...storeFile, ...picture, ...upload, ...batch, ...message });
    pool.push({ ...message, ...storeFile, ...picture, ...upload, ...batch, ...run });
  }
  return {
    async toParams(operationId, random) {
      const isAboutRuns = /run/i.test(operationId);
      const set = pool.filter((_, index) => index % 2 === (isAboutRuns ? 1 : 0));
      const fresh = (CONSUMING[operationId] ?? []).map((kind) => make[kind]());
      const base = random.pick(set);
      return Object.assign({ model: MODEL }, base, ...(await Promise.all(fresh)));
    },
  };
}

function createMakers(server: TestServer, deafUrl: string): Makers {
  const post = async (path: string, body: unknown = {}, headers = {}): Promise<{ id: string }> => {
    const answer = await server.call('POST', `/v1${path}`, body, headers);
    if (answer.status !== 200) throw new Error(`POST ${path} answered ${answer.status}: ${answer.text}`);
    return answer.json;
  };
  const poll = async (path: string, isThere: (found: Answer['json']) => boolean) => {
    for (let count = 0; count < POLLS_MAX; count += 1) {
      const { json } = await server.call('GET', `/v1${path}`);
      if (isThere(json)) return json;
      await Bun.sleep(POLL_MS);
    }
    throw new Error(`${path} did not get as far as it should.`);
  };
  const toForm = (field: string, name: string, fields: Params = {}): FormData => {
    const form = new FormData();
    for (const [key, value] of Object.entries(fields)) form.append(key, value);
    form.append(field, new File(['some bytes'], name));
    return form;
  };
  const makers: Makers = {
    assistant: async () => ({ assistant_id: (await post('/assistants', { model: MODEL, tools: TOOLS })).id }),
    thread: async () => ({ thread_id: (await post('/threads', { messages: [ASK] })).id }),
    async message() {
      const thread = await makers.thread();
      const { id } = await post(`/threads/${thread.thread_id}/messages`, { role: 'user', content: 'Hello' });
      return { ...thread, message_id: id };
    },
    async waitingRun() {
      const params = { ...(await makers.assistant()), ...(await makers.thread()) };
      const { id } = await post(`/threads/${params.thread_id}/runs`, { assistant_id: params.assistant_id });
      const path = `/threads/${params.thread_id}/runs/${id}`;
      const run = await poll(path, ({ status }) => status === 'requires_action');
      const steps = await server.call('GET', `/v1${path}/steps`);
      const [call] = run.required_action.submit_tool_outputs.tool_calls;
      return { ...params, run_id: id, call_id: call.id, step_id: steps.json.data[0].id };
    },
    file: async () => ({
      file_id: (await post('/files', toForm('file', 'a.txt', { purpose: 'assistants' }))).id,
    }),
    picture: async () => ({
      picture_id: (await post('/files', toForm('file', 'a.png', { purpose: 'vision' }))).id,
    }),
    upload: async () => ({ upload_id: (await post('/uploads', UPLOAD)).id }),
    async uploadPart() {
      const upload = await makers.upload();
      return {
        ...upload,
        part_id: (await post(`/uploads/${upload.upload_id}/parts`, toForm('data', 'blob'))).id,
      };
    },
    store: async () => ({ vector_store_id: (await post('/vector_stores', { name: 'S' })).id }),
    async storeFile() {
      const params = { ...(await makers.store()), ...(await makers.file()) };
      const path = `/vector_stores/${params.vector_store_id}/files`;
      await post(path, { file_id: params.file_id });
      await poll(`${path}/${params.file_id}`, ({ status }) => status === 'completed');
      return params;
    },
    async batch() {
      const params = { ...(await makers.store()), ...(await makers.file()) };
      const path = `/vector_stores/${params.vector_store_id}`;
      const { id } = await post(`${path}/file_batches`, { file_ids: [params.file_id] });
      await poll(`${path}/files/${params.file_id}`, ({ status }) => status === 'completed');
      return { ...params, batch_id: id };
    },
    async waitingBatch() {
      const headers = { 'embedding-model': 'deaf', 'embedding-param-base-url': deafUrl };
      const { id: storeId } = await post('/vector_stores', {}, headers);
      const file = await makers.file();
      const path = `/vector_stores/${storeId}/file_batches`;
      const { id } = await post(path, { file_ids: [file.file_id] }, headers);
      return { ...file, vector_store_id: storeId, batch_id: id };
    },
  };
  return makers;
}
