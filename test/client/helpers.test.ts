/** The official client's helpers through a patched client, files and searches among them. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { toFile } from 'openai';
import { editMessage, listThreads, readEmbeddingModel } from 'understudy/client';
import { callTool, say } from '../support/upstream-steps.ts';
import {
  findKeys,
  KEYS,
  type SixProviders,
  startSixProviders,
  toModel,
  toProvider,
} from './six-providers.ts';

const MODEL = 'any-model';
const TOOL = { type: 'function' as const, function: { name: 'add' } };
const messages = [{ role: 'user' as const, content: 'Hello' }];

let six: SixProviders;

beforeAll(async () => {
  six = await startSixProviders();
});

afterAll(async () => {
  await six.close();
});

describe('streams of a patched client', () => {
  test('runs.stream and submitToolOutputsStream tell their events, each call with the key of its model', async () => {
    const { client, sent } = six.connect();
    const model = toModel(
      'groq',
      six.upstream.script('client-stream', [callTool('add', { a: 1 })], [say('It is two.')]),
    );
    const assistant = await client.beta.assistants.create({ model, tools: [TOOL] });
    const thread = await client.beta.threads.create({ messages });
    const asking = client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
    const asked = await asking.finalRun();
    const tool_call_id = asked.required_action?.submit_tool_outputs.tool_calls[0]?.id ?? '';
    let text = '';
    const answering = client.beta.threads.runs
      .submitToolOutputsStream(asked.id, {
        thread_id: thread.id,
        tool_outputs: [{ tool_call_id, output: '2' }],
      })
      .on('textDelta', ({ value }) => {
        text += value ?? '';
      });
    expect((await answering.finalRun()).status).toBe('completed');
    expect(text).toBe('It is two.');
    const posts = sent.filter(({ method, path }) => method === 'POST' && path.includes('/runs'));
    expect(posts.map(({ headers }) => findKeys(headers))).toEqual([['groq'], ['groq']]);
  });

  test('createAndRunStream and chat.completions.stream tell what the model says', async () => {
    const { client } = six.connect();
    const script = six.upstream.script('client-create-stream', [say('Good day to you.')]);
    const assistant = await client.beta.assistants.create({ model: toModel('deepseek', script) });
    const stream = client.beta.threads.createAndRunStream({
      assistant_id: assistant.id,
      thread: { messages },
    });
    const [message] = await stream.finalMessages();
    expect(message?.content).toMatchObject([{ type: 'text', text: { value: 'Good day to you.' } }]);
    const chat = client.chat.completions.stream({ model: toModel('xai', script), messages });
    expect(await chat.finalContent()).toBe('Good day to you.');
  });
});

describe('files and searches of a patched client', () => {
  test("uploadAndPoll and searches go with the embedding model's key alone, a run that searches with both, one that does not with its own", async () => {
    const embeddingModel = toModel('together_ai', 'embedder');
    const { client, sent } = six.connect({ embeddingModel });
    const store = await client.vectorStores.create({ name: 'Birds' });
    const document = await toFile(Buffer.from('The wren is a small bird that sings loudly.'), 'birds.txt');
    const file = await client.vectorStores.files.uploadAndPoll(store.id, document);
    expect(file.status).toBe('completed');
    const found = await client.vectorStores.search(store.id, { query: 'small bird' }).withResponse();
    expect(found.response.headers.get('x-understudy-search-mode')).toBe('hybrid');
    const uploads = sent.filter(({ method }) => method === 'POST');
    expect(uploads.map(({ headers }) => findKeys(headers))).toEqual(uploads.map(() => ['together_ai']));
    const named = uploads.filter(({ headers }) => headers.get('embedding-model') === embeddingModel);
    expect(named.map(({ path }) => path.split('/').at(-1))).toEqual(['vector_stores', 'files', 'files']);
    const embedded = six.upstream.requests.filter(({ path }) => path.endsWith('/embeddings'));
    expect(embedded.length).toBeGreaterThanOrEqual(2);
    for (const { path, headers } of embedded) {
      expect(toProvider(path)).toBe('together_ai');
      expect(headers.authorization).toBe(`Bearer ${KEYS.together_ai}`);
    }

    const script = six.upstream.script(
      'client-search',
      [callTool('file_search', { query: 'wren' })],
      [say('A wren.')],
    );
    const tool_resources = { file_search: { vector_store_ids: [store.id] } };
    const model = toModel('groq', script);
    const assistant = await client.beta.assistants.create({
      model,
      tools: [{ type: 'file_search' }],
      tool_resources,
    });
    const body = { assistant_id: assistant.id, thread: { messages } };
    const plain = { ...body, model: toModel('groq', MODEL), tools: [] };
    expect((await client.beta.threads.createAndRunPoll(body)).status).toBe('completed');
    expect((await client.beta.threads.createAndRunPoll(plain)).status).toBe('completed');
    const changed = { ...body, model: toModel('xai', MODEL) };
    expect((await client.beta.threads.createAndRunPoll(changed)).status).toBe('completed');
    const runs = sent.filter(({ path }) => path === '/threads/runs');
    expect(runs.map(({ headers }) => findKeys(headers))).toEqual([
      ['groq', 'together_ai'],
      ['groq'],
      ['xai', 'together_ai'],
    ]);
    expect(six.upstream.requests.filter(({ path }) => path.endsWith('/embeddings')).length).toBe(
      embedded.length + 1,
    );
  });
});

describe('listThreads', () => {
  test('answers one page where it is awaited, and all threads where it is iterated over', async () => {
    const { client } = six.connect();
    const made: string[] = [];
    for (let at = 0; at < 5; at++) {
      const metadata = { list: 'mine', at: String(at) };
      made.push((await client.beta.threads.create({ metadata })).id);
    }
    const metadata = { list: 'mine' };
    const page = await listThreads(client, { limit: 2, metadata });
    expect(page).toMatchObject({ object: 'list', has_more: true, first_id: made[4], last_id: made[3] });
    const listed: string[] = [];
    for await (const { id } of listThreads(client, { limit: 2, order: 'asc', metadata })) listed.push(id);
    expect(listed).toEqual(made);
    const one = await listThreads(client, { metadata: { ...metadata, at: '3' } });
    expect(one.data.map(({ id }) => id)).toEqual([made[3] ?? '']);
  });
});

test('editMessage changes the content of a message, and its metadata where they are given', async () => {
  const { client } = six.connect();
  const thread = await client.beta.threads.create();
  const made = await client.beta.threads.messages.create(thread.id, {
    role: 'user',
    content: 'puppies',
    metadata: { a: 'b' },
  });
  const edited = await editMessage(client, made.id, { thread_id: thread.id, content: 'kittens' });
  const text = { value: 'kittens', annotations: [] };
  expect(edited).toMatchObject({ id: made.id, metadata: { a: 'b' }, content: [{ type: 'text', text }] });
  const parts = [{ type: 'text' as const, text: 'lions' }];
  const given = { thread_id: thread.id, content: parts, metadata: { c: 'd' } };
  const again = await editMessage(client, made.id, given).withResponse();
  expect([again.response.status, again.data.metadata]).toEqual([200, { c: 'd' }]);
});

test('readEmbeddingModel tells the model that a file was uploaded for', async () => {
  for (const embeddingModel of [toModel('together_ai', 'embedder'), null]) {
    const { client } = six.connect(embeddingModel === null ? {} : { embeddingModel });
    const file = await client.files.create({
      file: await toFile(Buffer.from('A wren.'), 'a.txt'),
      purpose: 'assistants',
    });
    expect(readEmbeddingModel(file)).toBe(embeddingModel);
    expect(readEmbeddingModel(await client.files.retrieve(file.id))).toBe(embeddingModel);
  }
});
