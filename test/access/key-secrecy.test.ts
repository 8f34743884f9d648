/** The server's keys never leave it: no upstream gets one, whatever asks it, and nothing that is kept holds one. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseKey } from '../../src/access/key-format.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { waitUntil } from '../support/server.ts';
import { readEverything, readRecords } from '../support/stored.ts';
import { callTool, say, waitFor } from '../support/upstream-steps.ts';
import { type KeyServer, startKeyServer } from './key-server.ts';

const OPERATOR = 'sk-the-operators';
const OWN = 'sk-a-model-key-of-the-request';
const TEST_MS = 60_000;
const messages = [{ role: 'user', content: 'Hello' }];

let dataDirectory: string;
let upstream: ScriptedUpstream;
let server: KeyServer;
let key: string;
let secret: string;
let seen = 0;

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-secrecy-'));
  upstream = await startScriptedUpstream();
  server = await start();
  key = (await server.createKey()).key;
  secret = parseKey(key)?.secret ?? '';
}, TEST_MS);
beforeEach(() => {
  seen = upstream.requests.length;
});
afterAll(async () => {
  await server?.stop();
  await upstream?.close();
  await rm(dataDirectory, { recursive: true, force: true });
});

function start(): Promise<KeyServer> {
  return startKeyServer({
    dataDirectory,
    flags: ['--embedding-model', 'text-embedding-3-small', '--log-level', 'debug', '--drain-seconds', '1'],
    env: {
      OPENAI_BASE_URL: upstream.url,
      OPENAI_API_KEY: OPERATOR,
      UNDERSTUDY_SECRET: 'a-secret-of-the-operator',
    },
  });
}

/** The keys with which the upstream was asked since the test began; none of its requests holds the server's. */
function readKeysSent(): string[] {
  const requests = upstream.requests.slice(seen);
  expect(requests.length).toBeGreaterThan(0);
  for (const request of requests) {
    const { method, path, headers, body } = request;
    expect(JSON.stringify([method, path, headers, body])).not.toContain(secret);
  }
  return [...new Set(requests.map(({ headers }) => String(headers.authorization)))];
}

async function makeAssistant(model: string, tools: unknown[] = []): Promise<string> {
  return (await server.callAs(key, 'POST', '/v1/assistants', { model, tools })).json.id;
}

async function startRun(model: string, headers: Record<string, string> = {}, tools: unknown[] = []) {
  const assistant_id = await makeAssistant(model, tools);
  const body = { assistant_id, thread: { messages } };
  return (await server.callAs(key, 'POST', '/v1/threads/runs', body, headers)).json;
}

async function waitForRun(run: { id: string; thread_id: string }, status: string): Promise<void> {
  const path = `/v1/threads/${run.thread_id}/runs/${run.id}`;
  await waitUntil(
    `the run is ${status}`,
    async () => (await server.callAs(key, 'GET', path)).json.status === status,
    30_000,
  );
}

