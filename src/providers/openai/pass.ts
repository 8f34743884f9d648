/** Any other endpoint of OpenAI's API at a server that has it: the request as it came, the answer as it comes. */

import type { Clock } from '../../clock.ts';
import type { UpstreamAnswer } from '../outbound/upstream-answer.ts';
import { type CallOptions, type PassedRequest, ProviderError } from '../provider.ts';
import { findUsage } from '../usage-scan.ts';
import { checkDocument, createRelayStream, refuseHtml, STREAM_INIT } from './relay.ts';
import { createStreamRepair, type RepairOptions } from './reply-repair.ts';
import { isConnection, type Retry, type Send, toContext } from './send.ts';
import { toServer, toStyle } from './wire-call.ts';

/** Documents that announce no more are checked whole before a byte of them is passed on. */
const CHECKED_BYTES_MAX = 256 * 1024;
/** Headers of an answer that mean something to the client; all others are the connection's, or the provider's own. */
const PASSED_HEADERS = Object.freeze([
  'content-type',
  'content-disposition',
  'content-range',
  'accept-ranges',
]);

export function createPass(deps: { readonly send: Send; readonly retry: Retry; readonly clock: Clock }) {
  return async (request: PassedRequest, call: CallOptions): Promise<Response> => {
    const { method, path, model, accept, contentType, contentLength, body } = request;
    const attempt = () =>
      deps.send(
        {
          method,
          path,
          model,
          accept,
          ...(body === null ? {} : { body, contentLength }),
          ...(body === null || contentType === null ? {} : { contentType }),
        },
        call,
      );
    try {
      // A stream is read once.
      const isOnce = body instanceof ReadableStream;
      const answer = isOnce ? await attempt() : await deps.retry(attempt, call, isConnection);
      return await toPassedResponse(answer, path, toRepair(call, deps.clock));
    } catch (error) {
      throw lacksEndpoint(error) ? createNotSupported(request, call, error) : error;
    }
  };
}

/** Nothing is mended here but what an error says. */
function toRepair(call: CallOptions, clock: Clock): RepairOptions {
  return {
    isExact: true,
    toolNames: NO_NAMES,
    createCallId: () => '',
    context: toContext(call, clock),
    meter: call.meter,
  };
}

const NO_NAMES: ReadonlySet<string> = new Set();

async function toPassedResponse(
  answer: UpstreamAnswer,
  path: string,
  repair: RepairOptions,
): Promise<Response> {
  refuseHtml(answer);
  const contentType = answer.contentType;
  if (contentType.includes('text/event-stream')) {
    // Only completions say themselves that they are whole; other streams end with their last event.
    const needsFinish = path.startsWith('completions');
    const stream = createRelayStream(answer, createStreamRepair(repair), {
      needsFinish,
      meter: repair.meter,
    });
    return new Response(stream, STREAM_INIT);
  }
  const headers = toPassedHeaders(answer.headers);
  if (answer.status === 204) {
    answer.close();
    return new Response(null, { status: 204 });
  }
  const announced = Number(answer.headers.get('content-length') ?? Number.NaN);
  if (contentType.includes('json') && announced <= CHECKED_BYTES_MAX) {
    const text = checkDocument(await answer.readText(CHECKED_BYTES_MAX), repair);
    const counts = repair.meter === undefined ? null : findUsage(text);
    if (counts !== null) repair.meter?.usage(counts);
    return new Response(text, { status: answer.status, headers });
  }
  const stream = toByteStream(answer, contentType.includes('json'));
  return new Response(stream, { status: answer.status, headers });
}

function toPassedHeaders(given: Headers): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of PASSED_HEADERS) {
    const value = given.get(name);
    if (value !== null) headers[name] = value;
  }
  return headers;
}

/** The body piece by piece, no faster than it is taken. JSON without its last bracket breaks the connection off. */
function toByteStream(answer: UpstreamAnswer, isJson: boolean): ReadableStream<Uint8Array> {
  let last = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const piece = await answer.read();
          if (piece !== null) {
            last = findLastByte(piece) ?? last;
            controller.enqueue(piece);
          } else if (isJson && last !== CLOSING_BRACE && last !== CLOSING_BRACKET) {
            controller.error(
              new ProviderError('protocol', "The model's server answered with JSON that is cut."),
            );
          } else {
            controller.close();
          }
        } catch (error) {
          answer.close();
          controller.error(error);
        }
      },
      cancel() {
        answer.close();
      },
    },
    { highWaterMark: 0 },
  );
}

const CLOSING_BRACE = 0x7d;
const CLOSING_BRACKET = 0x5d;
const SPACE = 0x20;

/** The last byte that is no white space; null where there is none. */
function findLastByte(piece: Uint8Array): number | null {
  for (let at = piece.length - 1; at >= 0; at -= 1) {
    const byte = piece[at] ?? SPACE;
    if (byte > SPACE) return byte;
  }
  return null;
}

/** Servers say in many ways that they do not know a path; one that misses an object of theirs names it. */
function lacksEndpoint(error: unknown): error is ProviderError {
  if (!(error instanceof ProviderError)) return false;
  const { status, code, message } = error;
  if (status === 405 || status === 501) return true;
  if (status !== 404) return false;
  return code === 'unknown_url' || NO_PATH.test(message);
}

const NO_PATH =
  /^(invalid url|unknown (request )?url|not found|404|cannot (get|post|delete)|resource not found|no route|unexpected endpoint|the model's server answered http 404)/i;

function createNotSupported(request: PassedRequest, call: CallOptions, cause: ProviderError): ProviderError {
  const path = request.path.split('?', 1)[0];
  const { host } = new URL(toServer(call));
  return new ProviderError(
    'not_supported',
    `The provider '${toStyle(call).provider}' at ${host} has no ${request.method} /v1/${path}.`,
    { status: cause.status, cause },
  );
}
