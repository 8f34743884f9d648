/** What goes out to servers that speak OpenAI's protocol with quirks: data of the catalogue, seen at the server's end. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { OPENAI_STYLE, toCallUrl } from '../../src/providers/openai/wire-call.ts';
import type { CallOptions, ChatRequest, Quirks, UpstreamStyle } from '../../src/providers/provider.ts';
import {
  catchProviderError,
  collectEvents,
  createTestProvider,
  joinText,
  toCallOptions,
  toChatRequest,
  toFunctionTool,
} from '../support/provider-calls.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { chunk, say } from '../support/upstream-steps.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(() => upstream.close());

const provider = createTestProvider();

function toStyled(style: Partial<UpstreamStyle>, apiKey = 'sk-key'): CallOptions {
  const options = toCallOptions(upstream.url, { apiKey });
  const credentials = { ...options.credentials, style: { ...OPENAI_STYLE, provider: 'odd', ...style } };
  return { ...options, credentials };
}

/** The body that a chat, and the body that a relayed request, has at the server. */
async function send(name: string, quirks: Quirks, request: Partial<ChatRequest> & Record<string, unknown>) {
  const model = upstream.script(name, [say('Hi')]);
  const options = toStyled({ quirks });
  await collectEvents(provider.chat(toChatRequest(model, request), options));
  await (await provider.relay('chat/completions', { ...toChatRequest(model, request) }, options)).text();
  const [chat, relayed] = upstream.requestsFor(model).map(({ body }) => body as Record<string, unknown>);
  return { chat: chat ?? {}, relayed: relayed ?? {} };
}

