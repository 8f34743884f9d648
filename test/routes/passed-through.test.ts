/** Endpoints that are handed to a provider: its server here keeps every byte that it gets. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect, createServer } from 'node:net';
import OpenAI, { toFile } from 'openai';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';

interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** Whether the one that asked has left before the end. */
  hasLeft: boolean;
}

const KEY = 'sk-operator-key-0123456789';
const SPEECH = crypto.getRandomValues(new Uint8Array(300_000));
const recorded: Recorded[] = [];
let uploadedBytes = 0;

/** A model's server: answers by path. */
const upstream = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 0,
  maxRequestBodySize: 1024 * 1024 * 1024,
  async fetch(request) {
    const url = new URL(request.url);
    const path = url.pathname + url.search;
    if (path.includes('/discard')) {
      for await (const piece of request.body ?? []) uploadedBytes += piece.byteLength;
      return Response.json({ bytes: uploadedBytes });
    }
    const body = await request.bytes();
    const { method, headers } = request;
    const entry: Recorded = { method, path, headers, body, hasLeft: false };
    recorded.push(entry);
    request.signal.addEventListener('abort', () => {
      entry.hasLeft = true;
    });
    return answer(url.pathname.slice('/v1/'.length), request.signal);
  },
});

function answer(path: string, signal: AbortSignal): Response | Promise<Response> {
  switch (path) {
    case 'moderations':
      return new Response('{ "id": "modr-1",\n "odd": 1.50 , "results": [] }', { headers: JSON_TYPE });
    case 'completions':
      return new Response(
        'data: {"choices":[{"text":"a","finish_reason":null}]}\n\ndata: {"choices":[{"text":"b","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        { headers: { 'content-type': 'text/event-stream' } },
      );
    case 'audio/speech':
      return new Response(SPEECH, {
        headers: { 'content-type': 'audio/mpeg', 'set-cookie': 'a=b', 'x-provider': 'internal' },
      });
    case 'audio/transcriptions':
      return Response.json({ text: 'hello' });
    case 'images/html':
      return new Response('<html>Sign in</html>', { headers: { 'content-type': 'text/html' } });
    case 'images/cut':
      return new Response('{"data":[{"b64_json":"AAAA', { headers: JSON_TYPE });
    case 'images/leak':
      return Response.json({ error: { message: `Incorrect key ${KEY}` } }, { status: 400 });
    case 'images/hang':
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve(new Response(''))));
    case 'images/redirect':
      return new Response(null, { status: 302, headers: { location: 'http://127.0.0.1:9/' } });
    case 'images/breaks':
      return new Response(breakAfter('data: {"type":"image_generation.partial_image"}\n\ndata: {"ty'), {
        headers: { 'content-type': 'text/event-stream' },
      });
    case 'images/events':
      return new Response('event: image_generation.completed\ndata: {"b64_json":"AA"}\n\n', {
        headers: { 'content-type': 'text/event-stream' },
      });
    case 'batches/none':
      return Response.json(
        {
          error: {
            message: "No batch found with id 'none'.",
            type: 'invalid_request_error',
            param: null,
            code: null,
          },
        },
        { status: 404 },
      );
    case 'batches':
      return Response.json({ object: 'list', data: [], has_more: false });
    default:
      return Response.json(
        {
          error: {
            message: `Invalid URL (POST /v1/${path})`,
            type: 'invalid_request_error',
            code: 'unknown_url',
          },
        },
        { status: 404 },
      );
  }
}

const JSON_TYPE = { 'content-type': 'application/json' };

function breakAfter(text: string): ReadableStream<Uint8Array> {
  let isSaid = false;
  return new ReadableStream({
    async pull(controller) {
      if (isSaid) {
        // What was said is to be on its way first.
        await Bun.sleep(20);
        controller.error(new Error('broken'));
        return;
      }
      isSaid = true;
      controller.enqueue(new TextEncoder().encode(text));
    },
  });
}

let server: TestServer;
let bare: TestServer;
beforeAll(async () => {
  [server, bare] = await Promise.all([
    startServer({ env: { OPENAI_BASE_URL: `http://127.0.0.1:${upstream.port}/v1`, OPENAI_API_KEY: KEY } }),
    startServer(),
  ]);
});
afterAll(async () => {
  await Promise.all([server.stop(), bare.stop()]);
  await upstream.stop(true);
});

