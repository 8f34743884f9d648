/**
 * What went wrong, in the words of providers with protocols of their own, as a `ProviderError`.
 *
 * Anthropic writes `{type: "error", error: {type, message}}`, Google `{error: {code, status, details}}` with the time to wait
 * in the details, AWS `{message}` and the kind in a header, Cohere `{message}`, Mistral `{message}`, `{detail}` or both.
 */

import { type JsonRecord, parseJson, toList, toRecord, toText } from '../json-values.ts';
import {
  type ErrorContext,
  type FailedAnswer,
  toInlineError,
  toStatusError,
} from '../openai/error-mapping.ts';
import { ProviderError, type ProviderErrorKind } from '../provider.ts';

export interface AnswerErrorContext {
  /** Taken out of every text. */
  readonly secrets: readonly string[];
  readonly nowMs: number;
}

/** An answer of status 400 and above. */
export function toAnswerError(answer: FailedAnswer, context: AnswerErrorContext): ProviderError {
  const fault = readFault(parseJson(answer.text), answer.headers);
  const text = fault === null ? answer.text : JSON.stringify({ error: fault.error });
  const error = toStatusError({ ...answer, text }, toContext(context));
  return fault === null ? error : refine(error, fault);
}

/** An error inside an answer of status 200: an event, an exception's frame, a document. */
export function toEventError(value: unknown, context: AnswerErrorContext): ProviderError {
  const fault = readFault(value, null);
  const shown = fault === null ? String(value) : { error: fault.error };
  const error = toInlineError(shown, toContext(context));
  return fault === null ? error : refine(error, fault);
}

interface Fault {
  readonly error: JsonRecord;
  /** The names that tell what kind it is. */
  readonly names: string;
  readonly retryAfterMs: number | null;
}

function readFault(value: unknown, headers: Headers | null): Fault | null {
  const outer = toRecord(Array.isArray(value) ? value[0] : value);
  if (outer === null) return null;
  const inner = toRecord(outer.error) ?? outer;
  const details = toList(inner.details).map((detail) => toRecord(detail) ?? {});
  // `ThrottlingException:http://internal.amazon.com/…`
  const amazonType = headers?.get('x-amzn-errortype')?.split(':', 1)[0] ?? toAmazonType(outer);
  const type = toText(inner.type) ?? amazonType ?? null;
  // OAuth: `{error: "invalid_grant", error_description}`.
  const grantError = toText(outer.error);
  const reason = details.map((detail) => toText(detail.reason)).find((text) => text !== null) ?? null;
  const message = readMessage(inner) ?? readMessage(outer);
  return {
    error: {
      ...(message === null ? {} : { message }),
      ...(type === null ? {} : { type }),
      code: reason ?? inner.code ?? inner.status ?? amazonType ?? grantError,
    },
    names: [reason, toText(inner.status), toText(inner.code), type, amazonType, grantError].join(' '),
    retryAfterMs: readRetryDelayMs(details),
  };
}

function readMessage(fault: JsonRecord): string | null {
  const { message, detail } = fault;
  // Mistral puts the list of what is wrong into the message, or beside it.
  const list = toList(toRecord(message)?.detail ?? detail);
  const listed = list.map((entry) => toText(toRecord(entry)?.msg)).filter((text) => text !== null);
  return (
    toText(message) ??
    toText(fault.Message) ??
    (listed.length > 0 ? listed.join('; ') : null) ??
    toText(detail) ??
    toText(fault.error_description) ??
    toText(fault.error)
  );
}

function toAmazonType(outer: JsonRecord): string | undefined {
  // `com.amazon.coral.service#ExpiredTokenException`
  return toText(outer.__type)?.split('#').at(-1);
}

/** `{"@type": "…RetryInfo", "retryDelay": "34.4s"}` */
function readRetryDelayMs(details: readonly JsonRecord[]): number | null {
  for (const { retryDelay } of details) {
    const seconds = /^(\d+(?:\.\d+)?)s$/.exec(toText(retryDelay) ?? '')?.[1];
    if (seconds !== undefined) return Math.ceil(Number(seconds) * 1000);
  }
  return null;
}

interface Meaning {
  readonly pattern: RegExp;
  readonly kind: ProviderErrorKind;
  readonly isRetryable: boolean;
}

/** Names that say more than the status does. */
const MEANINGS: readonly Meaning[] = Object.freeze([
  {
    pattern:
      /API_KEY_INVALID|UNAUTHENTICATED|UnrecognizedClient|InvalidSignature|IncompleteSignature|ExpiredToken|InvalidClientTokenId|AccessDenied|SignatureDoesNotMatch|invalid_grant|invalid_client/,
    kind: 'authentication',
    isRetryable: false,
  },
  { pattern: /Throttling|TooManyRequests|ModelNotReady/i, kind: 'rate_limit', isRetryable: true },
  { pattern: /ServiceQuotaExceeded|billing_error/, kind: 'insufficient_quota', isRetryable: false },
  {
    pattern: /ResourceNotFound|NOT_FOUND|not_found_error|invalid_model/,
    kind: 'model_not_found',
    isRetryable: false,
  },
  {
    pattern:
      /overloaded_error|api_error|InternalServer|ServiceUnavailable|ModelStreamError|ModelError|UNAVAILABLE|INTERNAL/i,
    kind: 'server',
    isRetryable: true,
  },
  { pattern: /ModelTimeout|DEADLINE_EXCEEDED|timeout_error/, kind: 'timeout', isRetryable: true },
  {
    pattern:
      /ValidationException|INVALID_ARGUMENT|FAILED_PRECONDITION|invalid_request_error|request_too_large/i,
    kind: 'invalid_request',
    isRetryable: false,
  },
]);

function refine(error: ProviderError, { names, retryAfterMs }: Fault): ProviderError {
  const meaning = MEANINGS.find(({ pattern }) => pattern.test(names));
  // A status, or a message that tells a bad key, tells more than a name that only says that something is bad.
  const isToldBetter = error.kind === 'authentication' || error.kind === 'content_filter';
  const isVague = meaning?.kind === 'invalid_request' && (isToldBetter || error.status !== null);
  const takes = meaning !== undefined && !isVague;
  return new ProviderError(takes ? meaning.kind : error.kind, error.message, {
    status: error.status,
    code: error.code,
    type: error.type,
    param: error.param,
    retryAfterMs: error.retryAfterMs ?? retryAfterMs,
    isRetryable: takes ? meaning.isRetryable : error.isRetryable,
  });
}

function toContext({ secrets, nowMs }: AnswerErrorContext): ErrorContext {
  return { apiKey: null, secrets, nowMs };
}
