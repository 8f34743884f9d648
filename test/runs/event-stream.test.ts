/** A run's stream on a real connection: what reaches a client, and what becomes of one that is slow or leaves. */

import { afterEach, beforeEach, expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { BACKLOG_MAX, createEventStream, type EventStream } from '../../src/runs/event-stream.ts';
import { DONE_FRAME, type RunEvent, toFrame } from '../../src/runs/events.ts';
import { waitUntil } from '../support/server.ts';

interface Served {
  readonly stream: EventStream;
  closedCount: number;
}

let server: Bun.Server<undefined>;
let served: Served[];
let onRequest: (stream: EventStream) => void | Promise<void>;

beforeEach(() => {
  served = [];
  onRequest = () => {};
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    async fetch() {
      const stream = createEventStream(() => {
        entry.closedCount += 1;
      });
      const entry: Served = { stream, closedCount: 0 };
      served.push(entry);
      await onRequest(stream);
      return new Response(stream.body);
    },
  });
});

afterEach(() => server.stop(true));

function toEvent(message: string): RunEvent {
  return { event: 'error', data: { message, type: 'server_error', param: null, code: null } };
}

function findServed(): Served {
  const [first] = served;
  if (first === undefined) throw new Error('nothing was asked for');
  return first;
}

/** Asks, and reads nothing of the answer. */
function openUnread(): Socket {
  const socket = connect({ host: '127.0.0.1', port: server.port ?? 0 });
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  return socket;
}

test('what was said before the reply began comes first, and the last frame ends the body', async () => {
  onRequest = (stream) => {
    stream.push(toEvent('one'));
    stream.push(toEvent('zwölf ✓'));
  };
  const response = await fetch(server.url);
  const { stream } = findServed();
  stream.push(toEvent('three'));
  stream.end();
  stream.end();
  stream.push(toEvent('too late'));
  const frames = ['one', 'zwölf ✓', 'three'].map((text) => toFrame(toEvent(text)));
  expect(await response.text()).toBe(frames.join('') + DONE_FRAME);
  expect(findServed().closedCount).toBe(1);
});

test('a stream that was over before the reply began comes whole', async () => {
  onRequest = (stream) => {
    stream.push(toEvent('one'));
    stream.end();
  };
  expect(await (await fetch(server.url)).text()).toBe(toFrame(toEvent('one')) + DONE_FRAME);
  expect(findServed().closedCount).toBe(1);
});

test('a frame goes out when it is said, not with the next one', async () => {
  onRequest = (stream) => stream.push(toEvent('one'));
  const { body } = await fetch(server.url);
  if (body === null) throw new Error('no body');
  const reader = body.getReader();
  const decoder = new TextDecoder();
  expect(decoder.decode((await reader.read()).value)).toBe(toFrame(toEvent('one')));
  findServed().stream.push(toEvent('two'));
  expect(decoder.decode((await reader.read()).value)).toBe(toFrame(toEvent('two')));
  findServed().stream.end();
  expect(decoder.decode((await reader.read()).value)).toBe(DONE_FRAME);
  expect((await reader.read()).done).toBe(true);
});

test('a client that leaves while nothing is said is noticed once, and frames for it are dropped', async () => {
  onRequest = (stream) => stream.push(toEvent('one'));
  const controller = new AbortController();
  const response = await fetch(server.url, { signal: controller.signal });
  await response.body?.getReader().read();
  controller.abort();
  await waitUntil('the leave is noticed', () => findServed().closedCount === 1);
  findServed().stream.push(toEvent('two'));
  findServed().stream.end();
  expect(findServed().closedCount).toBe(1);
});

test('a client that pauses gets everything once it reads on', async () => {
  onRequest = (stream) => stream.push(toEvent('first'));
  const socket = openUnread();
  await waitUntil('the request is there', () => served.length === 1);
  const { stream } = findServed();
  // More than the buffers of a connection take, less than what may wait for it.
  const text = 'x'.repeat(64 * 1024);
  const count = 100;
  expect(count * text.length).toBeLessThan(BACKLOG_MAX);
  for (let i = 0; i < count; i += 1) {
    stream.push(toEvent(text));
    await Bun.sleep(0);
  }
  expect(findServed().closedCount).toBe(0);
  stream.end();
  let received = '';
  let bytes = 0;
  socket.on('data', (piece) => {
    bytes += piece.length;
    received = (received + piece.toString('latin1')).slice(-1000);
  });
  socket.resume();
  await waitUntil('the last frame is there', () => received.includes(DONE_FRAME));
  expect(bytes).toBeGreaterThan(count * toFrame(toEvent(text)).length);
  expect(findServed().closedCount).toBe(1);
  socket.destroy();
});

test('a client that never reads loses its stream when too much waits for it', async () => {
  onRequest = (stream) => stream.push(toEvent('first'));
  const socket = openUnread();
  await waitUntil('the request is there', () => served.length === 1);
  const { stream } = findServed();
  const text = 'x'.repeat(64 * 1024);
  // The connection's own buffers, the kernel's included, take some more.
  const framesMax = (4 * BACKLOG_MAX) / text.length;
  for (let i = 0; i < framesMax && findServed().closedCount === 0; i += 1) {
    stream.push(toEvent(text));
    await Bun.sleep(0);
  }
  expect(findServed().closedCount).toBe(1);
  stream.push(toEvent('into the void'));
  stream.end();
  expect(findServed().closedCount).toBe(1);
  socket.destroy();
});

test('a server that is stopped under its streams leaves the pushing side unharmed', async () => {
  onRequest = (stream) => stream.push(toEvent('one'));
  const response = await fetch(server.url);
  const text = response.text().catch(() => 'cut');
  await server.stop(true);
  const { stream } = findServed();
  for (let i = 0; i < 10; i += 1) {
    stream.push(toEvent('after the end'));
    await Bun.sleep(0);
  }
  stream.end();
  await text;
  await waitUntil('the stream is over', () => findServed().closedCount === 1);
});