describe('a server that', () => {
  test('refuses stream_options is not sent them', async () => {
    const { chat, relayed } = await send(
      'q stream',
      { noStreamOptions: true },
      {
        stream_options: { include_usage: true },
      },
    );
    expect(chat).not.toHaveProperty('stream_options');
    expect(relayed).not.toHaveProperty('stream_options');
  });

  test('refuses stop is not sent it', async () => {
    const { chat, relayed } = await send('q stop', { noStop: true }, { stop: ['x'] });
    expect(chat).not.toHaveProperty('stop');
    expect(relayed).not.toHaveProperty('stop');
  });

  test.each([
    [{ max_completion_tokens: 5 }, 'max_tokens', { max_tokens: 5 }],
    [{ max_tokens: 6 }, 'max_completion_tokens', { max_completion_tokens: 6 }],
    [{ max_tokens: 7 }, 'max_tokens', { max_tokens: 7 }],
  ] as const)('has its own name for the limit of tokens gets %j under %p', async (given, name, expected) => {
    const { chat } = await send(`q max ${JSON.stringify(given)}`, { maxTokensName: name }, given);
    expect(Object.entries(chat).filter(([key]) => key.startsWith('max_'))).toEqual(Object.entries(expected));
  });

  test('knows no developer gets him as system', async () => {
    const { chat } = await send(
      'q developer',
      { noDeveloperRole: true },
      {
        messages: [
          { role: 'developer', content: 'Be brief.' },
          { role: 'user', content: 'Hi' },
        ],
      },
    );
    expect(chat.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ]);
  });

  test('knows no schemas gets it in words, beside the instructions', async () => {
    const response_format = {
      type: 'json_schema' as const,
      json_schema: { name: 'city', schema: { type: 'object', properties: { city: { type: 'string' } } } },
    };
    const { chat, relayed } = await send(
      'q schema',
      { jsonObjectOnly: true },
      {
        response_format,
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Hi' },
        ],
      },
    );
    for (const body of [chat, relayed]) {
      expect(body.response_format).toEqual({ type: 'json_object' });
      const [system, user] = body.messages as { role: string; content: string }[];
      expect(system?.content).toStartWith('Be brief.\n\n');
      expect(system?.content).toContain('"city"');
      expect(system?.content).toContain('JSON');
      expect(user).toEqual({ role: 'user', content: 'Hi' });
    }
    const alone = await send('q schema alone', { jsonObjectOnly: true }, { response_format });
    expect(alone.chat.messages).toMatchObject([{ role: 'system' }, { role: 'user' }]);
    const object = await send(
      'q object',
      { jsonObjectOnly: true },
      { response_format: { type: 'json_object' } },
    );
    expect(object.chat.messages).toEqual([{ role: 'user', content: 'Hello' }]);
  });

  test('takes no tools refuses them before anything is sent, and none is none', async () => {
    const options = toStyled({ quirks: { noTools: true } });
    const request = { ...toChatRequest('m'), tools: [toFunctionTool('f')] };
    const { error } = await collectEvents(provider.chat(request, options));
    expect(error).toMatchObject({ kind: 'invalid_request', status: 400, param: 'tools' });
    expect((await catchProviderError(provider.relay('chat/completions', request, options))).param).toBe(
      'tools',
    );
    const { chat } = await send('q no tools', { noTools: true }, { tools: [], tool_choice: 'auto' });
    expect(chat).not.toHaveProperty('tools');
    expect(chat).not.toHaveProperty('tool_choice');
  });

  test('takes no pictures refuses them and names the message', async () => {
    const request = toChatRequest('m', {
      messages: [
        { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x.example/a.png' } }] },
      ],
    });
    const { error } = await collectEvents(provider.chat(request, toStyled({ quirks: { noImages: true } })));
    expect(error).toMatchObject({ kind: 'invalid_request', param: 'messages[0].content' });
  });

  test('has rules for ids gets those of others rewritten, call and output alike, and its own untouched', async () => {
    const toolCallIds = { pattern: '^[a-zA-Z0-9]{9}$', length: 9 };
    const toMessages = (id: string): ChatRequest['messages'] => [
      { role: 'user', content: 'Hi' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: id, content: 'x' },
    ];
    const read = (body: Record<string, unknown>) => {
      const [, call, output] = body.messages as { tool_calls?: { id: string }[]; tool_call_id?: string }[];
      return [call?.tool_calls?.[0]?.id, output?.tool_call_id];
    };
    const foreign = await send('q ids', { toolCallIds }, { messages: toMessages('functions.get_weather:0') });
    const [id, output] = read(foreign.chat);
    expect(id).toMatch(/^[a-zA-Z0-9]{9}$/);
    expect(output).toBe(id as string);
    expect(read(foreign.relayed)).toEqual([id, output]);
    const own = await send('q own ids', { toolCallIds }, { messages: toMessages('abcDEF123') });
    expect(read(own.chat)).toEqual(['abcDEF123', 'abcDEF123']);
  });

  test('takes everything gets everything, unknown fields included', async () => {
    const request = {
      stop: ['x'],
      stream_options: { include_obfuscation: false },
      max_tokens: 3,
      vendor: { a: 1 },
      logprobs: true,
      n: 2,
    };
    const { relayed } = await send('q none', {}, request);
    expect(relayed).toMatchObject(request);
  });
});

describe('what a provider wants back with a call', () => {
  test('is kept with the turn, and given back to that provider alone', async () => {
    const signature = { google: { thought_signature: 'c2ln' } };
    const delta = {
      tool_calls: [{ index: 0, id: '', extra_content: signature, function: { name: 'f', arguments: '{}' } }],
    };
    const model = upstream.script('extra', [
      chunk({ choices: [{ index: 0, delta, finish_reason: 'stop' }] }),
    ]);
    const options = toStyled({});
    const { events } = await collectEvents(provider.chat(toChatRequest(model), options));
    const call = events.find((event) => event.type === 'tool_call');
    const metadata = events.find((event) => event.type === 'metadata');
    expect(call).toMatchObject({ extraContent: signature });
    const id = call?.type === 'tool_call' ? call.id : '';
    const messages: ChatRequest['messages'] = [
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
        ...{ provider_metadata: metadata?.type === 'metadata' ? metadata.value : null },
      },
    ];
    const next = upstream.script('extra next', [say('x')]);
    await collectEvents(provider.chat(toChatRequest(next, { messages }), options));
    await collectEvents(provider.chat(toChatRequest(next, { messages }), toStyled({ provider: 'other' })));
    const [own, foreign] = upstream.requestsFor(next).map(({ body }) => JSON.stringify(body));
    expect(own).toContain('thought_signature');
    expect(foreign).not.toContain('thought_signature');
    expect(`${own}${foreign}`).not.toContain('provider_metadata');
  });
});

