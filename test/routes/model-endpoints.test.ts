/** Chat completions and embeddings through the real server, at a scripted upstream that speaks OpenAI's protocol. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import {
  answer,
  callTools,
  fail,
  finish,
  hang,
  pace,
  raw,
  reset,
  say,
  usage,
  wait,
} from '../support/upstream-steps.ts';

const KEY = 'operator-key-0123456789';
const messages = [{ role: 'user' as const, content: 'Hello' }];

let upstream: ScriptedUpstream;
let server: TestServer;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
  server = await startServer({ env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: KEY } });
});
afterAll(async () => {
  await server.stop();
  await upstream.close();
});

function post(body: object, headers: Record<string, string> = {}) {
  return server.call('POST', '/v1/chat/completions', { messages, ...body }, headers);
}

describe('chat completions', () => {
  test('take fields that nobody knows, n, logprobs and the developer on', async () => {
    const model = upstream.script('fields', [say('Hi')]);
    const body = {
      model,
      n: 2,
      logprobs: true,
      top_logprobs: 3,
      vendor_field: { deep: [1, null] },
      messages: [{ role: 'developer', content: 'Be brief.' }, ...messages],
    };
    expect((await post(body)).status).toBe(200);
    expect(upstream.requestsFor(model)[0]?.body).toEqual(body);
  });

  test('stream to [DONE], and count what they used where that is asked for', async () => {
    const model = upstream.script('usage', [say('a', 'b')]);
    const counted = await post({ model, stream: true, stream_options: { include_usage: true } });
    expect(counted.headers.get('content-type')).toContain('text/event-stream');
    expect(counted.text).toContain('"completion_tokens":2');
    expect(counted.text.endsWith('data: [DONE]\n\n')).toBe(true);
    const plain = await post({ model, stream: true });
    expect(plain.text).not.toContain('"usage"');
  });

  test('bring choices and logprobs back as they are', async () => {
    const text = JSON.stringify({
      id: 'x',
      object: 'chat.completion',
      choices: [0, 1].map((index) => ({
        index,
        message: { role: 'assistant', content: 'a' },
        logprobs: { content: [{ token: 'a', logprob: -0.25, bytes: [97], top_logprobs: [] }] },
        finish_reason: 'stop',
      })),
    });
    expect((await post({ model: upstream.script('choices', [answer(200, text)]), n: 2 })).text).toBe(text);
  });

  test('have the official client’s tool calls and refusals', async () => {
    const model = upstream.script('tools', [callTools([{ name: 'f', arguments: { a: 1 } }])]);
    const completion = await server.client().chat.completions.create({
      model,
      messages,
      tools: [{ type: 'function', function: { name: 'f' } }],
    });
    expect(completion.choices[0]?.message.tool_calls).toMatchObject([
      { function: { name: 'f', arguments: '{"a":1}' } },
    ]);
  });

  test.each([
    [400, 400, 'invalid_request_error'],
    [401, 401, 'invalid_request_error'],
    [404, 404, 'invalid_request_error'],
    [429, 429, 'rate_limit_error'],
    [500, 502, 'server_error'],
  ])('answer the provider’s %p as %p with its words, and without its key', async (status, expected, type) => {
    const model = upstream.script(`status ${status}`, [
      fail(status, { message: `The model says no to ${KEY}.`, code: 'its_own_code', retryAfter: '7' }),
    ]);
    const response = await post({ model });
    expect(response.status).toBe(expected);
    expect(response.json.error).toMatchObject({
      message: 'The model says no to [redacted].',
      type,
      code: 'its_own_code',
    });
    expect(response.headers.get('retry-after')).toBe('7');
  });

  test.each([
    ['an HTML page', '<html>Sign in</html>', 'text/html'],
    ['an HTML page that is labelled as JSON', '<html>Sign in</html>', 'application/json'],
    ['cut JSON', '{"id":"x","choices":[{"message":', 'application/json'],
    ['nothing', '', 'application/json'],
  ])('answer %s with a 502 in the envelope', async (name, body, type) => {
    const model = upstream.script(`broken ${name}`, [answer(200, body, { 'content-type': type })]);
    for (const stream of [false, true]) {
      const response = await post({ model, stream });
      expect(response.status).toBe(502);
      expect(response.json.error).toMatchObject({ type: 'server_error', code: 'upstream_error' });
      expect(response.text).not.toContain('Sign in');
    }
  });

  test('that break off amid a stream end with an error event', async () => {
    const response = await post({ model: upstream.script('breaks', [say('so far'), reset()]), stream: true });
    expect(response.status).toBe(200);
    const last = response.text.trim().split('\n\n').at(-1) ?? '';
    expect(JSON.parse(last.slice('data: '.length)).error.code).toBe('upstream_error');
    expect(response.text).toContain('" far"');
  });
});

describe('a client that leaves', () => {
  test.each([
    ['before any answer', false, [hang()]],
    ['before the first token', true, [raw(''), hang()]],
    ['amid a stream', true, [pace(200), say(...Array.from({ length: 5000 }, () => 'x'))]],
  ] as const)('%s cancels the call within 100 ms', async (name, stream, steps) => {
    const model = upstream.script(`leaves ${name}`, steps);
    const abort = new AbortController();
    const asking = fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages, stream }),
      signal: abort.signal,
    });
    const asked = await upstream.waitForRequest((request) => request.model === model);
    if (name === 'amid a stream') await (await asking).body?.getReader().read();
    const start = performance.now();
    abort.abort();
    await asking.catch(() => null);
    expect(await asked.ended).toBe('aborted');
    expect(performance.now() - start).toBeLessThan(100);
  });

  test('a run leaves it to go on to its end', async () => {
    const model = upstream.script('run goes on', [say('first'), wait(150), say(' last')]);
    const assistant = await server.call('POST', '/v1/assistants', { model });
    const abort = new AbortController();
    const response = await fetch(`${server.url}/v1/threads/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ assistant_id: assistant.json.id, stream: true, thread: { messages } }),
      signal: abort.signal,
    });
    let text = '';
    const reader = response.body?.getReader();
    while (!text.includes('first')) text += new TextDecoder().decode((await reader?.read())?.value);
    abort.abort();
    const thread = /"thread_id":"(thread_\w+)"/.exec(text)?.[1];
    await waitUntil('the run has ended', async () => {
      const runs = await server.call('GET', `/v1/threads/${thread}/runs`);
      return runs.json.data[0]?.status === 'completed';
    });
    const list = await server.call('GET', `/v1/threads/${thread}/messages`);
    expect(list.json.data[0].content[0].text.value).toBe('first last');
  });
});

describe('embeddings', () => {
  test.each(['float', 'base64'])('as %s are what the official client makes of them', async (format) => {
    const { data, usage: used } = await server.client().embeddings.create({
      model: 'embedder',
      input: ['a', 'b'],
      dimensions: 4,
      ...(format === 'float' ? { encoding_format: 'float' as const } : {}),
    });
    expect(data.map(({ embedding }) => embedding.length)).toEqual([4, 4]);
    expect(used.total_tokens).toBeGreaterThan(0);
    const sent = upstream.requestsFor('embedder').at(-1)?.body;
    expect(sent).toMatchObject({ dimensions: 4, encoding_format: format });
  });
});

describe('connections to an upstream', () => {
  test('are kept: many requests one after the other are made on a few', async () => {
    const fresh = await startScriptedUpstream();
    const own = await startServer({ env: { OPENAI_BASE_URL: fresh.url, OPENAI_API_KEY: KEY } });
    try {
      const model = fresh.script('kept', [say('a', 'b')]);
      for (let i = 0; i < 40; i += 1) {
        await own.call('POST', '/v1/chat/completions', { model, messages, stream: i % 2 === 0 });
      }
      expect(fresh.requestsFor(model)).toHaveLength(40);
      expect(fresh.connections.total).toBeLessThanOrEqual(3);
    } finally {
      await own.stop();
      await fresh.close();
    }
  });

  test('to a host that a request named are kept as well', async () => {
    const fresh = await startScriptedUpstream();
    try {
      const model = fresh.script('kept named', [say('a')]);
      const url = fresh.url.replace('127.0.0.1', 'localhost');
      for (let i = 0; i < 20; i += 1) {
        const named = { 'base-url': url, authorization: 'Bearer own-key-0123456789' };
        expect((await post({ model }, named)).status).toBe(200);
      }
      expect(fresh.connections.total).toBeLessThanOrEqual(3);
      const headers = fresh.requestsFor(model)[0]?.headers;
      expect(headers?.host).toBe(new URL(url).host);
      expect(headers?.authorization).toBe('Bearer own-key-0123456789');
    } finally {
      await fresh.close();
    }
  });
});

describe('a provider that is down', () => {
  test('is left alone after ten failures: 503 at once, said in /ready, and nobody else is', async () => {
    const dead = await startScriptedUpstream();
    const own = await startServer({ env: { OPENAI_BASE_URL: dead.url, OPENAI_API_KEY: KEY } });
    try {
      const model = dead.script('dead', [fail(503)]);
      const alive = upstream.script('alive', [say('here'), finish('stop'), usage(null)]);
      const named = { 'base-url': upstream.url, authorization: 'Bearer own-key-0123456789' };
      const ask = (name: string, headers: Record<string, string> = {}) =>
        own.call('POST', '/v1/chat/completions', { model: name, messages }, headers);
      // What a request named does not count.
      for (let i = 0; i < 12; i += 1) await ask(model, { ...named, 'base-url': dead.url });
      expect((await own.call('GET', '/ready')).json.providers).toEqual([]);
      for (let i = 0; i < 10; i += 1) expect((await ask(model)).status).toBe(502);
      const asked = dead.requestsFor(model).length;
      const refused = await ask(model);
      expect(refused.status).toBe(503);
      expect(refused.json.error.code).toBe('service_unavailable');
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(dead.requestsFor(model)).toHaveLength(asked);
      const ready = await own.call('GET', '/ready');
      expect(ready.status).toBe(200);
      expect(ready.json.providers).toEqual([
        {
          provider: 'openai',
          host: new URL(dead.url).host,
          use: 'other',
          circuit: 'open',
          failures: 10,
          retry_after_ms: expect.any(Number),
        },
      ]);
      expect((await ask(alive, named)).status).toBe(200);
      expect(own.output()).toContain('provider.circuit');
      expect(own.output() + ready.text).not.toContain(KEY);
    } finally {
      await own.stop();
      await dead.close();
    }
  });
});
