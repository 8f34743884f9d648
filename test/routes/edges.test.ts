/** Requests at the edges of HTTP, JSON and the life of a record: a clear answer, and nothing written that was refused. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { toServedOperations } from '../../src/schemas/openapi-document.ts';
import { type Answer, startServer, type TestServer } from '../support/server.ts';

const MODEL = 'understudy/rehearsal';
const LIMIT_MIB = 1;
const ORIGIN = 'https://app.example';
const HELLO = { role: 'user', content: 'Hello' };
/** As many levels as a body may have. */
const DEPTH_MAX = 256;

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ flags: ['--body-limit-mib', String(LIMIT_MIB), '--cors-origin', ORIGIN] });
});

afterAll(() => server.stop());

async function make(path: string, body: unknown = {}): Promise<string> {
  const { status, json, text } = await server.call('POST', path, body);
  if (status !== 200) throw new Error(`${path}: ${text}`);
  return json.id;
}

const makeAssistant = (): Promise<string> => make('/v1/assistants', { model: MODEL });
const makeThread = (): Promise<string> => make('/v1/threads', { messages: [HELLO] });

function expectRefused(answer: Pick<Answer, 'status' | 'json'>, status: number, param: string | null): void {
  expect(answer.status).toBe(status);
  expect(Object.keys(answer.json.error).sort()).toEqual(['code', 'message', 'param', 'type']);
  expect(answer.json.error).toMatchObject({ type: 'invalid_request_error', param });
}

