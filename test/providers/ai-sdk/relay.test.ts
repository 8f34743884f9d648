import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { RelayReply } from '../../../src/providers/document-reply.ts';
import { createSseParser } from '../../../src/providers/openai/sse-parser.ts';
import {
  CHAT_PROTOCOLS,
  createProtocolProviders,
  type ProtocolProviders,
  toProtocolCall,
} from '../../support/protocols/protocol-calls.ts';
import { type ProtocolServer, startProtocolServer } from '../../support/protocols/protocol-server.ts';
import { breakWith, count, failAs, sign } from '../../support/protocols/protocol-steps.ts';
import { toScriptedVector } from '../../support/protocols/voice.ts';
import { catchProviderError, toResponse } from '../../support/provider-calls.ts';
import { callTool, hang, say, think } from '../../support/upstream-steps.ts';

let server: ProtocolServer;
let providers: ProtocolProviders;

beforeAll(async () => {
  server = await startProtocolServer();
  providers = createProtocolProviders();
});
afterAll(() => server.close());

const MESSAGES = [{ role: 'user', content: 'Hello' }];
const COUNTS = count({ prompt: 120, completion: 40, cached: 100, thoughts: 15 });
const TOOLS = [{ type: 'function', function: { name: 'get_time', parameters: { type: 'object' } } }];

/** A document of many shapes, which tests look into. */
async function readDocument(response: RelayReply): Promise<ReturnType<typeof JSON.parse>> {
  return JSON.parse(await response.text());
}

async function readFrames(reply: RelayReply): Promise<ReturnType<typeof JSON.parse>[]> {
  const parser = createSseParser();
  const events = [...parser.push(new Uint8Array(await toResponse(reply).arrayBuffer())), ...parser.end()];
  return events.map(({ data }) => (data === '[DONE]' ? data : JSON.parse(data)));
}

describe.each(CHAT_PROTOCOLS)('chat completions by %s', (id) => {
  test('come as a document of the shape of OpenAI', async () => {
    const model = server.script(`plain-${id}`, [
      think('Hm.'),
      say('Look: '),
      callTool('get_time', { zone: 'CET' }),
      COUNTS,
    ]);
    const body = { model, messages: MESSAGES, tools: TOOLS };
    const response = await providers[id].relay('chat/completions', body, toProtocolCall(id, server.origin));
    const document = await readDocument(response);
    expect(document).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      model,
      choices: [
        {
          index: 0,
          finish_reason: 'tool_calls',
          message: {
            role: 'assistant',
            content: 'Look: ',
            reasoning_content: 'Hm.',
            tool_calls: [{ type: 'function', function: { name: 'get_time', arguments: '{"zone":"CET"}' } }],
          },
        },
      ],
      usage: {
        prompt_tokens: 120,
        completion_tokens: 40,
        total_tokens: 160,
        prompt_tokens_details: { cached_tokens: 100 },
      },
    });
  });

  test('come as a stream that begins, ends and counts as one of OpenAI', async () => {
    const model = server.script(`stream-${id}`, [think('Hm.'), say('One two'), COUNTS]);
    const body = { model, messages: MESSAGES, stream: true, stream_options: { include_usage: true } };
    const response = await providers[id].relay('chat/completions', body, toProtocolCall(id, server.origin));
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const frames = await readFrames(response);
    expect(frames[0].choices[0].delta).toEqual({ role: 'assistant', content: '', refusal: null });
    const deltas = frames.slice(0, -2).map(({ choices }) => choices[0].delta);
    expect(deltas.map(({ content = '' }) => content).join('')).toBe('One two');
    expect(deltas.map(({ reasoning_content = '' }) => reasoning_content).join('')).toBe('Hm.');
    expect(frames.at(-3).choices[0].finish_reason).toBe('stop');
    expect(frames.at(-2)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 120, completion_tokens: 40 },
    });
    expect(frames.at(-1)).toBe('[DONE]');
    expect(new Set(frames.slice(0, -1).map((frame) => frame.id)).size).toBe(1);
  });

  test('that fail before the first word fail with their status, streams too', async () => {
    const model = server.script(`fails-${id}`, [failAs(400, { message: 'No.' })]);
    for (const stream of [false, true]) {
      const relayed = providers[id].relay(
        'chat/completions',
        { model, messages: MESSAGES, stream },
        toProtocolCall(id, server.origin),
      );
      expect(await catchProviderError(relayed)).toMatchObject({
        kind: 'invalid_request',
        status: 400,
        message: 'No.',
      });
    }
  });

  test('that break amid a stream end with an error, and never with a stop', async () => {
    const model = server.script(`breaks-${id}`, [say('One two'), breakWith('Overloaded.')]);
    const body = { model, messages: MESSAGES, stream: true };
    const response = await providers[id].relay('chat/completions', body, toProtocolCall(id, server.origin));
    const frames = await readFrames(response);
    expect(frames.at(-1).error.type).toBe('server_error');
    expect(frames).not.toContain('[DONE]');
    expect(frames.some(({ choices = [] }) => choices[0]?.finish_reason != null)).toBe(false);
  });

  test('that nobody reads any more are asked for no longer', async () => {
    const model = server.script(`unread-${id}`, [say('One two'), hang()]);
    const body = { model, messages: MESSAGES, stream: true };
    const response = await providers[id].relay('chat/completions', body, toProtocolCall(id, server.origin));
    const reader = toResponse(response).body?.getReader();
    await reader?.read();
    const started = performance.now();
    await reader?.cancel();
    const [request] = server.requestsFor(model);
    expect(await request?.ended).toBe('aborted');
    expect(performance.now() - started).toBeLessThan(100);
  });
});

