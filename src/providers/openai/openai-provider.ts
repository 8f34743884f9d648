/** The provider for OpenAI and every server that speaks its Chat Completions: hosted ones, Ollama, vLLM, … */

import type { Clock } from '../../clock.ts';
import type { Ids } from '../../ids.ts';
import type { Log } from '../../log.ts';
import { OPENAI_BASE_URL } from '../base-url.ts';
import {
  type CallOptions,
  type ChatEvent,
  type ChatRequest,
  type Provider,
  ProviderError,
  type RelayPath,
} from '../provider.ts';
import type { Upstream } from '../upstream.ts';
import type { UpstreamAnswer } from '../upstream-answer.ts';
import { type ChatReply, createChatReply, TRAILER_MS } from './chat-reply.ts';
import { type ErrorContext, toStatusError } from './error-mapping.ts';
import { MODELS_BYTES_MAX, toModelInfos } from './models.ts';
import { toPlainResponse, toStreamResponse } from './relay.ts';
import { RETRY_POLICY, type RetryPolicy, withRetries } from './retry.ts';

const ERROR_BYTES_MAX = 256 * 1024;
/** Servers remembered to refuse `stream_options`. */
const REFUSING_SERVERS_MAX = 256;

export interface OpenAiProviderOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log?: Log;
  readonly retryPolicy?: RetryPolicy;
  /** How long usage is waited for after a finish reason. */
  readonly trailerMs?: number;
  /** In [0, 1), for the spread of retries. */
  readonly random?: () => number;
}

interface WireCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly accept: string;
  readonly body?: unknown;
}

/** An answer of status 2xx; any other throws. */
type Send = (wire: WireCall, call: CallOptions) => Promise<UpstreamAnswer>;

/** A reply whose first events are in. */
interface BegunReply {
  readonly reply: ChatReply;
  readonly first: readonly ChatEvent[] | null;
}

export function createOpenAiProvider(options: OpenAiProviderOptions): Provider {
  const send = createSend(options);
  const sendChat = createSendChat(send);
  const retry = createRetry(options);

  return {
    id: 'openai',

    async *chat(request, call) {
      const attempt = async () => beginReply(await sendChat(request, call), request, call, options);
      const { reply, first } = await retry(attempt, call, mayRetryChat);
      try {
        for (let batch = first; batch !== null; batch = await reply.nextBatch()) {
          for (const event of batch) {
            call.signal.throwIfAborted();
            yield event;
          }
        }
      } finally {
        reply.close();
      }
    },

    async relay(path: RelayPath, body, call) {
      const isStream = body.stream === true;
      const accept = isStream ? STREAM_ACCEPT : 'application/json';
      // Whoever is relayed to has retries of its own; only a connection that did not come about is ours to mend.
      const answer = await retry(
        () => send({ method: 'POST', path, accept, body }, call),
        call,
        isConnection,
      );
      return isStream
        ? await toStreamResponse(answer, toContext(call, options.clock))
        : await toPlainResponse(answer);
    },

    async listModels(call) {
      const wire = { method: 'GET', path: 'models', accept: 'application/json' } as const;
      const answer = await retry(() => send(wire, call), call, isConnection);
      return toModelInfos(await answer.readText(MODELS_BYTES_MAX));
    },
  };
}

function createSend({ upstream, clock }: OpenAiProviderOptions): Send {
  return async (wire, call) => {
    const answer = await upstream({
      method: wire.method,
      url: `${toServer(call)}/${wire.path}`,
      apiKey: call.credentials.apiKey,
      accept: wire.accept,
      requestId: call.requestId,
      signal: call.signal,
      ...(wire.body === undefined ? {} : { body: JSON.stringify(wire.body) }),
    });
    if (answer.status >= 200 && answer.status <= 299) return answer;
    const text = await readErrorText(answer);
    throw toStatusError({ status: answer.status, headers: answer.headers, text }, toContext(call, clock));
  };
}

/** Asks for usage, and leaves the question out with servers that refuse it. */
function createSendChat(send: Send) {
  const refusing = new Set<string>();
  const wire = { method: 'POST', path: 'chat/completions', accept: STREAM_ACCEPT } as const;

  return async (request: ChatRequest, call: CallOptions): Promise<UpstreamAnswer> => {
    const server = toServer(call);
    const body = { ...request, stream: true };
    if (!refusing.has(server)) {
      try {
        return await send({ ...wire, body: { ...body, stream_options: { include_usage: true } } }, call);
      } catch (error) {
        if (!refusesStreamOptions(error)) throw error;
        if (refusing.size >= REFUSING_SERVERS_MAX) refusing.clear();
        refusing.add(server);
      }
    }
    return await send({ ...wire, body }, call);
  };
}

/** Reads on to the first events, so that what fails before them can be tried again. */
async function beginReply(
  answer: UpstreamAnswer,
  request: ChatRequest,
  call: CallOptions,
  { ids, clock, trailerMs = TRAILER_MS }: OpenAiProviderOptions,
): Promise<BegunReply> {
  const reply = createChatReply(answer, {
    toolNames: toToolNames(request),
    createCallId: () => ids.create('call'),
    errorContext: () => toContext(call, clock),
    trailerMs,
  });
  try {
    return { reply, first: await reply.nextBatch() };
  } catch (error) {
    reply.close();
    throw error;
  }
}

function createRetry({ log, retryPolicy = RETRY_POLICY, random = Math.random }: OpenAiProviderOptions) {
  return <T>(
    attempt: () => Promise<T>,
    { signal, requestId }: CallOptions,
    mayRetry: (error: ProviderError) => boolean,
  ): Promise<T> =>
    withRetries(attempt, {
      policy: retryPolicy,
      signal,
      random,
      mayRetry,
      onRetry: ({ kind, status }, waitMs) =>
        log?.warn('provider.retry', { requestId, kind, status, waitMs: Math.round(waitMs) }),
    });
}

function toServer({ credentials }: CallOptions): string {
  return credentials.baseUrl ?? OPENAI_BASE_URL;
}

function toContext({ credentials }: CallOptions, clock: Clock): ErrorContext {
  return { apiKey: credentials.apiKey, nowMs: clock.nowMs() };
}

const STREAM_ACCEPT = 'text/event-stream, application/json';

/** The text of a failed answer, or what could be read of none: the status says enough then. */
async function readErrorText(answer: UpstreamAnswer): Promise<string> {
  try {
    return await answer.readText(ERROR_BYTES_MAX);
  } catch (error) {
    if (error instanceof ProviderError) return '';
    throw error;
  }
}

function refusesStreamOptions(error: unknown): boolean {
  if (!(error instanceof ProviderError) || (error.status !== 400 && error.status !== 422)) return false;
  return /stream_options|include_usage/.test(`${error.param ?? ''} ${error.message}`);
}

/** Our own timeouts are not tried again: who waited ten minutes does not want to wait thirty. */
function mayRetryChat(error: ProviderError): boolean {
  return error.isRetryable && !(error.kind === 'timeout' && error.status === null);
}

function isConnection(error: ProviderError): boolean {
  return error.kind === 'connection' && error.isRetryable;
}

function toToolNames(request: ChatRequest): ReadonlySet<string> {
  const names = new Set<string>();
  for (const tool of request.tools ?? []) {
    names.add(tool.type === 'function' ? tool.function.name : tool.custom.name);
  }
  return names;
}
