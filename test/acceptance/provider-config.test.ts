/** A server whose file names several providers: who is asked, with which key, and what is listed. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { fail, say } from '../support/upstream-steps.ts';

/** The operator's name for each provider, and the kind of its key. */
const NAMES = ['default', 'groq', 'xai', 'house', 'voyage'] as const;
type Name = (typeof NAMES)[number];

let folder: string;
let upstreams: Record<Name, ScriptedUpstream>;
let server: TestServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-models-'));
  const started = await Promise.all(
    NAMES.map(async (name) => [name, await startScriptedUpstream({ models: [`${name}-model`] })] as const),
  );
  upstreams = Object.fromEntries(started) as Record<Name, ScriptedUpstream>;
  await writeFile(join(folder, 'groq.key'), 'operator-groq\n');
  const file = join(folder, 'understudy.yaml');
  await writeFile(
    file,
    `
providers:
  groq: { base-url: "${upstreams.groq.url}", key-file: ${join(folder, 'groq.key')} }
  xai: { base-url: "${upstreams.xai.url}", key-variable: XAI_KEY_OF_OURS }
  house:
    base-url: ${upstreams.house.url}
    auth: x-house-key
    key-variable: HOUSE_KEY
    headers: { x-team: search }
    limits: { concurrent-calls: 2 }
    models: [one, two/with-slash]
  voyage: { base-url: "${upstreams.voyage.url}" }
aliases:
  fast: groq/fast
  careful: [xai/script:down, house/two/with-slash]
fallbacks: { groq/script:also-down: careful }
default-model: fast
`,
  );
  server = await startServer({
    flags: ['--config', file],
    env: {
      OPENAI_BASE_URL: upstreams.default.url,
      OPENAI_API_KEY: 'operator-openai',
      XAI_KEY_OF_OURS: 'operator-xai',
      HOUSE_KEY: 'operator-house',
      VOYAGE_API_KEY: 'operator-voyage',
    },
  });
  upstreams.xai.script('down', [fail(503, { message: 'down' })]);
  upstreams.groq.script('also-down', [fail(503, { message: 'down' })]);
});

afterAll(async () => {
  await server?.stop();
  await Promise.all(Object.values(upstreams ?? {}).map((upstream) => upstream.close()));
  await rm(folder, { recursive: true, force: true });
});

const messages = [{ role: 'user' as const, content: 'Hello' }];

async function chat(model: string, headers: Record<string, string> = {}) {
  return await server.call('POST', '/v1/chat/completions', { model, messages }, headers);
}

/** Every secret that reached an upstream in its newest request, whichever header it came in. */
function seenKeys(name: Name): string[] {
  const { headers } = upstreams[name].requests.at(-1) ?? { headers: {} };
  return JSON.stringify(headers).match(/(operator|request)-(openai|groq|xai|house|voyage)/g) ?? [];
}

