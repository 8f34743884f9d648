/**
 * Projects see nothing of each other. Made from the table of operations: for every id in a path, whosever the others are, a key of
 * another project gets a 404; an id in a body is answered as one that never was; and nothing of the first project has changed.
 */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { toServedOperations } from '../../src/schemas/openapi-document.ts';
import type { Operation } from '../../src/schemas/operation.ts';
import { waitUntil } from '../support/server.ts';
import { type KeyServer, startKeyServer } from './key-server.ts';

const MODEL = 'understudy/rehearsal';
const ASK = { role: 'user', content: 'What is the weather in Paris?' };
const TOOLS = [{ type: 'function', function: { name: 'get_weather' } }];
const UPLOAD = { filename: 'a.txt', purpose: 'assistants', bytes: 10, mime_type: 'text/plain' };
const TEST_MS = 60_000;

/** One of each kind of object, under the names of the paths' parameters. */
type Objects = Readonly<Record<(typeof KINDS)[number], string>>;
const KINDS = [
  'assistant_id',
  'thread_id',
  'message_id',
  'run_id',
  'step_id',
  'call_id',
  'file_id',
  'upload_id',
  'part_id',
  'vector_store_id',
  'batch_id',
] as const;

interface Project {
  readonly key: string;
  readonly objects: Objects;
}

let server: KeyServer;
let owner: Project;
let stranger: Project;
/** Has nothing. */
let newcomer: string;

beforeAll(async () => {
  server = await startKeyServer();
  owner = await makeProject('owner');
  stranger = await makeProject('stranger');
  newcomer = (await server.createKey({ project: 'newcomer' })).key;
}, TEST_MS);
afterAll(() => server?.stop());

async function makeProject(project: string): Promise<Project> {
  const { key } = await server.createKey({ project });
  const post = async (path: string, body?: unknown) => {
    const { status, json, text } = await server.callAs(key, 'POST', `/v1${path}`, body);
    if (status !== 200) throw new Error(`${path}: ${text}`);
    return json;
  };
  const get = async (path: string) => (await server.callAs(key, 'GET', `/v1${path}`)).json;
  const { id: assistant_id } = await post('/assistants', { model: MODEL, tools: TOOLS, name: project });
  const { id: thread_id } = await post('/threads', { messages: [ASK], metadata: { of: project } });
  const { id: message_id } = (await get(`/threads/${thread_id}/messages`)).data[0];
  const { id: run_id } = await post(`/threads/${thread_id}/runs`, { assistant_id });
  const path = `/threads/${thread_id}/runs/${run_id}`;
  await waitUntil('the run waits', async () => (await get(path)).status === 'requires_action');
  const step = (await get(`${path}/steps`)).data[0];
  const { id: file_id } = await post('/files', makeForm('file', { purpose: 'assistants' }));
  const { id: upload_id } = await post('/uploads', UPLOAD);
  const { id: part_id } = await post(`/uploads/${upload_id}/parts`, makeForm('data'));
  const { id: vector_store_id } = await post('/vector_stores', { name: project });
  const { id: batch_id } = await post(`/vector_stores/${vector_store_id}/file_batches`, {
    file_ids: [file_id],
  });
  await waitUntil(
    'the file is read',
    async () => (await get(`/vector_stores/${vector_store_id}`)).file_counts.completed === 1,
  );
  const objects = {
    assistant_id,
    thread_id,
    message_id,
    run_id,
    step_id: step.id,
    call_id: step.step_details.tool_calls[0].id,
    file_id,
    upload_id,
    part_id,
    vector_store_id,
    batch_id,
  };
  return { key, objects };
}

function makeForm(field: string, fields: Readonly<Record<string, string>> = {}): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append(field, new File(['some bytes'], 'a.txt'));
  return form;
}

// ——— Ids in paths ———

/** What goes with an operation that takes a body, made of the objects that the path names. */
const BODIES: Readonly<Record<string, (objects: Objects) => unknown>> = {
  modifyAssistant: () => ({ name: 'taken' }),
  modifyThread: () => ({ metadata: { of: 'taken' } }),
  createMessage: () => ASK,
  modifyMessage: () => ({ metadata: { of: 'taken' } }),
  createRun: ({ assistant_id }) => ({ assistant_id }),
  modifyRun: () => ({ metadata: { of: 'taken' } }),
  submitToolOuputsToRun: ({ call_id }) => ({ tool_outputs: [{ tool_call_id: call_id, output: 'sunny' }] }),
  addUploadPart: () => makeForm('data'),
  completeUpload: ({ part_id }) => ({ part_ids: [part_id] }),
  modifyVectorStore: () => ({ name: 'taken' }),
  searchVectorStore: () => ({ query: 'bytes' }),
  createVectorStoreFile: ({ file_id }) => ({ file_id }),
  updateVectorStoreFileAttributes: () => ({ attributes: { of: 'taken' } }),
  createVectorStoreFileBatch: ({ file_id }) => ({ file_ids: [file_id] }),
};

