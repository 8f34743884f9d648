/**
 * Bounds every wait of one call: until a connection stands, until the headers of the answer are in, between two pieces of its
 * body. One timer a call, which looks how long the present wait has lasted and sleeps on: there are thousands of calls.
 */

import { ProviderError } from '../provider.ts';

/** Tells whether a connection to the URL's host can be made in time. */
export type ConnectionProbe = (url: URL, timeoutMs: number) => Promise<boolean>;

export interface UpstreamTimeouts {
  /** Until a connection stands. */
  readonly connectMs: number;
  /** Until the headers of the answer are in: a model may think for minutes before its first word. */
  readonly firstByteMs: number;
  /** Between two pieces of a body. */
  readonly idleMs: number;
}

export const UPSTREAM_TIMEOUTS: UpstreamTimeouts = Object.freeze({
  connectMs: 10_000,
  firstByteMs: 600_000,
  idleMs: 120_000,
});

/** Opens and closes a TCP connection. */
export const probeConnection: ConnectionProbe = (url, timeoutMs) =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const settle = (isReachable: boolean): void => {
      clearTimeout(timer);
      resolve(isReachable);
    };
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
    Bun.connect({
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port,
      socket: {
        open(socket) {
          socket.end();
          settle(true);
        },
        data() {},
        error: () => settle(false),
        connectError: () => settle(false),
      },
    }).catch(() => settle(false));
  });

export interface WatchParts {
  /** Named in messages. */
  readonly server: URL;
  /** What is connected to: the server, or the address of it that was checked. */
  readonly target: URL;
  readonly timeouts: UpstreamTimeouts;
  readonly probe: ConnectionProbe | null;
  /** Given a `ProviderError` (`timeout`) when a wait has lasted too long. */
  readonly abort: { abort(reason: ProviderError): void };
}

type Phase = 'answer' | 'body' | 'over';

/** A timer may fire a fraction of a millisecond early. */
const EARLY_MS = 1;

export class CallWatch {
  #phase: Phase = 'answer';
  /** When the present wait began; null in between. */
  #waitingSince: number | null = performance.now();
  #isProbed = false;
  #timer: Timer | undefined;
  /** When the timer fires. */
  #dueMs = Number.POSITIVE_INFINITY;
  readonly #parts: WatchParts;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#sleep(performance.now());
  }

  /** The headers are in; from here on each wait for a piece of the body is bounded. */
  beginBody(): void {
    this.#phase = 'body';
    this.#waitingSince = null;
  }

  beginWait(): void {
    const now = performance.now();
    this.#waitingSince = now;
    // The timer of the wait before may be set for later than this one may last.
    if (this.#dueMs > now + this.#parts.timeouts.idleMs) this.#sleep(now);
  }

  endWait(): void {
    this.#waitingSince = null;
  }

  stop(): void {
    this.#phase = 'over';
    clearTimeout(this.#timer);
  }

  #sleep(now: number): void {
    const waitMs = Math.max(0, this.#findLeftMs(now));
    clearTimeout(this.#timer);
    this.#dueMs = now + waitMs;
    this.#timer = setTimeout(() => this.#look(), waitMs);
  }

  /** Until there is something to do, if nothing happens before. */
  #findLeftMs(now: number): number {
    const { timeouts, probe } = this.#parts;
    const waitedMs = now - (this.#waitingSince ?? now);
    if (this.#phase === 'body') return timeouts.idleMs - waitedMs;
    const limitMs =
      probe === null || this.#isProbed
        ? timeouts.firstByteMs
        : Math.min(timeouts.connectMs / 2, timeouts.firstByteMs);
    return limitMs - waitedMs;
  }

  #look(): void {
    if (this.#phase === 'over') return;
    const now = performance.now();
    const waitedMs = this.#waitingSince === null ? 0 : now - this.#waitingSince + EARLY_MS;
    const { server, timeouts, probe } = this.#parts;
    if (this.#phase === 'body') {
      if (waitedMs >= timeouts.idleMs) {
        this.#expire(`${toServerName(server)} was silent for ${timeouts.idleMs} ms amid its answer.`);
        return;
      }
    } else if (waitedMs >= timeouts.firstByteMs) {
      this.#expire(`${toServerName(server)} did not begin to answer in ${timeouts.firstByteMs} ms.`);
      return;
    } else if (probe !== null && !this.#isProbed && waitedMs >= timeouts.connectMs / 2) {
      this.#probe(probe);
    }
    this.#sleep(now);
  }

  /**
   * fetch does not tell a connection that never comes from a model that thinks; so after half of the connect time a second
   * connection is tried, and only when that fails too is the server out of reach.
   */
  #probe(probe: ConnectionProbe): void {
    this.#isProbed = true;
    const { server, target, timeouts } = this.#parts;
    const onResult = (isReachable: boolean): void => {
      if (isReachable || this.#phase !== 'answer') return;
      this.#expire(`${toServerName(server)} took no connection in ${timeouts.connectMs} ms.`);
    };
    // A probe that fails by itself says nothing about the server.
    probe(target, timeouts.connectMs / 2).then(onResult, () => undefined);
  }

  #expire(message: string): void {
    this.stop();
    this.#parts.abort.abort(new ProviderError('timeout', message, { isRetryable: true }));
  }
}

/** Scheme, host and port: a path or query may hold what is nobody's business. */
export function toServerName(url: URL): string {
  return `The model's server at ${url.origin}`;
}
