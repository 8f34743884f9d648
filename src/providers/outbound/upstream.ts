/**
 * The one way out: every call to a model's server goes through here.
 *
 * It follows no redirect (a redirect would carry keys to another host, and undo the list of allowed ones), sends no header
 * but those that are named, connects to no address that may not be where a request named the host, lets nothing wait
 * without a bound, and leaves servers alone that have failed many times in a row.
 */

import { ProviderError, type UpstreamStyle } from '../provider.ts';
import { isLoopbackHost } from '../routing/base-url.ts';
import { type AddressCheck, createAddressCheck } from './address-check.ts';
import {
  CallWatch,
  type ConnectionProbe,
  probeConnection,
  toServerName,
  UPSTREAM_TIMEOUTS,
  type UpstreamTimeouts,
} from './call-watch.ts';
import type { CallVerdict, Circuits, CircuitUse } from './circuit.ts';
import { ConnectTimeout, PlainAbort, type PlainClient } from './http1/client.ts';
import { PlainAnswer } from './plain-answer.ts';
import { FetchAnswer, toCallError, type UpstreamAnswer } from './upstream-answer.ts';
import { toOutwardHeaders } from './upstream-headers.ts';

export { UPSTREAM_TIMEOUTS, type UpstreamTimeouts } from './call-watch.ts';

/** The part of `fetch` that is used: the global one, or a test's. */
export type FetchPort = (url: string, init: BunFetchRequestInit) => Promise<Response>;

export interface UpstreamCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly apiKey: string | null;
  /** Whose circuit, timeouts and headers these are, and how the key is sent; absent: a bearer token, and no circuit. */
  readonly style?: Pick<UpstreamStyle, 'provider' | 'auth' | 'headers' | 'timeouts'>;
  /** Whose circuit it is, for adapters that have no style. */
  readonly provider?: string;
  /** What an adapter wants besides; only headers that `upstream-headers.ts` names go out. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly accept: string;
  readonly requestId: string;
  /** Where the call stands in a trace, as the header has it; absent where nobody traces. */
  readonly traceparent?: string;
  /** A stream is read once: a call with one is not made again at another address. */
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
  /** JSON unless said otherwise. */
  readonly contentType?: string;
  /** Of a stream, where it is known. */
  readonly contentLength?: number | null;
  /** Whether a request named the host: its addresses are checked, and the call has no part in any circuit. */
  readonly hostFromRequest?: boolean;
  readonly signal: AbortSignal;
}

/** Throws `ProviderError`, or the signal's reason. */
export type Upstream = (call: UpstreamCall) => Promise<UpstreamAnswer>;

export interface UpstreamOptions {
  readonly fetch: FetchPort;
  /** For servers without TLS that no proxy stands before; without one they are called by `fetch` too. */
  readonly plain?: PlainClient;
  readonly timeouts?: UpstreamTimeouts;
  readonly probe?: ConnectionProbe | null;
  /** Without one, hosts that requests name must have public addresses. */
  readonly addressCheck?: AddressCheck;
  readonly circuits?: Circuits;
  /**
   * Whether calls to the internet leave by a proxy. It resolves names itself then, so nothing can be pinned here: names that
   * resolve on this machine are still checked, what others lead to is the proxy's to decide.
   */
  readonly isProxied?: boolean;
  /** The only hosts, each `host` or `host:port`, that are called; empty or absent: any. */
  readonly onlyHosts?: readonly string[];
  /** `user-agent`, as `understudy/0.1.0`. */
  readonly userAgent?: string;
  /** Told of each call when its headers are in, or it has failed. */
  readonly onCall?: (call: OutboundCall) => void;
}

/** A call that left the server, or would have. */
export interface OutboundCall {
  readonly provider: string;
  readonly use: 'chat' | 'embeddings' | 'other';
  readonly outcome: CallOutcome;
  /** Until the headers of the answer. */
  readonly durationMs: number;
}

/** `refused`: not sent, because the provider is left alone for a while. */
export type CallOutcome =
  | 'success'
  | 'invalid_request'
  | 'rate_limit'
  | 'authentication'
  | 'server'
  | 'connection'
  | 'timeout'
  | 'cancelled'
  | 'refused'
  | 'other';

/** What the parts of one call share. */
interface CallParts {
  readonly call: UpstreamCall;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeouts: UpstreamTimeouts;
  readonly probe: ConnectionProbe | null;
  readonly fetch: FetchPort;
  readonly plain: PlainClient | null;
  readonly isProxied: boolean;
}

