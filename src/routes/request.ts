/** What handlers read of a request: its caller, its body, its query. */

import type { Static, TSchema } from '@sinclair/typebox';
import { ASTRA_TOKEN_HEADER } from '../astra-token.ts';
import { ApiError } from '../errors.ts';
import type { RequestHeaders } from '../providers/provider.ts';
import type { Caller, CallerKey } from '../services/caller.ts';
import { METADATA_PAIRS_MAX } from '../services/metadata.ts';
import type { Scope } from '../store/store.ts';
import type { RequestSpans } from './request-spans.ts';
import type { Validator } from './validation.ts';

/** Tells whose request this is. Errors: 401. */
export type Authenticate = (request: Request) => Scope;

export interface RequestDeps {
  readonly authenticate: Authenticate;
  /** The key of the server's own that a request came with. Absent where the server has none: `Authorization` is then a model's. */
  readonly identify?: (request: Request) => CallerKey | null;
  readonly spans: Pick<RequestSpans, 'find'>;
  readonly validator: Validator;
  readonly bodyBytesMax: number;
}

/** The part of Elysia's `set` that handlers use. */
export interface ResponseSettings {
  headers: Record<string, string | number | undefined>;
  status?: number | string;
}

export const REQUEST_ID_HEADER = 'x-request-id';

/** The official clients wait five seconds between two looks at a run or a file unless they are told otherwise. */
const POLL_AFTER_MS = '200';

/** Tells a client that polls when to look again. */
export function hintPolling(set: ResponseSettings): void {
  set.headers['openai-poll-after-ms'] = POLL_AFTER_MS;
}

export function toCaller(deps: RequestDeps, request: Request, set: ResponseSettings): Caller {
  const requestId = String(set.headers[REQUEST_ID_HEADER] ?? '');
  const headers = toHeaders(request);
  const scope = deps.authenticate(request);
  const trace = deps.spans.find(request);
  const traced = trace === null ? {} : { trace };
  if (deps.identify === undefined) return { scope, headers, requestId, ...traced };
  // The key is the server's: nobody beyond it gets to see it, whether or not it was a good one.
  const { authorization: _, ...others } = headers;
  const key = deps.identify(request);
  return { scope, headers: others, requestId, ...traced, ...(key === null ? {} : { key }) };
}

/** All of them, their names in lower case. */
export function toHeaders(request: Request): RequestHeaders {
  return request.headers.toJSON() as Record<string, string>;
}

/** Whether the request comes from a program of astra-assistants-api, whose own fields are then shown beside the API's. */
export function hasAstraToken(request: Request): boolean {
  return (request.headers.get(ASTRA_TOKEN_HEADER) ?? '') !== '';
}

/** The JSON body, checked. Errors: 413, 415; 400 for what is no JSON object or does not fit the schema. */
export async function readBody<T extends TSchema>(
  deps: RequestDeps,
  request: Request,
  schema: T,
): Promise<Static<T>> {
  return deps.validator.parse(schema, await readJson(request, deps.bodyBytesMax));
}

/** An empty body is an empty object: that is what clients mean where nothing is required. */
export async function readJson(request: Request, bytesMax: number): Promise<unknown> {
  const text = await readText(request, bytesMax);
  if (text === '') return {};
  const type = request.headers.get('content-type') ?? '';
  // A page of another origin may send anything but this type without asking first.
  if (!/^application\/([\w.-]+\+)?json\b/i.test(type)) {
    throw new ApiError(
      'unsupported_media_type',
      `Unsupported content type: '${type.slice(0, 100)}'. This API takes 'application/json'.`,
    );
  }
  const value = parseJson(text);
  if (isDeeperThan(value, JSON_DEPTH_MAX)) {
    throw ApiError.invalidRequest(`The JSON body is nested too deeply: at most ${JSON_DEPTH_MAX} levels.`);
  }
  return value;
}

/** Parsing survives any depth; checking, storing and sending on recurse. */
const JSON_DEPTH_MAX = 256;

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((item) => isDeeperThan(item, levels - 1));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw toNotJson(cause);
  }
}

function toNotJson(cause: unknown): ApiError {
  return new ApiError(
    'invalid_request',
    'We could not parse the JSON body of your request. (HINT: This likely means you aren’t using your HTTP library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)',
    { cause },
  );
}

async function readText(request: Request, bytesMax: number): Promise<string> {
  const length = request.headers.get('content-length');
  if (length !== null) {
    if (Number(length) > bytesMax) throw toTooLarge(bytesMax);
    return decode(new TextDecoder('utf-8', { fatal: true }), await request.bytes(), true);
  }
  if (request.body === null) return '';
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw toTooLarge(bytesMax);
    text += decode(decoder, chunk, false);
  }
  return text + decode(decoder, new Uint8Array(), true);
}

/** The body as it is. Errors: 413. */
export async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const length = request.headers.get('content-length');
  if (length !== null) {
    if (Number(length) > bytesMax) throw toTooLarge(bytesMax);
    return await request.bytes();
  }
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of request.body ?? []) {
    bytes += piece.byteLength;
    if (bytes > bytesMax) throw toTooLarge(bytesMax);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Bytes that are no UTF-8 are refused: a sign for what cannot be read would be kept in their place. Errors: 400. */
function decode(decoder: TextDecoder, bytes: Uint8Array, isLast: boolean): string {
  try {
    return decoder.decode(bytes, { stream: !isLast });
  } catch (cause) {
    throw toNotJson(cause);
  }
}

function toTooLarge(bytesMax: number): ApiError {
  return new ApiError('request_too_large', `The request body is larger than ${bytesMax} bytes.`);
}

export function readQuery(request: Request): URLSearchParams {
  const start = request.url.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : request.url.slice(start + 1));
}

/** `metadata[key]=value` pairs of a query. Errors: 400 for more pairs than an object can have. */
export function readMetadataFilter(query: URLSearchParams): Record<string, string> {
  const pairs = new Map<string, string>();
  for (const [name, value] of query) {
    // Keys may hold anything, line breaks too.
    const key = /^metadata\[(.*)\]$/s.exec(name)?.[1];
    if (key !== undefined) pairs.set(key, value);
  }
  if (pairs.size > METADATA_PAIRS_MAX) {
    throw ApiError.invalidValue(
      'metadata',
      `Invalid 'metadata': an object has at most ${METADATA_PAIRS_MAX} pairs, but ${pairs.size} were asked for.`,
    );
  }
  return Object.fromEntries(pairs);
}

/** The body of a streamed reply. */
export function toStreamResponse(stream: ReadableStream<Uint8Array>): Response {
  return new Response(stream, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      // Nginx gathers what it relays unless told not to.
      'x-accel-buffering': 'no',
    },
  });
}
