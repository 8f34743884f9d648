import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '../../../src/clock.ts';
import { createIds } from '../../../src/ids.ts';
import { createUpstream } from '../../../src/providers/outbound/upstream.ts';
import type { CallOptions, ChatMessage, Provider } from '../../../src/providers/provider.ts';
import { createWatsonxProvider } from '../../../src/providers/watsonx/watsonx-provider.ts';
import {
  catchProviderError,
  collectEvents,
  joinCalls,
  joinText,
  QUICK_RETRIES,
} from '../../support/provider-calls.ts';

/** After IBM's documentation of `text/chat`, and LiteLLM's `llms/watsonx`: chunks of OpenAI's shape, events with ids. */
function toEvents(chunks: readonly unknown[]): string {
  return chunks
    .map((chunk, at) => `id: ${at + 1}\nevent: message\ndata: ${JSON.stringify(chunk)}\n\n`)
    .join('');
}

const HEAD = { id: 'chat-a', model_id: 'ibm/granite', created: 1_769_000_000, model_version: '1.1.0' };
const toDelta = (delta: object, finish: string | null = null) => ({
  ...HEAD,
  choices: [{ index: 0, finish_reason: finish, delta }],
});

const seen: { path: string; authorization: string | null; body: ReturnType<typeof JSON.parse> }[] = [];
let tokenCount = 0;
let server: ReturnType<typeof Bun.serve>;
let provider: Provider;

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const text = await request.text();
      if (pathname === '/identity/token') {
        if (new URLSearchParams(text).get('apikey') === 'unknown-key') {
          return Response.json(
            { errorCode: 'BXNIM0415E', errorMessage: 'Provided API key could not be found.' },
            { status: 400 },
          );
        }
        tokenCount += 1;
        return Response.json({ access_token: `iam-${tokenCount}`, expires_in: 3600, token_type: 'Bearer' });
      }
      const body = text === '' ? null : JSON.parse(text);
      seen.push({ path: pathname + search, authorization: request.headers.get('authorization'), body });
      if (pathname === '/ml/v1/foundation_model_specs') {
        return Response.json({ resources: [{ model_id: 'ibm/granite', provider: 'IBM' }] });
      }
      if (pathname.endsWith('/text/embeddings')) {
        const results = body.inputs.map((_: string, at: number) => ({ embedding: [at, 1] }));
        return Response.json({ model_id: body.model_id, results, input_token_count: 7 });
      }
      if (body.messages.at(-1).content === 'fail') {
        return Response.json(
          {
            trace: 't',
            status_code: 404,
            errors: [{ code: 'model_not_supported', message: 'Model x is not supported.' }],
          },
          { status: 404 },
        );
      }
      if (!pathname.endsWith('_stream')) {
        return Response.json({
          ...HEAD,
          choices: [{ index: 0, message: { role: 'assistant', content: 'Plain.' }, finish_reason: 'stop' }],
          usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
        });
      }
      const call = {
        index: 0,
        id: 'chatcmpl-tool-1',
        type: 'function',
        function: { name: 'get_time', arguments: '' },
      };
      const chunks = [
        toDelta({ role: 'assistant', content: '' }),
        toDelta({ content: 'Let me ' }),
        toDelta({ content: 'look.' }),
        toDelta({ tool_calls: [call] }),
        toDelta({ tool_calls: [{ index: 0, function: { name: '', arguments: '{"zone":"CET"}' } }] }),
        toDelta({}, 'tool_calls'),
        { ...HEAD, choices: [], usage: { prompt_tokens: 50, completion_tokens: 9, total_tokens: 59 } },
      ];
      return new Response(toEvents(chunks), { headers: { 'content-type': 'text/event-stream' } });
    },
  });
  provider = createWatsonxProvider({
    upstream: createUpstream({ fetch }),
    clock: systemClock,
    ids: createIds(systemClock),
    retryPolicy: QUICK_RETRIES,
    trailerMs: 500,
    iamTokenUrl: `http://127.0.0.1:${server.port}/identity/token`,
  });
});
afterAll(() => server.stop(true));

function toCall(
  apiKey: string | null,
  parameters: Record<string, string> = { 'project-id': 'my-project' },
): CallOptions {
  return {
    credentials: { apiKey, baseUrl: `http://127.0.0.1:${server.port}`, fromRequest: false, parameters },
    signal: new AbortController().signal,
    requestId: 'req_test',
  };
}