export function createUpstream(options: UpstreamOptions): Upstream {
  const { fetch, plain = null, circuits, isProxied = false } = options;
  const probe = options.probe === undefined && !isProxied ? probeConnection : (options.probe ?? null);
  const userAgent = options.userAgent ?? 'understudy';
  const defaults = options.timeouts ?? UPSTREAM_TIMEOUTS;
  const onlyHosts = new Set(options.onlyHosts?.map((host) => host.toLowerCase()));
  const check =
    options.addressCheck ?? createAddressCheck({ policy: { allowLoopback: false, isNamed: () => false } });

  const send: Upstream = async (call) => {
    call.signal.throwIfAborted();
    const url = new URL(call.url);
    if (onlyHosts.size > 0 && !onlyHosts.has(url.host) && !onlyHosts.has(url.hostname)) throw refuseHost(url);
    const contentType = call.body === undefined ? null : (call.contentType ?? 'application/json');
    const headers = toOutwardHeaders(call, contentType, userAgent);
    const timeouts = toTimeouts(defaults, call.style?.timeouts);
    const parts: CallParts = { call, url, headers, timeouts, probe, fetch, plain, isProxied };
    if (call.hostFromRequest === true) {
      return await callAddresses(parts, await findAddresses(parts, check, isProxied));
    }
    const provider = call.style?.provider ?? call.provider;
    if (circuits === undefined || provider === undefined) return await callAddress(parts, null);
    return await callInCircuit(parts, circuits.enter(provider, url.host, toUse(url)));
  };
  return options.onCall === undefined ? send : watchCalls(send, options.onCall);
}

/** The way out is where it is said: here nothing gets past, whichever setting or header has named the host. */
function refuseHost({ host }: URL): ProviderError {
  return new ProviderError(
    'invalid_request',
    `This server asks no models at '${host}': its operator allows other hosts alone (--only-upstream).`,
    { status: 400, code: 'host_not_allowed' },
  );
}

function toTimeouts(
  defaults: UpstreamTimeouts,
  own: Partial<UpstreamTimeouts> | undefined,
): UpstreamTimeouts {
  // Nearly all providers have none.
  for (const _ in own) return { ...defaults, ...own };
  return defaults;
}

function watchCalls(send: Upstream, onCall: NonNullable<UpstreamOptions['onCall']>): Upstream {
  return (call) => {
    const startedMs = performance.now();
    const note = (outcome: CallOutcome): void => {
      const provider = call.style?.provider ?? call.provider ?? 'other';
      onCall({ provider, use: toPurpose(call.url), outcome, durationMs: performance.now() - startedMs });
    };
    const answer = send(call);
    // Beside the way that the answer takes, which is no longer for it. Whoever asked sees the failure.
    answer.then(
      ({ status }) => note(toStatusOutcome(status)),
      (error: unknown) => note(call.signal.aborted ? 'cancelled' : toErrorOutcome(error)),
    );
    return answer;
  };
}

/** Paths of all protocols tell it. The text is not read as a URL once more, which costs more than all other counting. */
function toPurpose(url: string): OutboundCall['use'] {
  const path = url.slice(url.indexOf('/', url.indexOf('://') + 3));
  if (/embed/i.test(path)) return 'embeddings';
  return /chat|messages|generatecontent|converse|completions|invoke/i.test(path) ? 'chat' : 'other';
}

function toStatusOutcome(status: number): CallOutcome {
  if (status < 400) return 'success';
  if (status === 401 || status === 403) return 'authentication';
  if (status === 429 || status === 529) return 'rate_limit';
  return status >= 500 ? 'server' : 'invalid_request';
}

function toErrorOutcome(error: unknown): CallOutcome {
  if (!(error instanceof ProviderError)) return 'other';
  if (error.kind === 'connection' || error.kind === 'timeout') return error.kind;
  return error.kind === 'unavailable' ? 'refused' : 'other';
}

/** Paths of all protocols tell it, or the model's name among them (Bedrock's `amazon.titan-embed-…`). */
function toUse({ pathname }: URL): CircuitUse {
  return /embed/i.test(pathname) ? 'embeddings' : 'other';
}

async function callInCircuit(
  parts: CallParts,
  settle: (verdict: CallVerdict) => void,
): Promise<UpstreamAnswer> {
  try {
    const answer = await callAddress(parts, null);
    settle(isServerFailure(answer.status) ? 'failure' : 'success');
    return answer;
  } catch (error) {
    const isOurs = error instanceof ProviderError && !parts.call.signal.aborted;
    settle(isOurs && (error.kind === 'connection' || error.kind === 'timeout') ? 'failure' : 'none');
    throw error;
  }
}

/** What is not implemented is no sign of a dead server, nor is one that has too much to do (529, as 429). */
function isServerFailure(status: number): boolean {
  return status >= 500 && status !== 501 && status !== 529;
}

/** Null: the host is called as it is. */
async function findAddresses(
  { call, url, timeouts }: CallParts,
  check: AddressCheck,
  isProxied: boolean,
): Promise<readonly string[] | null> {
  const isByProxy = isProxied && !isLoopbackHost(url.hostname);
  try {
    const found = await check(url, { timeoutMs: timeouts.connectMs, signal: call.signal });
    return isByProxy ? null : found;
  } catch (error) {
    const isUnknown =
      error instanceof ProviderError && (error.kind === 'connection' || error.kind === 'timeout');
    if (isByProxy && isUnknown) return null;
    throw error;
  }
}

