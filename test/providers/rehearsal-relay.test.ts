import { describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import type { ChatRequest } from '../../src/providers/provider.ts';
import { createRehearsalProvider } from '../../src/providers/rehearsal/rehearsal-provider.ts';
import { catchProviderError, toCallOptions, toFunctionTool, toResponse } from '../support/provider-calls.ts';

const rehearsal = createRehearsalProvider({ clock: systemClock, ids: createIds(systemClock) });
const MODEL = 'understudy/rehearsal';

const weather = toFunctionTool('get_weather', {
  type: 'object',
  properties: {
    location: { type: 'string' },
    unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
    days: { type: 'integer', minimum: 1, maximum: 7 },
  },
  required: ['location'],
});
const clock = toFunctionTool('getCurrentTime', {
  type: 'object',
  properties: { zone: { type: 'string' } },
  required: ['zone'],
});

type Message = ChatRequest['messages'][number];

describe('relayed', () => {
  async function withClient(use: (client: OpenAI) => Promise<void>): Promise<void> {
    const server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      async fetch(request) {
        const path = new URL(request.url).pathname.endsWith('/embeddings')
          ? 'embeddings'
          : 'chat/completions';
        const body = (await request.json()) as Record<string, unknown>;
        return toResponse(await rehearsal.relay(path, body, toCallOptions(null, { signal: request.signal })));
      },
    });
    try {
      await use(new OpenAI({ baseURL: `http://127.0.0.1:${server.port}/v1`, apiKey: 'x', maxRetries: 0 }));
    } finally {
      await server.stop(true);
    }
  }

  test('chat completions are the same, streamed or not, to the official client', () =>
    withClient(async (client) => {
      const messages: Message[] = [{ role: 'user', content: 'weather in Rome and current time in Oslo' }];
      const request = { model: MODEL, messages, tools: [weather, clock] };
      const whole = await client.chat.completions.create(request);
      const streamed = await client.chat.completions
        .stream({ ...request, stream_options: { include_usage: true } })
        .finalChatCompletion();
      for (const completion of [whole, streamed]) {
        expect(completion.object).toBe('chat.completion');
        expect(completion.id).toMatch(/^chatcmpl-\w{24}$/);
        expect(completion.model).toBe(MODEL);
        const [choice] = completion.choices;
        expect(choice?.finish_reason).toBe('tool_calls');
        expect(choice?.message.content ?? '').toBe('');
        expect(choice?.message.tool_calls).toMatchObject([
          { type: 'function', function: { name: 'get_weather', arguments: '{"location":"Rome"}' } },
          { type: 'function', function: { name: 'getCurrentTime', arguments: '{"zone":"Oslo"}' } },
        ]);
        for (const call of choice?.message.tool_calls ?? []) expect(call.id).toMatch(/^call_\w{24}$/);
      }
      expect(streamed.usage).toEqual(whole.usage);
    }));

  test('text, refusals and several choices come as asked', () =>
    withClient(async (client) => {
      const ask = (content: string, extra: object = {}) =>
        client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content }], ...extra });
      expect((await ask('rehearsal: say Hi')).choices[0]?.message).toEqual({
        role: 'assistant',
        content: 'Hi',
        refusal: null,
      });
      expect((await ask('rehearsal: refuse No')).choices[0]?.message).toMatchObject({
        content: null,
        refusal: 'No',
      });
      const several = await ask('rehearsal: say Hi', { n: 3 });
      expect(several.choices.map(({ index, message }) => [index, message.content])).toEqual([
        [0, 'Hi'],
        [1, 'Hi'],
        [2, 'Hi'],
      ]);
    }));

  test('usage is streamed only when asked for, and [DONE] ends the stream', async () => {
    const body = { model: MODEL, messages: [{ role: 'user', content: 'rehearsal: say Hi' }], stream: true };
    const bare = await (await rehearsal.relay('chat/completions', body, toCallOptions(null))).text();
    expect(bare).not.toContain('usage');
    expect(bare.endsWith('data: [DONE]\n\n')).toBe(true);
    const counted = await rehearsal.relay(
      'chat/completions',
      { ...body, stream_options: { include_usage: true } },
      toCallOptions(null),
    );
    expect(await counted.text()).toContain('"choices":[],"usage":{"prompt_tokens"');
  });

  test('a failure midway ends the stream with an error event', async () => {
    const content = 'rehearsal: fail midway\nrehearsal: words 4';
    const body = { model: MODEL, messages: [{ role: 'user', content }], stream: true };
    const text = await (await rehearsal.relay('chat/completions', body, toCallOptions(null))).text();
    expect(text).toContain('word2');
    expect(text).not.toContain('word3');
    expect(JSON.parse(text.trimEnd().split('\n\n').at(-1)?.slice('data: '.length) ?? '')).toMatchObject({
      error: { type: 'server_error' },
    });
    const { stream: _, ...plain } = body;
    expect(
      (await catchProviderError(rehearsal.relay('chat/completions', plain, toCallOptions(null)))).kind,
    ).toBe('server');
  });

  test('a client that leaves ends a slow stream', async () => {
    const body = { model: MODEL, messages: [{ role: 'user', content: 'rehearsal: slow 10s' }], stream: true };
    const response = await rehearsal.relay('chat/completions', body, toCallOptions(null));
    const reader = toResponse(response).body?.getReader();
    await reader?.read();
    const startedMs = performance.now();
    await reader?.cancel();
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  test.each([
    [{}, 'messages'],
    [{ messages: 'x' }, 'messages'],
    [{ messages: [null] }, 'messages[0].role'],
    [{ messages: [{ role: 'wizard', content: 'x' }] }, 'messages[0].role'],
    [{ messages: [{ role: 'user', content: 7 }] }, 'messages[0].content'],
    [{ messages: [{ role: 'assistant', tool_calls: [{}] }] }, 'messages[0].tool_calls'],
    [{ messages: [{ role: 'user', content: 'x' }], tools: {} }, 'tools'],
    [{ messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'function' }] }, 'tools[0].function.name'],
    [{ messages: [{ role: 'user', content: 'x' }], max_tokens: -1 }, 'max_tokens'],
    [{ messages: [{ role: 'user', content: 'x' }], n: 100 }, 'n'],
  ])('the body %p is a 400 that names %p', async (body, param) => {
    const error = await catchProviderError(rehearsal.relay('chat/completions', body, toCallOptions(null)));
    expect(error).toMatchObject({ kind: 'invalid_request', status: 400, param });
  });

  test('lists itself', async () => {
    expect(await rehearsal.listModels(toCallOptions(null))).toEqual([
      { id: MODEL, created: 0, ownedBy: 'understudy' },
    ]);
  });

  describe('embeddings', () => {
    const cosine = (a: readonly number[], b: readonly number[]) =>
      a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

    test('are of unit length, the same for the same text, and nearer for texts that share words', () =>
      withClient(async (client) => {
        const input = [
          'The cat sat on the mat',
          'A cat on a mat',
          'Quarterly revenue grew',
          'The cat sat on the mat',
          '…',
        ];
        const { data, usage } = await client.embeddings.create({ model: MODEL, input, dimensions: 64 });
        const vectors = data.map(({ embedding }) => embedding);
        for (const vector of vectors) {
          expect(vector).toHaveLength(64);
          expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
        }
        const [first = [], second = [], third = [], fourth = []] = vectors;
        expect(first).toEqual(fourth);
        expect(cosine(first, second)).toBeGreaterThan(cosine(first, third) + 0.2);
        expect(usage.prompt_tokens).toBeGreaterThan(10);
      }));

    test('come as base64 or as numbers, the same values', async () => {
      const embed = async (format: string) => {
        const body = { model: MODEL, input: 'Hello', encoding_format: format };
        const response = await rehearsal.relay('embeddings', body, toCallOptions(null));
        return ((await response.json()) as { data: { embedding: string | number[] }[] }).data[0]?.embedding;
      };
      const packed = Buffer.from(String(await embed('base64')), 'base64');
      const values = new Float32Array(
        packed.buffer.slice(packed.byteOffset, packed.byteOffset + packed.length),
      );
      expect(Array.from(values)).toEqual((await embed('float')) as number[]);
      expect(values).toHaveLength(256);
    });

    test('take a text, texts, tokens, or lists of tokens', async () => {
      for (const [input, count] of [
        ['a', 1],
        [['a', 'b'], 2],
        [[1, 2, 3], 1],
        [[[1], [2, 3]], 2],
      ] as const) {
        const response = await rehearsal.relay('embeddings', { model: MODEL, input }, toCallOptions(null));
        expect(((await response.json()) as { data: unknown[] }).data).toHaveLength(count);
      }
    });

    test.each([
      [{ input: '' }, 'input'],
      [{ input: [] }, 'input'],
      [{ input: ['a', ''] }, 'input'],
      [{ input: { a: 1 } }, 'input'],
      [{}, 'input'],
      [{ input: Array.from({ length: 2049 }, () => 'x') }, 'input'],
      [{ input: 'x', dimensions: 0 }, 'dimensions'],
      [{ input: 'x', dimensions: 1.5 }, 'dimensions'],
      [{ input: 'x', dimensions: 100_000 }, 'dimensions'],
      [{ input: 'x', encoding_format: 'hex' }, 'encoding_format'],
    ])('the %#. wrong body is a 400 that names its parameter', async (body, param) => {
      const error = await catchProviderError(rehearsal.relay('embeddings', body, toCallOptions(null)));
      expect(error).toMatchObject({ status: 400, param });
    });
  });
});
