/**
 * The one way out: every call to a model's server goes through here.
 *
 * It follows no redirect (a redirect would carry keys to another host, and undo the list of allowed ones),
 * sends no header but those named here, and lets nothing wait without a bound.
 */

import { isLoopbackHost } from './base-url.ts';
import { ProviderError } from './provider.ts';
import {
  createAnswer,
  toCallError,
  toServerName,
  toTimeoutError,
  type UpstreamAnswer,
} from './upstream-answer.ts';

/** The part of `fetch` that is used: the global one, or a test's. */
export type FetchPort = (url: string, init: BunFetchRequestInit) => Promise<Response>;

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

export interface UpstreamCall {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly apiKey: string | null;
  readonly accept: string;
  readonly requestId: string;
  /** JSON text; sent with its content type. */
  readonly body?: string;
  readonly signal: AbortSignal;
}

export type Upstream = (call: UpstreamCall) => Promise<UpstreamAnswer>;

/** Tells whether a connection to the URL's host can be made in time. */
export type ConnectionProbe = (url: URL, timeoutMs: number) => Promise<boolean>;

export interface UpstreamOptions {
  readonly fetch: FetchPort;
  readonly timeouts?: UpstreamTimeouts;
  /** Null where calls leave by a proxy: a direct connection says nothing then. */
  readonly probe?: ConnectionProbe | null;
  /** `user-agent`, as `understudy/0.1.0`. */
  readonly userAgent?: string;
}

export function createUpstream(options: UpstreamOptions): Upstream {
  const timeouts = options.timeouts ?? UPSTREAM_TIMEOUTS;
  const probe = options.probe === undefined ? probeConnection : options.probe;
  const userAgent = options.userAgent ?? 'understudy';

  return async (call) => {
    call.signal.throwIfAborted();
    const url = new URL(call.url);
    const headers = toHeaders(call, userAgent);
    const abort = new AbortController();
    const onAbort = (): void => abort.abort(call.signal.reason);
    call.signal.addEventListener('abort', onAbort, { once: true });
    const release = (): void => call.signal.removeEventListener('abort', onAbort);
    const stopWatch = watchForAnswer(url, timeouts, probe, abort);
    try {
      const response = await options.fetch(call.url, {
        method: call.method,
        headers,
        ...(call.body === undefined ? {} : { body: call.body }),
        signal: abort.signal,
        redirect: 'manual',
        // The timers here are the only ones: Bun's own ends a silent connection after five minutes.
        timeout: false,
        // A proxy set for the way out cannot reach a server on this machine.
        ...(isLoopbackHost(url.hostname) ? { proxy: false } : {}),
      });
      refuseRedirect(response, url, abort);
      return createAnswer({ response, url, abort, release, idleMs: timeouts.idleMs });
    } catch (error) {
      release();
      throw toCallError(error, abort.signal, url, false);
    } finally {
      stopWatch();
    }
  };
}

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

/** What goes out, and nothing else: no header of a client's request ever gets here. */
function toHeaders(call: UpstreamCall, userAgent: string): Record<string, string> {
  const headers: Record<string, string> = {
    accept: call.accept,
    'user-agent': userAgent,
    'x-request-id': call.requestId,
  };
  if (call.body !== undefined) headers['content-type'] = 'application/json';
  if (call.apiKey !== null) {
    // fetch would refuse these with an error of its own; refusing here keeps the key out of every message.
    if (!/^[\x21-\x7e]+$/.test(call.apiKey)) {
      throw new ProviderError('authentication', 'The API key holds characters that no key can hold.');
    }
    headers.authorization = `Bearer ${call.apiKey}`;
  }
  return headers;
}

/**
 * Bounds the wait for the answer's headers. fetch does not tell a connection that never comes from a model
 * that thinks; so after half of the connect time a second connection is tried, and only when that fails too is the
 * server out of reach.
 */
function watchForAnswer(
  url: URL,
  timeouts: UpstreamTimeouts,
  probe: ConnectionProbe | null,
  abort: AbortController,
): () => void {
  const halfMs = timeouts.connectMs / 2;
  let isOver = false;
  const expire = (message: string): void => {
    if (!isOver) abort.abort(toTimeoutError(message));
  };
  const firstByteTimer = setTimeout(
    () => expire(`${toServerName(url)} did not begin to answer in ${timeouts.firstByteMs} ms.`),
    timeouts.firstByteMs,
  );
  const probeTimer =
    probe === null
      ? undefined
      : setTimeout(() => {
          const onResult = (isReachable: boolean): void => {
            if (!isReachable) expire(`${toServerName(url)} took no connection in ${timeouts.connectMs} ms.`);
          };
          // A probe that fails by itself says nothing about the server.
          probe(url, halfMs).then(onResult, () => undefined);
        }, halfMs);
  return () => {
    isOver = true;
    clearTimeout(firstByteTimer);
    clearTimeout(probeTimer);
  };
}

function refuseRedirect(response: Response, url: URL, abort: AbortController): void {
  if (response.status < 300 || response.status > 399) return;
  abort.abort();
  throw new ProviderError(
    'protocol',
    `${toServerName(url)} answered with a redirect, which is not followed.`,
    {
      status: response.status,
    },
  );
}
