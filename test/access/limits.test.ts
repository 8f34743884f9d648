/** Limits of keys and projects, held by all workers of a server together. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { RateLimitError } from 'openai';
import { NO_KEY_LIMITS } from '../../src/access/key-records.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { waitUntil } from '../support/server.ts';
import { readRecords } from '../support/stored.ts';
import { hang, say, usage } from '../support/upstream-steps.ts';
import { type KeyServer, startKeyServer } from './key-server.ts';

/** Longer than a takeover by the notice that the worker has ended. */
const TAKEN_MS = 30_000;
const WORKERS = process.platform === 'linux' ? 2 : 1;
const TEST_MS = 60_000;

let upstream: ScriptedUpstream;
let server: KeyServer;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  server = await startKeyServer({
    flags: ['--workers', String(WORKERS), '--drain-seconds', '1'],
    env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'sk-operator' },
  });
}, TEST_MS);
afterAll(async () => {
  await server?.stop();
  await upstream?.close();
});

/** On a connection of its own, so that any worker may get it. */
function get(key: string): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, connection: 'close' };
  return fetch(`${server.url}/v1/assistants`, { headers });
}

test('of 90 requests with a limit of 60 a minute, 60 are let in at once and one more for each second', async () => {
  const { key } = await server.createKey({ limits: { ...NO_KEY_LIMITS, requests_per_minute: 60 } });
  const beganMs = performance.now();
  const answers = await Promise.all(Array.from({ length: 90 }, () => get(key)));
  const tookMs = performance.now() - beganMs;
  const served = answers.filter(({ status }) => status === 200).length;
  expect(served).toBeGreaterThanOrEqual(60);
  expect(served).toBeLessThanOrEqual(60 + Math.floor(tookMs / 1_000));
  const refused = answers.find(({ status }) => status === 429);
  expect(refused?.headers.get('retry-after')).toBe('1');
  expect(refused?.headers.get('x-ratelimit-limit-requests')).toBe('60');
  expect(refused?.headers.get('x-ratelimit-remaining-requests')).toBe('0');
  expect(refused?.headers.get('x-ratelimit-reset-requests')).toMatch(/^(59(\.\d+)?s|1m0s)$/);
  const error = await refused?.json();
  expect(error).toMatchObject({ error: { code: 'rate_limit_exceeded', param: null } });
});

test(
  'an official client is told so by its own class of error, and comes in again when it has waited as long as it was told',
  async () => {
    const { key } = await server.createKey({ limits: { ...NO_KEY_LIMITS, requests_per_minute: 30 } });
    await Promise.all(Array.from({ length: 30 }, () => get(key)));
    const impatient = server.client({ apiKey: key, maxRetries: 0 });
    const asked = Promise.all(Array.from({ length: 5 }, () => impatient.beta.assistants.list()));
    expect(await asked.catch((error: unknown) => error)).toBeInstanceOf(RateLimitError);
    const patient = server.client({ apiKey: key, maxRetries: 5 });
    expect((await patient.beta.assistants.list()).data).toEqual([]);
  },
  TEST_MS,
);

test('a limit of a project holds for all of its keys, and can be set while the server runs', async () => {
  const [first, second] = await Promise.all([
    server.createKey({ project: 'held' }),
    server.createKey({ project: 'held' }),
  ]);
  expect((await get(first.key)).headers.has('x-ratelimit-limit-requests')).toBe(false);
  await server.limitProject('held', { requests_per_minute: 2 });
  await waitUntil('all workers know', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => get(first.key)));
    return answers.every(({ headers }) => headers.get('x-ratelimit-limit-requests') === '2');
  });
  expect((await get(second.key)).status).toBe(429);
});

