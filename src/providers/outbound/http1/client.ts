/**
 * Requests over plain HTTP/1.1, as they go to model servers on this machine or in the same network. Bun's `fetch` hands each call and each
 * piece of an answer from one thread to another, which costs more there than everything else on the way; here the answer
 * arrives where it is used. TLS, proxies and bodies that are streams stay with `fetch`.
 */

import { type Connection, connect, type OnFree, type Target } from './connection.ts';
import { Exchange, UnansweredRequest } from './exchange.ts';

/** Connections to one server that wait for a request. */
const FREE_CONNECTIONS_MAX = 256;
/** Many servers close after five seconds; a request must not meet that. */
const FREE_MS_MAX = 4_000;
/** What a server says of its patience is shortened by this. */
const FREE_MARGIN_MS = 1_000;

export interface PlainRequest {
  readonly method: string;
  readonly target: Target;
  /** Path and query. */
  readonly path: string;
  /** As the server is called, which need not be where the connection goes. */
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  /** Until a connection stands. */
  readonly connectMs: number;
}

export interface PlainClient {
  /**
   * Waits for the head of the answer. Whoever gets the exchange reads it to its end, or ends it by `abort`, which is of this request alone. Errors:
   * what the system says of a connection (`ECONNREFUSED`, `ENOTFOUND`, …), `ConnectTimeout`, `BrokenAnswer`, what `abort` was given.
   */
  send(request: PlainRequest, abort: PlainAbort): Promise<Exchange>;
}

/** Ends a request from outside, at whatever point it is. */
export class PlainAbort {
  #end: ((reason: unknown) => void) | null = null;
  #reason: { readonly cause: unknown } | null = null;

  abort(reason: unknown): void {
    this.#reason ??= { cause: reason };
    this.#end?.(reason);
  }

  /** What is to be ended from now on, in place of what was. Throws the reason, where there is one already. */
  set(end: (reason: unknown) => void): void {
    this.#end = end;
    if (this.#reason !== null) throw this.#reason.cause;
  }
}

/** No connection came about in time. */
export class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout';
}

export function createPlainClient(): PlainClient {
  const free = new FreeConnections();
  return {
    async send(request, abort) {
      const head = toHead(request);
      const { hostname, port } = request.target;
      const key = `${hostname} ${port}`;
      const kept = free.take(key);
      if (kept !== null) {
        try {
          return await begin(kept, true, head, request, abort);
        } catch (error) {
          // It had been closed in the meantime. A new connection tells whether the server is there.
          if (!(error instanceof UnansweredRequest)) throw error;
        }
      }
      const onFree: OnFree = (connection, keepAliveMs) => free.put(key, connection, keepAliveMs);
      return await begin(await connectInTime(request, onFree, abort), false, head, request, abort);
    },
  };
}

/** Waits for the head of the answer. */
async function begin(
  connection: Connection,
  isReused: boolean,
  head: string,
  { body }: PlainRequest,
  abort: PlainAbort,
): Promise<Exchange> {
  const exchange = new Exchange(connection, isReused);
  try {
    abort.set((reason) => exchange.abort(reason));
  } catch (reason) {
    connection.destroy();
    throw reason;
  }
  connection.begin(exchange, head, body);
  await exchange.takeHead();
  return exchange;
}

/** Errors as of `connect`, `ConnectTimeout`, what `abort` was given. A connection that comes too late is closed. */
function connectInTime(
  { target, connectMs }: PlainRequest,
  onFree: OnFree,
  abort: PlainAbort,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = (settle: () => void): void => {
      isOver = true;
      clearTimeout(timer);
      settle();
    };
    abort.set((reason) => end(() => reject(reason)));
    const timer = setTimeout(() => end(() => reject(new ConnectTimeout())), connectMs);
    connect(target, onFree).then(
      (connection) => {
        if (isOver) connection.destroy();
        else end(() => resolve(connection));
      },
      (error: unknown) => end(() => reject(error)),
    );
  });
}

/** Throws `TypeError` for what would end a header early. */
function toHead({ method, path, host, headers, body }: PlainRequest): string {
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`;
  for (const name in headers) {
    const value = headers[name] ?? '';
    if (UNSENDABLE.test(value))
      throw new TypeError(`The header ${name} holds characters that none can hold.`);
    if (name !== 'content-length') head += `${name}: ${value}\r\n`;
  }
  const length = body === null ? 0 : Buffer.byteLength(body);
  return body === null && method === 'GET' ? `${head}\r\n` : `${head}content-length: ${length}\r\n\r\n`;
}

const UNSENDABLE = /[^\x20-\x7e\t]/;

/** Connections that wait for a request, the newest first. */
class FreeConnections {
  readonly #byTarget = new Map<string, Connection[]>();
  #timer: Timer | null = null;

  take(key: string): Connection | null {
    const connections = this.#byTarget.get(key);
    const now = performance.now();
    for (let connection = connections?.pop(); connection !== undefined; connection = connections?.pop()) {
      if (!connection.isClosed && connection.freeUntilMs > now) return connection;
      connection.destroy();
    }
    return null;
  }

  put(key: string, connection: Connection, keepAliveMs: number | null): void {
    const patienceMs =
      keepAliveMs === null ? FREE_MS_MAX : Math.min(FREE_MS_MAX, keepAliveMs - FREE_MARGIN_MS);
    const connections = this.#byTarget.get(key) ?? [];
    if (patienceMs <= 0 || connections.length >= FREE_CONNECTIONS_MAX) {
      connection.destroy();
      return;
    }
    connection.freeUntilMs = performance.now() + patienceMs;
    connections.push(connection);
    this.#byTarget.set(key, connections);
    this.#timer ??= setTimeout(() => this.#sweep(), FREE_MS_MAX).unref();
  }

  #sweep(): void {
    const now = performance.now();
    for (const [key, connections] of this.#byTarget) {
      const kept: Connection[] = [];
      for (const connection of connections) {
        if (!connection.isClosed && connection.freeUntilMs > now) kept.push(connection);
        else connection.destroy();
      }
      if (kept.length > 0) this.#byTarget.set(key, kept);
      else this.#byTarget.delete(key);
    }
    this.#timer = this.#byTarget.size === 0 ? null : setTimeout(() => this.#sweep(), FREE_MS_MAX).unref();
  }
}
