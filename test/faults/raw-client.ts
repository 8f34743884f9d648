/** Clients that HTTP libraries do not make: they send what they like, when they like, and read only when they are told to. */

import { connect, type Socket } from 'node:net';

export interface RawClient {
  readonly socket: Socket;
  /** What has come so far. */
  received(): string;
  readonly closed: Promise<void>;
  isClosed(): boolean;
  /** Resets the connection, as a machine that loses its power seems to. */
  vanish(): void;
}

export interface RawOptions {
  /** Whether what comes is read; true unless it is said. */
  readonly reads?: boolean;
  /** Of this machine: 127.0.0.2 and further ones have ports of their own. */
  readonly from?: string;
}

const CONNECT_MS = 10_000;

/** Connects to `url` and sends `text`. Errors: it cannot connect. */
export async function openRaw(
  url: string,
  text: string | Uint8Array,
  options: RawOptions = {},
): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  const { from } = options;
  const socket = connect({
    host: hostname,
    port: Number(port),
    ...(from === undefined ? {} : { localAddress: from }),
  });
  const connected = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  let received = '';
  let isClosed = false;
  socket.once('connect', () => connected.resolve());
  socket.on('error', (error) => connected.reject(error));
  socket.once('close', () => {
    isClosed = true;
    closed.resolve();
  });
  if (options.reads === false) socket.pause();
  else
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1');
    });
  const timer = setTimeout(() => connected.reject(new Error('no connection in time')), CONNECT_MS);
  try {
    await connected.promise;
  } finally {
    clearTimeout(timer);
  }
  socket.write(text);
  return {
    socket,
    received: () => received,
    closed: closed.promise,
    isClosed: () => isClosed,
    vanish: () => void socket.resetAndDestroy(),
  };
}

/** Sends `text` a piece at a time until the connection is closed, or `stop` is called. */
export function drip(client: RawClient, text: string, everyMs: number): { stop(): void } {
  let at = 0;
  const timer = setInterval(() => {
    if (client.isClosed()) return clearInterval(timer);
    client.socket.write(text.charAt(at % text.length));
    at += 1;
  }, everyMs);
  return { stop: () => clearInterval(timer) };
}

/** The text of a request with a JSON body. */
export function toRawRequest(method: string, path: string, body: unknown): string {
  const text = JSON.stringify(body);
  const head = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;
  return `${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}