describe('a request', () => {
  test.each([
    ['gpt-4o', 'default', 'openai'],
    ['groq/llama', 'groq', 'groq'],
    ['grok-4', 'xai', 'xai'],
    ['house/two/with-slash', 'house', 'house'],
    ['fast', 'groq', 'groq'],
    ['default', 'groq', 'groq'],
  ] as const)('for %s reaches %s with the key that the operator has for it', async (model, name, key) => {
    expect((await chat(model)).status).toBe(200);
    expect(seenKeys(name)).toEqual([`operator-${key}`]);
  });

  test('with the keys of five providers brings each only its own', async () => {
    const headers = {
      authorization: 'Bearer request-openai',
      'LLM-PARAM-groq-api-key': 'request-groq',
      'LLM-PARAM-xai-api-key': 'request-xai',
      'LLM-PARAM-house-api-key': 'request-house',
      'EMBEDDING-PARAM-api-key': 'request-voyage',
    };
    for (const [model, name, key] of [
      ['gpt-4o', 'default', 'openai'],
      ['groq/llama', 'groq', 'groq'],
      ['xai/grok-4', 'xai', 'xai'],
      ['house/one', 'house', 'house'],
    ] as const) {
      expect((await chat(model, headers)).status).toBe(200);
      expect(seenKeys(name)).toEqual([`request-${key}`]);
    }
    const before = upstreams.voyage.requests.length;
    await server.call('POST', '/v1/embeddings', { model: 'voyage/voyage-3.5', input: 'x' }, headers);
    expect(upstreams.voyage.requests.length).toBe(before + 1);
    expect(seenKeys('voyage')).toEqual(['request-voyage']);
  });

  test('has the operator’s headers and key style, and the name without the prefix', async () => {
    await chat('house/one');
    const { headers, body } = upstreams.house.requests.at(-1) ?? {};
    expect(headers).toMatchObject({ 'x-team': 'search', 'x-house-key': 'operator-house' });
    expect(headers?.authorization).toBeUndefined();
    expect(body).toMatchObject({ model: 'one' });
  });

  test('without a model is for the default one', async () => {
    const { status } = await server.call('POST', '/v1/chat/completions', { messages });
    expect(status).toBe(200);
    expect(upstreams.groq.requests.at(-1)?.model).toBe('fast');
  });

  test('is answered by the next model where one is down, in chats and in runs', async () => {
    expect((await chat('careful')).status).toBe(200);
    expect(upstreams.xai.requestsFor('script:down').length).toBeGreaterThan(0);
    expect(upstreams.house.requests.at(-1)?.model).toBe('two/with-slash');
    const client = server.client();
    const assistant = await client.beta.assistants.create({ model: 'groq/script:also-down' });
    const run = await client.beta.threads.createAndRunPoll(
      { assistant_id: assistant.id, thread: { messages } },
      { pollIntervalMs: 10 },
    );
    expect(run.status).toBe('completed');
    expect(upstreams.groq.requestsFor('script:also-down').length).toBeGreaterThan(0);
    expect(seenKeys('house')).toEqual(['operator-house']);
  }, 30_000);

  test('for a provider without a key is a 401 that names header and variable', async () => {
    const { status, json } = await chat('cerebras/llama', { authorization: 'Bearer request-openai' });
    // There is OPENAI_BASE_URL, which takes every name without a key of its own.
    expect(status).toBe(200);
    expect(json.choices).toHaveLength(1);
    const refused = await chat('m', { 'custom-llm-provider': 'cerebras' });
    expect(refused.status).toBe(401);
    expect(refused.json.error).toMatchObject({
      type: 'invalid_request_error',
      code: 'invalid_api_key',
      param: 'api-key',
    });
    expect(refused.json.error.message).toMatch(/'api-key'.*CEREBRAS_API_KEY/);
  });

  test('with a base-url that is not allowed, or leads to metadata of a cloud, is a 400', async () => {
    for (const url of ['https://evil.example/v1', 'http://169.254.169.254/v1', 'http://10.0.0.1/v1']) {
      const { status, json } = await chat('m', { 'base-url': url });
      expect([url, status, json.error.param]).toEqual([url, 400, 'base-url']);
    }
  });

  test('at most as many are under way at once as the operator allows; the others wait', async () => {
    const gate = upstreams.house.script('slow', [say('slow')]);
    const peak: number[] = [];
    const answers = Array.from({ length: 6 }, async () => {
      const { status } = await chat(`house/${gate}`);
      peak.push(upstreams.house.activeCount);
      return status;
    });
    expect(await Promise.all(answers)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(Math.max(...peak)).toBeLessThanOrEqual(2);
  });
});

describe('the list of models', () => {
  test('has the operator’s names, and what can be used now under the name that it is asked for by', async () => {
    const { json } = await server.call('GET', '/v1/models');
    const ids = json.data.map(({ id }: { id: string }) => id);
    expect(ids.slice(0, 2)).toEqual(['fast', 'careful']);
    for (const id of [
      'understudy/rehearsal',
      'default-model',
      'groq/groq-model',
      'xai/xai-model',
      'house/one',
      'house/two/with-slash',
    ]) {
      expect(ids).toContain(id);
    }
    expect(new Set(ids).size).toBe(ids.length);
    // It is listed by the file, and so not asked.
    expect(upstreams.house.requests.filter(({ path }) => path.endsWith('/models'))).toEqual([]);
    expect(seenKeys('groq')).toEqual(['operator-groq']);
  });

  test('is not asked for anew at once', async () => {
    const count = () => upstreams.groq.requests.filter(({ path }) => path.endsWith('/models')).length;
    await server.call('GET', '/v1/models');
    const before = count();
    await server.call('GET', '/v1/models');
    expect(count()).toBe(before);
  });

  test.each([
    'fast',
    'groq/groq-model',
    'house/two/with-slash',
    'default-model',
    'understudy/rehearsal',
    'voyage/any',
  ])('gives %s alone, whatever slashes it has', async (id) => {
    const client = server.client();
    expect((await client.models.retrieve(id)).id).toBe(id);
  });

  test.each(['groq/none', 'house/none', 'nothing-like-it'])('does not have %s', async (id) => {
    const { status, json } = await server.call('GET', `/v1/models/${id}`);
    expect([status, json.error.code]).toEqual([404, 'model_not_found']);
  });
});

test('no secret of the operator’s or of a request is in what the server printed', async () => {
  expect(server.output()).not.toMatch(/(operator|request)-(openai|groq|xai|house|voyage)/);
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'request-openai', maxRetries: 0 });
  expect((await client.models.list()).data.length).toBeGreaterThan(0);
});
