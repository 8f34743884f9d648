/** Counts, notes and chunks that hold whatever happens at once: in one process, and in several over the same data. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embedText } from '../../src/providers/rehearsal/rehearsal-embeddings.ts';
import { startScriptedEmbedder } from '../support/scripted-embedder.ts';
import { startServer, waitUntil } from '../support/server.ts';
import { countIndexRows, countRecords, readRecords } from '../support/stored.ts';
import { type Retrieval, startRetrieval, upload, waitForStore } from './retrieval-fixture.ts';

let retrieval: Retrieval;

beforeAll(async () => {
  retrieval = await startRetrieval();
});

afterAll(() => retrieval.close());

function uploadMany(count: number): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, (_, number) =>
      upload(retrieval.client, `file ${number}.txt`, `File ${number} speaks of apples.`),
    ),
  );
}

describe('batches', () => {
  test('that add the same files at once all come to an end, and count each file once', async () => {
    const { client, embedder } = retrieval;
    const fileIds = await uploadMany(50);
    const store = await client.vectorStores.create({});
    embedder.behave({ latencyMs: 20 });
    const batches = await Promise.all(
      Array.from({ length: 3 }, () =>
        client.vectorStores.fileBatches.create(store.id, { file_ids: fileIds }),
      ),
    );
    const read = await waitForStore(client, store.id);
    embedder.behave({ latencyMs: 0 });
    expect(read.file_counts).toEqual({ in_progress: 0, completed: 50, failed: 0, cancelled: 0, total: 50 });
    let completed = 0;
    for (const { id } of batches) {
      const ended = await client.vectorStores.fileBatches.retrieve(id, { vector_store_id: store.id });
      const { file_counts: counts } = ended;
      expect(ended.status).toBe('completed');
      expect(counts).toMatchObject({ in_progress: 0, failed: 0, total: 50 });
      expect(counts.completed + counts.cancelled).toBe(50);
      completed += counts.completed;
    }
    expect(completed).toBe(50);
  }, 30_000);

  test('whose vector store is deleted while files are added leave no note behind', async () => {
    const { client, server } = retrieval;
    const fileIds = await uploadMany(200);
    const store = await client.vectorStores.create({});
    const adding = server.call('POST', `/v1/vector_stores/${store.id}/file_batches`, { file_ids: fileIds });
    await waitUntil('some files are added', async () => {
      const { file_counts: counts } = await client.vectorStores.retrieve(store.id);
      return counts.total > 0;
    });
    await client.vectorStores.delete(store.id);
    expect([200, 404]).toContain((await adding).status);
    for (const [collection, key] of [
      ['ingests', 'id'],
      ['file_batches', 'parent'],
      ['vector_store_files', 'parent'],
      ['file_stores', 'id'],
      ['deletions', 'id'],
    ] as const) {
      await waitUntil(`nothing of the store is left in ${collection}`, async () => {
        const records = await readRecords(server.dataDirectory, collection);
        return !records.some((record) => record[key].startsWith(store.id));
      });
    }
    expect(await countRecords(server.dataDirectory, 'ingests')).toBe(0);
  }, 30_000);

  test('a file that is deleted while others of its batch are added is in no vector store afterwards', async () => {
    const { client, server } = retrieval;
    const fileIds = await uploadMany(300);
    const store = await client.vectorStores.create({});
    const adding = server.call('POST', `/v1/vector_stores/${store.id}/file_batches`, { file_ids: fileIds });
    await waitUntil('some files are added', async () => {
      const { file_counts: counts } = await client.vectorStores.retrieve(store.id);
      return counts.total > 0;
    });
    const last = fileIds.at(-1) ?? '';
    await client.files.delete(last);
    const batch = await adding;
    expect(batch.status).toBe(200);
    const read = await waitForStore(client, store.id);
    expect(read.file_counts).toEqual({ in_progress: 0, completed: 299, failed: 0, cancelled: 0, total: 299 });
    const ended = await client.vectorStores.fileBatches.retrieve(batch.json.id, {
      vector_store_id: store.id,
    });
    expect(ended.file_counts).toEqual({
      in_progress: 0,
      completed: 299,
      failed: 0,
      cancelled: 1,
      total: 300,
    });
    const member = await server.call('GET', `/v1/vector_stores/${store.id}/files/${last}`);
    expect(member.status).toBe(404);
  }, 30_000);

  test('are cancelled with all counts right while their files are read', async () => {
    const { client, embedder } = retrieval;
    const fileIds = await uploadMany(200);
    const store = await client.vectorStores.create({});
    embedder.behave({ latencyMs: 20 });
    const batch = await client.vectorStores.fileBatches.create(store.id, { file_ids: fileIds });
    await waitUntil('some files are read', async () => {
      const { file_counts: counts } = await client.vectorStores.retrieve(store.id);
      return counts.completed > 10;
    });
    const place = { vector_store_id: store.id };
    const cancelled = await client.vectorStores.fileBatches.cancel(batch.id, place);
    embedder.behave({ latencyMs: 0 });
    const { file_counts: counts } = cancelled;
    expect(cancelled.status).toBe('cancelled');
    expect(counts).toMatchObject({ in_progress: 0, failed: 0, total: 200 });
    expect(counts.completed + counts.cancelled).toBe(200);
    expect((await client.vectorStores.retrieve(store.id)).file_counts).toEqual(counts);
    const listed: string[] = [];
    for await (const file of client.vectorStores.fileBatches.listFiles(batch.id, {
      ...place,
      filter: 'cancelled',
      limit: 100,
    }))
      listed.push(file.id);
    expect(listed.length).toBe(counts.cancelled);
  }, 30_000);
});

describe('a request that cannot be carried out', () => {
  test('for its headers leaves no vector store behind', async () => {
    const { client, server } = retrieval;
    const [fileId = ''] = await uploadMany(1);
    const before = await countRecords(server.dataDirectory, 'vector_stores');
    const headers = [
      { 'embedding-param-dimensions': 'many' },
      { 'embedding-param-base-url': 'http://10.0.0.1/v1' },
    ];
    for (const given of headers) {
      const store = await server.call('POST', '/v1/vector_stores', { file_ids: [fileId] }, given as never);
      expect(store.status).toBe(400);
      const resources = { file_search: { vector_stores: [{ file_ids: [fileId] }] } };
      const thread = await server.call('POST', '/v1/threads', { tool_resources: resources }, given as never);
      expect(thread.status).toBe(400);
    }
    expect(await countRecords(server.dataDirectory, 'vector_stores')).toBe(before);
    await client.files.delete(fileId);
  });
});

test('a vector store that would have expired leaves nothing behind when it is deleted', async () => {
  const { client, server } = retrieval;
  const store = await client.vectorStores.create({ expires_after: { anchor: 'last_active_at', days: 1 } });
  const readDates = async () =>
    (await readRecords(server.dataDirectory, 'expirations')).filter(({ id }) => id === store.id);
  expect(await readDates()).toHaveLength(1);
  await client.vectorStores.delete(store.id);
  expect(await readDates()).toHaveLength(0);
});

describe('an embedding model that has changed under its name', () => {
  let dimensions = 64;
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const { input } = (await request.json()) as { input: readonly string[] };
      const data = input.map((text, index) => ({ index, embedding: [...embedText(text, dimensions)] }));
      return Response.json({ object: 'list', data });
    },
  });
  const cleanUps: (() => Promise<unknown>)[] = [() => server.stop(true)];
  afterAll(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  });

  test('fails new files with the reason, and leaves the words to searches, which say so', async () => {
    const understudy = await startServer({
      flags: ['--embedding-model', 'changing'],
      env: { OPENAI_BASE_URL: `http://127.0.0.1:${server.port}/v1` },
    });
    cleanUps.push(() => understudy.stop());
    const client = understudy.client();
    const fileIds = [await upload(client, 'a.txt', 'Apples.'), await upload(client, 'b.txt', 'More apples.')];
    const store = await client.vectorStores.create({ file_ids: fileIds.slice(0, 1) });
    expect((await waitForStore(client, store.id)).file_counts.completed).toBe(1);
    dimensions = 32;
    const failed = await client.vectorStores.files.createAndPoll(
      store.id,
      { file_id: fileIds[1] ?? '' },
      { pollIntervalMs: 20 },
    );
    expect(failed.status).toBe('failed');
    expect(failed.last_error?.message).toContain('64 dimensions, not 32');
    const path = `/v1/vector_stores/${store.id}/search`;
    const found = await understudy.call('POST', path, { query: 'apples' });
    expect(found.status).toBe(200);
    expect(found.json.data).toHaveLength(1);
    expect(found.headers.get('x-understudy-search-mode')).toBe('keyword');
    expect(found.headers.get('x-understudy-search-warning')).toContain('32 dimensions, but the store has 64');
  });
});

describe('several processes on the same data', () => {
  const FILES = 6;

  async function startThree() {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-consistency-'));
    const embedder = startScriptedEmbedder();
    const options = {
      dataDirectory,
      flags: ['--embedding-model', 'scripted'],
      env: { OPENAI_BASE_URL: embedder.url },
    };
    const servers = [
      await startServer(options),
      await startServer(options),
      await startServer(options),
    ] as const;
    return {
      dataDirectory,
      embedder,
      servers,
      async close() {
        await Promise.all(servers.map((server) => server.stop()));
        await embedder.close();
        await rm(dataDirectory, { recursive: true, force: true });
      },
    };
  }

  test('filter and show what the last change of a file says, however many change it at once', async () => {
    const three = await startThree();
    try {
      const client = three.servers[0].client();
      const fileId = await upload(client, 'whales.txt', 'Whales sing.');
      const store = await client.vectorStores.create({ file_ids: [fileId] });
      await waitForStore(client, store.id);
      for (let round = 0; round < 5; round += 1) {
        await Promise.all(
          Array.from({ length: 30 }, (_, number) =>
            three.servers[number % 3]?.client().vectorStores.files.update(fileId, {
              vector_store_id: store.id,
              attributes: { n: round * 100 + number },
            }),
          ),
        );
        const file = await client.vectorStores.files.retrieve(fileId, { vector_store_id: store.id });
        const n = Number(file.attributes?.n);
        const found = await client.vectorStores.search(store.id, {
          query: 'whales',
          filters: { type: 'eq', key: 'n', value: n },
        });
        expect(found.data.map(({ attributes }) => attributes)).toEqual([{ n }]);
      }
    } finally {
      await three.close();
    }
  }, 60_000);

  test('leave nothing in the index of stores that are deleted while another one reads into them', async () => {
    const three = await startThree();
    try {
      const [first, second] = three.servers;
      const fileIds: string[] = [];
      for (let number = 0; number < FILES; number += 1) {
        fileIds.push(await upload(first.client(), `file ${number}.txt`, `File ${number} speaks of pears.`));
      }
      three.embedder.behave({ holds: true });
      const store = await first.client().vectorStores.create({ file_ids: fileIds });
      await waitUntil('the model is asked for all files', () => three.embedder.active === FILES);
      await second.client().vectorStores.delete(store.id);
      three.embedder.behave({ holds: false });
      await waitUntil('the model has answered', () => three.embedder.active === 0);
      await waitUntil(
        'the index holds nothing',
        async () => (await countIndexRows(three.dataDirectory)) === 0,
        20_000,
      );
      expect(await countRecords(three.dataDirectory, 'ingests')).toBe(0);
    } finally {
      await three.close();
    }
  }, 60_000);

  test('keep what one of them has read anew when the first attempt, at another one, fails later', async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-consistency-'));
    const [slow, quick] = [startScriptedEmbedder({ holds: true }), startScriptedEmbedder()];
    const flags = ['--embedding-model', 'scripted'];
    const first = await startServer({ dataDirectory, flags, env: { OPENAI_BASE_URL: slow.url } });
    const second = await startServer({ dataDirectory, flags, env: { OPENAI_BASE_URL: quick.url } });
    try {
      const client = second.client();
      const fileId = await upload(client, 'owls.txt', 'Owls hunt at night.');
      const store = await client.vectorStores.create({});
      await first.client().vectorStores.files.create(store.id, { file_id: fileId });
      await waitUntil('the model is asked by the first', () => slow.active === 1);
      await client.vectorStores.files.create(store.id, { file_id: fileId });
      expect((await waitForStore(client, store.id)).file_counts).toMatchObject({ completed: 1, total: 1 });
      slow.behave({ holds: false, failures: { left: 1, status: 400 } });
      await waitUntil('the first attempt has failed', () => slow.active === 0);
      // It ends once what it was doing has come to its end.
      expect(await first.stop()).toBe(0);
      const file = await client.vectorStores.files.retrieve(fileId, { vector_store_id: store.id });
      expect(file.status).toBe('completed');
      expect((await client.vectorStores.search(store.id, { query: 'owls' })).data).toHaveLength(1);
    } finally {
      await Promise.all([first.stop(), second.stop()]);
      await Promise.all([slow.close(), quick.close()]);
      await rm(dataDirectory, { recursive: true, force: true });
    }
  }, 60_000);
});