describe.each([
  ['the operator’s key', {}, OPERATOR],
  ['a model’s key of the request’s own', { 'api-key': OWN }, OWN],
  ['one as LLM-PARAM-api-key', { 'LLM-PARAM-api-key': OWN }, OWN],
] as const)('the upstream gets %s', (_, headers, expected) => {
  test('with a chat, streamed or not', async () => {
    for (const stream of [false, true]) {
      const body = { model: 'gpt-4o', messages, stream };
      const { status } = await server.callAs(key, 'POST', '/v1/chat/completions', body, { ...headers });
      expect(status).toBe(200);
    }
    expect(readKeysSent()).toEqual([`Bearer ${expected}`]);
  });

  test('with an embedding', async () => {
    const body = { model: 'text-embedding-3-small', input: 'x' };
    // For embeddings a key of the language model's is no key.
    const given = 'api-key' in headers ? headers : {};
    expect((await server.callAs(key, 'POST', '/v1/embeddings', body, { ...given })).status).toBe(200);
    expect(readKeysSent()).toEqual([`Bearer ${'api-key' in headers ? OWN : OPERATOR}`]);
  });

  test('with what is handed through, and with the list of models', async () => {
    await server.callAs(key, 'POST', '/v1/moderations', { input: 'x' }, { ...headers });
    await server.callAs(key, 'GET', '/v1/batches', undefined, { ...headers });
    await server.callAs(key, 'GET', '/v1/models', undefined, { ...headers });
    expect(readKeysSent()).toEqual([`Bearer ${expected}`]);
  });

  test('with a run, also after its tools were answered', async () => {
    const name = `tools-${expected}-${Object.keys(headers).join()}`;
    const model = upstream.script(name, [callTool('get_weather', {})], [say('Sunny.')]);
    const run = await startRun(model, { ...headers }, [
      { type: 'function', function: { name: 'get_weather' } },
    ]);
    await waitForRun(run, 'requires_action');
    const path = `/v1/threads/${run.thread_id}/runs/${run.id}`;
    const { json } = await server.callAs(key, 'GET', path);
    const [call] = json.required_action.submit_tool_outputs.tool_calls;
    const outputs = { tool_outputs: [{ tool_call_id: call.id, output: 'sunny' }] };
    await server.callAs(key, 'POST', `${path}/submit_tool_outputs`, outputs);
    await waitForRun(run, 'completed');
    expect(readKeysSent()).toEqual([`Bearer ${expected}`]);
  });

  test('with a file that is read, and a search', async () => {
    const form = new FormData();
    form.append('purpose', 'assistants');
    form.append('file', new File(['The lighthouse keeper counts ships.'], 'keeper.txt'));
    const file = await server.callAs(key, 'POST', '/v1/files', form, { ...headers });
    const made = await server.callAs(
      key,
      'POST',
      '/v1/vector_stores',
      { file_ids: [file.json.id] },
      { ...headers },
    );
    const path = `/v1/vector_stores/${made.json.id}`;
    await waitUntil(
      'it is read',
      async () => (await server.callAs(key, 'GET', path)).json.status === 'completed',
      30_000,
    );
    await server.callAs(key, 'POST', `${path}/search`, { query: 'ships' }, { ...headers });
    expect(readKeysSent()).toEqual([`Bearer ${'api-key' in headers ? OWN : OPERATOR}`]);
  });

  test(
    'with a run that another process takes over',
    async () => {
      const gate = Promise.withResolvers<void>();
      const name = `taken-over-${expected}-${Object.keys(headers).join()}`;
      let asked = 0;
      const model = upstream.scriptBy(name, () => {
        asked += 1;
        return asked === 1 ? [[say('So'), waitFor(gate.promise)]] : [[say('Done.')]];
      });
      const run = await startRun(model, { ...headers });
      await waitUntil('it is asked', () => asked === 1);
      const [lease] = (await readRecords(dataDirectory, 'leases')).filter(({ id }) => id === run.id);
      const kept = JSON.stringify(lease?.document.kept_headers);
      expect(kept.toLowerCase()).not.toContain('authorization');
      if (Object.keys(headers).length === 0) expect(kept).toBe('null');
      await server.kill();
      gate.resolve();
      server = await start();
      await waitForRun(run, 'completed');
      expect(asked).toBe(2);
      expect(readKeysSent()).toEqual([`Bearer ${expected}`]);
    },
    TEST_MS,
  );
});

test('another server that a request names does not get it either', async () => {
  const body = { model: 'gpt-4o', messages };
  const { status, text } = await server.callAs(key, 'POST', '/v1/chat/completions', body, {
    'base-url': upstream.url,
  });
  // This machine is nobody's to name: it belongs to the operator.
  expect(status).toBe(400);
  expect(text).not.toContain(secret);
  expect(upstream.requests.length).toBe(seen);
});

test('neither the log nor the store holds it', async () => {
  expect(server.output()).toContain('request refused');
  expect(server.output()).not.toContain(secret);
  const stored = await readEverything(dataDirectory);
  expect(stored).toContain('"object":"assistant"');
  expect(stored).not.toContain(secret);
  expect(stored).not.toContain(btoa(secret));
  expect(stored).not.toContain(Buffer.from(secret, 'base64url').toString('hex'));
});
