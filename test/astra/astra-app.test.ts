/** The whole server over databases of its tenants: everything works, for each by himself, also when another server goes on. */

import { afterAll, afterEach, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { type AstraServer, createTenantDatabases, startAstraServer, toNumberedOpener } from './app-stage.ts';
import { toId } from './fixture.ts';

const MODEL = 'understudy/rehearsal';
const databases = createTenantDatabases();
const servers: AstraServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close(1_000);
});
afterAll(() => databases.remove());

async function start(): Promise<AstraServer> {
  const server = await startAstraServer(toNumberedOpener(databases));
  servers.push(server);
  return server;
}

async function catchStatus(call: Promise<unknown>): Promise<number> {
  const error = await call.catch((thrown: unknown) => thrown);
  return error instanceof OpenAI.APIError ? (error.status ?? 0) : 0;
}

const WEATHER = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
} as const;

async function ask(client: OpenAI, words: string, tools: OpenAI.Beta.AssistantCreateParams['tools'] = []) {
  const assistant = await client.beta.assistants.create({ model: MODEL, tools });
  return await client.beta.threads.createAndRunPoll(
    { assistant_id: assistant.id, thread: { messages: [{ role: 'user', content: words }] } },
    { pollIntervalMs: 20 },
  );
}

test('assistants, runs and messages of two tenants, each by himself', async () => {
  const server = await start();
  const [one, two] = [server.client(1), server.client(2)];
  const [first, second] = await Promise.all([ask(one, 'rehearsal: say one'), ask(two, 'rehearsal: say two')]);
  expect([first.status, second.status]).toEqual(['completed', 'completed']);
  expect((await one.beta.assistants.list()).data.length).toBe(1);
  expect((await two.beta.assistants.list()).data.length).toBe(1);
  expect(await catchStatus(two.beta.threads.retrieve(first.thread_id))).toBe(404);
  expect(await catchStatus(two.beta.threads.runs.retrieve(first.id, { thread_id: first.thread_id }))).toBe(
    404,
  );
  const messages = await one.beta.threads.messages.list(first.thread_id);
  expect(JSON.stringify(messages.data)).toContain('one');
  expect(server.sessions.tenants().toSorted()).toEqual([toId(1), toId(2)]);
  // No lease is left in either.
  await one.beta.threads.delete(first.thread_id);
  expect(await catchStatus(one.beta.threads.retrieve(first.thread_id))).toBe(404);
}, 30_000);

test('without a token, or with one that is none, nobody gets in', async () => {
  const server = await start();
  for (const headers of [{}, { 'astra-api-token': 'sk-something' }, { 'astra-api-token': '' }]) {
    const response = await fetch(`${server.url}/v1/assistants`, { headers });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      error: { type: 'invalid_request_error', code: 'invalid_api_key' },
    });
  }
  const headers = { 'astra-api-token': 'AstraCS:1:secret', 'astra-db-id': 'nonsense' };
  const response = await fetch(`${server.url}/v1/assistants`, { headers });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { param: 'astra-db-id' } });
});

test('files and vector stores are read in the background, and searched by runs', async () => {
  const server = await start();
  const client = server.client(3);
  const store = await client.vectorStores.create({});
  const text = 'Guests may check in from 3 pm. Breakfast is at seven.';
  const file = await client.vectorStores.files.uploadAndPoll(store.id, new File([text], 'house-rules.md'), {
    pollIntervalMs: 50,
  });
  expect(file.status).toBe('completed');
  const found = await client.vectorStores.search(store.id, { query: 'check in' });
  expect(JSON.stringify(found.data)).toContain('3 pm');
  expect(await catchStatus(server.client(4).vectorStores.retrieve(store.id))).toBe(404);
  expect(await catchStatus(server.client(4).files.retrieve(file.id))).toBe(404);
  await client.files.delete(file.id);
  await client.vectorStores.delete(store.id);
  expect((await client.files.list()).data).toEqual([]);
}, 60_000);

test('a run that waits for its client goes on at another server, which has not seen its lease', async () => {
  const [here, there] = [await start(), await start()];
  const waiting = await ask(here.client(5), 'get_weather in Oslo', [WEATHER]);
  expect(waiting.status).toBe('requires_action');
  const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
  const done = await there
    .client(5)
    .beta.threads.runs.submitToolOutputsAndPoll(
      waiting.id,
      { thread_id: waiting.thread_id, tool_outputs: [{ tool_call_id: call?.id ?? '', output: 'sunny' }] },
      { pollIntervalMs: 20 },
    );
  expect(done.status).toBe('completed');
}, 30_000);

test('a run whose server is gone is taken up by another once its tenant comes there, and not before', async () => {
  const here = await start();
  const client = here.client(6);
  const assistant = await client.beta.assistants.create({ model: MODEL });
  const run = await client.beta.threads.createAndRun({
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content: 'rehearsal: slow 700ms\nrehearsal: say done at last' }] },
  });
  await Bun.sleep(200);
  servers.splice(servers.indexOf(here), 1);
  await here.close(0);
  const there = await start();
  await there.client(7).beta.assistants.list();
  await Bun.sleep(500);
  expect(there.runs.isWorkingOn(toId(6), run.id)).toBeFalse();
  const again = there.client(6);
  const found = await again.beta.threads.runs.poll(
    run.id,
    { thread_id: run.thread_id },
    { pollIntervalMs: 50 },
  );
  expect(found.status).toBe('completed');
  const messages = await again.beta.threads.messages.list(run.thread_id);
  expect(JSON.stringify(messages.data)).toContain('done at last');
}, 60_000);