describe('tokens', () => {
  test('what models use is charged, runs and chats alike; what asks no model goes on', async () => {
    const { key } = await server.createKey({
      project: 'thrifty',
      limits: { ...NO_KEY_LIMITS, tokens_per_minute: 100 },
    });
    const model = upstream.script('costly', [
      say('Yes.'),
      usage({ prompt_tokens: 90, completion_tokens: 50 }),
    ]);
    const body = { model, messages: [{ role: 'user', content: 'Hello' }] };
    const first = await server.callAs(key, 'POST', '/v1/chat/completions', body);
    expect(first.status).toBe(200);
    expect(first.headers.get('x-ratelimit-limit-tokens')).toBe('100');
    expect(first.headers.get('x-ratelimit-remaining-tokens')).toBe('100');
    await waitUntil('it is charged', async () => {
      const { status } = await server.callAs(key, 'POST', '/v1/chat/completions', {});
      return status === 429;
    });
    const refused = await server.callAs(key, 'POST', '/v1/chat/completions', body);
    expect(refused.json.error.message).toContain('tokens per min (TPM)');
    expect((await get(key)).status).toBe(200);
  });

  test('a stream that does not count is charged by its size: the limit cannot be gone around', async () => {
    const { key } = await server.createKey({
      project: 'quiet',
      limits: { ...NO_KEY_LIMITS, tokens_per_minute: 50 },
    });
    const words = Array.from({ length: 300 }, (_, index) => `word ${index} `);
    const model = upstream.script('uncounted', [say(...words)]);
    const body = { model, stream: true, messages: [{ role: 'user', content: 'Hello' }] };
    const first = await server.callAs(key, 'POST', '/v1/chat/completions', body);
    expect(first.text).toContain('word 299');
    expect(first.text).not.toContain('"usage":{');
    await waitUntil(
      'it is charged',
      async () => (await server.callAs(key, 'POST', '/v1/chat/completions', {})).status === 429,
    );
  });

  test('a run is charged to its key', async () => {
    const { key } = await server.createKey({
      project: 'runner',
      limits: { ...NO_KEY_LIMITS, tokens_per_minute: 100 },
    });
    const model = upstream.script('costly-run', [
      say('Yes.'),
      usage({ prompt_tokens: 90, completion_tokens: 50 }),
    ]);
    const { json: assistant } = await server.callAs(key, 'POST', '/v1/assistants', { model });
    const run = { assistant_id: assistant.id, thread: { messages: [{ role: 'user', content: 'Hello' }] } };
    const first = await server.callAs(key, 'POST', '/v1/threads/runs', { ...run, stream: true });
    expect(first.text).toContain('thread.run.completed');
    expect(first.headers.get('x-ratelimit-limit-tokens')).toBe('100');
    await waitUntil(
      'it is charged',
      async () => (await server.callAs(key, 'POST', '/v1/threads/runs', {})).status === 429,
    );
  });
});

test('as many runs are worked on as may be, over all workers; the next begins when one has ended', async () => {
  const { key } = await server.createKey({
    project: 'busy',
    limits: { ...NO_KEY_LIMITS, concurrent_runs: 2 },
  });
  const model = upstream.script('slow', [say('So'), hang()]);
  const { json: assistant } = await server.callAs(key, 'POST', '/v1/assistants', { model });
  const start = () =>
    server.callAs(
      key,
      'POST',
      '/v1/threads/runs',
      { assistant_id: assistant.id, thread: { messages: [{ role: 'user', content: 'Hello' }] } },
      { connection: 'close' },
    );
  const started = await Promise.all(Array.from({ length: 8 }, start));
  const runs = started.filter(({ status }) => status === 200).map(({ json }) => json);
  expect(runs).toHaveLength(2);
  const refused = started.filter(({ status }) => status === 429);
  expect(refused).toHaveLength(6);
  expect(refused[0]?.json.error).toMatchObject({ code: 'rate_limit_exceeded' });
  expect(refused[0]?.json.error.message).toContain('concurrent runs: Limit 2');
  expect(refused[0]?.headers.get('retry-after')).toBe('1');
  // Nothing was made for those that were refused.
  const { json: threads } = await server.callAs(key, 'GET', '/v1/threads');
  expect(threads.data).toHaveLength(2);
  const [run] = runs;
  await server.callAs(key, 'POST', `/v1/threads/${run.thread_id}/runs/${run.id}/cancel`);
  let next: Awaited<ReturnType<typeof start>> | null = null;
  await waitUntil('there is room again', async () => {
    next = await start();
    return next.status === 200;
  });
  expect((await start()).status).toBe(429);
});

test.skipIf(WORKERS === 1)(
  'a run whose worker dies is counted where it goes on, and no more than once',
  async () => {
    const { key } = await server.createKey({
      project: 'survivor',
      limits: { ...NO_KEY_LIMITS, concurrent_runs: 1 },
    });
    const model = upstream.script('slow-survivor', [say('So'), hang()]);
    const { json: assistant } = await server.callAs(key, 'POST', '/v1/assistants', { model });
    const start = () =>
      server.callAs(key, 'POST', '/v1/threads/runs', {
        assistant_id: assistant.id,
        thread: { messages: [{ role: 'user', content: 'Hello' }] },
      });
    const { json: run } = await start();
    await upstream.waitForRequest((request) => request.model === model);
    const [lease] = (await readRecords(server.dataDirectory, 'leases')).filter(({ id }) => id === run.id);
    process.kill(Number(lease?.document.owner.split('/')[1]), 'SIGKILL');
    await waitUntil('it is asked again', () => upstream.requestsFor(model).length === 2, TAKEN_MS);
    expect((await start().catch(start)).status).toBe(429);
    const cancel = `/v1/threads/${run.thread_id}/runs/${run.id}/cancel`;
    expect((await server.callAs(key, 'POST', cancel)).status).toBe(200);
    await waitUntil('there is room again', async () => (await start()).status === 200);
    expect((await start()).status).toBe(429);
  },
  TEST_MS,
);
