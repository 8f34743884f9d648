/** One request and its answer: what has come and is not read yet, and who waits for it. */

import type { Connection } from './connection.ts';
import type { ResponseHead, ResponseSink } from './response-parser.ts';

/** What nobody has read yet: beyond the first nothing more is taken from the connection until the second is reached. */
const UNREAD_BYTES_MAX = 256 * 1024;
const UNREAD_BYTES_LOW = 64 * 1024;

/** A connection that was kept has been closed before any byte of an answer: the server had given it up, and has seen nothing. */
export class UnansweredRequest extends Error {
  override readonly name = 'UnansweredRequest';
}

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export class Exchange implements ResponseSink {
  readonly #isReused: boolean;
  readonly #connection: Connection;
  #head: ResponseHead | null = null;
  #headWaiter: Waiter<ResponseHead> | null = null;
  readonly #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #pieceWaiter: Waiter<Uint8Array | null> | null = null;
  #isPaused = false;
  #hasEnded = false;
  #error: { readonly cause: unknown } | null = null;

  /** `isReused`: the connection has served others. */
  constructor(connection: Connection, isReused: boolean) {
    this.#connection = connection;
    this.#isReused = isReused;
  }

  /** What the server says in `keep-alive: timeout=5`. */
  get keepAliveMs(): number | null {
    const value = this.#head?.headers.find(([name]) => name === 'keep-alive')?.[1] ?? '';
    const seconds = /timeout=(\d{1,6})/i.exec(value)?.[1];
    return seconds === undefined ? null : Number(seconds) * 1000;
  }

  /** Null until it has come. */
  get head(): ResponseHead | null {
    return this.#head;
  }

  /** Waits for it. Throws `UnansweredRequest`, `BrokenAnswer`, or what `fail` was given. */
  takeHead(): Promise<ResponseHead> {
    return new Promise((resolve, reject) => {
      if (this.#error !== null) reject(this.#error.cause);
      else if (this.#head !== null) resolve(this.#head);
      else this.#headWaiter = { resolve, reject };
    });
  }

  /** The next piece of the body; null at its end. One reader at a time. Throws `BrokenAnswer`, or what `fail` was given. */
  read(): Promise<Uint8Array | null> {
    const piece = this.#unread.shift();
    if (piece !== undefined) {
      this.#unreadBytes -= piece.byteLength;
      if (this.#isPaused && this.#unreadBytes < UNREAD_BYTES_LOW) {
        this.#isPaused = false;
        this.#connection.resume();
      }
      return Promise.resolve(piece);
    }
    if (this.#hasEnded) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      if (this.#error !== null) reject(this.#error.cause);
      else this.#pieceWaiter = { resolve, reject };
    });
  }

  /** Ends the exchange, and its connection where the answer is not whole. */
  abort(reason: unknown): void {
    if (this.#hasEnded || this.#error !== null) return;
    this.#connection.destroy();
    this.fail(reason);
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
    this.#headWaiter?.resolve(head);
    this.#headWaiter = null;
  }

  onPiece(bytes: Uint8Array): void {
    const waiter = this.#pieceWaiter;
    if (waiter !== null) {
      this.#pieceWaiter = null;
      waiter.resolve(bytes);
      return;
    }
    this.#unread.push(bytes);
    this.#unreadBytes += bytes.byteLength;
    if (this.#isPaused || this.#unreadBytes < UNREAD_BYTES_MAX) return;
    this.#isPaused = true;
    this.#connection.pause();
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#pieceWaiter?.resolve(null);
    this.#pieceWaiter = null;
    // Whoever has the connection next wants to hear from it.
    if (this.#isPaused) this.#connection.resume();
    this.#isPaused = false;
  }

  fail(cause: unknown, { isUnanswered = false } = {}): void {
    if (this.#hasEnded || this.#error !== null) return;
    this.#error = { cause: isUnanswered && this.#isReused ? new UnansweredRequest() : cause };
    this.#headWaiter?.reject(this.#error.cause);
    this.#pieceWaiter?.reject(this.#error.cause);
    this.#headWaiter = null;
    this.#pieceWaiter = null;
  }
}