/** Names of models belong to nobody. */
const WITHOUT_OWNER: ReadonlySet<string> = new Set(['retrieveModel']);

const byPath = [...toServedOperations()].filter(
  ([id, { path }]) => path.includes('{') && !WITHOUT_OWNER.has(id),
);

function toParameters({ path }: Operation): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
}

/** Every choice of parameters but the empty one. */
function toChoices(names: readonly string[]): string[][] {
  return Array.from({ length: 2 ** names.length - 1 }, (_, choice) =>
    names.filter((__, at) => ((choice + 1) >> at) & 1),
  );
}

function toPath({ path }: Operation, objects: Readonly<Record<string, string>>): string {
  return `/v1${path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const id = objects[name];
    if (id === undefined) throw new Error(`no object of this test is a '${name}'`);
    return id;
  })}`;
}

function isKind(name: string): name is keyof Objects {
  return (KINDS as readonly string[]).includes(name);
}

function pick(objects: Objects, names: readonly string[]): Partial<Objects> {
  return Object.fromEntries(names.filter(isKind).map((name) => [name, objects[name]]));
}

async function readAll({ key, objects }: Project): Promise<unknown> {
  const seen: Record<string, unknown> = {};
  for (const [id, operation] of toServedOperations()) {
    if (operation.method !== 'GET' || WITHOUT_OWNER.has(id) || id === 'listModels') continue;
    const { status, text } = await server.callAs(key, 'GET', toPath(operation, objects));
    seen[id] = { status, body: text };
    expect([id, status]).toEqual([id, 200]);
  }
  return seen;
}

describe('an object of another project', () => {
  let before: unknown;
  beforeAll(async () => {
    before = await readAll(owner);
  });

  for (const [id, operation] of byPath) {
    for (const names of toChoices(toParameters(operation))) {
      test(`is a 404 in ${operation.method} ${operation.path}: ${names.join(', ')}`, async () => {
        // The others are the stranger's own: neither a foreign parent nor a foreign child is found.
        const objects = { ...stranger.objects, ...pick(owner.objects, names) };
        const { status, json, text } = await server.callAs(
          stranger.key,
          operation.method,
          toPath(operation, objects),
          // What the body names is there, so that it is the path at which it fails.
          BODIES[id]?.({ ...stranger.objects, ...pick(owner.objects, ['call_id', 'part_id']) }),
        );
        expect([status, text]).toEqual([404, text]);
        expect(json.error).toMatchObject({ type: 'invalid_request_error' });
        // It is the object that is not found, and none of the stranger's own.
        expect(
          Object.values(pick(owner.objects, names)).some((one) => json.error.message.includes(one)),
        ).toBe(true);
      });
    }
  }

  test('is what it was before, in every answer that its project gets', async () => {
    expect(await readAll(owner)).toEqual(before);
  });
});

// ——— Lists ———

const LISTS = ['listAssistants', 'listThreads', 'listFiles', 'listVectorStores'];

test.each(LISTS)('%s shows a project only its own', async (id) => {
  const operation = toServedOperations().get(id);
  if (operation === undefined) throw new Error(`there is no operation '${id}'`);
  const path = toPath(operation, {});
  expect((await server.callAs(newcomer, 'GET', path)).json.data).toEqual([]);
  const { json } = await server.callAs(stranger.key, 'GET', path);
  expect(json.data).toHaveLength(1);
  expect(Object.values(stranger.objects)).toContain(json.data[0].id);
  // A cursor of another project marks no place.
  const [own] = (await server.callAs(owner.key, 'GET', path)).json.data;
  const cursor = await server.callAs(stranger.key, 'GET', `${path}?after=${own.id}`);
  expect(cursor.status).toBe(400);
});

// ——— Ids in bodies ———

interface BodyCase {
  readonly operation: string;
  readonly kind: keyof Objects;
  readonly toBody: (id: string, own: Objects) => unknown;
}

const ATTACHED = (id: string) => ({
  ...ASK,
  attachments: [{ file_id: id, tools: [{ type: 'file_search' }] }],
});
const PICTURED = (id: string) => ({
  role: 'user',
  content: [{ type: 'image_file', image_file: { file_id: id } }],
});
const SEARCHED = (id: string) => ({ file_search: { vector_store_ids: [id] } });
const GATHERED = (id: string) => ({ file_search: { vector_stores: [{ file_ids: [id] }] } });
const CODED = (id: string) => ({ code_interpreter: { file_ids: [id] } });

