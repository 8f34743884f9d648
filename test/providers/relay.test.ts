import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { createFrameCutter } from '../../src/providers/openai/frame-cutter.ts';
import type { CallOptions } from '../../src/providers/provider.ts';
import {
  catchProviderError,
  createTestProvider,
  toCallOptions,
  toResponse,
} from '../support/provider-calls.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  answer,
  callTools,
  end,
  fail,
  finish,
  hang,
  noDone,
  pace,
  raw,
  reset,
  type Step,
  say,
  think,
  wait,
} from '../support/upstream-steps.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(() => upstream.close());

const provider = createTestProvider({ timeouts: { idleMs: 800 } });
const messages = [{ role: 'user', content: 'Hello' }];

function relay(model: string, body: object = {}, options: CallOptions = toCallOptions(upstream.url)) {
  return provider.relay('chat/completions', { model, messages, ...body }, options);
}

async function stream(name: string, steps: readonly Step[]): Promise<{ status: number; text: string }> {
  const response = await relay(upstream.script(name, steps), { stream: true });
  return { status: response.status, text: await response.text() };
}

/** The data of each event; fails when a frame is anything but one whole data line. */
function toFrames(text: string): unknown[] {
  expect(text.endsWith('\n\n')).toBe(true);
  const frames = text.slice(0, -2).split('\n\n');
  return frames.map((frame) => {
    expect(frame.startsWith('data: ')).toBe(true);
    const data = frame.slice('data: '.length);
    return data === '[DONE]' ? data : JSON.parse(data);
  });
}

const ERROR_FRAME = { error: { type: 'server_error', code: 'upstream_error', param: null } };

describe('relay without streaming', () => {
  test('hands the body on untouched, fields that nobody knows included', async () => {
    const body = { vendor_field: { a: [1, null] }, temperature: 0, logit_bias: { '50256': -100 }, n: 1 };
    const model = upstream.script('untouched', [say('Hi')]);
    const response = await relay(model, body);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toMatchObject({ object: 'chat.completion', model });
    const sent = upstream.requestsFor(model)[0];
    expect(sent?.body).toEqual({ model, messages, ...body });
    expect(sent?.headers.accept).toBe('application/json');
  });

  test('hands the answer on byte by byte, odd spacing and unknown fields included', async () => {
    const text = '{ "id":"x",\n "choices" : [], "vendor":1e3, "ü":"\\u00fc" }\n';
    const response = await relay(upstream.script('bytes', [answer(200, text)]));
    expect(await response.text()).toBe(text);
  });

  test('serves embeddings', async () => {
    const body = { model: 'embedder', input: ['a', 'b'], dimensions: 4, encoding_format: 'base64' };
    const response = await provider.relay('embeddings', body, toCallOptions(upstream.url));
    expect(await response.json()).toMatchObject({ object: 'list', data: [{ index: 0 }, { index: 1 }] });
    expect(upstream.requestsFor('embedder')[0]).toMatchObject({ path: '/v1/embeddings', body });
  });

  test.each([400, 401, 404, 429, 500])(
    'status %p is thrown at once: whoever asks has retries of its own',
    async (status) => {
      const model = upstream.script(`status ${status}`, [fail(status, { retryAfter: '7' })]);
      const error = await catchProviderError(relay(model));
      expect(error).toMatchObject({ status, retryAfterMs: 7000 });
      expect(upstream.requestsFor(model)).toHaveLength(1);
    },
  );

  test('a connection that breaks before the answer is tried again', async () => {
    const model = upstream.script('reset', [reset()]);
    // A connection that others have left is tried once more at once, beside these.
    const fresh = createTestProvider();
    const call = fresh.relay('chat/completions', { model, messages }, toCallOptions(upstream.url));
    expect((await catchProviderError(call)).kind).toBe('connection');
    expect(upstream.requestsFor(model)).toHaveLength(3);
  });

  test.each([
    ['text/html', '<html>Sign in</html>'],
    ['text/plain', 'OK'],
  ])('an answer of %s is a protocol error', async (type, body) => {
    const model = upstream.script(`plain ${type}`, [answer(200, body, { 'content-type': type })]);
    expect((await catchProviderError(relay(model))).kind).toBe('protocol');
  });
});