function lastRequest(): Recorded {
  const last = recorded.at(-1);
  if (last === undefined) throw new Error('The upstream got nothing.');
  return last;
}

const toText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe('a request that is passed through', () => {
  test('arrives byte for byte, under the right key and without our headers', async () => {
    const body = '{ "input" : "x",\t"model":"omni", "seed": 12345678901234567890, "n": 1.0 }';
    const response = await server.call('POST', '/v1/moderations', body, {
      'api-version': '2024-01-01',
      'openai-beta': 'assistants=v2',
      'x-private': 'mine',
      cookie: 'session=1',
    });
    expect(response.status).toBe(200);
    expect(response.text).toBe('{ "id": "modr-1",\n "odd": 1.50 , "results": [] }');
    const sent = lastRequest();
    expect(toText(sent.body)).toBe(body);
    expect(sent.headers.get('authorization')).toBe(`Bearer ${KEY}`);
    for (const name of ['cookie', 'x-private', 'openai-beta', 'api-version', 'base-url']) {
      expect(sent.headers.get(name)).toBeNull();
    }
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
  });

  test('goes under the caller’s own key where it has one', async () => {
    await server.call(
      'POST',
      '/v1/moderations',
      { input: 'x' },
      { authorization: 'Bearer sk-the-callers-own' },
    );
    expect(lastRequest().headers.get('authorization')).toBe('Bearer sk-the-callers-own');
  });

  test('goes to the default upstream without a model, its query with it', async () => {
    const response = await server.call('GET', '/v1/batches?limit=2&after=batch_1&model=x');
    expect(response.json).toEqual({ object: 'list', data: [], has_more: false });
    expect(lastRequest()).toMatchObject({ method: 'GET', path: '/v1/batches?limit=2&after=batch_1' });
  });

  test('streams older completions as they come', async () => {
    const response = await server.call('POST', '/v1/completions', { model: 'm', prompt: 'x', stream: true });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(response.text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(response.text).toContain('"text":"b"');
  });

  test('brings sound back byte for byte, without the provider’s own headers', async () => {
    const response = await fetch(`${server.url}/v1/audio/speech`, {
      method: 'POST',
      headers: JSON_TYPE,
      body: JSON.stringify({ model: 'tts-1', input: 'x', voice: 'alloy' }),
    });
    expect(response.headers.get('content-type')).toBe('audio/mpeg');
    expect(response.headers.get('set-cookie')).toBeNull();
    expect(response.headers.get('x-provider')).toBeNull();
    expect(Buffer.compare(await response.bytes(), SPEECH)).toBe(0);
  });

  test.each([true, false])('with a form arrives whole; its model before the file: %p', async (isFirst) => {
    const sound = crypto.getRandomValues(new Uint8Array(3_000_000));
    const form = new FormData();
    if (isFirst) form.append('model', 'whisper-1');
    form.append('file', new File([sound], 'a.mp3', { type: 'audio/mpeg' }));
    if (!isFirst) form.append('model', 'whisper-1');
    form.append('language', 'en');
    const response = await server.call('POST', '/v1/audio/transcriptions', form);
    expect(response.json).toEqual({ text: 'hello' });
    const { headers, body } = lastRequest();
    const read = await new Response(body, {
      headers: { 'content-type': headers.get('content-type') ?? '' },
    }).formData();
    expect([...read.keys()].sort()).toEqual(['file', 'language', 'model']);
    expect(read.get('model')).toBe('whisper-1');
    const file = read.get('file');
    expect(file instanceof File && Buffer.compare(await file.bytes(), sound)).toBe(0);
    expect(Number(headers.get('content-length'))).toBe(body.byteLength);
  });

  test('is understood by the official client', async () => {
    const client = server.client();
    const heard = await client.audio.transcriptions.create({
      file: await toFile(SPEECH, 'speech.mp3'),
      model: 'whisper-1',
    });
    expect(heard.text).toBe('hello');
    const speech = await client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'x' });
    expect(Buffer.compare(await speech.bytes(), SPEECH)).toBe(0);
    const moderated = await client.moderations.create({ input: 'x' });
    expect(moderated.id).toBe('modr-1');
    const missing = client.batches.retrieve('none');
    expect(await missing.catch((error: unknown) => error)).toBeInstanceOf(OpenAI.NotFoundError);
  });

  test('of any length needs little memory', async () => {
    const before = await readMemory(server.workerPid);
    const piece = new Uint8Array(1024 * 1024);
    const pieces = 192;
    let made = 0;
    const boundary = 'limit';
    const head = `--${boundary}\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--${boundary}\r\ncontent-disposition: form-data; name="image"; filename="i.png"\r\n\r\n`;
    let peak = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (made === 0) controller.enqueue(new TextEncoder().encode(head));
        if (made === pieces) {
          controller.enqueue(new TextEncoder().encode(`\r\n--${boundary}--\r\n`));
          controller.close();
          return;
        }
        made += 1;
        controller.enqueue(piece);
        if (made % 16 === 0) peak = Math.max(peak, await readMemory(server.workerPid));
      },
    });
    const response = await fetch(`${server.url}/v1/images/discard`, {
      method: 'POST',
      headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
      body,
    });
    expect(response.status).toBe(200);
    expect(uploadedBytes).toBeGreaterThan(pieces * piece.byteLength);
    expect(peak - before).toBeLessThan(96 * 1024);
  });
});