const BODY_CASES: readonly BodyCase[] = [
  {
    operation: 'createAssistant',
    kind: 'vector_store_id',
    toBody: (id) => ({ model: MODEL, tool_resources: SEARCHED(id) }),
  },
  {
    operation: 'createAssistant',
    kind: 'file_id',
    toBody: (id) => ({ model: MODEL, tool_resources: GATHERED(id) }),
  },
  {
    operation: 'createAssistant',
    kind: 'file_id',
    toBody: (id) => ({ model: MODEL, tool_resources: CODED(id) }),
  },
  {
    operation: 'modifyAssistant',
    kind: 'vector_store_id',
    toBody: (id) => ({ tool_resources: SEARCHED(id) }),
  },
  { operation: 'createThread', kind: 'file_id', toBody: (id) => ({ messages: [ATTACHED(id)] }) },
  { operation: 'createThread', kind: 'file_id', toBody: (id) => ({ messages: [PICTURED(id)] }) },
  { operation: 'createThread', kind: 'file_id', toBody: (id) => ({ tool_resources: GATHERED(id) }) },
  { operation: 'createThread', kind: 'vector_store_id', toBody: (id) => ({ tool_resources: SEARCHED(id) }) },
  { operation: 'modifyThread', kind: 'vector_store_id', toBody: (id) => ({ tool_resources: SEARCHED(id) }) },
  { operation: 'createThreadAndRun', kind: 'assistant_id', toBody: (id) => ({ assistant_id: id }) },
  {
    operation: 'createThreadAndRun',
    kind: 'file_id',
    toBody: (id, { assistant_id }) => ({ assistant_id, thread: { messages: [ATTACHED(id)] } }),
  },
  {
    operation: 'createThreadAndRun',
    kind: 'vector_store_id',
    toBody: (id, { assistant_id }) => ({ assistant_id, tool_resources: SEARCHED(id) }),
  },
  { operation: 'createRun', kind: 'assistant_id', toBody: (id) => ({ assistant_id: id }) },
  {
    operation: 'createRun',
    kind: 'file_id',
    toBody: (id, { assistant_id }) => ({ assistant_id, additional_messages: [ATTACHED(id)] }),
  },
  {
    operation: 'submitToolOuputsToRun',
    kind: 'call_id',
    toBody: (id) => ({ tool_outputs: [{ tool_call_id: id, output: 'sunny' }] }),
  },
  { operation: 'createMessage', kind: 'file_id', toBody: (id) => ATTACHED(id) },
  { operation: 'createMessage', kind: 'file_id', toBody: (id) => PICTURED(id) },
  { operation: 'completeUpload', kind: 'part_id', toBody: (id) => ({ part_ids: [id] }) },
  { operation: 'createVectorStore', kind: 'file_id', toBody: (id) => ({ file_ids: [id] }) },
  { operation: 'createVectorStoreFile', kind: 'file_id', toBody: (id) => ({ file_id: id }) },
  { operation: 'createVectorStoreFileBatch', kind: 'file_id', toBody: (id) => ({ file_ids: [id] }) },
  {
    operation: 'createVectorStoreFileBatch',
    kind: 'file_id',
    toBody: (id) => ({ files: [{ file_id: id }] }),
  },
];

/** Operations whose bodies name no object, or that take none. */
const WITHOUT_IDS = [
  'createChatCompletion',
  'createEmbedding',
  'createFile',
  'createUpload',
  'listModels',
  'retrieveModel',
];

/** The same kind of id, of nothing that ever was. */
function toUnknown(id: string): string {
  return `${id.slice(0, -24)}${'0'.repeat(24)}`;
}

describe('an id of another project in a body', () => {
  test.each(BODY_CASES)(
    'is as one that never was: $operation, $kind',
    async ({ operation: name, kind, toBody }) => {
      const operation = toServedOperations().get(name);
      if (operation === undefined) throw new Error(`there is no operation '${name}'`);
      const path = toPath(operation, stranger.objects);
      const send = async (id: string) => {
        const { status, text } = await server.callAs(
          stranger.key,
          operation.method,
          path,
          toBody(id, stranger.objects),
        );
        return { status, text: text.replaceAll(id, 'THE-ID') };
      };
      const foreign = await send(owner.objects[kind]);
      expect(foreign).toEqual(await send(toUnknown(owner.objects[kind])));
      expect([400, 404]).toContain(foreign.status);
      expect(foreign.text).toContain('THE-ID');
    },
  );
});

test('every operation that is served is looked at: none can be forgotten', () => {
  const covered = new Set([
    ...byPath.map(([id]) => id),
    ...LISTS,
    ...BODY_CASES.map(({ operation }) => operation),
    ...WITHOUT_IDS,
  ]);
  expect([...covered].sort()).toEqual([...toServedOperations().keys()].sort());
  // What takes a body has one here: else it would fail for the want of it.
  const withBody = byPath.filter(([, { request }]) => request?.required === true).map(([id]) => id);
  expect(withBody.filter((id) => BODIES[id] === undefined)).toEqual([]);
});
