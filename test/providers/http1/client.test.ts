/** Requests over plain HTTP/1.1, against servers that are no more than sockets: what goes over the line, and when it is kept. */

import { afterEach, describe, expect, test } from 'bun:test';
import {
  ConnectTimeout,
  createPlainClient,
  PlainAbort,
  type PlainRequest,
} from '../../../src/providers/outbound/http1/client.ts';
import type { Exchange } from '../../../src/providers/outbound/http1/exchange.ts';
import { startFullServer } from '../../support/full-server.ts';
import { waitUntil } from '../../support/provider-calls.ts';

const MEGABYTE = 1024 * 1024;

interface Line {
  /** All that has come. */
  received: string;
  receivedBytes: number;
  isClosed: boolean;
  write(text: string | Uint8Array): number;
  end(): void;
  reset(): void;
}

interface RawServer {
  readonly port: number;
  /** One a connection. */
  readonly lines: Line[];
  stop(): void;
}

const servers: RawServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.stop();
});

/** `onData` is told of all that comes on a connection so far. */
function listen(onData: (line: Line) => void, onDrain: (line: Line) => void = () => undefined): RawServer {
  const lines: Line[] = [];
  const listener = Bun.listen<Line>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        socket.data = {
          received: '',
          receivedBytes: 0,
          isClosed: false,
          write: (text) => socket.write(text),
          end: () => socket.end(),
          reset: () => socket.terminate(),
        };
        lines.push(socket.data);
      },
      data(socket, bytes) {
        socket.data.receivedBytes += bytes.byteLength;
        if (socket.data.receivedBytes < MEGABYTE) socket.data.received += bytes.toString('latin1');
        onData(socket.data);
      },
      drain: (socket) => onDrain(socket.data),
      close(socket) {
        socket.data.isClosed = true;
      },
    },
  });
  const server = { port: listener.port, lines, stop: () => listener.stop(true) };
  servers.push(server);
  return server;
}

/** Answers every request whose head is there. */
function answerEach(text: string): (line: Line) => void {
  let answered = new WeakMap<Line, number>();
  return (line) => {
    const count = line.received.split('\r\n\r\n').length - 1;
    for (let at = answered.get(line) ?? 0; at < count; at += 1) line.write(text);
    answered = answered.set(line, count);
  };
}

const HELLO = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello';

function toRequest({ port }: { readonly port: number }, part: Partial<PlainRequest> = {}): PlainRequest {
  return {
    method: 'GET',
    target: { hostname: '127.0.0.1', port },
    path: '/v1/models?a=b',
    host: `127.0.0.1:${port}`,
    headers: { accept: '*/*' },
    body: null,
    connectMs: 5_000,
    ...part,
  };
}

async function readAll(exchange: Exchange): Promise<string> {
  const pieces: Uint8Array[] = [];
  for (let piece = await exchange.read(); piece !== null; piece = await exchange.read()) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

function catchError(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('It did not fail.');
    },
    (error: unknown) => error,
  );
}

