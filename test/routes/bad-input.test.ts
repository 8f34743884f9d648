/** Bad input is a clear 4xx in the envelope that names the parameter, and leaves nothing written. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { startServer, type TestServer } from '../support/server.ts';

const MODEL = 'understudy/rehearsal';
const LIMIT_MIB = 2;

let server: TestServer;
let assistantId: string;
let threadId: string;

beforeAll(async () => {
  server = await startServer({ flags: ['--body-limit-mib', String(LIMIT_MIB)] });
  assistantId = (await server.call('POST', '/v1/assistants', { model: MODEL })).json.id;
  threadId = (await server.call('POST', '/v1/threads', {})).json.id;
});

afterAll(() => server.stop());

/** Everything that a refused request could have written. */
async function snapshot(): Promise<string> {
  const paths = [
    '/v1/assistants',
    '/v1/threads',
    `/v1/threads/${threadId}/messages`,
    `/v1/threads/${threadId}/runs`,
  ];
  const lists = await Promise.all(paths.map((path) => server.call('GET', `${path}?limit=100`)));
  return lists.map((list) => list.text).join('\n');
}

interface Bad {
  readonly path: string;
  readonly body: unknown;
  readonly status?: number;
  readonly param: string | null;
  readonly code?: string | null;
  readonly message?: RegExp;
  readonly headers?: Record<string, string>;
}

const metadata = (pairs: number, key = 'k', value = 'v') =>
  Object.fromEntries(Array.from({ length: pairs }, (_, index) => [`${key}${index}`, value]));
const tool = (name: string) => ({ type: 'function', function: { name } });
const messages = () => `/v1/threads/${threadId}/messages`;
const runs = () => `/v1/threads/${threadId}/runs`;
const run = (body: object) => ({ assistant_id: assistantId, ...body });
const user = (content: unknown) => ({ role: 'user', content });

