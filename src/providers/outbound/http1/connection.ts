/** One TCP connection to a server, with one request under way at most. */

import type { Socket, SocketHandler } from 'bun';
import type { Exchange } from './exchange.ts';
import { BrokenAnswer, ResponseParser } from './response-parser.ts';

/** Where a connection goes. */
export interface Target {
  /** Name or address, without brackets. */
  readonly hostname: string;
  readonly port: number;
}

/** `keepAliveMs`: for how long the server says that it waits for another request; null: it does not say. */
export type OnFree = (connection: Connection, keepAliveMs: number | null) => void;

/** Errors: what the system says (`ECONNREFUSED`, `ENOTFOUND`, …). */
export async function connect({ hostname, port }: Target, onFree: OnFree): Promise<Connection> {
  const connection = new Connection(onFree);
  await Bun.connect<Connection>({ hostname, port, socket: HANDLER, data: connection });
  return connection;
}

/** One for all connections: each knows its own. */
const HANDLER: SocketHandler<Connection> = Object.freeze({
  open: (socket: Socket<Connection>) => socket.data.opened(socket),
  data: (socket: Socket<Connection>, bytes: Uint8Array) => socket.data.received(bytes),
  drain: (socket: Socket<Connection>) => socket.data.drained(),
  end: (socket: Socket<Connection>) => socket.data.closed(),
  close: (socket: Socket<Connection>) => socket.data.closed(),
  error: (socket: Socket<Connection>) => socket.data.closed(),
});

export class Connection {
  readonly #onFree: OnFree;
  #socket: Socket<Connection> | null = null;
  #exchange: Exchange | null = null;
  #parser: ResponseParser | null = null;
  /** Of the request, what the system has not taken. */
  #unsent: Uint8Array | null = null;
  #isClosed = false;
  /** Until when it may be used again, by `performance.now()`. */
  freeUntilMs = 0;

  constructor(onFree: OnFree) {
    this.#onFree = onFree;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends the head and what follows it. The exchange is told of all that comes. */
  begin(exchange: Exchange, head: string, body: string | Uint8Array | null): void {
    this.#exchange = exchange;
    this.#parser = new ResponseParser(exchange);
    this.#socket?.ref();
    if (this.#isClosed) {
      this.closed();
      return;
    }
    // One write is one packet, as a rule.
    if (body === null || typeof body === 'string') this.#write(`${head}${body ?? ''}`);
    else this.#write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
  }

  /** Reads no more until `resume`. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Ends it at once. */
  destroy(): void {
    this.#exchange = null;
    this.#parser = null;
    this.#isClosed = true;
    this.#socket?.terminate();
  }

  opened(socket: Socket<Connection>): void {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  received(bytes: Uint8Array): void {
    const parser = this.#parser;
    const exchange = this.#exchange;
    // Nobody has asked for anything.
    if (parser === null || exchange === null) {
      this.destroy();
      return;
    }
    try {
      parser.push(bytes);
    } catch (error) {
      this.destroy();
      exchange.fail(error);
      return;
    }
    if (parser.isOver) this.#settle(parser, exchange);
  }

  drained(): void {
    const bytes = this.#unsent;
    this.#unsent = null;
    if (bytes !== null) this.#write(bytes);
  }

  /** By the server, or by what lies between. */
  closed(): void {
    this.#isClosed = true;
    const parser = this.#parser;
    const exchange = this.#exchange;
    this.destroy();
    if (parser === null || exchange === null) return;
    if (!parser.hasBegun) {
      exchange.fail(new BrokenAnswer('HTTP_CUT'), { isUnanswered: true });
      return;
    }
    try {
      parser.finish();
    } catch (error) {
      exchange.fail(error);
    }
  }

  /** The answer has ended. One that came before the request was sent leaves a connection that is of no use. */
  #settle(parser: ResponseParser, exchange: Exchange): void {
    this.#exchange = null;
    this.#parser = null;
    if (!parser.keepsConnection || this.#unsent !== null || this.#isClosed) {
      this.destroy();
      return;
    }
    // It may be open when the program wants to end.
    this.#socket?.unref();
    this.#onFree(this, exchange.keepAliveMs);
  }

  #write(data: string | Uint8Array): void {
    const socket = this.#socket;
    if (socket === null) return;
    const length = typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;
    const written = socket.write(data);
    // A connection that is gone says so by its `close`.
    if (written < 0 || written >= length) return;
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    this.#unsent = bytes.subarray(written);
  }
}
