/** One call of a server that speaks OpenAI's protocol, and when it is made again. */

import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import { toSecrets } from '../outbound/call-secrets.ts';
import type { Upstream, UpstreamCall } from '../outbound/upstream.ts';
import { readErrorText, type UpstreamAnswer } from '../outbound/upstream-answer.ts';
import type { CallOptions, ProviderError } from '../provider.ts';
import { type ErrorContext, toStatusError } from './error-mapping.ts';
import { RETRY_POLICY, type RetryPolicy, withRetries } from './retry.ts';
import { toCallUrl, toStyle } from './wire-call.ts';

export interface WireCall {
  readonly method: UpstreamCall['method'];
  /** Below the base URL, with its query. */
  readonly path: string;
  /** For servers that have it in the path; null where the endpoint is no model's. */
  readonly model: string | null;
  readonly accept: string;
  readonly body?: NonNullable<UpstreamCall['body']>;
  readonly contentType?: string;
  readonly contentLength?: number | null;
}

/** An answer of status 2xx; any other throws `ProviderError`. */
export type Send = (wire: WireCall, call: CallOptions) => Promise<UpstreamAnswer>;

export function createSend({
  upstream,
  clock,
}: {
  readonly upstream: Upstream;
  readonly clock: Clock;
}): Send {
  return async (wire, call) => {
    const { credentials, requestId, traceparent, signal } = call;
    const answer = await upstream({
      method: wire.method,
      accept: wire.accept,
      ...(wire.body === undefined ? {} : { body: wire.body }),
      ...(wire.contentType === undefined ? {} : { contentType: wire.contentType }),
      ...(wire.contentLength === undefined ? {} : { contentLength: wire.contentLength }),
      url: toCallUrl(call, wire.path, wire.model),
      apiKey: credentials.apiKey,
      style: toStyle(call),
      requestId,
      ...(traceparent === undefined ? {} : { traceparent }),
      signal,
      ...(credentials.baseUrlFromRequest === true ? { hostFromRequest: true } : {}),
    });
    if (answer.status >= 200 && answer.status <= 299) return answer;
    const text = await readErrorText(answer);
    throw toStatusError({ status: answer.status, headers: answer.headers, text }, toContext(call, clock));
  };
}

export function toContext({ credentials }: CallOptions, clock: Clock): ErrorContext {
  return { apiKey: credentials.apiKey, secrets: toSecrets(credentials), nowMs: clock.nowMs() };
}

export type Retry = <T>(
  attempt: () => Promise<T>,
  call: CallOptions,
  mayRetry: (error: ProviderError) => boolean,
) => Promise<T>;

export function createRetry(deps: {
  readonly log?: Log;
  readonly retryPolicy?: RetryPolicy;
  readonly onRetry?: (provider: string) => void;
  readonly random?: () => number;
}): Retry {
  const { log, retryPolicy = RETRY_POLICY, random = Math.random } = deps;
  return (attempt, call, mayRetry) =>
    withRetries(attempt, {
      policy: retryPolicy,
      signal: call.signal,
      random,
      mayRetry,
      onRetry: ({ kind, status }, waitMs) => {
        const { provider } = toStyle(call);
        deps.onRetry?.(provider);
        log?.warn('provider.retry', {
          requestId: call.requestId,
          provider,
          kind,
          status,
          waitMs: Math.round(waitMs),
        });
      },
    });
}

export function isConnection(error: ProviderError): boolean {
  return error.kind === 'connection' && error.isRetryable;
}