const CASES: Readonly<Record<string, () => Bad>> = {
  'a missing field': () => ({
    path: '/v1/assistants',
    body: {},
    param: 'model',
    code: 'missing_required_parameter',
  }),
  'a wrong type': () => ({
    path: '/v1/assistants',
    body: { model: [] },
    param: 'model',
    code: 'invalid_type',
  }),
  'a foreign enum value': () => ({
    path: messages(),
    body: { role: 'boss', content: 'x' },
    param: 'role',
    message: /'user', 'assistant'/,
  }),
  'a foreign tool type': () => ({
    path: '/v1/assistants',
    body: { model: MODEL, tools: [{ type: 'hammer' }] },
    param: 'tools[0].type',
  }),
  'a body that is no JSON': () => ({
    path: '/v1/assistants',
    body: '{"model":',
    param: null,
    message: /parse the JSON/,
  }),
  'a body that is no object': () => ({ path: '/v1/assistants', body: '[1]', param: null }),
  'another content type': () => ({
    path: '/v1/assistants',
    body: '{}',
    status: 415,
    param: null,
    headers: { 'content-type': 'text/plain' },
  }),
  'an oversized body': () => ({
    path: messages(),
    body: user('x'.repeat(LIMIT_MIB * 1024 * 1024)),
    status: 413,
    param: null,
  }),
  '17 metadata keys': () => ({ path: '/v1/threads', body: { metadata: metadata(17) }, param: 'metadata' }),
  'a metadata key of 65': () => ({
    path: '/v1/threads',
    body: { metadata: { ['k'.repeat(65)]: '' } },
    param: 'metadata',
  }),
  'a metadata value of 513': () => ({
    path: '/v1/threads',
    body: { metadata: { k: 'v'.repeat(513) } },
    param: 'metadata.k',
  }),
  'metadata under a strange key': () => ({
    path: '/v1/threads',
    body: '{"metadata":{"__proto__":5}}',
    param: 'metadata.__proto__',
  }),
  '129 tools': () => ({
    path: '/v1/assistants',
    body: { model: MODEL, tools: Array.from({ length: 129 }, (_, i) => tool(`f${i}`)) },
    param: 'tools',
    code: 'array_above_max_length',
  }),
  'a function defined twice': () => ({
    path: '/v1/assistants',
    body: { model: MODEL, tools: [tool('f'), tool('f')] },
    param: 'tools[1].function.name',
  }),
  'a bad function name': () => ({
    path: '/v1/assistants',
    body: { model: MODEL, tools: [tool('get weather')] },
    param: 'tools[0].function.name',
  }),
  'an empty message': () => ({ path: messages(), body: user(''), param: 'content' }),
  'no content parts': () => ({ path: messages(), body: user([]), param: 'content' }),
  'a text that is too long': () => ({
    path: messages(),
    body: user('x'.repeat(256_001)),
    param: 'content',
    code: 'string_above_max_length',
  }),
  'an image by file:': () => ({
    path: messages(),
    body: user([{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }]),
    param: 'content[0].image_url.url',
  }),
  'an unknown image file': () => ({
    path: messages(),
    body: user([{ type: 'image_file', image_file: { file_id: 'file-x' } }]),
    param: 'content[0].image_file.file_id',
  }),
  'an unknown attachment': () => ({
    path: messages(),
    body: { ...user('x'), attachments: [{ file_id: 'file-x', tools: [] }] },
    param: 'attachments[0].file_id',
  }),
  'a bad first message of a thread': () => ({
    path: '/v1/threads',
    body: { messages: [user('ok'), user('')] },
    param: 'messages[1].content',
  }),
  'a run on a deleted assistant': () => ({
    path: runs(),
    body: { assistant_id: 'asst_gone' },
    status: 404,
    param: 'assistant_id',
  }),
  'a tool choice that is not there': () => ({
    path: runs(),
    body: run({ tool_choice: { type: 'function', function: { name: 'f' } } }),
    param: 'tool_choice',
  }),
  'last_messages without a number': () => ({
    path: runs(),
    body: run({ truncation_strategy: { type: 'last_messages' } }),
    param: 'truncation_strategy.last_messages',
  }),
  'a run that needs a code interpreter': () => ({
    path: runs(),
    body: run({ tools: [{ type: 'code_interpreter' }] }),
    param: 'tools',
  }),
  'a temperature beyond its bound': () => ({
    path: runs(),
    body: run({ temperature: 2.1 }),
    param: 'temperature',
  }),
  'too many additional messages': () => ({
    path: runs(),
    body: run({ additional_messages: Array.from({ length: 101 }, () => user('x')) }),
    param: 'additional_messages',
  }),
  'a bad additional message': () => ({
    path: runs(),
    body: run({ additional_messages: [user('')] }),
    param: 'additional_messages[0].content',
  }),
  'a base-url that is not allowed': () => ({
    path: runs(),
    body: run({ model: 'm' }),
    param: 'base-url',
    headers: { 'base-url': 'http://10.0.0.1/v1' },
  }),
  '100,000 brackets': () => ({
    path: messages(),
    body: `{"role":"user","content":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    param: null,
  }),
};

describe('refused, with nothing written', () => {
  for (const [name, toCase] of Object.entries(CASES)) {
    test(name, async () => {
      const bad = toCase();
      const before = await snapshot();
      const answer = await server.call('POST', bad.path, bad.body, bad.headers);
      expect(answer.status).toBe(bad.status ?? 400);
      expect(Object.keys(answer.json.error).sort()).toEqual(['code', 'message', 'param', 'type']);
      expect(answer.json.error.param).toBe(bad.param);
      if (bad.code !== undefined) expect(answer.json.error.code).toBe(bad.code);
      if (bad.message !== undefined) expect(answer.json.error.message).toMatch(bad.message);
      expect(await snapshot()).toBe(before);
    });
  }

  test('an oversized body without a length', async () => {
    const piece = new TextEncoder().encode(' '.repeat(64 * 1024));
    let left = LIMIT_MIB * 16 + 16;
    const body = new ReadableStream({
      pull(controller) {
        left -= 1;
        if (left < 0) controller.close();
        else controller.enqueue(piece);
      },
    });
    const response = await fetch(`${server.url}/v1/threads`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(response.status).toBe(413);
  });
});

describe('queries', () => {
  const refused: [string, string][] = [
    ['limit=101', 'limit'],
    ['limit=abc', 'limit'],
    ['limit=-1', 'limit'],
    ['order=up', 'order'],
    ['after=asst_none', 'after'],
    ['before=asst_none', 'before'],
  ];
  for (const [query, param] of refused) {
    test(`${query} is refused`, async () => {
      const answer = await server.call('GET', `/v1/assistants?${query}`);
      expect(answer.status).toBe(400);
      expect(answer.json.error.param).toBe(param);
    });
  }

  test('a cursor of another list is refused', async () => {
    const other = (await server.call('POST', '/v1/threads', { messages: [user('x')] })).json.id;
    const [message] = (await server.call('GET', `/v1/threads/${other}/messages`)).json.data;
    const answer = await server.call('GET', `${messages()}?after=${message.id}`);
    expect(answer.status).toBe(400);
    expect(answer.json.error.param).toBe('after');
  });
});

describe('outputs of tools', () => {
  async function makeWaiting(): Promise<{ path: string; call: string }> {
    const asked = await server.client().beta.threads.createAndRunPoll(
      {
        assistant_id: assistantId,
        tools: [{ type: 'function', function: { name: 'get_weather' } }],
        thread: { messages: [{ role: 'user', content: 'get_weather please' }] },
      },
      { pollIntervalMs: 5 },
    );
    const call = asked.required_action?.submit_tool_outputs.tool_calls[0]?.id ?? '';
    return { path: `/v1/threads/${asked.thread_id}/runs/${asked.id}`, call };
  }

  test('for calls never made, missing or twice are refused; the run still waits', async () => {
    const { path, call } = await makeWaiting();
    const bodies: [unknown[], string][] = [
      [[{ tool_call_id: 'call_never', output: 'x' }], 'tool_outputs[0].tool_call_id'],
      [[], 'tool_outputs'],
      [[{ output: 'x' }], 'tool_outputs[0].tool_call_id'],
      [
        [
          { tool_call_id: call, output: 'x' },
          { tool_call_id: call, output: 'y' },
        ],
        'tool_outputs[1].tool_call_id',
      ],
    ];
    for (const [tool_outputs, param] of bodies) {
      const answer = await server.call('POST', `${path}/submit_tool_outputs`, { tool_outputs });
      expect(answer.status).toBe(400);
      expect(answer.json.error.param).toBe(param);
    }
    expect((await server.call('GET', path)).json.status).toBe('requires_action');
  });

  test('given twice at once count once', async () => {
    const { path, call } = await makeWaiting();
    const body = { tool_outputs: [{ tool_call_id: call, output: 'x' }] };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => server.call('POST', `${path}/submit_tool_outputs`, body)),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 400, 400, 400, 400, 400, 400, 400]);
  });
});

describe('odd, but right', () => {
  test('unknown fields are passed over', async () => {
    const answer = await server.call('POST', '/v1/threads', { colour: 'red', metadata: {} });
    expect(answer.status).toBe(200);
    expect(answer.json.colour).toBeUndefined();
  });

  test('any text comes back as it was given', async () => {
    const texts = ['\u0000', 'a\u0000b', '\ud800', '👩‍👩‍👧 – ñ – 漢字', '"\\\n\r\t', '__proto__', '\u2028'];
    for (const content of texts) {
      const { status, json } = await server.call('POST', messages(), user(content));
      expect(status).toBe(200);
      const stored = await server.call('GET', `${messages()}/${json.id}`);
      expect(stored.json.content[0].text.value).toBe(content);
    }
  });

  test('an assistant keeps a code interpreter that no run can use yet', async () => {
    const tools = [{ type: 'code_interpreter' }];
    const { json } = await server.call('POST', '/v1/assistants', { model: MODEL, tools });
    expect(json.tools).toEqual(tools);
    const refused = await server.call('POST', runs(), { assistant_id: json.id });
    expect(refused.json.error.param).toBe('tools');
  });
});
