/** An answer of a model's server, read within bounds of time and size. */

import { ProviderError } from '../provider.ts';
import { type CallWatch, toServerName } from './call-watch.ts';

/** Bytes of an answer that is one document: 2,048 embeddings of 3,072 numbers are about 80 MB. */
export const DOCUMENT_BYTES_MAX = 128 * 1024 * 1024;
const ERROR_BYTES_MAX = 256 * 1024;

/** An answer of any status but 3xx. Whoever gets one reads it to its end or closes it. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** That of the headers, which most look at alone; empty where there is none. */
  readonly contentType: string;
  /** The next piece of the body; null at its end. Throws `ProviderError`, or the signal's reason. */
  read(): Promise<Uint8Array | null>;
  /** The whole body as text. Throws like `read`, and `protocol` beyond `bytesMax`. */
  readText(bytesMax: number): Promise<string>;
  /** Forgets the answer; closes the connection when the body has not ended. May be called twice. */
  close(): void;
}

export interface AnswerParts {
  readonly response: Response;
  readonly url: URL;
  readonly abort: AbortController;
  /** Takes the call's listener off the caller's signal. */
  readonly release: () => void;
  readonly watch: CallWatch;
}

type BodyReader = ReadableStreamDefaultReader<Uint8Array>;

/** A class: one is made for each call, and closures cost more. */
export class FetchAnswer implements UpstreamAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly #parts: AnswerParts;
  #reader: BodyReader | null = null;
  #hasEnded = false;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
    this.status = parts.response.status;
    this.headers = parts.response.headers;
    parts.watch.beginBody();
  }

  get contentType(): string {
    return this.headers.get('content-type') ?? '';
  }

  async read(): Promise<Uint8Array | null> {
    const reader = this.#openReader();
    if (reader === null) return null;
    const { done, value } = await this.#waitFor(() => reader.read());
    if (!done && value !== undefined) return value;
    this.#finish();
    return null;
  }

  async readText(bytesMax: number): Promise<string> {
    const announced = Number(this.headers.get('content-length') ?? Number.NaN);
    // Bun unpacks as it reads, so an announced length of a packed body says nothing.
    const isBounded = announced <= bytesMax && this.headers.get('content-encoding') === null;
    if (!isBounded || this.#hasEnded || this.#reader !== null) return await this.#readPieces(bytesMax);
    const text = await this.#waitFor(() => this.#parts.response.text());
    this.#finish();
    return text;
  }

  close(): void {
    const hadEnded = this.#hasEnded;
    this.#finish();
    if (!hadEnded) this.#parts.abort.abort();
  }

  async #readPieces(bytesMax: number): Promise<string> {
    const reader = this.#openReader();
    if (reader === null) return '';
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for (let isDone = false; !isDone; ) {
      // All that is there at once, which most answers are.
      const { done, value } = await this.#waitFor(() => reader.readMany());
      for (const piece of value ?? []) {
        bytes += piece.byteLength;
        pieces.push(piece);
      }
      if (bytes > bytesMax) {
        this.close();
        throw toTooLong(this.#parts.url, bytesMax);
      }
      isDone = done;
    }
    this.#finish();
    return joinText(pieces);
  }

  /** Null where there is nothing (more) to be read. */
  #openReader(): BodyReader | null {
    if (this.#hasEnded) return null;
    this.#reader ??= (this.#parts.response.body?.getReader() ?? null) as BodyReader | null;
    if (this.#reader === null) this.#finish();
    return this.#reader;
  }

  /** Waits for a piece of the body, for no longer than may be. */
  async #waitFor<T>(take: () => T | Promise<T>): Promise<T> {
    const { watch, abort, url } = this.#parts;
    watch.beginWait();
    try {
      return await take();
    } catch (error) {
      this.#finish();
      throw toCallError(error, abort.signal, url, true);
    } finally {
      watch.endWait();
    }
  }

  #finish(): void {
    this.#hasEnded = true;
    this.#parts.watch.stop();
    this.#parts.release();
  }
}

export function joinText(pieces: readonly Uint8Array[]): string {
  return new TextDecoder().decode(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
}

export function toTooLong(url: URL, bytesMax: number): ProviderError {
  return new ProviderError('protocol', `${toServerName(url)} answered more than ${bytesMax} bytes.`);
}

export function toCallError(error: unknown, signal: AbortSignal, url: URL, hasBegun: boolean): unknown {
  if (error instanceof ProviderError) return error;
  // The reason is either the caller's own, or one of the timeouts of the watch.
  if (signal.aborted) return signal.reason;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const detail = code === '' ? '' : ` (${code})`;
  const message = hasBegun
    ? `${toServerName(url)} broke off amid its answer${detail}.`
    : `${toServerName(url)} cannot be reached${detail}.`;
  // A certificate that is refused now is refused again.
  const isRetryable = !/CERT|TLS|SSL|VERIFY/.test(code);
  return new ProviderError('connection', message, { isRetryable, cause: error });
}

/** The text of a failed answer, or what could be read of none: the status says enough then. */
export async function readErrorText(answer: UpstreamAnswer): Promise<string> {
  try {
    return await answer.readText(ERROR_BYTES_MAX);
  } catch (error) {
    if (error instanceof ProviderError) return '';
    throw error;
  }
}