describe('where a call goes', () => {
  const azure: Partial<UpstreamStyle> = {
    provider: 'azure',
    auth: { header: 'api-key', prefix: '' },
    pathTemplate: '/openai/deployments/{model}/{path}',
    query: { 'api-version': '2024-10-21' },
  };

  test('is a deployment at Azure, its name encoded, and what is no deployment’s beside them', () => {
    const call = toStyled(azure);
    const base = upstream.url;
    expect(toCallUrl(call, 'chat/completions', 'my gpt/4')).toBe(
      `${base}/openai/deployments/my%20gpt%2F4/chat/completions?api-version=2024-10-21`,
    );
    expect(toCallUrl(call, 'batches?limit=2', null)).toBe(
      `${base}/openai/batches?limit=2&api-version=2024-10-21`,
    );
    expect(toCallUrl(call, 'models', null)).toBe(`${base}/openai/models?api-version=2024-10-21`);
    expect(toCallUrl(toStyled({}), 'a$&b', 'm')).toBe(`${base}/a$&b`);
  });

  test('is a deployment for what is passed through, and for what names no model beside them', async () => {
    const passed = { accept: '*/*', contentType: 'application/json', contentLength: null } as const;
    const encode = (model: string) => new TextEncoder().encode(JSON.stringify({ model }));
    for (const [path, model] of [
      ['images/generations', 'passed-image'],
      ['batches', null],
    ] as const) {
      const body = encode(model ?? 'passed-none');
      await provider.pass?.({ ...passed, method: 'POST', path, model, body }, toStyled(azure, 'azure-key-2'));
    }
    expect(upstream.requestsFor('passed-image')[0]).toMatchObject({
      path: '/v1/openai/deployments/passed-image/images/generations?api-version=2024-10-21',
      headers: { 'api-key': 'azure-key-2' },
    });
    expect(upstream.requestsFor('passed-none')[0]?.path).toBe('/v1/openai/batches?api-version=2024-10-21');
  });

  test('has the key in the header that is the provider’s, and in no other', async () => {
    const model = upstream.script('azure', [say('x')]);
    const { events } = await collectEvents(
      provider.chat(toChatRequest(model), toStyled(azure, 'azure-key-1')),
    );
    expect(joinText(events)).toBe('x');
    const sent = upstream.requestsFor(model)[0];
    expect(sent?.path).toBe(
      `/v1/openai/deployments/${encodeURIComponent(model)}/chat/completions?api-version=2024-10-21`,
    );
    expect(sent?.headers['api-key']).toBe('azure-key-1');
    expect(sent?.headers).not.toHaveProperty('authorization');
  });

  test('has the provider’s further headers, but none that are the connection’s', async () => {
    const model = upstream.script('further', [say('x')]);
    const headers = {
      'openai-organization': 'org-1',
      'OpenAI-Project': 'proj-1',
      'x-title': 'mine',
      host: 'evil.example',
      'content-length': '1',
    };
    await collectEvents(provider.chat(toChatRequest(model), toStyled({ headers })));
    expect(upstream.requestsFor(model)[0]?.headers).toMatchObject({
      'openai-organization': 'org-1',
      'openai-project': 'proj-1',
      'x-title': 'mine',
      host: new URL(upstream.url).host,
    });
  });

  test('has no key where the provider wants none', async () => {
    const model = upstream.script('keyless', [say('x')]);
    await collectEvents(provider.chat(toChatRequest(model), toStyled({ auth: null })));
    expect(upstream.requestsFor(model)[0]?.headers).not.toHaveProperty('authorization');
  });

  test('and what authorised it is in no error, whatever header or parameter it came in', async () => {
    const options = toStyled({ headers: { 'x-tenant-secret': 'tenant-secret-1' } }, 'plain-key-12345');
    const call: CallOptions = {
      ...options,
      credentials: {
        ...options.credentials,
        parameters: { token: 'parameter-secret-1', 'api-version': '2024' },
      },
    };
    const failing = createTestProvider({
      fetch: async () =>
        Response.json(
          {
            error: {
              message: 'plain-key-12345 tenant-secret-1 parameter-secret-1 at 2024',
              code: 'tenant-secret-1',
            },
          },
          { status: 400 },
        ),
    });
    const error = await catchProviderError(failing.relay('embeddings', { model: 'm', input: 'x' }, call));
    expect(error.message).toBe('[redacted] [redacted] [redacted] at 2024');
    expect(JSON.stringify([error.code, error.param, error.type])).not.toContain('secret');
  });
});