/** One address after the other, as long as no connection comes about. */
async function callAddresses(parts: CallParts, addresses: readonly string[] | null): Promise<UpstreamAnswer> {
  if (addresses === null) return await callAddress(parts, null);
  const { body } = parts.call;
  const isOnce = body instanceof ReadableStream;
  for (const [at, address] of addresses.entries()) {
    try {
      return await callAddress(parts, address);
    } catch (error) {
      const mayGoOn = error instanceof ProviderError && error.kind === 'connection' && error.isRetryable;
      if (isOnce || !mayGoOn || at === addresses.length - 1) throw error;
    }
  }
  throw new ProviderError('connection', `${toServerName(parts.url)} has no address.`);
}

/** `address`: the one to connect to; null: the URL's own host. */
async function callAddress(parts: CallParts, address: string | null): Promise<UpstreamAnswer> {
  const { call, url, timeouts, probe, fetch } = parts;
  const target = address === null ? url : toAddressUrl(url, address);
  const { plain } = parts;
  const isByProxy = parts.isProxied && address === null && !isLoopbackHost(url.hostname);
  if (plain !== null && !isByProxy && target.protocol === 'http:' && !(call.body instanceof ReadableStream)) {
    return await callPlain(parts, plain, target, call.body ?? null);
  }
  const abort = new AbortController();
  const onAbort = (): void => abort.abort(call.signal.reason);
  call.signal.addEventListener('abort', onAbort, { once: true });
  const release = (): void => call.signal.removeEventListener('abort', onAbort);
  const watch = new CallWatch({ server: url, target, timeouts, probe, abort });
  try {
    const response = await fetch(address === null ? call.url : target.href, {
      method: call.method,
      // The server is to see its name, and its certificate is checked against it.
      headers: address === null ? parts.headers : { ...parts.headers, host: url.host },
      ...(address !== null && url.protocol === 'https:'
        ? { tls: { serverName: toCertificateName(url) } }
        : {}),
      ...(call.body === undefined ? {} : { body: call.body }),
      signal: abort.signal,
      redirect: 'manual',
      // The timers here are the only ones: Bun's own ends a silent connection after five minutes.
      timeout: false,
      // A proxy set for the way out cannot reach a server on this machine, nor would it keep to the address.
      ...(address !== null || isLoopbackHost(url.hostname) ? { proxy: false } : {}),
    });
    refuseRedirect(response.status, url, { close: () => abort.abort() });
    return new FetchAnswer({ response, url, abort, release, watch });
  } catch (error) {
    release();
    watch.stop();
    throw toCallError(error, abort.signal, url, false);
  }
}

async function callPlain(
  { call, url, headers, timeouts }: CallParts,
  plain: PlainClient,
  target: URL,
  body: string | Uint8Array | null,
): Promise<UpstreamAnswer> {
  const abort = new PlainAbort();
  // On its way before all that only matters while it is waited for.
  const sent = plain.send(
    {
      method: call.method,
      target: { hostname: toSocketHost(target), port: Number(target.port || HTTP_PORT) },
      path: target.pathname + target.search,
      host: url.host,
      headers,
      body,
      connectMs: timeouts.connectMs,
    },
    abort,
  );
  const onAbort = (): void => abort.abort(call.signal.reason);
  call.signal.addEventListener('abort', onAbort, { once: true });
  const release = (): void => call.signal.removeEventListener('abort', onAbort);
  // The client bounds the wait for a connection itself.
  const watch = new CallWatch({ server: url, target, timeouts, probe: null, abort });
  try {
    const exchange = await sent;
    const answer = new PlainAnswer({ exchange, url, abort, signal: call.signal, release, watch });
    refuseRedirect(answer.status, url, answer);
    return answer;
  } catch (error) {
    release();
    watch.stop();
    if (!(error instanceof ConnectTimeout)) throw toCallError(error, call.signal, url, false);
    const message = `${toServerName(url)} took no connection in ${timeouts.connectMs} ms.`;
    throw new ProviderError('timeout', message, { isRetryable: true });
  }
}

const HTTP_PORT = 80;

function toSocketHost({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function toAddressUrl(url: URL, address: string): URL {
  const target = new URL(url);
  target.hostname = address.includes(':') ? `[${address}]` : address;
  return target;
}

/** Certificates name hosts without the dot that an absolute name may end with. */
function toCertificateName(url: URL): string {
  return url.hostname.replace(/\.$/, '');
}

function refuseRedirect(status: number, url: URL, answer: { close(): void }): void {
  if (status < 300 || status > 399) return;
  answer.close();
  throw new ProviderError(
    'protocol',
    `${toServerName(url)} answered with a redirect, which is not followed.`,
    { status },
  );
}