describe('a client that reads slowly', () => {
  test.each([
    ['/v1/chat/completions', 'text/event-stream'],
    ['/v1/audio/speech', 'audio/mpeg'],
  ])('of %p slows the provider down, and costs no memory', async (path, contentType) => {
    const frame = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x'.repeat(60_000) } }] })}\n\n`;
    const fast = await startFastUpstream(contentType, frame);
    const own = await startServer({ env: { OPENAI_BASE_URL: fast.url, OPENAI_API_KEY: KEY } });
    try {
      const before = await readMemory(own.workerPid);
      const { hostname, port } = new URL(own.url);
      const body = JSON.stringify({ model: 'm', stream: true, messages: [], input: 'x' });
      const socket = connect(Number(port), hostname);
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      socket.pause();
      // It has sent as much as buffers hold when it sends no more.
      let last = -1;
      await waitUntil('the upstream is held back', async () => {
        const isSame = fast.sentBytes() === last && last > 0;
        last = fast.sentBytes();
        await Bun.sleep(200);
        return isSame;
      });
      expect(last).toBeLessThan(FAST_BYTES / 4);
      expect((await readMemory(own.workerPid)) - before).toBeLessThan(64 * 1024);
      socket.destroy();
    } finally {
      await own.stop();
      fast.close();
    }
  });
});

const FAST_BYTES = 256 * 1024 * 1024;

