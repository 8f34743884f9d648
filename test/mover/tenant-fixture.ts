/** A tenant that has everything, made by the official client on a real server, with an embedding model behind it. */

import type OpenAI from 'openai';
import { makeStore, search, startRetrieval, upload, waitForStore } from '../retrieval/retrieval-fixture.ts';
import { type ScriptedEmbedder, startScriptedEmbedder } from '../support/scripted-embedder.ts';
import { waitUntil } from '../support/server.ts';

/** More than one piece of bytes. */
const LARGE_BYTES = 700 * 1024;

export interface MadeTenant {
  readonly assistant: string;
  readonly threads: readonly string[];
  /** Of the run that waits for the client, and of the call that it waits for. */
  readonly waiting: { readonly thread: string; readonly run: string; readonly call: string };
  readonly stores: readonly string[];
  /** The store in which a file is still to be read. */
  readonly unread: string;
  readonly files: readonly string[];
  /** An upload that takes parts, with one that has come. */
  readonly upload: { readonly id: string; readonly part: string };
}

export const PART_TEXT = 'the first half, ';
export const QUESTIONS: readonly string[] = ['tides of the harbour', 'lighthouse keeper', 'w17 gale'];

/** The server is killed behind it, while it reads a file: so there is something to be gone on with. */
export async function makeTenant(dataDirectory: string): Promise<MadeTenant> {
  const embedder = startScriptedEmbedder();
  // A copy begins here at one file, whatever engine the other suites run on.
  const retrieval = await startRetrieval({ dataDirectory, flags: ['--store', 'sqlite'] }, embedder);
  try {
    const { client } = retrieval;
    const { stores, files } = await makeStores(client);
    const conversations = await makeConversations(client, stores[0] ?? '');
    const pending = await client.uploads.create({
      filename: 'halves.txt',
      purpose: 'assistants',
      bytes: 32,
      mime_type: 'text/plain',
    });
    const part = await client.uploads.parts.create(pending.id, { data: new File([PART_TEXT], 'part') });
    const unread = await leaveUnread(client, embedder);
    await retrieval.server.kill();
    return { ...conversations, stores, files, unread, upload: { id: pending.id, part: part.id } };
  } finally {
    await retrieval.server.kill();
    await embedder.close();
  }
}

async function makeStores(client: OpenAI): Promise<{ stores: string[]; files: string[] }> {
  const gale = Array.from({ length: 900 }, (_, at) => `Entry w${at}: a gale of force ${at % 12}.`).join(
    '\n\n',
  );
  const first = await makeStore(client, {
    'harbour.txt': 'The tides of the harbour turn at noon. Das Boot fährt erst bei Flut aus.',
    'lighthouse.md': '# The keeper\n\nThe lighthouse keeper counts the ships every evening.',
    'log.txt': gale,
  });
  await client.vectorStores.files.update(first.files['harbour.txt'] ?? '', {
    vector_store_id: first.id,
    attributes: { year: 1912, kind: 'log' },
  });
  const second = await makeStore(client, { 'other.txt': 'Nothing of the sea is in here.' });
  await client.vectorStores.files.createAndPoll(second.id, { file_id: first.files['harbour.txt'] ?? '' });
  const kept = await client.vectorStores.create({
    name: 'kept',
    expires_after: { anchor: 'last_active_at', days: 7 },
  });
  const large = await upload(
    client,
    'large.bin',
    crypto.getRandomValues(new Uint8Array(65_536)).toHex().repeat(6),
  );
  await client.files.create({
    file: new File([new Uint8Array(LARGE_BYTES)], 'zeros.bin'),
    purpose: 'assistants',
    expires_after: { anchor: 'created_at', seconds: 86_400 },
  });
  const files = [...Object.values(first.files), ...Object.values(second.files), large];
  return { stores: [first.id, second.id, kept.id], files };
}

async function makeConversations(
  client: OpenAI,
  store: string,
): Promise<Pick<MadeTenant, 'assistant' | 'threads' | 'waiting'>> {
  const { assistants, threads } = client.beta;
  const assistant = await assistants.create({
    model: 'understudy/rehearsal',
    name: 'Keeper',
    metadata: { of: 'the lighthouse' },
    tools: [
      { type: 'file_search' },
      { type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: {} } } },
    ],
    tool_resources: { file_search: { vector_store_ids: [store] } },
  });
  const made: string[] = [];
  for (const question of QUESTIONS) {
    const thread = await threads.create({
      metadata: { question },
      messages: [{ role: 'user', content: question }],
    });
    await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id }, { pollIntervalMs: 20 });
    await threads.messages.create(thread.id, { role: 'user', content: `Again: ${question}` });
    made.push(thread.id);
  }
  const thread = await threads.create({ messages: [{ role: 'user', content: 'Call get_weather now.' }] });
  const run = await threads.runs.createAndPoll(
    thread.id,
    { assistant_id: assistant.id },
    { pollIntervalMs: 20 },
  );
  if (run.status !== 'requires_action') throw new Error(`the run is ${run.status}`);
  const call = run.required_action?.submit_tool_outputs.tool_calls[0]?.id ?? '';
  return {
    assistant: assistant.id,
    threads: [...made, thread.id],
    waiting: { thread: thread.id, run: run.id, call },
  };
}

/** A file whose embedding never comes. */
async function leaveUnread(client: OpenAI, embedder: ScriptedEmbedder): Promise<string> {
  const store = await client.vectorStores.create({ name: 'unread' });
  const file = await upload(client, 'unread.txt', 'The unread page speaks of seals.');
  embedder.behave({ holds: true });
  const before = embedder.calls.length;
  await client.vectorStores.files.create(store.id, { file_id: file });
  await waitUntil('its embedding is asked for', () => embedder.calls.length > before);
  return store.id;
}

/** All that the API shows of the tenant, as plain data: the same of two servers where they hold the same. */
export async function readTenant(client: OpenAI, made: MadeTenant): Promise<unknown> {
  const collect = async <T>(list: AsyncIterable<T>): Promise<T[]> => {
    const items: T[] = [];
    for await (const item of list) items.push(item);
    return items;
  };
  const { assistants, threads } = client.beta;
  const conversations = [];
  for (const id of made.threads) {
    const runs = await collect(threads.runs.list(id, { limit: 1 }));
    const steps = [];
    for (const run of runs) {
      steps.push(await collect(threads.runs.steps.list(run.id, { thread_id: id, limit: 2 })));
    }
    conversations.push([
      await threads.retrieve(id),
      await collect(threads.messages.list(id, { limit: 2 })),
      runs,
      steps,
    ]);
  }
  const stores = [];
  for (const id of made.stores) {
    const files = await collect(client.vectorStores.files.list(id, { limit: 2 }));
    const found = [];
    for (const query of QUESTIONS) found.push(await search(client, id, { query, max_num_results: 10 }));
    const contents = [];
    for (const file of files) {
      contents.push(await collect(client.vectorStores.files.content(file.id, { vector_store_id: id })));
    }
    // Searching is activity, which each server notes by itself.
    const { last_active_at: _, expires_at: __, ...store } = await client.vectorStores.retrieve(id);
    stores.push([store, files, found, contents]);
  }
  const files = await collect(client.files.list({ limit: 3 }));
  const hashes = [];
  for (const { id } of files) {
    const bytes = await (await client.files.content(id)).arrayBuffer();
    hashes.push(new Bun.CryptoHasher('sha256').update(bytes).digest('hex'));
  }
  return [await collect(assistants.list({ limit: 1 })), conversations, stores, files, hashes];
}

export { search, waitForStore };
