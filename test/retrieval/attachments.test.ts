/** Files on the way to a thread's or an assistant's vector store: attachments, and `tool_resources`. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type OpenAI from 'openai';
import { type Retrieval, search, startRetrieval, upload, waitForStore } from './retrieval-fixture.ts';

const MODEL = 'understudy/rehearsal';
const FOX = 'The quick brown fox jumps over the lazy dog.';

let retrieval: Retrieval;
let client: OpenAI;

beforeAll(async () => {
  retrieval = await startRetrieval();
  client = retrieval.client;
});

afterAll(() => retrieval.close());

function toStoreId(resources: OpenAI.Beta.Thread['tool_resources'] | undefined): string {
  const [id, ...more] = resources?.file_search?.vector_store_ids ?? [];
  expect(more).toEqual([]);
  return id ?? '';
}

function toAttachment(fileId: string) {
  return { file_id: fileId, tools: [{ type: 'file_search' as const }] };
}

describe('an attachment for file_search', () => {
  test('goes into a vector store of the thread that ends a week after its last use', async () => {
    const fileId = await upload(client, 'fox.txt', FOX);
    const thread = await client.beta.threads.create({
      messages: [{ role: 'user', content: 'What jumps?', attachments: [toAttachment(fileId)] }],
    });
    const storeId = toStoreId(thread.tool_resources);
    const store = await waitForStore(client, storeId);
    expect(store.file_counts).toMatchObject({ completed: 1, total: 1 });
    expect(store.expires_after).toEqual({ anchor: 'last_active_at', days: 7 });
    expect(await search(client, storeId, { query: 'fox' })).toHaveLength(1);
    const [message] = (await client.beta.threads.messages.list(thread.id)).data;
    expect(message?.attachments).toEqual([toAttachment(fileId)]);
  });

  test('of a later message goes into the store that the thread has, or makes one', async () => {
    const thread = await client.beta.threads.create();
    const ids: string[] = [];
    for (const name of ['one.txt', 'two.txt']) {
      const fileId = await upload(client, name, `${FOX} ${name}`);
      ids.push(fileId);
      await client.beta.threads.messages.create(thread.id, {
        role: 'user',
        content: name,
        attachments: [toAttachment(fileId)],
      });
    }
    const storeId = toStoreId((await client.beta.threads.retrieve(thread.id)).tool_resources);
    const store = await waitForStore(client, storeId);
    expect(store.file_counts.completed).toBe(2);
    const listed = await client.vectorStores.files.list(storeId, { order: 'asc' });
    expect(listed.data.map(({ id }) => id)).toEqual(ids);
  });

  test("goes into another store where the thread's has been deleted", async () => {
    const [before, after] = await Promise.all([upload(client, 'a.txt', FOX), upload(client, 'b.txt', FOX)]);
    const thread = await client.beta.threads.create({
      messages: [{ role: 'user', content: 'x', attachments: [toAttachment(before)] }],
    });
    const deletedId = toStoreId(thread.tool_resources);
    await client.vectorStores.delete(deletedId);
    await client.beta.threads.messages.create(thread.id, {
      role: 'user',
      content: 'y',
      attachments: [toAttachment(after)],
    });
    const storeId = toStoreId((await client.beta.threads.retrieve(thread.id)).tool_resources);
    expect(storeId).not.toBe(deletedId);
    expect((await waitForStore(client, storeId)).file_counts).toMatchObject({ completed: 1, total: 1 });
  });

  test('of messages that come at once never leaves a thread with two stores', async () => {
    const thread = await client.beta.threads.create();
    const fileIds = await Promise.all(
      Array.from({ length: 8 }, (_, at) => upload(client, `${at}.txt`, `${FOX} ${at}`)),
    );
    await Promise.all(
      fileIds.map((fileId) =>
        client.beta.threads.messages.create(thread.id, {
          role: 'user',
          content: 'x',
          attachments: [toAttachment(fileId)],
        }),
      ),
    );
    const storeId = toStoreId((await client.beta.threads.retrieve(thread.id)).tool_resources);
    expect((await waitForStore(client, storeId)).file_counts.completed).toBe(8);
  });

  test("of a run's additional message is there before the run begins", async () => {
    const assistant = await client.beta.assistants.create({ model: MODEL });
    const thread = await client.beta.threads.create({ messages: [{ role: 'user', content: 'Hello.' }] });
    const fileId = await upload(client, 'extra.txt', FOX);
    await client.beta.threads.runs.createAndPoll(
      thread.id,
      {
        assistant_id: assistant.id,
        additional_messages: [{ role: 'user', content: 'And this.', attachments: [toAttachment(fileId)] }],
      },
      { pollIntervalMs: 10 },
    );
    const storeId = toStoreId((await client.beta.threads.retrieve(thread.id)).tool_resources);
    expect((await waitForStore(client, storeId)).file_counts.total).toBe(1);
  });

  test('for the code interpreter alone is kept with the message, and goes into no store', async () => {
    const fileId = await upload(client, 'data.csv', 'a,b\n1,2\n');
    const attachment = { file_id: fileId, tools: [{ type: 'code_interpreter' as const }] };
    const thread = await client.beta.threads.create({
      messages: [{ role: 'user', content: 'x', attachments: [attachment] }],
    });
    expect(thread.tool_resources?.file_search).toBeUndefined();
    const [message] = (await client.beta.threads.messages.list(thread.id)).data;
    expect(message?.attachments).toEqual([attachment]);
  });

  test('that is not there is a 400 that names it, and nothing is made', async () => {
    const before = (await client.vectorStores.list({ limit: 100 })).data.length;
    const thread = await client.beta.threads.create();
    for (const [path, body, param] of [
      [
        `/threads/${thread.id}/messages`,
        { role: 'user', content: 'x', attachments: [toAttachment('file-x')] },
        'attachments[0].file_id',
      ],
      [
        '/threads',
        {
          messages: [
            { role: 'user', content: 'x' },
            { role: 'user', content: 'y', attachments: [toAttachment('file-x')] },
          ],
        },
        'messages[1].attachments[0].file_id',
      ],
      [
        `/threads/${thread.id}/messages`,
        { role: 'user', content: [{ type: 'image_file', image_file: { file_id: 'file-x' } }] },
        'content[0].image_file.file_id',
      ],
    ] as const) {
      const answer = await retrieval.server.call('POST', `/v1${path}`, body);
      expect(answer.status).toBe(400);
      expect(answer.json.error.param).toBe(param);
    }
    expect((await client.beta.threads.messages.list(thread.id)).data).toEqual([]);
    expect((await client.vectorStores.list({ limit: 100 })).data.length).toBe(before);
  });
});

describe('tool_resources', () => {
  test('name a store by id, for assistants and threads', async () => {
    const store = await client.vectorStores.create({});
    const resources = { file_search: { vector_store_ids: [store.id] } };
    const assistant = await client.beta.assistants.create({
      model: MODEL,
      tools: [{ type: 'file_search' }],
      tool_resources: resources,
    });
    expect(assistant.tool_resources).toEqual(resources);
    const thread = await client.beta.threads.create({ tool_resources: resources });
    expect(thread.tool_resources).toEqual(resources);
    const changed = await client.beta.assistants.update(assistant.id, {
      tool_resources: { file_search: { vector_store_ids: [] } },
    });
    expect(changed.tool_resources).toEqual({ file_search: { vector_store_ids: [] } });
  });

  test('make a store on the way, with its files, chunking and metadata', async () => {
    const fileId = await upload(client, 'fox.txt', FOX);
    const assistant = await client.beta.assistants.create({
      model: MODEL,
      tools: [{ type: 'file_search' }],
      tool_resources: {
        file_search: {
          vector_stores: [
            {
              file_ids: [fileId],
              chunking_strategy: {
                type: 'static',
                static: { max_chunk_size_tokens: 300, chunk_overlap_tokens: 100 },
              },
              metadata: { made: 'on the way' },
            },
          ],
        },
      },
    });
    const storeId = toStoreId(assistant.tool_resources);
    const store = await waitForStore(client, storeId);
    expect(store.metadata).toEqual({ made: 'on the way' });
    expect(store.expires_after).toBeUndefined();
    const file = await client.vectorStores.files.retrieve(fileId, { vector_store_id: storeId });
    expect(file.chunking_strategy).toMatchObject({ static: { max_chunk_size_tokens: 300 } });
  });

  test.each([
    [
      '/assistants',
      { model: MODEL, tool_resources: { file_search: { vector_store_ids: ['vs_x'] } } },
      404,
      'tool_resources.file_search.vector_store_ids',
    ],
    [
      '/threads',
      { tool_resources: { file_search: { vector_store_ids: ['vs_x'] } } },
      404,
      'tool_resources.file_search.vector_store_ids',
    ],
    [
      '/threads',
      { tool_resources: { file_search: { vector_stores: [{ file_ids: ['file-x'] }] } } },
      404,
      'tool_resources.file_search.vector_stores[0].file_ids',
    ],
    [
      '/assistants',
      { model: MODEL, tool_resources: { file_search: { vector_stores: [{ metadata: { a: 1 } }] } } },
      400,
      'tool_resources.file_search.vector_stores[0].metadata.a',
    ],
    [
      '/assistants',
      { model: MODEL, tool_resources: { code_interpreter: { file_ids: ['file-x'] } } },
      404,
      'tool_resources.code_interpreter.file_ids',
    ],
  ] as const)(
    '%s %j is a %d that names the parameter, and makes nothing',
    async (path, body, status, param) => {
      const before = (await client.vectorStores.list({ limit: 100 })).data.length;
      const answer = await retrieval.server.call('POST', `/v1${path}`, body);
      expect(answer.status).toBe(status);
      expect(answer.json.error.param).toBe(param);
      expect((await client.vectorStores.list({ limit: 100 })).data.length).toBe(before);
    },
  );
});