const MESSAGES: ChatMessage[] = [
  { role: 'developer', content: 'Be brief.' },
  { role: 'user', content: 'What time is it?' },
];
const SCHEMA = {
  type: 'object',
  properties: { zone: { type: 'string' }, additionalProperties: { type: 'string' } },
  additionalProperties: false,
};
const TOOLS = [
  { type: 'function' as const, function: { name: 'get_time', strict: true, parameters: SCHEMA } },
];

test('a chat is asked for at its own path, under its own names, with a token for the key', async () => {
  const request = {
    model: 'ibm/granite',
    messages: MESSAGES,
    tools: TOOLS,
    tool_choice: 'required' as const,
    max_completion_tokens: 9,
    store: true,
  };
  const { events, error } = await collectEvents(provider.chat(request, toCall('key-1')));
  expect(error).toBeNull();
  expect(joinText(events)).toBe('Let me look.');
  expect(joinCalls(events)).toEqual([
    { index: 0, id: 'chatcmpl-tool-1', name: 'get_time', arguments: '{"zone":"CET"}' },
  ]);
  expect(events.slice(-2)).toEqual([
    { type: 'finish', reason: 'tool_calls' },
    { type: 'usage', usage: { promptTokens: 50, completionTokens: 9, totalTokens: 59 } },
  ]);
  expect(seen.at(-1)).toEqual({
    path: '/ml/v1/text/chat_stream?version=2024-05-31',
    authorization: 'Bearer iam-1',
    body: {
      model_id: 'ibm/granite',
      project_id: 'my-project',
      messages: [{ role: 'system', content: 'Be brief.' }, MESSAGES[1]],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_time',
            parameters: {
              type: 'object',
              properties: { zone: { type: 'string' }, additionalProperties: { type: 'string' } },
            },
          },
        },
      ],
      tool_choice_option: 'required',
      max_tokens: 9,
    },
  });
});

test('a token is kept for its key, and fetched once for all who ask at once', async () => {
  const before = tokenCount;
  const ask = () =>
    provider.relay('chat/completions', { model: 'ibm/granite', messages: MESSAGES }, toCall('key-2'));
  const answers = await Promise.all([ask(), ask(), ask()]);
  await ask();
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  expect(tokenCount - before).toBe(1);
});

test('a deployment needs no project, a space stands for one, and a token for a key', async () => {
  const spoken = { messages: MESSAGES };
  await collectEvents(
    provider.chat({ ...spoken, model: 'deployment/my-own' }, toCall(null, { token: 'given' })),
  );
  expect(seen.at(-1)).toMatchObject({
    path: '/ml/v1/deployments/my-own/text/chat_stream?version=2024-05-31',
    authorization: 'Bearer given',
  });
  expect(seen.at(-1)?.body.model_id).toBeUndefined();
  await collectEvents(
    provider.chat({ ...spoken, model: 'ibm/granite' }, toCall('key-1', { 'space-id': 's' })),
  );
  expect(seen.at(-1)?.body).toMatchObject({ model_id: 'ibm/granite', space_id: 's' });
});

test('embeddings and models come in the shape of OpenAI', async () => {
  const body = { model: 'ibm/slate', input: ['a', 'b'], encoding_format: 'base64' };
  const list = JSON.parse(await (await provider.relay('embeddings', body, toCall('key-1'))).text());
  const values = list.data.map(({ embedding }: { embedding: string }) => [
    ...new Float32Array(new Uint8Array(Buffer.from(embedding, 'base64')).buffer),
  ]);
  expect(values).toEqual([
    [0, 1],
    [1, 1],
  ]);
  expect(list.usage).toEqual({ prompt_tokens: 7, total_tokens: 7 });
  expect(await provider.listModels(toCall('key-1'))).toEqual([
    { id: 'ibm/granite', created: 0, ownedBy: 'IBM' },
  ]);
});

describe('errors', () => {
  const ask = (call: CallOptions, content = 'Hello') =>
    catchProviderError(
      Array.fromAsync(provider.chat({ model: 'ibm/granite', messages: [{ role: 'user', content }] }, call)),
    );

  test('of the model are quoted', async () => {
    expect(await ask(toCall('key-1'), 'fail')).toMatchObject({
      kind: 'model_not_found',
      status: 404,
      message: 'Model x is not supported.',
    });
  });

  test('of a key say so without it', async () => {
    const error = await ask(toCall('unknown-key'));
    expect(error).toMatchObject({ kind: 'authentication', message: 'Provided API key could not be found.' });
  });

  test('of what is missing name it', async () => {
    expect(await ask(toCall(null))).toMatchObject({ kind: 'authentication', param: 'api-key' });
    expect(await ask(toCall('key-1', {}))).toMatchObject({ kind: 'invalid_request', param: 'project-id' });
  });
});