/** Sends bytes as they stand: with their length, or, from several pieces, chunked. */
async function send(path: string, pieces: readonly Uint8Array[]): Promise<Pick<Answer, 'status' | 'json'>> {
  const [only] = pieces;
  const left = [...pieces];
  const body =
    pieces.length === 1 && only !== undefined
      ? only
      : new ReadableStream<Uint8Array>({
          pull(controller) {
            const piece = left.shift();
            if (piece === undefined) controller.close();
            else controller.enqueue(piece);
          },
        });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${server.url}${path}`, { method: 'POST', headers, body });
  return { status: response.status, json: await response.json() };
}

describe('runs', () => {
  test('on an assistant that was deleted is a 404 that names it, and the thread stays free', async () => {
    const [assistantId, threadId] = await Promise.all([makeAssistant(), makeThread()]);
    expect((await server.call('DELETE', `/v1/assistants/${assistantId}`)).status).toBe(200);
    const path = `/v1/threads/${threadId}/runs`;
    const body = { assistant_id: assistantId, additional_messages: [HELLO] };
    expectRefused(await server.call('POST', path, body), 404, 'assistant_id');
    expectRefused(await server.call('POST', path, { ...body, stream: true }), 404, 'assistant_id');
    const before = await server.call('GET', '/v1/threads?limit=1');
    const withThread = { assistant_id: assistantId, thread: { messages: [HELLO] } };
    expectRefused(await server.call('POST', '/v1/threads/runs', withThread), 404, 'assistant_id');
    expect((await server.call('GET', '/v1/threads?limit=1')).text).toBe(before.text);
    expect((await server.call('GET', path)).json.data).toEqual([]);
    expect((await server.call('GET', `/v1/threads/${threadId}/messages`)).json.data).toHaveLength(1);
    expect(await make(path, { assistant_id: await makeAssistant() })).toStartWith('run_');
  });

  test('that have ended take no outputs and cannot be cancelled', async () => {
    const [assistant_id, threadId] = await Promise.all([makeAssistant(), makeThread()]);
    const run = await server
      .client()
      .beta.threads.runs.createAndPoll(threadId, { assistant_id }, { pollIntervalMs: 5 });
    expect(run.status).toBe('completed');
    const path = `/v1/threads/${threadId}/runs/${run.id}`;
    const before = await server.call('GET', path);
    const outputs = { tool_outputs: [{ tool_call_id: 'call_x', output: 'x' }] };
    expectRefused(await server.call('POST', `${path}/submit_tool_outputs`, outputs), 400, null);
    const streamed = { ...outputs, stream: true };
    expectRefused(await server.call('POST', `${path}/submit_tool_outputs`, streamed), 400, null);
    expectRefused(await server.call('POST', `${path}/cancel`), 400, null);
    expect((await server.call('GET', path)).text).toBe(before.text);
    expect((await server.call('GET', `${path}/steps`)).json.data).toHaveLength(1);
  });
});

describe('bytes', () => {
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  const start = encode('{"role":"user","content":"');
  const end = encode('"}');

  test('that are no UTF-8 are refused, not replaced', async () => {
    const path = `/v1/threads/${await makeThread()}/messages`;
    // A byte that never occurs, a sequence that breaks off, a surrogate, a character written too long.
    for (const wrong of [[0xff], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xc0, 0xaf]]) {
      const pieces = [start, new Uint8Array(wrong), end];
      expectRefused(await send(path, [Buffer.concat(pieces)]), 400, null);
      expectRefused(await send(path, pieces), 400, null);
    }
    expectRefused(await send(path, [start, new Uint8Array([0xe2])]), 400, null);
    expect((await server.call('GET', path)).json.data).toHaveLength(1);
  });

  test('of one character may come in two chunks', async () => {
    const path = `/v1/threads/${await makeThread()}/messages`;
    const euro = encode('€');
    const { status, json } = await send(path, [start, euro.subarray(0, 1), euro.subarray(1), end]);
    expect(status).toBe(200);
    expect(json.content[0].text.value).toBe('€');
  });

  test('beyond the limit are a 413 in the envelope, with a length and without', async () => {
    const path = `/v1/threads/${await makeThread()}/messages`;
    const big = encode('x'.repeat(LIMIT_MIB * 1024 * 1024));
    for (const pieces of [[Buffer.concat([start, big, end])], [start, big, end]]) {
      const answer = await send(path, pieces);
      expectRefused(answer, 413, null);
      expect(answer.json.error.code).toBe('request_too_large');
    }
    expect((await server.call('GET', path)).json.data).toHaveLength(1);
  });
});

describe('nesting', () => {
  const nest = (levels: number): string => '{"a":'.repeat(levels) + 1 + '}'.repeat(levels);
  /** The parameters lie four levels deep in the body. */
  const toBody = (levels: number): string =>
    `{"model":"${MODEL}","tools":[{"type":"function","function":{"name":"f","parameters":${nest(levels)}}}]}`;

  test('up to the bound comes back as it was given', async () => {
    const levels = DEPTH_MAX - 4;
    const { status, json } = await server.call('POST', '/v1/assistants', toBody(levels));
    expect(status).toBe(200);
    expect(JSON.stringify(json.tools[0].function.parameters)).toBe(nest(levels));
  });

  test('beyond it is refused wherever it stands, also where nothing is checked', async () => {
    const before = await server.call('GET', '/v1/assistants?limit=100');
    expectRefused(await server.call('POST', '/v1/assistants', toBody(DEPTH_MAX - 3)), 400, null);
    expectRefused(await server.call('POST', '/v1/assistants', toBody(100_000)), 400, null);
    expectRefused(await server.call('POST', '/v1/threads', `{"unknown":${nest(100_000)}}`), 400, null);
    const chat = `{"model":"${MODEL}","messages":[],"unknown":${nest(100_000)}}`;
    expectRefused(await server.call('POST', '/v1/chat/completions', chat), 400, null);
    expect((await server.call('GET', '/v1/assistants?limit=100')).text).toBe(before.text);
  });
});

describe('keys that every object has without having them', () => {
  test('are metadata like any other', async () => {
    const given = '{"__proto__":"a","constructor":"b","toString":"c"}';
    const id = await make('/v1/threads', `{"metadata":${given}}`);
    expect(JSON.stringify((await server.call('GET', `/v1/threads/${id}`)).json.metadata)).toBe(given);
    for (const key of ['__proto__', 'constructor', 'hasOwnProperty']) {
      const answer = await server.call('POST', '/v1/threads', `{"metadata":{"${key}":{"a":1}}}`);
      expectRefused(answer, 400, `metadata.${key}`);
    }
  });

  test('change nothing beside metadata', async () => {
    const body = '{"__proto__":{"metadata":{"a":"b"}},"constructor":1,"toString":2}';
    const { status, json } = await server.call('POST', '/v1/threads', body);
    expect(status).toBe(200);
    expect(json.metadata).toEqual({});
  });
});

describe('filters on metadata', () => {
  const find = async (pairs: Record<string, string>): Promise<string[]> => {
    const query = Object.entries(pairs).map(
      ([key, value]) => `${encodeURIComponent(`metadata[${key}]`)}=${value}`,
    );
    const { status, json } = await server.call('GET', `/v1/threads?${query.join('&')}`);
    expect(status).toBe(200);
    return json.data.map((thread: { id: string }) => thread.id);
  };

  test('hold for every key that there can be; none is passed over', async () => {
    for (const key of ['__proto__', 'line\nbreak', '', 'a[b]', 'ü']) {
      const id = await make('/v1/threads', `{"metadata":{${JSON.stringify(key)}:"yes"}}`);
      expect(await find(Object.fromEntries([[key, 'yes']]))).toEqual([id]);
      expect(await find(Object.fromEntries([[key, 'no']]))).toEqual([]);
    }
  });

  test('are as many as an object has pairs', async () => {
    const toPairs = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));
    const id = await make('/v1/threads', { metadata: toPairs(16) });
    expect(await find(toPairs(16))).toEqual([id]);
    const query = Object.keys(toPairs(17)).map((key) => `metadata[${key}]=v`);
    expectRefused(await server.call('GET', `/v1/threads?${query.join('&')}`), 400, 'metadata');
  });
});

describe('paths and methods', () => {
  test('a path that is not well encoded is a 400', async () => {
    for (const id of ['%zz', '%', '%e0%a4%a', '%ff']) {
      expectRefused(await server.call('GET', `/v1/threads/${id}`), 400, null);
      expectRefused(await server.call('GET', `/v1/models/${id}`), 400, null);
    }
    expectRefused(await server.call('GET', '/v1/threads/thread_%00'), 404, null);
    expectRefused(await server.call('GET', '/v1/threads/..%2fassistants'), 404, null);
  });

  test('HEAD answers as GET does, without a body', async () => {
    for (const [path, status] of [
      ['/v1/assistants', 200],
      ['/health', 200],
      ['/v1/threads/thread_x', 404],
      ['/v1/nowhere', 404],
    ] as const) {
      const answer = await server.call('HEAD', path);
      expect([answer.status, answer.text]).toEqual([status, '']);
      expect(answer.headers.get('x-request-id')).toStartWith('req_');
    }
  });

  test('a method that a path does not have is a 405 that lists those that it has', async () => {
    const plain = await startServer();
    try {
      for (const [method, path, allowed] of [
        ['PUT', '/v1/assistants', 'GET, POST'],
        ['PATCH', '/v1/assistants/asst_x', 'DELETE, GET, POST'],
        ['GET', '/v1/threads/thread_x/runs/run_x/cancel', 'POST'],
        ['DELETE', '/v1/models/understudy/rehearsal', 'GET'],
        ['OPTIONS', '/v1/chat/completions', 'POST'],
        ['POST', '/health/', 'GET'],
      ] as const) {
        const answer = await plain.call(method, path);
        expectRefused(answer, 405, null);
        expect(answer.json.error.code).toBe('method_not_supported');
        expect(answer.headers.get('allow')).toBe(allowed);
      }
      expectRefused(await plain.call('PUT', '/v1/assistants/asst_x/nowhere'), 404, null);
      expectRefused(await plain.call('OPTIONS', '/v1/nowhere'), 404, null);
    } finally {
      await plain.stop();
    }
  });

  test('one connection serves requests one after the other, refused ones too', async () => {
    const { port } = new URL(server.url);
    const paths = ['/health', '/v1/threads/thread_x', '/v1/nowhere', '/v1/threads/%zz', '/v1/assistants'];
    const socket = connect(Number(port), '127.0.0.1');
    const statuses: number[] = [];
    for (const path of paths) {
      const answer = await new Promise<string>((resolve, reject) => {
        let text = '';
        const take = (data: Buffer): void => {
          text += data;
          const [head = '', body] = text.split('\r\n\r\n');
          const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
          if (body === undefined || Buffer.byteLength(body) < length) return;
          socket.off('data', take);
          resolve(head);
        };
        socket.on('data', take);
        socket.once('close', () => reject(new Error(`closed at ${path}`)));
        socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
      });
      statuses.push(Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]));
    }
    socket.destroy();
    expect(statuses).toEqual([200, 404, 404, 400, 200]);
  });
});

describe('other origins', () => {
  const call = (path: string, headers: Record<string, string> = {}) =>
    server.call('GET', path, undefined, { origin: ORIGIN, ...headers });

  test('can read why they were refused', async () => {
    for (const [status, answer] of [
      [404, await call('/v1/threads/thread_x')],
      [404, await call('/v1/nowhere')],
      [400, await call('/v1/threads/%zz')],
      [400, await call('/v1/assistants', { 'openai-beta': 'assistants=v1' })],
    ] as const) {
      expect(answer.status).toBe(status);
      expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
      expect(answer.headers.get('access-control-expose-headers')).toContain('x-request-id');
    }
  });

  test('that are not known are allowed nothing, in a preflight neither', async () => {
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
    for (const method of ['GET', 'OPTIONS']) {
      const answer = await server.call(method, '/v1/assistants', undefined, headers);
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });

  test('read streams', async () => {
    const body = { model: MODEL, messages: [HELLO], stream: true };
    const answer = await server.call('POST', '/v1/chat/completions', body, { origin: ORIGIN });
    expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(answer.headers.get('x-request-id')).toStartWith('req_');
  });
});

describe('an id that is longer than any can be', () => {
  for (const [operationId, { method, path }] of toServedOperations()) {
    // The names of models are anybody's.
    if (!path.includes('_id}') || path.includes('{model}')) continue;
    test(`is unknown: ${operationId}`, async () => {
      const long = `/v1${path.replace(/\{\w+\}/g, 'x'.repeat(4_000))}`;
      const { status, json } = await server.call(method, long, method === 'POST' ? {} : undefined);
      expect([400, 404, 415]).toContain(status);
      expect(json.error.message).toMatch(/\S/);
    });
  }
});

describe('lists while several clients insert at once', () => {
  const FIRST = 150;
  const CLIENTS = 4;
  const EACH = 25;

  for (const order of ['asc', 'desc'] as const) {
    test(`the client's own paging, ${order}: none missed, none twice`, async () => {
      const threadId = await make('/v1/threads', { messages: Array.from({ length: FIRST }, () => HELLO) });
      const { messages } = server.client().beta.threads;
      const insert = async (): Promise<void> => {
        for (let i = 0; i < EACH; i += 1) await messages.create(threadId, { role: 'user', content: `${i}` });
      };
      const inserting = Promise.all(Array.from({ length: CLIENTS }, insert));
      const seen: string[] = [];
      for await (const { id } of messages.list(threadId, { order, limit: 9 })) seen.push(id);
      await inserting;
      const all: string[] = [];
      for await (const { id } of messages.list(threadId, { order: 'asc', limit: 100 })) all.push(id);
      expect(all).toHaveLength(FIRST + CLIENTS * EACH);
      expect(seen.length).toBeGreaterThanOrEqual(FIRST);
      // Whoever walks upwards has seen everything below where the walk ended; downwards, below where it began.
      expect(order === 'asc' ? seen : seen.toReversed()).toEqual(all.slice(0, seen.length));
    });
  }
});
