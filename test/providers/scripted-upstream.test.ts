import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { callTool, fail, hang, refuse, say, usage, wait } from '../support/upstream-steps.ts';

let upstream: ScriptedUpstream;
let client: OpenAI;
beforeAll(async () => {
  upstream = await startScriptedUpstream({ models: ['one', 'two'] });
  client = new OpenAI({ baseURL: upstream.url, apiKey: 'x', maxRetries: 0 });
});
afterAll(() => upstream.close());

const messages: OpenAI.Chat.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Hello' }];

describe('the scripted upstream, asked by the official client', () => {
  test('streams and does not stream the same reply', async () => {
    const model = upstream.script('same', [say('Hello there'), callTool('f', { a: 1 }, { id: 'call_1' })]);
    const whole = await client.chat.completions.create({ model, messages });
    const streamed = await client.chat.completions
      .stream({ model, messages, stream_options: { include_usage: true } })
      .finalChatCompletion();
    for (const completion of [whole, streamed]) {
      expect(completion.choices[0]).toMatchObject({
        finish_reason: 'tool_calls',
        message: {
          role: 'assistant',
          content: 'Hello there',
          tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
        },
      });
    }
    expect(streamed.usage).toEqual(whole.usage);
  });

  test('refuses, and leaves usage out where told', async () => {
    const model = upstream.script('refuses', [refuse('No.'), usage(null)]);
    const completion = await client.chat.completions.create({ model, messages });
    expect(completion.choices[0]?.message).toMatchObject({ content: null, refusal: 'No.' });
    expect(completion.usage).toBeUndefined();
  });

  test('embeds and lists models', async () => {
    const { data } = await client.embeddings.create({ model: 'e', input: ['a', 'b', 'a'], dimensions: 16 });
    expect(data.map(({ embedding }) => embedding.length)).toEqual([16, 16, 16]);
    expect(data[0]?.embedding).toEqual(data[2]?.embedding ?? []);
    expect(data[0]?.embedding).not.toEqual(data[1]?.embedding ?? []);
    expect(Math.hypot(...(data[0]?.embedding ?? []))).toBeCloseTo(1, 5);
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual(['one', 'two']);
  });

  test('fails as often as told, then goes on', async () => {
    const model = upstream.script('fails twice', [
      fail(429, { times: 1 }),
      fail(500, { times: 1 }),
      say('now'),
    ]);
    // The client's own promises are not ones that `rejects` looks into.
    const ask = async () => await client.chat.completions.create({ model, messages });
    await expect(ask()).rejects.toMatchObject({ status: 429 });
    await expect(ask()).rejects.toMatchObject({ status: 500 });
    expect((await ask()).choices[0]?.message.content).toBe('now');
  });

  test('takes the turn of a script from the messages since the last user message', async () => {
    const model = upstream.script('turns', [say('zero')], [say('one')], [say('two')]);
    const assistant = { role: 'assistant' as const, content: 'x' };
    const user = { role: 'user' as const, content: 'y' };
    const ask = async (...list: OpenAI.Chat.ChatCompletionMessageParam[]) =>
      (await client.chat.completions.create({ model, messages: list })).choices[0]?.message.content;
    expect(await ask(user)).toBe('zero');
    expect(await ask(user, assistant)).toBe('one');
    expect(await ask(user, assistant, assistant, assistant)).toBe('two');
    expect(await ask(user, assistant, assistant, user)).toBe('zero');
  });

  test('records requests, lets tests wait for them, and tells that a client has left', async () => {
    const model = upstream.script('recorded', [say('a'), hang()]);
    const waiting = upstream.waitForRequest((request) => request.model === model);
    const abort = new AbortController();
    const chunks = await client.chat.completions.create(
      { model, messages, stream: true },
      { signal: abort.signal },
    );
    const request = await waiting;
    expect(request).toMatchObject({
      method: 'POST',
      path: '/v1/chat/completions',
      body: { model, messages },
    });
    expect(request.headers.authorization).toBe('Bearer x');
    expect(upstream.activeCount).toBeGreaterThan(0);
    abort.abort();
    expect(await request.ended).toBe('aborted');
    chunks.controller.abort();
    await expect(upstream.waitForRequest(() => false, 10)).rejects.toThrow('10 ms');
  });

  test('refuses a script’s name twice, and a name without a script', async () => {
    upstream.script('unique', [say('x')]);
    expect(() => upstream.script('unique', [say('x')])).toThrow();
    const ask = async () => await client.chat.completions.create({ model: 'script:unknown', messages });
    await expect(ask()).rejects.toMatchObject({ status: 500 });
  });

  test('waits as long as told', async () => {
    const model = upstream.script('waits', [say('a'), wait(60), say('b')]);
    const startedMs = performance.now();
    await client.chat.completions.create({ model, messages });
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(58);
  });
});

describe('as its own process', () => {
  test('prints its URL, paces 400 streams at once, and ends on SIGTERM', async () => {
    const child = Bun.spawn([process.execPath, `${import.meta.dir}/../support/upstream-server.ts`], {
      stdout: 'pipe',
      env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: '4096' },
    });
    try {
      const { value } = await child.stdout.getReader().read();
      const url = new TextDecoder().decode(value).trim();
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/);
      // A client of its own: this process may make no more than 256 calls at once.
      const load = Bun.spawn([process.execPath, `${import.meta.dir}/../support/stream-load.ts`, url, '400'], {
        stdout: 'pipe',
        env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: '4096' },
      });
      const figures = JSON.parse(await new Response(load.stdout).text());
      // Under a cap of 256 the last ones would begin when the first ones have ended.
      expect(figures).toEqual({ streams: 400, whole: 400, haveAllBegunBeforeOneEnded: true });
    } finally {
      child.kill('SIGTERM');
    }
    expect(await child.exited).toBe(0);
  }, 15_000);
});
