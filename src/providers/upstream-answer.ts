/** An answer of a model's server, read within bounds of time and size. */

import { ProviderError } from './provider.ts';

/** An answer of any status but 3xx. Whoever gets one reads it to its end or closes it. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Headers;
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
  readonly release: () => void;
  readonly idleMs: number;
}

export function createAnswer({ response, url, abort, release, idleMs }: AnswerParts): UpstreamAnswer {
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  let hasEnded = response.body === null;
  const idle = createIdleWatch(idleMs, () =>
    abort.abort(toTimeoutError(`${toServerName(url)} was silent for ${idleMs} ms amid its answer.`)),
  );

  const finish = (): void => {
    idle.stop();
    release();
  };
  /** Waits for a piece of the body, for no longer than may be. */
  const waitFor = async <T>(take: () => Promise<T>): Promise<T> => {
    idle.beginWait();
    try {
      return await take();
    } catch (error) {
      hasEnded = true;
      finish();
      throw toCallError(error, abort.signal, url, true);
    } finally {
      idle.endWait();
    }
  };

  const read = async (): Promise<Uint8Array | null> => {
    if (hasEnded) return null;
    reader ??= (response.body?.getReader() ?? null) as ReadableStreamDefaultReader<Uint8Array> | null;
    const source = reader;
    if (source === null) return null;
    const { done, value } = await waitFor(() => source.read());
    if (!done && value !== undefined) return value;
    hasEnded = true;
    finish();
    return null;
  };

  const close = (): void => {
    finish();
    if (hasEnded) return;
    hasEnded = true;
    abort.abort();
  };

  const readText = async (bytesMax: number): Promise<string> => {
    const announced = Number(response.headers.get('content-length') ?? Number.NaN);
    // Bun unpacks as it reads, so an announced length of a packed body says nothing.
    const isBounded = announced <= bytesMax && response.headers.get('content-encoding') === null;
    if (isBounded && reader === null && !hasEnded) {
      // One wait for the whole: several times cheaper than a reader.
      const text = await waitFor(() => response.text());
      hasEnded = true;
      finish();
      return text;
    }
    return await readBoundedText(read, bytesMax, () => {
      close();
      throw new ProviderError('protocol', `${toServerName(url)} answered more than ${bytesMax} bytes.`);
    });
  };

  return { status: response.status, headers: response.headers, read, readText, close };
}

async function readBoundedText(
  read: () => Promise<Uint8Array | null>,
  bytesMax: number,
  refuse: () => never,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (let piece = await read(); piece !== null; piece = await read()) {
    bytes += piece.byteLength;
    if (bytes > bytesMax) refuse();
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

/** One timer a body, not one a piece: it looks how long the present wait has lasted and sleeps on. */
function createIdleWatch(idleMs: number, onIdle: () => void) {
  let waitingSince: number | null = null;
  let timer: Timer | undefined;

  const look = (): void => {
    const waitedMs = waitingSince === null ? 0 : performance.now() - waitingSince;
    // A timer may fire a fraction of a millisecond early.
    if (waitedMs >= idleMs - 1) onIdle();
    else timer = setTimeout(look, idleMs - waitedMs);
  };

  return {
    beginWait(): void {
      waitingSince = performance.now();
      timer ??= setTimeout(look, idleMs);
    },
    endWait(): void {
      waitingSince = null;
    },
    stop(): void {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

/** Scheme, host and port: a path or query may hold what is nobody's business. */
export function toServerName(url: URL): string {
  return `The model's server at ${url.origin}`;
}

export function toTimeoutError(message: string): ProviderError {
  return new ProviderError('timeout', message, { isRetryable: true });
}

export function toCallError(error: unknown, signal: AbortSignal, url: URL, hasBegun: boolean): unknown {
  if (error instanceof ProviderError) return error;
  // The reason is either the caller's own, or one of the timeouts of this file.
  if (signal.aborted) return signal.reason;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const detail = code === '' ? '' : ` (${code})`;
  const message = hasBegun
    ? `${toServerName(url)} broke off amid its answer${detail}.`
    : `${toServerName(url)} cannot be reached${detail}.`;
  // A certificate that is refused now is refused again.
  const isRetryable = !/CERT|TLS|SSL/.test(code);
  return new ProviderError('connection', message, { isRetryable, cause: error });
}
