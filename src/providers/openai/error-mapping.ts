/**
 * What went wrong upstream, as a `ProviderError`: from an HTTP answer, or from an error inside a stream.
 *
 * Servers write errors in many shapes, and some repeat the key they were given. What leaves here is one
 * shape, bounded, without keys and without HTML.
 */

import { type JsonRecord, parseJson, toList, toRecord, toText } from '../json-values.ts';
import { ProviderError, type ProviderErrorKind } from '../provider.ts';

const MESSAGE_CHARACTERS_MAX = 1000;
const CODE_CHARACTERS_MAX = 200;
/** Keys shorter than this are only taken out where they stand as a word of their own. */
const DISTINCT_KEY_CHARACTERS_MIN = 8;

export interface FailedAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface ErrorContext {
  /** Taken out of every text. */
  readonly apiKey: string | null;
  /** What else came with the call and is nobody's business. */
  readonly secrets?: readonly string[];
  readonly nowMs: number;
}

interface UpstreamFault {
  readonly message: string | null;
  readonly code: string | null;
  readonly type: string | null;
  readonly param: string | null;
  /** An HTTP status that the body names (`code: 429`), where it names one. */
  readonly status: number | null;
}

/** An answer of status 400 and above. */
export function toStatusError(answer: FailedAnswer, context: ErrorContext): ProviderError {
  const fault = toFault(parseJson(answer.text));
  const message = fault.message ?? toPlainMessage(answer.text);
  const kind = toKind(answer.status, fault, message ?? '');
  return createError(kind, { ...fault, message, status: answer.status }, context, {
    retryAfterMs: toRetryAfterMs(answer.headers, context.nowMs),
    mayRetry: answer.headers.get('x-should-retry') !== 'false',
  });
}

/**
 * Whether a chunk, or an answer of status 200, is an error: `{"error": …}`, `{"type": "error", …}`,
 * `{"object": "error", …}`.
 */
export function holdsError(chunk: JsonRecord): boolean {
  return (
    (chunk.error !== undefined && chunk.error !== null) || chunk.object === 'error' || chunk.type === 'error'
  );
}

