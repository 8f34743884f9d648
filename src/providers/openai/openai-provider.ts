/** The provider for OpenAI and every server that speaks its Chat Completions: hosted ones, Azure, Ollama, vLLM, … */

import type { Clock } from '../../clock.ts';
import type { Ids } from '../../ids.ts';
import type { Log } from '../../log.ts';
import type { CallMeter } from '../call-meter.ts';
import type { RelayReply } from '../document-reply.ts';
import { type JsonRecord, parseJson, toList, toRecord, toText } from '../json-values.ts';
import type { Upstream } from '../outbound/upstream.ts';
import { DOCUMENT_BYTES_MAX, type UpstreamAnswer } from '../outbound/upstream-answer.ts';
import {
  type CallOptions,
  type ChatEvent,
  type ChatRequest,
  type Provider,
  ProviderError,
} from '../provider.ts';
import { type ChatReply, createChatReply, TRAILER_MS } from './chat-reply.ts';
import {
  type AskEmbeddings,
  askInParts,
  needsPacking,
  packVectors,
  splitInputs,
} from './embeddings-relay.ts';
import type { ErrorContext } from './error-mapping.ts';
import { MODELS_BYTES_MAX, toModelInfos } from './models.ts';
import { createPass } from './pass.ts';
import { checkDocument, toPlainReply, toStreamResponse } from './relay.ts';
import { createStreamRepair, type RepairOptions } from './reply-repair.ts';
import { toChatBody, toEmbeddingsBody } from './request-quirks.ts';
import { mayTryAgain, type RetryPolicy } from './retry.ts';
import { createRetry, createSend, isConnection, type Retry, type Send, toContext } from './send.ts';
import { isExact, toServer, toStyle } from './wire-call.ts';

/** Servers remembered to refuse `stream_options`. */
const REFUSING_SERVERS_MAX = 256;

export interface OpenAiProviderOptions {
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log?: Log;
  readonly retryPolicy?: RetryPolicy;
  /** Told of each call that is made again. */
  readonly onRetry?: (provider: string) => void;
  /** How long usage is waited for after a finish reason. */
  readonly trailerMs?: number;
  /** In [0, 1), for the spread of retries. */
  readonly random?: () => number;
}

/** A reply whose first events are in. */
interface BegunReply {
  readonly reply: ChatReply;
  readonly first: readonly ChatEvent[] | null;
}

