/** What is handed on of replies that servers write in ways of their own. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import {
  createStreamRepair,
  type RepairOptions,
  repairDocument,
} from '../../src/providers/openai/reply-repair.ts';
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
  chunk,
  end,
  finish,
  raw,
  type Step,
  say,
  TOOL_CALL_STYLES,
} from '../support/upstream-steps.ts';

let upstream: ScriptedUpstream;
/** A server that hands everything on, for the official client. */
let relaying: Bun.Server<undefined>;
const provider = createTestProvider();
beforeAll(async () => {
  upstream = await startScriptedUpstream();
  relaying = Bun.serve({
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
});
afterAll(async () => {
  await relaying.stop(true);
  await upstream.close();
});

const messages = [{ role: 'user' as const, content: 'Hello' }];
const KEY = 'plainkey-0123456789';

function toOptions(more: Partial<RepairOptions> = {}): RepairOptions {
  let made = 0;
  return {
    isExact: false,
    toolNames: new Set(['get_weather', 'get_time']),
    createCallId: () => {
      made += 1;
      return `call_made_${made}`;
    },
    context: { apiKey: KEY, nowMs: 0 },
    ...more,
  };
}

function push(text: string, options = toOptions()) {
  const { bytes, fault } = createStreamRepair(options).push(new TextEncoder().encode(text));
  return { text: new TextDecoder().decode(bytes), fault };
}

const toFrame = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;

async function stream(name: string, steps: readonly Step[]): Promise<string> {
  const model = upstream.script(name, steps);
  const response = await provider.relay(
    'chat/completions',
    { model, messages, stream: true },
    toCallOptions(upstream.url),
  );
  return await response.text();
}

describe('tool calls that are relayed', () => {
  const calls = [
    { name: 'get_weather', arguments: { city: 'Rom' } },
    { name: 'get_time', arguments: { zone: 'CET', days: [1, 2] } },
  ];
  const tools = calls.map(({ name }) => ({
    type: 'function' as const,
    function: { name, parameters: { type: 'object' } },
  }));

  test.each(TOOL_CALL_STYLES)(
    'written as %p reach the official client whole, each with an id of its own',
    async (style) => {
      const client = new OpenAI({
        baseURL: `http://127.0.0.1:${relaying.port}/v1`,
        apiKey: 'x',
        maxRetries: 0,
      });
      const model = upstream.script(`relayed ${style}`, [say('Let me see.'), callTools(calls, { style })]);
      const completion = await client.chat.completions
        .stream({ model, messages, tools })
        .finalChatCompletion();
      const [choice] = completion.choices;
      expect(choice?.finish_reason).toBe('tool_calls');
      const got = choice?.message.tool_calls ?? [];
      expect(
        got.map(
          (call) => call.type === 'function' && [call.function.name, JSON.parse(call.function.arguments)],
        ),
      ).toEqual(calls.map(({ name, arguments: value }) => [name, value]));
      expect(new Set(got.map(({ id }) => id)).size).toBe(2);
      expect(got.every(({ id }) => id !== '')).toBe(true);
    },
  );

  test('that end with stop end with tool_calls', async () => {
    const text = await stream('stop', [callTools(calls), finish('stop')]);
    expect(text).toContain('"finish_reason":"tool_calls"');
    expect(text).not.toContain('"finish_reason":"stop"');
  });

  test('of several choices stay apart', () => {
    const delta = (index: number, id: string, args: string) => ({
      index,
      delta: {
        tool_calls: [{ index: 0, id, type: 'function', function: { name: 'get_time', arguments: args } }],
      },
      finish_reason: null,
    });
    const { text } = push(toFrame({ choices: [delta(0, 'a', '{"x":1}'), delta(1, 'b', '{"x":2}')] }));
    const { choices } = JSON.parse(text.slice(5));
    expect(choices[0].delta.tool_calls[0]).toMatchObject({
      index: 0,
      id: 'a',
      function: { arguments: '{"x":1}' },
    });
    expect(choices[1].delta.tool_calls[0]).toMatchObject({
      index: 0,
      id: 'b',
      function: { arguments: '{"x":2}' },
    });
  });

  test('of OpenAI itself are the bytes that they are', () => {
    const bytes =
      'data: {"choices": [{"delta":{"tool_calls":[{"index":1,"id":"","function":{}}]},"finish_reason":"eos"}]}\n\n';
    expect(push(bytes, toOptions({ isExact: true }))).toEqual({ text: bytes, fault: null });
  });
});

describe('a stream that is relayed', () => {
  test.each([
    ['eos', 'stop'],
    ['model_length', 'length'],
    ['SAFETY', 'content_filter'],
    ['stop', 'stop'],
  ])('says %p as %p', (given, expected) => {
    const { text } = push(toFrame({ choices: [{ index: 0, delta: {}, finish_reason: given }] }));
    expect(JSON.parse(text.slice(5)).choices[0].finish_reason).toBe(expected);
  });

  test('keeps its bytes where nothing is odd, tokens and ends alike', () => {
    for (const bytes of [
      'data: {"choices":[{"index":0,"delta":{"content":"a \\"finish_reason\\":\\"eos\\""},"finish_reason":null}]}\n\n',
      'data: { "choices" : [ {"index":0,"delta":{},"finish_reason": "stop"} ] }\n\n',
      ': OPENROUTER PROCESSING\n\n',
      'data: {"id":"","choices":[],"prompt_filter_results":[]}\r\n\r\n',
      'data: {"choices":[{"index":0,"delta":{"content":"x","tool_calls":[]},"finish_reason":null}]}\n\n',
      'data: [DONE]\n\n',
    ]) {
      expect(push(bytes)).toEqual({ text: bytes, fault: null });
    }
  });

  test('has thoughts apart from the text where a server mixes them in a list', () => {
    const content = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] },
      { type: 'text', text: 'Yes.' },
    ];
    const { text } = push(toFrame({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }));
    expect(JSON.parse(text.slice(5)).choices[0].delta).toEqual({ content: 'Yes.', reasoning_content: 'Hm.' });
  });

  test.each([true, false])('loses the key from an error that it holds (exact: %p)', (isExact) => {
    const frame = `event: error\ndata: {"error":{"message":"bad key ${KEY}"}}\n\n`;
    const { text } = push(`data: {"choices":[]}\n\n${frame}`, toOptions({ isExact }));
    expect(text).toBe(
      'data: {"choices":[]}\n\nevent: error\ndata: {"error":{"message":"bad key [redacted]"}}\n\n',
    );
  });

  test('keeps a key that is no error’s, as a model may say one', () => {
    const bytes = toFrame({
      choices: [{ index: 0, delta: { content: '"error": sk-example' }, finish_reason: null }],
    });
    expect(push(bytes).text).toBe(bytes);
  });

  test('that gives up in its finish reason ends with an error event, after what came before', async () => {
    const text = await stream('gives up', [
      raw(
        'data: {"choices":[{"index":0,"delta":{"content":"so far"}}]}\n\ndata: {"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}\n\n',
      ),
      end(),
    ]);
    const frames = text.trim().split('\n\n');
    expect(frames).toHaveLength(2);
    expect(frames[0]).toContain('so far');
    expect(frames[1]).toContain('"upstream_error"');
  });

  test('with usage in a chunk of its own is whole', async () => {
    const text = await stream('usage', [
      say('x'),
      finish('stop'),
      chunk({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } }),
    ]);
    expect(text).toContain('"usage"');
    expect(text).not.toContain('"error"');
  });
});