/** What such a chunk says, or the data of an `event: error`, whatever that is. */
export function toInlineError(value: unknown, context: ErrorContext): ProviderError {
  const fault = toFault(value);
  const message = fault.message ?? (typeof value === 'string' ? toPlainMessage(value) : null);
  const kind = toKind(fault.status, fault, message ?? '');
  return createError(kind, { ...fault, message }, context, { retryAfterMs: null, mayRetry: true });
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date; null where neither can be read. */
export function toRetryAfterMs(headers: Headers, nowMs: number): number | null {
  const ms = Number.parseFloat(headers.get('retry-after-ms') ?? '');
  if (ms >= 0) return Math.round(ms);
  const text = headers.get('retry-after');
  if (text === null) return null;
  if (/^\s*\d+(\.\d+)?\s*$/.test(text)) return Math.round(Number(text) * 1000);
  // Date.parse takes a bare number for a year; an HTTP date begins with the day of the week.
  const date = /^\s*[A-Za-z]{3}/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

/** Takes out everything that authorised the call, and whatever looks like a key. */
export function redactSecrets(text: string, { apiKey, secrets = [] }: ErrorContext): string {
  return secrets.reduce((safe, secret) => redactKeys(safe, secret), redactKeys(text, apiKey));
}

/** Takes out the key itself and whatever looks like one, masked ones included. */
export function redactKeys(text: string, apiKey: string | null): string {
  let safe = text;
  if (apiKey !== null && apiKey !== '') {
    if (apiKey.length >= DISTINCT_KEY_CHARACTERS_MIN) safe = safe.replaceAll(apiKey, REDACTED);
    else safe = safe.replace(new RegExp(`(?<![\\w-])${escapePattern(apiKey)}(?![\\w-])`, 'g'), REDACTED);
  }
  return safe
    .replace(/\b(?:sk|pk|rk|gsk|xai|key)-[\w*.-]{3,}/gi, REDACTED)
    .replace(/\b(Bearer|Basic)\s+[\w.~+/=*-]{3,}/gi, `$1 ${REDACTED}`)
    .replace(/[\w-]*\*{3,}[\w-]*/g, REDACTED);
}

const REDACTED = '[redacted]';

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function toFault(value: unknown): UpstreamFault {
  // Google's endpoint wraps its errors in a list.
  const outer = toRecord(Array.isArray(value) ? value[0] : value);
  if (outer === null) return NO_FAULT;
  const inner = toRecord(outer.error) ?? outer;
  const code = inner.code ?? outer.code;
  return {
    message:
      toText(inner.message) ??
      toText(outer.error) ??
      toText(outer.message) ??
      toDetail(outer.detail ?? inner.detail),
    code: typeof code === 'number' ? null : (toText(code) ?? toText(inner.status)),
    type: toText(inner.type),
    param: toText(inner.param),
    status: typeof code === 'number' && code >= 400 && code <= 599 ? code : null,
  };
}

const NO_FAULT: UpstreamFault = Object.freeze({
  message: null,
  code: null,
  type: null,
  param: null,
  status: null,
});

/** `detail` is a text, or a list of faults as FastAPI writes them. */
function toDetail(detail: unknown): string | null {
  const first = toList(detail)[0];
  return toText(detail) ?? toText(toRecord(first)?.msg) ?? toText(toRecord(detail)?.message);
}

function toPlainMessage(text: string): string | null {
  const line = text.trim().split('\n', 1)[0] ?? '';
  // JSON without a message that we know is of no use to a reader either.
  return line === '' || /^[<{["]/.test(line) ? null : line;
}

function looksLikeHtml(text: string): boolean {
  return /<\s*(!doctype|html|head|body|title|h1|p|div|center|script)\b/i.test(text);
}

function toKind(status: number | null, fault: UpstreamFault, message: string): ProviderErrorKind {
  return toKindByCode(`${fault.code ?? ''} ${fault.type ?? ''}`) ?? toKindByStatus(status, fault, message);
}

/** The same names mean the same thing whatever status they came with. */
function toKindByCode(codes: string): ProviderErrorKind | null {
  if (/insufficient_quota|billing|credit_balance|insufficient_balance/i.test(codes))
    return 'insufficient_quota';
  if (/rate_?limit|too_many_requests|RESOURCE_EXHAUSTED/i.test(codes)) return 'rate_limit';
  if (/invalid_api_key|authentication|API_KEY_INVALID|UNAUTHENTICATED|PERMISSION_DENIED/i.test(codes)) {
    return 'authentication';
  }
  if (/model_not_found/i.test(codes)) return 'model_not_found';
  if (/content_?filter|content_policy|ResponsibleAIPolicy/i.test(codes)) return 'content_filter';
  return null;
}

function toKindByStatus(status: number | null, fault: UpstreamFault, message: string): ProviderErrorKind {
  // Inside a stream there is no status: what is not named otherwise is the server's own failure.
  if (status === null)
    return /invalid_request|context_length/i.test(`${fault.code} ${fault.type}`)
      ? 'invalid_request'
      : 'server';
  if (status === 401 || status === 403) return 'authentication';
  if (status === 402) return 'insufficient_quota';
  if (status === 404) return /model/i.test(message) ? 'model_not_found' : 'invalid_request';
  if (status === 408 || status === 504) return 'timeout';
  if (status === 429) return 'rate_limit';
  if (status >= 500) return 'server';
  if (/api.?key (is )?(not valid|invalid)|invalid api.?key/i.test(message)) return 'authentication';
  return 'invalid_request';
}

const RETRYABLE_KINDS: ReadonlySet<ProviderErrorKind> = new Set(['rate_limit', 'server', 'timeout']);
const NOT_IMPLEMENTED = 501;

function createError(
  kind: ProviderErrorKind,
  fault: UpstreamFault,
  context: ErrorContext,
  retry: { retryAfterMs: number | null; mayRetry: boolean },
): ProviderError {
  const isHtml = fault.message !== null && looksLikeHtml(fault.message);
  const message = fault.message === null || isHtml ? toDefaultMessage(fault.status) : fault.message;
  return new ProviderError(kind, toSafeText(message, MESSAGE_CHARACTERS_MAX, context) ?? '', {
    status: fault.status,
    code: toSafeText(fault.code, CODE_CHARACTERS_MAX, context),
    type: toSafeText(fault.type, CODE_CHARACTERS_MAX, context),
    param: toSafeText(fault.param, CODE_CHARACTERS_MAX, context),
    retryAfterMs: retry.retryAfterMs,
    isRetryable: RETRYABLE_KINDS.has(kind) && fault.status !== NOT_IMPLEMENTED && retry.mayRetry,
  });
}

function toDefaultMessage(status: number | null): string {
  if (status === null) return "The model's server reported an error without saying which.";
  if (status === 404) {
    return "The model's server answered HTTP 404. Does the base URL hold its version, as in …/v1?";
  }
  return `The model's server answered HTTP ${status}.`;
}

function toSafeText(text: string | null, charactersMax: number, context: ErrorContext): string | null {
  if (text === null) return null;
  // Redacted before it is cut: half a key would not be recognised.
  const safe = redactSecrets(text, context)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return safe.length <= charactersMax ? safe : `${safe.slice(0, charactersMax - 1)}…`;
}