export function createOpenAiProvider(options: OpenAiProviderOptions): Provider {
  const send = createSend(options);
  const sendChat = createSendChat(send);
  const retry = createRetry(options);
  const relayEmbeddings = createEmbeddingsRelay(send, retry, options);

  return {
    id: 'openai',

    async *chat(request, call) {
      const attempt = async () => beginReply(await sendChat(request, call), request, call, options);
      const { reply, first } = await retry(attempt, call, mayTryAgain);
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

    async relay(path, body, call) {
      if (path === 'embeddings') return await relayEmbeddings(body, call);
      const isStream = body.stream === true;
      const wire = {
        method: 'POST',
        path,
        model: toText(body.model),
        accept: isStream ? STREAM_ACCEPT : 'application/json',
        body: JSON.stringify(toChatBody(body, toStyle(call))),
      } as const;
      // Whoever is relayed to has retries of its own; only a connection that did not come about is ours to mend.
      const asked = retry(() => send(wire, call), call, isConnection);
      const repair = toRepair(body, call, options);
      if (!isStream) return await toPlainReply(await asked, repair);
      // Made while the model's server works, not when the first token is there.
      const streamRepair = createStreamRepair(repair);
      return await toStreamResponse(await asked, repair, streamRepair);
    },

    pass: createPass({ send, retry, clock: options.clock }),

    async listModels(call) {
      const wire = { method: 'GET', path: 'models', model: null, accept: 'application/json' } as const;
      const answer = await retry(() => send(wire, call), call, isConnection);
      return toModelInfos(await answer.readText(MODELS_BYTES_MAX));
    },
  };
}

/** Asks for usage, and leaves the question out with servers that refuse it. */
function createSendChat(send: Send) {
  const refusing = new Set<string>();

  return async (request: ChatRequest, call: CallOptions): Promise<UpstreamAnswer> => {
    const server = toServer(call);
    const style = toStyle(call);
    const sendBody = (body: JsonRecord): Promise<UpstreamAnswer> =>
      send({ ...CHAT_WIRE, model: request.model, body: JSON.stringify(body) }, call);
    const body = { ...toChatBody(request as unknown as JsonRecord, style), stream: true };
    if (style.quirks.noStreamOptions === true || refusing.has(server)) return await sendBody(body);
    try {
      return await sendBody({ ...body, stream_options: { include_usage: true } });
    } catch (error) {
      if (!refusesStreamOptions(error)) throw error;
      if (refusing.size >= REFUSING_SERVERS_MAX) refusing.clear();
      refusing.add(server);
    }
    return await sendBody(body);
  };
}

const STREAM_ACCEPT = 'text/event-stream, application/json';
const CHAT_WIRE = Object.freeze({ method: 'POST', path: 'chat/completions', accept: STREAM_ACCEPT } as const);

/** Reads on to the first events, so that what fails before them can be tried again. */
async function beginReply(
  answer: UpstreamAnswer,
  request: ChatRequest,
  call: CallOptions,
  { ids, clock, trailerMs = TRAILER_MS }: OpenAiProviderOptions,
): Promise<BegunReply> {
  const reply = createChatReply(answer, {
    provider: toStyle(call).provider,
    toolNames: toToolNames(request.tools),
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

function createEmbeddingsRelay(send: Send, retry: Retry, options: OpenAiProviderOptions) {
  return async (given: JsonRecord, call: CallOptions): Promise<RelayReply> => {
    const { quirks } = toStyle(call);
    const body = toEmbeddingsBody(given, quirks);
    const parts = splitInputs(body, quirks);
    const isPacked = needsPacking(given, quirks);
    const wire = {
      method: 'POST',
      path: 'embeddings',
      model: toText(body.model),
      accept: 'application/json',
    } as const;
    const repair = toRepair(body, call, options);
    const sendBody = (part: JsonRecord) =>
      retry(() => send({ ...wire, body: JSON.stringify(part) }, call), call, isConnection);
    if (parts === null && !isPacked) return await toPlainReply(await sendBody(body), repair);
    const ask: AskEmbeddings = async (part) =>
      checkDocument(await (await sendBody(part)).readText(DOCUMENT_BYTES_MAX), repair);
    const whole = parts === null ? toRecord(parseJson(await ask(body))) : await askInParts(body, parts, ask);
    return Response.json(isPacked ? packVectors(whole ?? {}) : whole);
  };
}

function toRepair(body: JsonRecord, call: CallOptions, options: OpenAiProviderOptions): RepairOptions {
  return new CallRepair(body, call, options);
}

/** Found out where something is odd, which most replies are not. A class: getters of an object cost more to make. */
class CallRepair implements RepairOptions {
  constructor(
    private readonly body: JsonRecord,
    private readonly call: CallOptions,
    private readonly options: OpenAiProviderOptions,
  ) {}

  get isExact(): boolean {
    return isExact(this.call);
  }

  get toolNames(): ReadonlySet<string> {
    return toToolNames(this.body.tools);
  }

  get meter(): CallMeter | undefined {
    return this.call.meter;
  }

  get context(): ErrorContext {
    return toContext(this.call, this.options.clock);
  }

  createCallId = (): string => this.options.ids.create('call');
}

function refusesStreamOptions(error: unknown): boolean {
  if (!(error instanceof ProviderError) || (error.status !== 400 && error.status !== 422)) return false;
  return /stream_options|include_usage/.test(`${error.param ?? ''} ${error.message}`);
}

function toToolNames(tools: unknown): ReadonlySet<string> {
  const names = new Set<string>();
  for (const value of toList(tools)) {
    const tool = toRecord(value);
    const name = toText(toRecord(tool?.function)?.name) ?? toText(toRecord(tool?.custom)?.name);
    if (name !== null) names.add(name);
  }
  return names;
}
