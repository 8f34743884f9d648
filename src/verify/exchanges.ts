/**
 * What goes between the official client and the server that is verified: every request, and the answer as it came over the
 * wire. The client hides much of it (statuses other than errors, fields that are missing, the end of a stream).
 */

import { createSseParser, type SseEvent } from '../providers/openai/sse-parser.ts';

/** Of one body that is no stream of events. */
export const BODY_BYTES_MAX = 16 * 1024 * 1024;
/** Of one stream; a run of these checks has a few thousand. */
export const EVENTS_MAX = 50_000;
const SETTLE_MS = 5_000;

export interface WireEvent extends SseEvent {
  /** Since the request. */
  readonly afterMs: number;
}

export interface Exchange {
  readonly method: string;
  /** Below the base URL, decoded: `/threads/thread_x`. */
  readonly path: string;
  readonly status: number;
  readonly contentType: string;
  /** The body; empty for a stream of events. */
  readonly text: string;
  /** The parsed body; undefined where it is no JSON. */
  readonly json: unknown;
  /** What has come of a stream of events; null where the answer is none. */
  readonly events: WireEvent[] | null;
  readonly durationMs: number;
}

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

export interface ExchangeLog {
  /** Passed to the client. */
  readonly fetch: Fetch;
  /** Those of the current check, oldest first. */
  readonly exchanges: readonly Exchange[];
  /** Begins a check: its requests end when `signal` aborts. Ends what is left of the check before. */
  begin(signal: AbortSignal): void;
  /**
   * Lets no further request out, and waits for the answers to those under way, a stream's first event included, so that
   * whatever was made is known. Gives up after `SETTLE_MS`.
   */
  settle(): Promise<void>;
}

export interface ExchangeLogDeps {
  readonly fetch: Fetch;
  readonly baseUrl: string;
  readonly nowMs: () => number;
  /** Called with every answer; for a stream, with its first event. */
  readonly onAnswer: (exchange: Exchange) => void;
  /** Called where no answer came: what the request made, if anything, has no name. */
  readonly onLost: (method: string, path: string) => void;
}

export function createExchangeLog({ fetch, baseUrl, nowMs, onAnswer, onLost }: ExchangeLogDeps): ExchangeLog {
  const basePath = new URL(baseUrl).pathname.replace(/\/$/, '');
  const underWay = new Set<Promise<unknown>>();
  let exchanges: Exchange[] = [];
  let ending = new AbortController();
  let current: AbortSignal = ending.signal;
  let isClosed = false;

  const exchange = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const sinceMs = nowMs();
    const given = init.signal ?? null;
    const signal = given === null ? current : AbortSignal.any([given, current]);
    const own = exchanges;
    const url = new URL(input instanceof Request ? input.url : input);
    const [method, path] = [init.method ?? 'GET', toPath(url, basePath)];
    const lose = (error: unknown): never => {
      onLost(method, path);
      throw error;
    };
    const response = await fetch(input, { ...init, signal }).catch(lose);
    const contentType = response.headers.get('content-type') ?? '';
    const head = { method, path, status: response.status, contentType };
    if (response.body !== null && contentType.startsWith('text/event-stream')) {
      const streamed = { ...head, text: '', json: undefined, events: [], durationMs: nowMs() - sinceMs };
      own.push(streamed);
      const first = Promise.withResolvers<void>();
      hold(first.promise);
      signal.addEventListener('abort', () => first.resolve(), { once: true });
      const note = noteEvents(
        streamed,
        () => nowMs() - sinceMs,
        () => {
          onAnswer(streamed);
          first.resolve();
        },
      );
      return new Response(response.body.pipeThrough(note), response);
    }
    const bytes = await readBounded(response).catch(lose);
    const text = new TextDecoder().decode(bytes);
    const whole = { ...head, text, json: toJson(text), events: null, durationMs: nowMs() - sinceMs };
    own.push(whole);
    onAnswer(whole);
    return new Response(isBodyless(response.status) ? null : bytes, response);
  };

  const hold = (call: Promise<unknown>): void => {
    underWay.add(call);
    const forget = (): void => void underWay.delete(call);
    call.then(forget, forget);
  };

  return {
    async fetch(input, init) {
      if (isClosed) throw new Error('no further request is made');
      const call = exchange(input, init);
      hold(call);
      return await call;
    },
    get exchanges() {
      return exchanges;
    },
    begin(signal) {
      ending.abort();
      ending = new AbortController();
      exchanges = [];
      current = AbortSignal.any([signal, ending.signal]);
      isClosed = false;
    },
    async settle() {
      isClosed = true;
      const timeout = new Promise((resolve) =>
        AbortSignal.timeout(SETTLE_MS).addEventListener('abort', resolve),
      );
      // A stream is held once its answer is there.
      while (underWay.size > 0) {
        const isLate = await Promise.race([
          Promise.allSettled(underWay).then(() => false),
          timeout.then(() => true),
        ]);
        if (isLate) break;
      }
      ending.abort();
    },
  };
}

function toPath(url: URL, basePath: string): string {
  const path = url.pathname.startsWith(basePath) ? url.pathname.slice(basePath.length) : url.pathname;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function noteEvents(
  exchange: Exchange & { events: WireEvent[] },
  toAfterMs: () => number,
  onFirst: () => void,
): TransformStream<Uint8Array, Uint8Array> {
  const parser = createSseParser();
  const note = (events: readonly SseEvent[]): void => {
    const isFirst = exchange.events.length === 0 && events.length > 0;
    if (exchange.events.length + events.length > EVENTS_MAX) throw new Error('the stream never ends');
    for (const event of events) exchange.events.push({ ...event, afterMs: toAfterMs() });
    if (isFirst) onFirst();
  };
  return new TransformStream({
    transform(bytes, controller) {
      note(parser.push(bytes));
      controller.enqueue(bytes);
    },
    flush() {
      note(parser.end());
      // An empty stream has nothing to wait for.
      if (exchange.events.length === 0) onFirst();
    },
  });
}

async function readBounded(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > BODY_BYTES_MAX) throw new Error(`the answer has more than ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

/** Statuses that a `Response` may not be given a body for. */
function isBodyless(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

export function toJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