describe('a document that is relayed', () => {
  const relay = (name: string, body: string) =>
    provider.relay(
      'chat/completions',
      { model: upstream.script(name, [answer(200, body)]), messages },
      toCallOptions(upstream.url),
    );

  test.each([
    ['{"choices":[{"index":0,"message":{"role":"assistant","content":"a"', 'amid a text'],
    ['{"choices":[{"index":0,"message":{"role":"assistant","content":"a"}}]', 'at a bracket'],
  ])('and was cut (%#) is an error', async (body, where) => {
    expect((await catchProviderError(relay(`cut ${where}`, body))).kind).toBe('protocol');
  });

  test('and is long and was cut is an error', async () => {
    const body = `{"data":[${'0.1,'.repeat(100_000)}`;
    expect((await catchProviderError(relay('cut long', body))).kind).toBe('protocol');
  });

  test('under status 200 may be an error, and is one then', async () => {
    const error = await catchProviderError(
      relay('inline', '{"error":{"message":"Provider returned error","code":429}}'),
    );
    expect(error).toMatchObject({ kind: 'rate_limit', message: 'Provider returned error' });
  });

  test('lacks a message where a filter took it, and gets one', () => {
    const { text } = repairDocument(
      '{"choices":[{"index":0,"finish_reason":"content_filter"}]}',
      toOptions({ isExact: true }),
    );
    expect(JSON.parse(text).choices[0].message).toEqual({ role: 'assistant', content: null, refusal: null });
  });

  test('has its calls made whole: ids, arguments as text, the finish reason', () => {
    const tool_calls = [
      { id: '', type: 'function', function: { name: 'get_time', arguments: { zone: 'CET' } } },
      { id: '', function: { name: 'get_time', arguments: '{"zone":"UTC"}' }, extra_content: { a: 1 } },
      { id: 'own', type: 'function', function: { name: 'get_weather' } },
    ];
    const { text } = repairDocument(
      JSON.stringify({
        choices: [
          { index: 0, message: { role: 'assistant', content: null, tool_calls }, finish_reason: 'stop' },
        ],
      }),
      toOptions(),
    );
    expect(JSON.parse(text).choices[0]).toEqual({
      index: 0,
      message: {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'call_made_1',
            type: 'function',
            function: { name: 'get_time', arguments: '{"zone":"CET"}' },
          },
          {
            id: 'call_made_2',
            type: 'function',
            function: { name: 'get_time', arguments: '{"zone":"UTC"}' },
            extra_content: { a: 1 },
          },
          { id: 'own', type: 'function', function: { name: 'get_weather', arguments: '{}' } },
        ],
      },
      finish_reason: 'tool_calls',
    });
  });

  test('stays the text that it is where nothing is odd', () => {
    const text =
      '{ "choices":[ {"index":0,"message":{"content":"x"},"finish_reason" : "stop"} ],\n"vendor": 1.0 }\n';
    expect(repairDocument(text, toOptions()).text).toBe(text);
    const older = '{"choices":[{"index":0,"text":"x","finish_reason":"stop"}]}';
    expect(repairDocument(older, toOptions()).text).toBe(older);
  });
});