test('several choices are several calls, counted together', async () => {
  const model = server.script('choices', [say('Hi'), COUNTS]);
  const body = { model, messages: MESSAGES, n: 3 };
  const response = await providers.anthropic.relay(
    'chat/completions',
    body,
    toProtocolCall('anthropic', server.origin),
  );
  const { choices, usage } = await readDocument(response);
  expect(
    choices.map(({ index, message }: { index: number; message: { content: string } }) => [
      index,
      message.content,
    ]),
  ).toEqual([
    [0, 'Hi'],
    [1, 'Hi'],
    [2, 'Hi'],
  ]);
  expect(usage.total_tokens).toBe(480);
  expect(server.requestsFor(model).length).toBe(3);
});

test('choices that nobody waits for, because one has failed, are left', async () => {
  let asked = 0;
  const model = server.scriptBy('choices-failing', () => {
    asked += 1;
    // The one that fails comes second: the other is under way by then.
    return asked === 2 ? [[failAs(400)]] : [[say('Hi'), hang()]];
  });
  const body = { model, messages: MESSAGES, n: 2 };
  const call = toProtocolCall('anthropic', server.origin);
  const error = await catchProviderError(providers.anthropic.relay('chat/completions', body, call));
  expect(error.status).toBe(400);
  const endings = await Promise.all(server.requestsFor(model).map(({ ended }) => ended));
  expect(endings.toSorted()).toEqual(['aborted', 'complete']);
});

test('a client that sends a message back as it came gives signed thoughts back too', async () => {
  const model = server.script(
    'claude-echo',
    [think('Hm.'), sign('c2ln'), callTool('get_time', {})],
    [say('Noon.')],
  );
  const ask = async (messages: unknown[]) => {
    const body = { model, messages, tools: TOOLS, reasoning_effort: 'low' };
    return readDocument(
      await providers.anthropic.relay('chat/completions', body, toProtocolCall('anthropic', server.origin)),
    );
  };
  const { choices } = await ask(MESSAGES);
  const { message } = choices[0];
  await ask([
    ...MESSAGES,
    message,
    { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'noon' },
  ]);
  const sent = server.requestsFor(model)[1];
  expect(sent?.body.messages[1].content[0]).toEqual({ type: 'thinking', thinking: 'Hm.', signature: 'c2ln' });
});

test("a stream of Gemini's calls carries its signature in the form that clients know", async () => {
  const model = server.script('gemini-3-extra', [sign('c2ln'), callTool('get_time', {})]);
  const body = { model, messages: MESSAGES, tools: TOOLS, stream: true };
  const frames = await readFrames(
    await providers.gemini.relay('chat/completions', body, toProtocolCall('gemini', server.origin)),
  );
  const calls = frames.flatMap(({ choices = [] }) => choices[0]?.delta.tool_calls ?? []);
  expect(calls[0]).toMatchObject({ index: 0, extra_content: { google: { thought_signature: 'c2ln' } } });
});