describe('relay with streaming', () => {
  test('passes every byte on, in order, and asks for nothing of its own', async () => {
    const bytes =
      ': hi\n\ndata: {"choices":[{"delta":{"content":"é"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
    const { status, text } = await stream('verbatim', [raw(bytes), end()]);
    expect(status).toBe(200);
    expect(text).toBe(bytes);
    expect(upstream.requestsFor('script:verbatim')[0]?.body).toEqual({
      model: 'script:verbatim',
      messages,
      stream: true,
    });
  });

  test('passes CRLF frames on unchanged', async () => {
    const bytes = 'data: {"choices":[{"finish_reason":"stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n';
    expect((await stream('crlf', [raw(bytes), end()])).text).toBe(bytes);
  });

  test('passes a token on before the next one is there', async () => {
    const model = upstream.script('early', [say('first'), hang()]);
    const response = await relay(model, { stream: true });
    const reader = toResponse(response).body?.getReader();
    let text = '';
    while (!text.includes('first')) text += new TextDecoder().decode((await reader?.read())?.value);
    await reader?.cancel();
    expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');
  });

  test('is understood by the official client, tool calls and usage included', async () => {
    const model = upstream.script('official', [
      think('hm'),
      say('Let me see.'),
      callTools([
        { name: 'get_weather', arguments: { city: 'Rom' } },
        { name: 'get_time', arguments: {} },
      ]),
    ]);
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: async (request) =>
        toResponse(
          await provider.relay(
            'chat/completions',
            (await request.json()) as Record<string, unknown>,
            toCallOptions(upstream.url),
          ),
        ),
    });
    try {
      const client = new OpenAI({
        baseURL: `http://127.0.0.1:${server.port}/v1`,
        apiKey: 'x',
        maxRetries: 0,
      });
      const completion = await client.chat.completions
        .stream({
          model,
          messages: [{ role: 'user', content: 'x' }],
          stream_options: { include_usage: true },
        })
        .finalChatCompletion();
      expect(completion.choices[0]).toMatchObject({
        finish_reason: 'tool_calls',
        message: {
          content: 'Let me see.',
          tool_calls: [
            { id: 'call_get_weather_0', function: { name: 'get_weather', arguments: '{"city":"Rom"}' } },
            { id: 'call_get_time_1', function: { name: 'get_time', arguments: '{}' } },
          ],
        },
      });
      expect(completion.usage?.completion_tokens).toBeGreaterThan(3);
      const broken = upstream.script('official broken', [say('so far'), reset()]);
      const iterate = async () => {
        const chunks = await client.chat.completions.create({
          model: broken,
          messages: [{ role: 'user', content: 'x' }],
          stream: true,
        });
        let text = '';
        for await (const part of chunks) text += part.choices[0]?.delta.content ?? '';
        return text;
      };
      await expect(iterate()).rejects.toThrow(/broke off/);
    } finally {
      await server.stop(true);
    }
  });

  test.each([
    ['a reset connection', [say('so', ' far'), reset()], /broke off/],
    [
      'a reset amid a frame',
      [say('so', ' far'), raw('data: {"choices":[{"delta":{"con'), wait(10), reset()],
      /broke off/,
    ],
    ['a proper end without a finish reason', [say('so', ' far'), end()], /without a finish reason/],
    ['a proper end amid a frame', [say('so', ' far'), raw('data: {"choi'), end()], /without a finish reason/],
    ['silence', [say('so', ' far'), hang()], /silent/],
  ] as const)('%s ends the stream with an error event of its own frame', async (name, steps, message) => {
    const { text } = await stream(`dies ${name}`, steps);
    const frames = toFrames(text);
    const last = frames.at(-1) as { error: { message: string } };
    expect(last).toMatchObject(ERROR_FRAME);
    expect(last.error.message).toMatch(message);
    const said = frames.slice(0, -1) as { choices: { delta: { content?: string } }[] }[];
    expect(said.map((frame) => frame.choices[0]?.delta.content ?? '').join('')).toBe('so far');
  });

  test.each([
    ['with [DONE]', [say('x')]],
    ['without [DONE]', [say('x'), noDone()]],
    ['with a connection reset behind its finish reason', [say('x'), finish('stop'), wait(10), reset()]],
  ] as const)('a whole reply %s ends without an error event', async (name, steps) => {
    const { text } = await stream(`whole ${name}`, steps);
    expect(text).toContain('"finish_reason":"stop"');
    expect(text).not.toContain('"error"');
  });

  test('a last [DONE] without its blank line is passed on, and made whole', async () => {
    const { text } = await stream('unended', [
      raw('data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]'),
      end(),
    ]);
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test('text that speaks of finish reasons is not taken for one', async () => {
    const { text } = await stream('quoted', [say('{"finish_reason":"stop"} and "error":{}'), end()]);
    expect(toFrames(text).at(-1)).toMatchObject(ERROR_FRAME);
  });

  test('an upstream’s own error event is passed on, and none added', async () => {
    const { text } = await stream('own error', [
      say('x'),
      raw('data: {"error":{"message":"theirs"}}\n\n'),
      end(),
    ]);
    expect(text).toContain('theirs');
    expect(text).not.toContain('upstream_error');
  });

  test('an error status is thrown before any byte', async () => {
    const model = upstream.script('stream status', [fail(429, { message: 'slow down' })]);
    const error = await catchProviderError(relay(model, { stream: true }));
    expect(error).toMatchObject({ kind: 'rate_limit', message: 'slow down' });
  });

  test('an HTML page is thrown before any byte', async () => {
    const model = upstream.script('stream html', [
      answer(200, '<html></html>', { 'content-type': 'text/html' }),
    ]);
    expect((await catchProviderError(relay(model, { stream: true }))).kind).toBe('protocol');
  });

  test('a whole JSON document in answer to a stream request becomes a stream', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } };
    const document = {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      model: 'm',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hi', tool_calls: [call] },
          finish_reason: 'tool_calls',
        },
      ],
      usage: { total_tokens: 3 },
    };
    const { text } = await stream('document', [answer(200, JSON.stringify(document))]);
    expect(toFrames(text)).toEqual([
      {
        id: 'chatcmpl-1',
        object: 'chat.completion.chunk',
        model: 'm',
        choices: [
          {
            index: 0,
            delta: { role: 'assistant', content: 'Hi', tool_calls: [{ index: 0, ...call }] },
            finish_reason: 'tool_calls',
          },
        ],
      },
      {
        id: 'chatcmpl-1',
        object: 'chat.completion.chunk',
        model: 'm',
        choices: [],
        usage: { total_tokens: 3 },
      },
      '[DONE]',
    ]);
    const failing = upstream.script('error document', [answer(200, '{"error":{"message":"gone"}}')]);
    expect((await catchProviderError(relay(failing, { stream: true }))).message).toBe('gone');
  });

  test('a client that leaves closes the upstream connection, by cancel and by signal', async () => {
    const model = upstream.script('leaves', [pace(100), say(...Array.from({ length: 10_000 }, () => 'x'))]);
    const first = await relay(model, { stream: true });
    const reader = toResponse(first).body?.getReader();
    await reader?.read();
    await reader?.cancel();
    expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');

    const abort = new AbortController();
    const second = await relay(
      model,
      { stream: true },
      toCallOptions(upstream.url, { signal: abort.signal }),
    );
    const outcome = second.text().then(
      () => 'ended',
      (error: unknown) => error,
    );
    const reason = new Error('client gone');
    abort.abort(reason);
    expect(await outcome).toBe(reason);
    expect(await upstream.requestsFor(model)[1]?.ended).toBe('aborted');
  });

  test('a client that leaves a server which relays closes the upstream connection', async () => {
    const model = upstream.script('leaves server', [say('x'), hang()]);
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: async (request) =>
        toResponse(
          await relay(model, { stream: true }, toCallOptions(upstream.url, { signal: request.signal })),
        ),
    });
    try {
      const abort = new AbortController();
      const response = await fetch(`http://127.0.0.1:${server.port}/`, { signal: abort.signal });
      await response.body?.getReader().read();
      abort.abort();
      expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');
    } finally {
      await server.stop(true);
    }
  });
});

