/** kill -9 amid the reading of files: whatever was begun is brought to an end, nothing is there twice, counts are right. */

import { afterEach, describe, expect, test } from 'bun:test';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { upload, waitForStore } from '../retrieval/retrieval-fixture.ts';
import { type ScriptedEmbedder, startScriptedEmbedder } from '../support/scripted-embedder.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';

const ROUNDS = 5;
const FILES = 40;
const SECRET = 'a secret that seals well enough';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface World {
  readonly embedder: ScriptedEmbedder;
  readonly dataDirectory: string;
  start(env?: Readonly<Record<string, string>>): Promise<TestServer>;
}

async function makeWorld(flags: readonly string[] = []): Promise<World> {
  const embedder = startScriptedEmbedder({ latencyMs: 20, jitterMs: 30, shuffles: true });
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-ingest-'));
  cleanUps.push(
    () => embedder.close(),
    () => rm(dataDirectory, { recursive: true, force: true }),
  );
  return {
    embedder,
    dataDirectory,
    async start(env = { OPENAI_BASE_URL: embedder.url }) {
      const server = await startServer({
        dataDirectory,
        flags: ['--embedding-model', 'scripted', ...flags],
        env,
      });
      cleanUps.push(() => server.kill());
      return server;
    },
  };
}

/** About six chunks of 100 tokens, each of words that no other has. */
function toText(number: number): string {
  return Array.from(
    { length: 60 },
    (_, line) => `Document ${number} says in line ${line} that word${number}n${line} stands here.`,
  ).join('\n');
}

test('every file ends, no chunk is there twice and all counts are right', async () => {
  const world = await makeWorld();
  let server = await world.start();
  const names = new Map<string, number>();
  for (let number = 0; number < FILES; number += 1) {
    names.set(await upload(server.client(), `document ${number}.txt`, toText(number)), number);
  }
  const store = await server.client().vectorStores.create({});
  const batch = await server.client().vectorStores.fileBatches.create(store.id, {
    files: [...names.keys()].map((fileId) => ({
      file_id: fileId,
      chunking_strategy: { type: 'static', static: { max_chunk_size_tokens: 200, chunk_overlap_tokens: 20 } },
    })),
  });
  for (let round = 0; round < ROUNDS; round += 1) {
    const asked = world.embedder.calls.length + 4 + round * 3;
    await waitUntil('the model is asked some more, or all is done', async () => {
      const { file_counts: counts } = await server.client().vectorStores.retrieve(store.id);
      return world.embedder.calls.length >= asked || counts.in_progress === 0;
    });
    await server.kill();
    server = await world.start();
  }
  const client = server.client();
  const read = await waitForStore(client, store.id, 60_000);
  expect(read.file_counts).toEqual({
    in_progress: 0,
    completed: FILES,
    failed: 0,
    cancelled: 0,
    total: FILES,
  });
  const ended = await client.vectorStores.fileBatches.retrieve(batch.id, { vector_store_id: store.id });
  expect(ended).toMatchObject({ status: 'completed', file_counts: { completed: FILES, in_progress: 0 } });
  let usage = 0;
  for await (const file of client.vectorStores.files.list(store.id, { limit: 100 }))
    usage += file.usage_bytes;
  expect(read.usage_bytes).toBe(usage);
  for (const [fileId, number] of names) {
    const content = await client.vectorStores.files.content(fileId, { vector_store_id: store.id });
    expect(content.data.map((part) => part.text).join('')).toBe(toText(number));
    const found = await client.vectorStores.search(store.id, {
      query: `word${number}n7 word${number}n30 word${number}n55`,
      max_num_results: 50,
    });
    const own = found.data
      .filter((result) => result.file_id === fileId)
      .map((result) => result.content[0]?.text);
    expect(own.length).toBeGreaterThan(1);
    expect(new Set(own).size).toBe(own.length);
  }
  expect(await server.stop()).toBe(0);
}, 180_000);

describe('a key that came with the request', () => {
  const HEADERS = { 'embedding-param-api-key': 'sk-of-the-request' };

  async function killAmidReading(world: World, env: Readonly<Record<string, string>>) {
    const server = await world.start(env);
    const client = server.client({ defaultHeaders: HEADERS });
    const fileId = await upload(client, 'keyed.txt', toText(1));
    const store = await client.vectorStores.create({});
    world.embedder.behave({ holds: true });
    await client.vectorStores.files.create(store.id, { file_id: fileId });
    await waitUntil('the model is asked', () => world.embedder.active > 0);
    await server.kill();
    world.embedder.behave({ holds: false });
    return { storeId: store.id, fileId };
  }

  async function readAll(directory: string): Promise<string> {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    const texts = await Promise.all(
      files.map(({ parentPath, name }) => readFile(join(parentPath, name), 'latin1')),
    );
    return texts.join('');
  }

  test('is sealed where the server has a secret, and the reading goes on with it', async () => {
    const world = await makeWorld();
    const env = { OPENAI_BASE_URL: world.embedder.url, UNDERSTUDY_SECRET: SECRET };
    const { storeId } = await killAmidReading(world, env);
    expect(await readAll(world.dataDirectory)).not.toContain('sk-of-the-request');
    const before = world.embedder.calls.length;
    const server = await world.start(env);
    const read = await waitForStore(server.client(), storeId, 30_000);
    expect(read.file_counts).toMatchObject({ completed: 1, failed: 0 });
    const later = world.embedder.calls.slice(before);
    expect(later.length).toBeGreaterThan(0);
    for (const call of later) expect(call.authorization).toBe('Bearer sk-of-the-request');
    expect(await server.stop()).toBe(0);
  }, 60_000);

  test('is kept nowhere without one, and the file fails and says so', async () => {
    const world = await makeWorld();
    const env = { OPENAI_BASE_URL: world.embedder.url };
    const { storeId, fileId } = await killAmidReading(world, env);
    expect(await readAll(world.dataDirectory)).not.toContain('sk-of-the-request');
    const server = await world.start(env);
    await waitForStore(server.client(), storeId, 30_000);
    const file = await server.client().vectorStores.files.retrieve(fileId, { vector_store_id: storeId });
    expect(file).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } });
    expect(file.last_error?.message).toContain('UNDERSTUDY_SECRET');
    expect(await server.stop()).toBe(0);
  }, 60_000);
});