describe('embeddings', () => {
  const PROVIDERS = [
    ['gemini', 'gemini-embedding-001', 100],
    ['vertex', 'text-embedding-005', 250],
    ['vertex', 'gemini-embedding-001', 1],
    ['bedrock', 'amazon.titan-embed-text-v2:0', 1],
    ['bedrock', 'cohere.embed-multilingual-v3', 96],
    ['cohere', 'embed-v4.0', 96],
    ['mistral', 'mistral-embed', 32],
    ['voyage', 'voyage-3.5', 128],
  ] as const;

  async function embed(id: (typeof PROVIDERS)[number][0], body: Record<string, unknown>) {
    const response = await providers[id].relay('embeddings', body, toProtocolCall(id, server.origin));
    return readDocument(response);
  }

  test.each(PROVIDERS)(
    'of %s (%s) keep the order of their texts, %d at most in a call',
    async (id, model, textsMax) => {
      const from = server.requests.length;
      const texts = Array.from({ length: Math.min(textsMax * 2 + 1, 270) }, (_, at) => `text ${at}`);
      const list = await embed(id, { model, input: texts });
      expect(list.object).toBe('list');
      expect(list.data.length).toBe(texts.length);
      for (const at of [0, 1, texts.length - 1]) {
        expect(list.data[at]).toMatchObject({ object: 'embedding', index: at });
        expect(list.data[at].embedding).toEqual(toScriptedVector(`text ${at}`));
      }
      expect(server.requests.length - from).toBe(Math.ceil(texts.length / textsMax));
      expect(list.usage.total_tokens).toBe(list.usage.prompt_tokens);
    },
  );

  test.each(PROVIDERS)('of %s (%s) come as base64, the same values', async (id, model) => {
    const list = await embed(id, { model, input: 'alone', encoding_format: 'base64' });
    const bytes = Buffer.from(list.data[0].embedding, 'base64');
    const values = Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(at * 4));
    expect(values).toEqual(toScriptedVector('alone'));
  });

  test('are told apart by what they are for', async () => {
    const told: unknown[] = [];
    for (const [id, model] of [
      ['gemini', 'gemini-embedding-kind'],
      ['cohere', 'embed-kind'],
      ['voyage', 'voyage-kind'],
      ['bedrock', 'cohere.embed-kind'],
    ] as const) {
      await embed(id, { model, input: 'x' });
      await embed(id, { model, input: 'x', input_type: 'query' });
      told.push(server.requestsFor(model).map(({ body }) => body.input_type ?? body.requests[0].taskType));
    }
    expect(told).toEqual([
      ['RETRIEVAL_DOCUMENT', 'RETRIEVAL_QUERY'],
      ['search_document', 'search_query'],
      ['document', 'query'],
      ['search_document', 'search_query'],
    ]);
  });

  test('have the dimensions that were asked for, and unit length', async () => {
    for (const [id, model, dimensions] of [
      ['gemini', 'gemini-embedding-001', 16],
      ['vertex', 'gemini-embedding-001', 16],
      ['cohere', 'embed-v4.0', 256],
      ['mistral', 'codestral-embed', 16],
      ['voyage', 'voyage-3.5', 16],
      ['bedrock', 'amazon.titan-embed-text-v2:0', 256],
    ] as const) {
      const list = await embed(id, { model, input: ['x'], dimensions });
      expect(list.data[0].embedding.length).toBe(dimensions);
      expect(Math.hypot(...list.data[0].embedding)).toBeCloseTo(1, 5);
    }
  });

  test('of dimensions that a model has not are refused', async () => {
    const body = { model: 'amazon.titan-embed-text-v2:0', input: 'x', dimensions: 99 };
    const relayed = providers.bedrock.relay('embeddings', body, toProtocolCall('bedrock', server.origin));
    expect(await catchProviderError(relayed)).toMatchObject({ kind: 'invalid_request', status: 400 });
  });

  test.each([
    ['input', {}],
    ['input', { input: [] }],
    ['input', { input: [1, 2, 3] }],
    ['input', { input: '' }],
    ['input', { input: Array.from({ length: 2049 }, () => 'x') }],
    ['dimensions', { input: 'x', dimensions: 0.5 }],
    ['encoding_format', { input: 'x', encoding_format: 'hex' }],
    ['input_type', { input: 'x', input_type: 'poem' }],
  ])('name %s where it cannot be', async (param, body) => {
    const relayed = providers.cohere.relay(
      'embeddings',
      { model: 'embed-v4.0', ...body },
      toProtocolCall('cohere', server.origin),
    );
    expect(await catchProviderError(relayed)).toMatchObject({ kind: 'invalid_request', status: 400, param });
  });

  test('are asked for again after a 429, one call at a time', async () => {
    server.script('amazon.titan-busy', [failAs(429, { times: 1 })]);
    const list = await embed('bedrock', { model: 'amazon.titan-busy', input: ['a', 'b'] });
    expect(list.data.map(({ embedding }: { embedding: number[] }) => embedding)).toEqual([
      toScriptedVector('a'),
      toScriptedVector('b'),
    ]);
    expect(server.requestsFor('amazon.titan-busy').length).toBe(3);
  });

  test('of a provider that has none are refused with what it is', async () => {
    const relayed = providers.anthropic.relay(
      'embeddings',
      { model: 'x', input: 'x' },
      toProtocolCall('anthropic', server.origin),
    );
    expect(await catchProviderError(relayed)).toMatchObject({ kind: 'not_supported' });
    const chat = providers.voyage.relay(
      'chat/completions',
      { model: 'x', messages: MESSAGES },
      toProtocolCall('voyage', server.origin),
    );
    expect(await catchProviderError(chat)).toMatchObject({ kind: 'not_supported' });
  });
});

test('models are listed where there is an endpoint, and only those that can be asked', async () => {
  server.script('listed', [say('Hi')]);
  for (const id of ['anthropic', 'gemini', 'cohere', 'mistral'] as const) {
    const models = await providers[id].listModels(toProtocolCall(id, server.origin));
    expect(models.map((model) => model.id)).toContain('listed');
    expect(models.map((model) => model.id)).not.toContain('rerank-v4');
    expect(models.map((model) => model.id)).not.toContain('imagen');
  }
  expect(await providers.bedrock.listModels(toProtocolCall('bedrock', server.origin))).toEqual([]);
});