/** Sends as fast as it is read. */
async function startFastUpstream(contentType: string, frame: string) {
  let sent = 0;
  const listener = createServer((socket) => {
    const send = (): void => {
      while (sent < FAST_BYTES) {
        sent += frame.length;
        if (!socket.write(frame)) {
          socket.once('drain', send);
          return;
        }
      }
      socket.end();
    };
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: ${contentType}\r\nconnection: close\r\n\r\n`);
      send();
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/v1`, sentBytes: () => sent, close: () => listener.close() };
}

/** KiB of a process that are in memory now. */
async function readMemory(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
}

describe('what goes wrong with it', () => {
  test('HTML is a 502 in the envelope', async () => {
    const response = await server.call('POST', '/v1/images/html', { model: 'm' });
    expect(response.status).toBe(502);
    expect(response.json.error).toMatchObject({ type: 'server_error', code: 'upstream_error' });
    expect(response.text).not.toContain('Sign in');
  });

  test('JSON that is cut is a 502', async () => {
    const response = await server.call('POST', '/v1/images/cut', { model: 'm' });
    expect(response.status).toBe(502);
  });

  test('a redirect is a 502, and is not followed', async () => {
    expect((await server.call('POST', '/v1/images/redirect', { model: 'm' })).status).toBe(502);
  });

  test('the key is cut out of what the provider says', async () => {
    const response = await server.call('POST', '/v1/images/leak', { model: 'm' });
    expect(response.status).toBe(400);
    expect(response.json.error.message).toBe('Incorrect key [redacted]');
  });

  test('an object that is missing at the provider is a 404 in its words', async () => {
    const response = await server.call('GET', '/v1/batches/none');
    expect(response.status).toBe(404);
    expect(response.json.error.message).toBe("No batch found with id 'none'.");
  });

  test('an endpoint that the provider lacks is a 501 that says which and whose', async () => {
    const response = await server.call('POST', '/v1/images/generations', { model: 'm', prompt: 'x' });
    expect(response.status).toBe(501);
    expect(response.json.error.code).toBe('not_supported');
    expect(response.json.error.message).toContain('POST /v1/images/generations');
    expect(response.json.error.message).toContain(`127.0.0.1:${upstream.port}`);
  });

  test('without any provider it is a 501 that says what to set', async () => {
    const response = await bare.call('POST', '/v1/images/generations', { prompt: 'x' });
    expect(response.status).toBe(501);
    expect(response.json.error.message).toContain('OPENAI_API_KEY');
  });

  test('a model whose provider speaks no such protocol is a 501 that names it', async () => {
    const response = await server.call('POST', '/v1/audio/speech', {
      model: 'understudy/rehearsal',
      input: 'x',
    });
    expect(response.status).toBe(501);
    expect(response.json.error.message).toContain('understudy');
  });

  test.each([
    ['{"model": 5}', 'model'],
    ['[]', null],
    ['{"model":', null],
    ['"x"', null],
  ])('a body like %p is a 400', async (body, param) => {
    const response = await server.call('POST', '/v1/moderations', body);
    expect(response.status).toBe(400);
    expect(response.json.error.param).toBe(param);
  });

  test('a body of another type is a 415', async () => {
    const response = await server.call('POST', '/v1/moderations', 'x', { 'content-type': 'text/plain' });
    expect(response.status).toBe(415);
  });

  test('another method is a 405', async () => {
    expect((await server.call('GET', '/v1/moderations')).status).toBe(405);
  });

  test.each(['/v1/images/%2e%2e/files', '/v1/images/..%2F..%2Fadmin/../x'])(
    'a path like %p does not leave its place',
    async (path) => {
      const count = recorded.length;
      await server.call('POST', path, { model: 'm' });
      for (const { path: sent } of recorded.slice(count)) expect(sent.startsWith('/v1/images/')).toBe(true);
    },
  );

  test.each([
    '/v1/images/..%2f..%2fadmin',
    '/v1/images/%5c..%5Cfiles',
    '/v1/fine_tuning/jobs/..%2F..%2ffiles',
  ])('a path like %p is told to be none, and is not handed on', async (path) => {
    const count = recorded.length;
    const { status, json } = await server.call('POST', path, { model: 'm' });
    expect([status, json.error.code]).toEqual([404, 'unknown_url']);
    expect(recorded.length).toBe(count);
  });

  test('a stream that breaks off ends with an error event', async () => {
    const response = await server.call('POST', '/v1/images/breaks', { model: 'm', stream: true });
    const frames = response.text.trim().split('\n\n');
    expect(frames).toHaveLength(2);
    expect(frames[1]).toContain('"upstream_error"');
  });

  test('a stream that ends in a way of its own is whole', async () => {
    const response = await server.call('POST', '/v1/images/events', { model: 'm', stream: true });
    expect(response.text).toBe('event: image_generation.completed\ndata: {"b64_json":"AA"}\n\n');
  });

  test('a client that leaves cancels the call within 100 ms', async () => {
    const abort = new AbortController();
    const asking = fetch(`${server.url}/v1/images/hang`, {
      method: 'POST',
      headers: JSON_TYPE,
      body: '{"model":"m"}',
      signal: abort.signal,
    });
    await waitUntil('the upstream is asked', () => recorded.at(-1)?.path === '/v1/images/hang');
    const asked = lastRequest();
    const start = performance.now();
    abort.abort();
    await asking.catch(() => null);
    await waitUntil('the upstream call is cancelled', () => asked.hasLeft);
    expect(performance.now() - start).toBeLessThan(100);
  });
});
