/** The `fetch` that the packages are given: the one way out, with its timeouts, its headers and its errors. */

import type { Clock } from '../../clock.ts';
import { parseJson, toRecord } from '../json-values.ts';
import { holdsError } from '../openai/error-mapping.ts';
import { toSecrets } from '../outbound/call-secrets.ts';
import type { Upstream, UpstreamCall } from '../outbound/upstream.ts';
import { DOCUMENT_BYTES_MAX, readErrorText, type UpstreamAnswer } from '../outbound/upstream-answer.ts';
import { type CallOptions, ProviderError } from '../provider.ts';
import { toAnswerError, toEventError } from './answer-errors.ts';

/** Bytes of a stream as a whole: packages hold an event until it ends, and it may never. */
const STREAM_BYTES_MAX = 64 * 1024 * 1024;

export type PackageFetch = typeof globalThis.fetch;

export interface SenderDeps {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly provider: string;
}

export type WireRequest = Pick<UpstreamCall, 'method' | 'url' | 'accept' | 'contentType'> & {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
};

/** An answer of status 2xx that is no HTML page. Throws `ProviderError` for any other, or the signal's reason. */
export async function sendUpstream(
  { upstream, clock, provider }: SenderDeps,
  wire: WireRequest,
  call: CallOptions,
): Promise<UpstreamAnswer> {
  const { style } = call.credentials;
  const answer = await upstream({
    ...wire,
    apiKey: null,
    style: {
      provider: style?.provider ?? provider,
      // What authorises the call is among the headers already.
      auth: null,
      headers: style?.headers ?? {},
      timeouts: style?.timeouts ?? {},
    },
    ...(call.credentials.baseUrlFromRequest === true ? { hostFromRequest: true } : {}),
    requestId: call.requestId,
    ...(call.traceparent === undefined ? {} : { traceparent: call.traceparent }),
    signal: call.signal,
  });
  if (answer.status >= 400) {
    const text = await readErrorText(answer);
    throw toAnswerError(
      { status: answer.status, headers: answer.headers, text },
      { secrets: toSecrets(call.credentials), nowMs: clock.nowMs() },
    );
  }
  if (answer.contentType.includes('text/html')) {
    answer.close();
    throw new ProviderError('protocol', "The model's server answered with an HTML page.", {
      status: answer.status,
    });
  }
  return answer;
}

export interface UpstreamFetch {
  readonly fetch: PackageFetch;
  /** Closes the connections of all answers that have not ended. */
  close(): void;
}

/**
 * `headers` authorise the call; what a package makes of keys itself is left out. Null: the package signs the call, and its
 * own headers stay.
 */
export function createUpstreamFetch(
  deps: SenderDeps,
  headers: Readonly<Record<string, string>> | null,
  call: CallOptions,
): UpstreamFetch {
  const answers = new Set<UpstreamAnswer>();

  const send = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const answer = await sendUpstream(deps, toWireRequest(input, init, headers), call);
    answers.add(answer);
    const isDocument = answer.contentType.includes('application/json');
    return isDocument ? await toDocument(answer, deps, call) : toResponse(answer);
  };

  return {
    // Bun's fetch has this besides; packages never call it.
    fetch: Object.assign(send, { preconnect: () => undefined }),
    close() {
      for (const answer of answers) answer.close();
      answers.clear();
    },
  };
}

/** Bodies are unpacked as they are read. */
const PACKING_HEADERS: readonly string[] = Object.freeze([
  'content-encoding',
  'content-length',
  'transfer-encoding',
]);
const KEY_HEADERS: readonly string[] = Object.freeze(['authorization', 'x-api-key', 'x-goog-api-key']);

function toWireRequest(
  input: string | URL | Request,
  init: RequestInit | undefined,
  own: Readonly<Record<string, string>> | null,
): WireRequest {
  const { body } = init ?? {};
  if (input instanceof Request || (body !== undefined && body !== null && typeof body !== 'string')) {
    throw new TypeError('A package has made a request in a form that is not known here.');
  }
  const headers = new Headers(init?.headers);
  if (own !== null) for (const name of KEY_HEADERS) headers.delete(name);
  return {
    method: init?.method === 'GET' ? 'GET' : 'POST',
    url: String(input),
    accept: '*/*',
    headers: { ...Object.fromEntries(headers), ...own },
    ...(typeof body === 'string' ? { body } : {}),
  };
}

/** One document, where a stream may have been asked for: packages would pass over an error that is one. */
async function toDocument(
  answer: UpstreamAnswer,
  { clock }: SenderDeps,
  call: CallOptions,
): Promise<Response> {
  const text = await answer.readText(DOCUMENT_BYTES_MAX);
  const document = toRecord(parseJson(text));
  if (document !== null && holdsError(document)) {
    throw toEventError(document, { secrets: toSecrets(call.credentials), nowMs: clock.nowMs() });
  }
  const headers = new Headers(answer.headers);
  for (const name of PACKING_HEADERS) headers.delete(name);
  return new Response(text, { status: answer.status, headers });
}

/** The answer as the packages read it. Its body breaks off with a `ProviderError`, or the signal's reason. */
function toResponse(answer: UpstreamAnswer): Response {
  const headers = new Headers(answer.headers);
  for (const name of PACKING_HEADERS) headers.delete(name);
  let bytes = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = await answer.read();
        if (piece === null) return controller.close();
        bytes += piece.byteLength;
        if (bytes > STREAM_BYTES_MAX) throw createTooLong();
        controller.enqueue(piece);
      },
      cancel() {
        answer.close();
      },
    },
    // Nothing is read ahead of who asks.
    { highWaterMark: 0 },
  );
  return new Response(body, { status: answer.status, headers });
}

function createTooLong(): ProviderError {
  return new ProviderError('protocol', `The model's server answered more than ${STREAM_BYTES_MAX} bytes.`);
}