describe('frames of a relayed stream', () => {
  const recorded = [
    ': comment\n\n',
    'data: {"a":"é🗼"}\n\n',
    'event: x\r\ndata: {"b":1}\r\n\r\n',
    'data: {"multi":\ndata: 1}\n\n',
    'data: [DONE]\n\n',
  ].join('');

  test('are cut only where a frame ends, wherever the pieces are cut', () => {
    const bytes = new TextEncoder().encode(recorded);
    for (let size = 1; size <= bytes.length; size += 1) {
      const cutter = createFrameCutter();
      let text = '';
      for (let at = 0; at < bytes.length; at += size) {
        const whole = cutter.push(bytes.subarray(at, at + size));
        if (whole === null) continue;
        // Decoding each by itself would show a character that was cut.
        const part = new TextDecoder('utf-8', { fatal: true }).decode(whole);
        expect(part).toMatch(/(\n\n|\r\n\r\n)$/);
        text += part;
      }
      expect(text).toBe(recorded);
      expect(cutter.takeRest()).toHaveLength(0);
    }
  });

  test('that never end are refused beyond the bound', () => {
    const cutter = createFrameCutter(1000);
    expect(() => {
      for (let i = 0; i < 11; i += 1) cutter.push(new Uint8Array(100).fill(120));
    }).toThrow(/too long/);
  });
});
