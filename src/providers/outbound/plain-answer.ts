/** An answer that came over plain HTTP/1.1. */

import { once } from 'node:events';
import { createBrotliDecompress, createGunzip, createInflate, constants as zlib } from 'node:zlib';
import { ProviderError } from '../provider.ts';
import { type CallWatch, toServerName } from './call-watch.ts';
import type { PlainAbort } from './http1/client.ts';
import type { Exchange } from './http1/exchange.ts';
import { joinText, toCallError, toTooLong, type UpstreamAnswer } from './upstream-answer.ts';

export interface PlainAnswerParts {
  readonly exchange: Exchange;
  readonly url: URL;
  readonly abort: PlainAbort;
  /** The caller's. */
  readonly signal: AbortSignal;
  /** Takes the call's listener off that signal. */
  readonly release: () => void;
  readonly watch: CallWatch;
}

type Read = () => Promise<Uint8Array | null>;

export class PlainAnswer implements UpstreamAnswer {
  readonly status: number;
  readonly #parts: PlainAnswerParts;
  readonly #unpacked: Read | null;
  #headers: Headers | null = null;
  #hasEnded = false;

  /** Throws `ProviderError` for a packed body that cannot be unpacked: none was asked for. */
  constructor(parts: PlainAnswerParts) {
    this.#parts = parts;
    this.status = parts.exchange.head?.status ?? 0;
    const coding = this.#find('content-encoding');
    this.#unpacked = coding === undefined ? null : this.#unpack(coding.trim().toLowerCase());
    parts.watch.beginBody();
  }

  get contentType(): string {
    return this.#find('content-type') ?? '';
  }

  get headers(): Headers {
    this.#headers ??= new Headers(this.#parts.exchange.head?.headers.map(([name, value]) => [name, value]));
    return this.#headers;
  }

  async read(): Promise<Uint8Array | null> {
    if (this.#hasEnded) return null;
    const { watch, exchange, signal, url } = this.#parts;
    watch.beginWait();
    try {
      const piece = await (this.#unpacked === null ? exchange.read() : this.#unpacked());
      if (piece === null) this.#finish();
      return piece;
    } catch (error) {
      this.#finish();
      throw toCallError(error, signal, url, true);
    } finally {
      watch.endWait();
    }
  }

  async readText(bytesMax: number): Promise<string> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for (let piece = await this.read(); piece !== null; piece = await this.read()) {
      bytes += piece.byteLength;
      pieces.push(piece);
      if (bytes <= bytesMax) continue;
      this.close();
      throw toTooLong(this.#parts.url, bytesMax);
    }
    return joinText(pieces);
  }

  close(): void {
    const hadEnded = this.#hasEnded;
    this.#finish();
    if (!hadEnded)
      this.#parts.abort.abort(new DOMException('The answer is not wanted any more.', 'AbortError'));
  }

  #find(wanted: string): string | undefined {
    for (const [name, value] of this.#parts.exchange.head?.headers ?? []) if (name === wanted) return value;
    return undefined;
  }

  #finish(): void {
    this.#hasEnded = true;
    this.#parts.watch.stop();
    this.#parts.release();
  }

  #unpack(coding: string): Read | null {
    if (coding === '' || coding === 'identity') return null;
    const { exchange, url } = this.#parts;
    const stream = createUnpacking(coding);
    if (stream === null) {
      throw new ProviderError(
        'protocol',
        `${toServerName(url)} packed its answer in a way that is not known.`,
      );
    }
    const pump = async (): Promise<void> => {
      for (let piece = await exchange.read(); piece !== null; piece = await exchange.read()) {
        if (!stream.write(piece)) await once(stream, 'drain');
      }
      stream.end();
    };
    pump().catch((error: unknown) =>
      stream.destroy(error instanceof Error ? error : new Error(String(error))),
    );
    const pieces = stream[Symbol.asyncIterator]();
    return async () => {
      const { done, value } = await pieces.next();
      return done === true ? null : value;
    };
  }
}

/** What came is handed on at once: an event must not wait for the next one. */
function createUnpacking(coding: string) {
  const options = { flush: zlib.Z_SYNC_FLUSH };
  if (coding === 'gzip' || coding === 'x-gzip') return createGunzip(options);
  if (coding === 'deflate') return createInflate(options);
  return coding === 'br' ? createBrotliDecompress({ flush: zlib.BROTLI_OPERATION_FLUSH }) : null;
}
