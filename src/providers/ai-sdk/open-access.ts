/** Access to a provider for one call: where it is, what authorises the call, and a `fetch` that is closed with it. */

import type { Ids } from '../../ids.ts';
import type { Log } from '../../log.ts';
import { parseJson } from '../json-values.ts';
import { mayTryAgain, RETRY_POLICY, type RetryPolicy, withRetries } from '../openai/retry.ts';
import { toSecrets } from '../outbound/call-secrets.ts';
import { DOCUMENT_BYTES_MAX } from '../outbound/upstream-answer.ts';
import { type CallOptions, ProviderError } from '../provider.ts';
import type { AnswerErrorContext } from './answer-errors.ts';
import type { Access, Connection, JsonRequest, Protocol } from './protocol.ts';
import { createUpstreamFetch, type SenderDeps, sendUpstream } from './upstream-fetch.ts';

export interface AiSdkProviderOptions extends Omit<SenderDeps, 'provider'> {
  readonly ids: Ids;
  readonly log?: Log;
  readonly retryPolicy?: RetryPolicy;
  /** Told of each call that is made again. */
  readonly onRetry?: (provider: string) => void;
  /** In [0, 1), for the spread of retries. */
  readonly random?: () => number;
}

/** What the parts of a provider share. */
export interface ProviderParts {
  readonly protocol: Protocol;
  readonly options: AiSdkProviderOptions;
  readonly deps: SenderDeps;
}

export interface OpenAccess {
  readonly access: Access;
  /** Closes what is still open of the call. */
  close(): void;
}

/** Throws `ProviderError` where the credentials are of no use. */
export async function openAccess(
  { protocol, options, deps }: ProviderParts,
  model: string,
  call: CallOptions,
): Promise<OpenAccess> {
  const connection = await protocol.connect(call, model);
  const upstreamFetch = createUpstreamFetch(deps, connection.headers, call);
  return {
    access: {
      model,
      credentials: call.credentials,
      connection,
      fetch: upstreamFetch.fetch,
      send: (request) => sendJson(deps, request, connection, call),
      createCallId: () => options.ids.create('call'),
    },
    close: () => upstreamFetch.close(),
  };
}

/** Calls until it works; the answer has not begun to be given on. Throws the last error, or the signal's reason. */
export function retry<T>(
  { protocol, options: { log, retryPolicy = RETRY_POLICY, onRetry, random = Math.random } }: ProviderParts,
  { signal, requestId, credentials }: CallOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  return withRetries(attempt, {
    policy: retryPolicy,
    signal,
    random,
    mayRetry: mayTryAgain,
    onRetry: ({ kind, status }, waitMs) => {
      const provider = credentials.style?.provider ?? protocol.id;
      onRetry?.(provider);
      log?.warn('provider.retry', { requestId, provider, kind, status, waitMs: Math.round(waitMs) });
    },
  });
}

export function toErrorContext({ clock }: Pick<SenderDeps, 'clock'>, call: CallOptions): AnswerErrorContext {
  return { secrets: toSecrets(call.credentials), nowMs: clock.nowMs() };
}

export function createUnsupported(message: string): ProviderError {
  return new ProviderError('not_supported', message, { status: 400 });
}

async function sendJson(
  deps: SenderDeps,
  { method, url, body }: JsonRequest,
  { headers }: Connection,
  call: CallOptions,
): Promise<unknown> {
  const answer = await sendUpstream(
    deps,
    {
      method,
      url,
      accept: 'application/json',
      headers: headers ?? {},
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
    call,
  );
  const document = parseJson(await answer.readText(DOCUMENT_BYTES_MAX));
  if (document !== undefined) return document;
  throw new ProviderError('protocol', "The model's server answered with JSON that is cut or malformed.");
}