describe('embeddings', () => {
  test('come in several requests where a server takes few texts at once, in their order, counted together', async () => {
    const input = ['a', 'b', 'c', 'd', 'e'];
    const whole = await provider.relay('embeddings', { model: 'few-whole', input }, toStyled({}));
    const body = { model: 'few', input, dimensions: 4 };
    const options = toStyled({ quirks: { embeddingTextsMax: 2 } });
    const split = await provider.relay('embeddings', body, options);
    const answer = (await split.json()) as { data: { index: number; embedding: number[] }[]; usage: unknown };
    expect(answer.data.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
    expect(answer.data[4]?.embedding).toHaveLength(4);
    expect(upstream.requestsFor('few').map((request) => (request.body as { input: unknown }).input)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
      ['e'],
    ]);
    expect(answer.usage).toEqual({ prompt_tokens: expect.any(Number), total_tokens: expect.any(Number) });
    expect(await whole.json()).toMatchObject({ data: { length: 5 } });
  });

  test('of one text in tokens are one request', async () => {
    const options = toStyled({ quirks: { embeddingTextsMax: 2 } });
    await provider.relay('embeddings', { model: 'tokens', input: [1, 2, 3, 4] }, options);
    expect(upstream.requestsFor('tokens')).toHaveLength(1);
  });

  test('are packed here where the server knows numbers only, and the client asked for base64', async () => {
    const body = { model: 'packed', input: ['a'], dimensions: 3 };
    const plain = (await (await provider.relay('embeddings', body, toStyled({}))).json()) as {
      data: { embedding: number[] }[];
    };
    const options = toStyled({ quirks: { noEmbeddingFormat: true } });
    const packed = (await (
      await provider.relay('embeddings', { ...body, encoding_format: 'base64' }, options)
    ).json()) as { data: { embedding: string }[] };
    expect(upstream.requestsFor('packed').at(-1)?.body).not.toHaveProperty('encoding_format');
    const bytes = Buffer.from(packed.data[0]?.embedding ?? '', 'base64');
    const floats = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    expect([...floats]).toEqual(plain.data[0]?.embedding ?? []);
  });

  test('have the fields that a server demands, unless the request has its own', async () => {
    const options = toStyled({ quirks: { embeddingFields: { input_type: 'passage' } } });
    await provider.relay('embeddings', { model: 'fields', input: 'a' }, options);
    await provider.relay('embeddings', { model: 'fields', input: 'a', input_type: 'query' }, options);
    const types = upstream
      .requestsFor('fields')
      .map(({ body }) => (body as { input_type: string }).input_type);
    expect(types).toEqual(['passage', 'query']);
  });
});