describe('a request', () => {
  test('is sent as it was asked for, with the length of its body in bytes', async () => {
    const server = listen(answerEach(HELLO));
    const client = createPlainClient();
    const body = '{"text":"grüße 👋"}';
    const headers = { 'content-type': 'application/json' };
    const host = 'model.example';
    await readAll(
      await client.send(toRequest(server, { method: 'POST', host, headers, body }), new PlainAbort()),
    );
    expect(Buffer.from(server.lines[0]?.received ?? '', 'latin1').toString('utf8')).toBe(
      `POST /v1/models?a=b HTTP/1.1\r\nhost: model.example\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  });

  test('of bytes arrives whole where the system takes it in parts', async () => {
    const bytes = Buffer.alloc(12 * MEGABYTE, 'x');
    const server = listen((line) => {
      if (line.receivedBytes > bytes.length) line.write(HELLO);
    });
    const request = toRequest(server, { method: 'POST', body: bytes });
    expect(await readAll(await createPlainClient().send(request, new PlainAbort()))).toBe('hello');
    const [head = ''] = (server.lines[0]?.received ?? '').split('\r\n\r\n');
    expect(head).toContain(`content-length: ${bytes.length}`);
    expect(server.lines[0]?.receivedBytes).toBe(head.length + 4 + bytes.length);
  });

  test('that would make a header of its own is not sent', async () => {
    const server = listen(answerEach(HELLO));
    const headers = { 'content-type': 'text/plain\r\nx-evil: 1' };
    const error = await catchError(
      createPlainClient().send(toRequest(server, { headers }), new PlainAbort()),
    );
    expect(error).toBeInstanceOf(TypeError);
    expect(server.lines).toHaveLength(0);
  });

  test('to a port where nobody listens fails at once, with the system’s word for it', async () => {
    const server = listen(() => undefined);
    server.stop();
    const error = await catchError(createPlainClient().send(toRequest(server), new PlainAbort()));
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('waits for a connection no longer than it may, and not when it is given up', async () => {
    const full = await startFullServer();
    try {
      const target = { hostname: '127.0.0.1', port: Number(new URL(full.url).port) };
      const waiting = { ...toRequest({ port: target.port }), target };
      const late = await catchError(
        createPlainClient().send({ ...waiting, connectMs: 50 }, new PlainAbort()),
      );
      expect(late).toBeInstanceOf(ConnectTimeout);

      const abort = new PlainAbort();
      const startedMs = performance.now();
      const sent = catchError(createPlainClient().send({ ...waiting, connectMs: 30_000 }, abort));
      const reason = new Error('Nobody listens.');
      abort.abort(reason);
      expect(await sent).toBe(reason);
      expect(performance.now() - startedMs).toBeLessThan(5_000);
    } finally {
      await full.close();
    }
  });
});

describe('a connection', () => {
  test('serves one request after the other', async () => {
    const server = listen(answerEach(HELLO));
    const client = createPlainClient();
    for (let count = 0; count < 20; count += 1) {
      expect(await readAll(await client.send(toRequest(server), new PlainAbort()))).toBe('hello');
    }
    expect(server.lines).toHaveLength(1);
  });

  test('serves one request at a time, and answers never meet', async () => {
    const server = listen((line) => {
      const path = /GET (\S+) /g;
      const asked = [...line.received.matchAll(path)].at(-1)?.[1] ?? '';
      // Later requests are answered first.
      setTimeout(
        () => line.write(`HTTP/1.1 200 OK\r\ncontent-length: ${asked.length}\r\n\r\n${asked}`),
        20 - (Number(asked.slice(1)) % 20),
      );
    });
    const client = createPlainClient();
    for (let round = 0; round < 3; round += 1) {
      const paths = Array.from({ length: 100 }, (_, index) => `/${round * 100 + index}`);
      const answers = await Promise.all(
        paths.map(async (path) => readAll(await client.send(toRequest(server, { path }), new PlainAbort()))),
      );
      expect(answers).toEqual(paths);
    }
    expect(server.lines.length).toBe(100);
  });

  test.each([
    ['says that it closes', 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello'],
    ['has no patience', 'HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 5\r\n\r\nhello'],
    ['sends more than it said', `${HELLO}more`],
  ])('of a server that %s serves one request only', async (_, answer) => {
    const server = listen(answerEach(answer));
    const client = createPlainClient();
    for (let count = 0; count < 3; count += 1) {
      expect(await readAll(await client.send(toRequest(server), new PlainAbort()))).toBe('hello');
    }
    expect(server.lines).toHaveLength(3);
    await waitUntil(() => server.lines.every(({ isClosed }) => isClosed));
  });

  test('that the server has given up in the meantime costs a request nothing', async () => {
    const answer = answerEach(HELLO);
    const server = listen((line) => {
      // The second request on a connection is met by its end.
      if (line.received.split('\r\n\r\n').length > 2) line.reset();
      else answer(line);
    });
    const client = createPlainClient();
    for (let count = 0; count < 6; count += 1) {
      expect(await readAll(await client.send(toRequest(server), new PlainAbort()))).toBe('hello');
    }
    expect(server.lines.length).toBeGreaterThan(1);
  });

  test('that breaks when an answer has begun, or that nobody has used before, does not send the request again', async () => {
    const server = listen((line) => {
      const count = line.received.split('\r\n\r\n').length - 1;
      if (count === 1) line.write(HELLO);
      else {
        line.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe');
        line.end();
      }
    });
    const client = createPlainClient();
    await readAll(await client.send(toRequest(server), new PlainAbort()));
    const cut = await client.send(toRequest(server), new PlainAbort());
    expect(await catchError(readAll(cut))).toMatchObject({ code: 'HTTP_CUT' });
    expect(server.lines).toHaveLength(1);

    const closing = listen((line) => line.reset());
    expect(await catchError(client.send(toRequest(closing), new PlainAbort()))).toMatchObject({
      code: 'HTTP_CUT',
    });
    expect(closing.lines).toHaveLength(1);
  });

  test('that waits for a request does not keep the program from ending', async () => {
    const server = listen(answerEach(HELLO));
    const program = `
      import { createPlainClient, PlainAbort } from ${JSON.stringify(import.meta.resolve('../../../src/providers/outbound/http1/client.ts'))};
      const request = ${JSON.stringify(toRequest(server))};
      const exchange = await createPlainClient().send(request, new PlainAbort());
      while ((await exchange.read()) !== null);
      console.log('read');`;
    const startedMs = performance.now();
    const child = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe', timeout: 20_000 });
    expect(await new Response(child.stdout).text()).toBe('read\n');
    expect(await child.exited).toBe(0);
    // Well before the connection would have been given up.
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });
});

describe('an answer', () => {
  test('that nobody reads is not taken from the connection', async () => {
    let sentBytes = 0;
    const block = Buffer.alloc(64 * 1024, 'x');
    const total = 64 * MEGABYTE;
    const pour = (line: Line): void => {
      while (sentBytes < total) {
        const written = line.write(block.subarray(0, Math.min(block.length, total - sentBytes)));
        sentBytes += Math.max(0, written);
        if (written < block.length) return;
      }
    };
    const server = listen((line) => {
      line.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`);
      pour(line);
    }, pour);
    const exchange = await createPlainClient().send(toRequest(server), new PlainAbort());
    // What the systems of both sides hold is theirs; the rest waits.
    let before = -1;
    await waitUntil(() => {
      const isStill = sentBytes === before;
      before = sentBytes;
      return isStill && sentBytes > 0;
    });
    expect(sentBytes).toBeLessThan(32 * MEGABYTE);
    let bytes = 0;
    for (let piece = await exchange.read(); piece !== null; piece = await exchange.read())
      bytes += piece.byteLength;
    expect(bytes).toBe(total);
  });

  test('that is not wanted any more closes its connection, and whoever waits is told why', async () => {
    const server = listen((line) =>
      line.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'),
    );
    const abort = new PlainAbort();
    const exchange = await createPlainClient().send(toRequest(server), abort);
    expect(Buffer.from((await exchange.read()) ?? []).toString()).toBe('hello');
    const reason = new Error('Nobody listens.');
    const waiting = catchError(exchange.read());
    abort.abort(reason);
    expect(await waiting).toBe(reason);
    expect(await catchError(exchange.read())).toBe(reason);
    await waitUntil(() => server.lines[0]?.isClosed === true);
  });

  test('that is not wanted any more before it has begun is given up too, and before the request is sent', async () => {
    const server = listen(() => undefined);
    const client = createPlainClient();
    const abort = new PlainAbort();
    const sent = catchError(client.send(toRequest(server), abort));
    await waitUntil(() => server.lines[0]?.received.endsWith('\r\n\r\n') === true);
    const reason = new Error('Nobody listens.');
    abort.abort(reason);
    expect(await sent).toBe(reason);
    await waitUntil(() => server.lines[0]?.isClosed === true);
    expect(await catchError(client.send(toRequest(server), abort))).toBe(reason);
    expect(server.lines).toHaveLength(1);
  });

  test('whose end came with its connection’s is whole', async () => {
    const server = listen((line) => {
      line.write('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhello');
      line.end();
    });
    expect(await readAll(await createPlainClient().send(toRequest(server), new PlainAbort()))).toBe('hello');
  });

  test('that comes before the request is sent whole is read, and its connection is not used again', async () => {
    const refusal = 'HTTP/1.1 413 Too large\r\ncontent-length: 3\r\n\r\nbig';
    let isAnswered = false;
    const server = listen((line) => {
      if (isAnswered) return;
      isAnswered = true;
      line.write(refusal);
    });
    const client = createPlainClient();
    const body = Buffer.alloc(16 * MEGABYTE, 'x');
    const exchange = await client.send(toRequest(server, { method: 'POST', body }), new PlainAbort());
    expect(exchange.head?.status).toBe(413);
    expect(await readAll(exchange)).toBe('big');
    await waitUntil(() => server.lines[0]?.isClosed === true);
  });
});
