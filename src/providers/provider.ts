/**
 * The provider port: a language model behind one small contract.
 *
 * A provider takes a request of the shape of Chat Completions and yields events. It keeps nothing of a
 * request: credentials come with each call and are forgotten with it.
 */

import type OpenAI from 'openai';
import type { CallMeter } from './call-meter.ts';
import type { RelayReply } from './document-reply.ts';

/**
 * A message of Chat Completions. One of the assistant may carry the `metadata` of its turn (see `ChatEvent`): the provider
 * that made it takes it back; every other one ignores it, and none sends the field itself.
 */
export type ChatMessage = OpenAI.Chat.ChatCompletionMessageParam & { readonly provider_metadata?: unknown };
export type ChatTool = OpenAI.Chat.ChatCompletionTool;

/** A Chat Completions request without what the caller decides per transport (`stream`, `stream_options`). */
export type ChatRequest = Omit<
  OpenAI.Chat.ChatCompletionCreateParamsNonStreaming,
  'stream' | 'stream_options'
>;

/** Tokens of one call, as the provider counted them. */
export interface ChatUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
  /** Of the prompt's tokens, those read from a cache; absent where the provider does not say. */
  readonly cachedTokens?: number;
  /** Of the completion's tokens, those of thoughts; absent where the provider does not say. */
  readonly reasoningTokens?: number;
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/**
 * One event of a reply. Order: any mix of text, reasoning, refusal and tool call events; then exactly one
 * `finish`; `usage` once, before or after `finish`, where the provider counts at all. A stream that ends
 * without `finish` is an error and throws.
 */
export type ChatEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string }
  | { readonly type: 'refusal'; readonly text: string }
  /** A new call. `index` counts the calls of this reply from 0, without gaps; `id` is never empty. */
  | {
      readonly type: 'tool_call';
      readonly index: number;
      readonly id: string;
      readonly name: string;
      /** What a client of Chat Completions must send back with the call (Gemini's thought signature). */
      readonly extraContent?: unknown;
    }
  /** A further piece of the call's arguments (JSON text); pieces of several calls may alternate. */
  | { readonly type: 'tool_arguments'; readonly index: number; readonly text: string }
  /** What the provider wants back with the next turn (signatures); opaque, kept with the step. */
  | { readonly type: 'metadata'; readonly value: unknown }
  | { readonly type: 'finish'; readonly reason: FinishReason }
  | { readonly type: 'usage'; readonly usage: ChatUsage };

/** What authorises a call and where it goes. A value of the request; never logged, never stored in clear. */
export interface Credentials {
  readonly apiKey: string | null;
  /** Base URL with its version, no trailing slash; null: the provider's own. */
  readonly baseUrl: string | null;
  /** Whether a request's header named the key or the base URL (and so dies with the request). */
  readonly fromRequest: boolean;
  /**
   * Whether a header named `baseUrl`, as opposed to the key alone: what its host resolves to is checked then, and the
   * address that was checked is the one connected to. The operator's and the catalogue's own are not checked.
   */
  readonly baseUrlFromRequest?: boolean;
  /**
   * What the provider needs besides, under LiteLLM's names: `api-version`, `aws-access-key-id`, `aws-secret-access-key`,
   * `aws-session-token`, `aws-region-name`, `vertex-project`, `vertex-location`, `vertex-credentials`, `project-id`,
   * `organization`. Secrets among them, as the key is.
   */
  readonly parameters?: Readonly<Record<string, string>>;
  /** How the provider wants to be spoken to; absent: as OpenAI. */
  readonly style?: UpstreamStyle;
}

/** What the catalogue and the operator say of a provider, for whoever speaks to it. Plain data. */
export interface UpstreamStyle {
  /** As in the catalogue or the operator's file (`groq`, `azure`, `my-vllm`): for logs, metrics and circuits. */
  readonly provider: string;
  /** How the key is sent (`Authorization: Bearer KEY`, `api-key: KEY`); null: not at all. */
  readonly auth: { readonly header: string; readonly prefix: string } | null;
  /**
   * What follows the base URL. `{path}` is one of `chat/completions`, `embeddings`, `models`, …; `{model}`, where it occurs, the
   * model's name, percent-encoded. `/{path}` as a rule, `/openai/deployments/{model}/{path}` at Azure.
   */
  readonly pathTemplate: string;
  /** For the query of every call: `api-version` at Azure. */
  readonly query: Readonly<Record<string, string>>;
  /** Further headers, names in lower case: the operator's, and an organization. May be secret, as the key is. */
  readonly headers: Readonly<Record<string, string>>;
  readonly quirks: Quirks;
  /** The operator's; absent: those of everybody. */
  readonly timeouts: { readonly connectMs?: number; readonly firstByteMs?: number; readonly idleMs?: number };
}

/** Where a server that speaks OpenAI's protocol does not; what is absent is as at OpenAI. */
export interface Quirks {
  /** Refuses `stream_options`. */
  readonly noStreamOptions?: true;
  /** Refuses `stop`. */
  readonly noStop?: true;
  /** Refuses `tools`. */
  readonly noTools?: true;
  /** Takes no pictures. */
  readonly noImages?: true;
  /** Knows `system`, but not `developer`. */
  readonly noDeveloperRole?: true;
  /** Knows `response_format` only as `json_object`: a schema has to be told in words. */
  readonly jsonObjectOnly?: true;
  /** What it calls the limit of tokens; absent: either name. */
  readonly maxTokensName?: 'max_tokens' | 'max_completion_tokens';
  /** Which ids of tool calls it takes: the pattern of a whole id, and the length of those to be made. */
  readonly toolCallIds?: { readonly pattern: string; readonly length: number };
  /** Refuses `encoding_format`: its vectors are numbers. */
  readonly noEmbeddingFormat?: true;
  /** Fields that a request for embeddings must have, where it has not (`input_type`). */
  readonly embeddingFields?: Readonly<Record<string, string>>;
  /** Texts that one request for embeddings may bring. */
  readonly embeddingTextsMax?: number;
}

export interface CallOptions {
  readonly credentials: Credentials;
  /** Ends the call; the upstream connection is closed. */
  readonly signal: AbortSignal;
  /** For the log, and sent upstream as `x-request-id`. */
  readonly requestId: string;
  /** Sent upstream, where somebody traces. */
  readonly traceparent?: string;
  /** Told who answers, and of a relayed stream what it cost and how long it lasts; absent: nobody counts. */
  readonly meter?: CallMeter;
}

/** The endpoints that are handed through, as paths below `/v1`. */
export type RelayPath = 'chat/completions' | 'embeddings';

/** Any other request of OpenAI's API, handed through as it is. */
export interface PassedRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below `/v1`, with its query: `images/generations`, `fine_tuning/jobs?limit=2`. */
  readonly path: string;
  /** The name of the model for servers that have it in the path (Azure); null where the request names none. */
  readonly model: string | null;
  readonly accept: string;
  readonly contentType: string | null;
  /** Bytes of the body, where they are known beforehand. */
  readonly contentLength: number | null;
  /** Read once, and not before the connection takes it. */
  readonly body: Uint8Array | ReadableStream<Uint8Array> | null;
}

export interface ModelInfo {
  readonly id: string;
  /** Seconds since the epoch; 0 where unknown. */
  readonly created: number;
  readonly ownedBy: string;
}

export type ProviderErrorKind =
  | 'rate_limit'
  | 'insufficient_quota'
  | 'authentication'
  | 'model_not_found'
  | 'invalid_request'
  | 'content_filter'
  | 'server'
  | 'connection'
  | 'timeout'
  /** The reply broke the protocol: HTML, cut JSON, a stream without its end. */
  | 'protocol'
  /** The server has nothing that could answer: no key, no endpoint. The message says what to set. */
  | 'not_configured'
  /** The provider has failed so often that it is left alone for a while; nothing was sent. `retryAfterMs` says how long. */
  | 'unavailable'
  /** The provider has no such endpoint. */
  | 'not_supported';

/** The one error of all providers. `message` is safe to show: no key, no HTML. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  readonly kind: ProviderErrorKind;
  /** The upstream's HTTP status; null where there was no answer. */
  readonly status: number | null;
  /** The upstream's own `error.code`, `error.type` and `error.param`, where it gave them. */
  readonly code: string | null;
  readonly type: string | null;
  readonly param: string | null;
  readonly retryAfterMs: number | null;
  /** Whether the same request may succeed later. */
  readonly isRetryable: boolean;

  constructor(
    kind: ProviderErrorKind,
    message: string,
    options: {
      status?: number | null;
      code?: string | null;
      type?: string | null;
      param?: string | null;
      retryAfterMs?: number | null;
      isRetryable?: boolean;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.status = options.status ?? null;
    this.code = options.code ?? null;
    this.type = options.type ?? null;
    this.param = options.param ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.isRetryable = options.isRetryable ?? false;
  }
}

export interface Provider {
  /** As in the catalogue: `openai`, `understudy`. */
  readonly id: string;

  /**
   * Runs one turn of a conversation. Nothing is sent before the first `next()`. Leaving the loop early closes
   * the upstream connection. Retries of 429 and 5xx happen inside, before the first event only.
   * Throws `ProviderError`; after `signal` aborts, throws the signal's reason.
   */
  chat(request: ChatRequest, options: CallOptions): AsyncGenerator<ChatEvent, void, undefined>;

  /**
   * Hands a request through and answers in OpenAI's wire format, streaming where `body.stream` is true;
   * fields that are not known here are passed on. Errors of the upstream throw `ProviderError` while no byte
   * has been answered; afterwards they end the stream with an error event.
   */
  relay(path: RelayPath, body: Readonly<Record<string, unknown>>, options: CallOptions): Promise<RelayReply>;

  /**
   * Hands a request to another of OpenAI's endpoints through, byte for byte, and its answer back; both may be of any
   * length. Absent: the provider does not speak OpenAI's protocol. Throws `ProviderError` (`not_supported` where the
   * server has no such endpoint) while no byte has been answered; afterwards the stream breaks off, or ends with an error event
   * where it is one of events.
   */
  pass?(request: PassedRequest, options: CallOptions): Promise<Response>;

  /** The models that can be asked for. Throws `ProviderError`. */
  listModels(options: CallOptions): Promise<readonly ModelInfo[]>;
}

/** Decides by the model's name and the request's headers who answers. */
export interface Router {
  /**
   * Throws `ProviderError` (`not_configured`, `model_not_found`), or `ApiError` where a header is not acceptable
   * (`base-url` to a host that is not allowed).
   */
  resolve(model: string, headers: RequestHeaders): ResolvedModel;
  /** The operator's model for requests that name none; null or absent: there is none. */
  readonly defaultModel?: string | null;
  /** Every provider that can be used with these headers now, for listing models: it lists those that may be asked for. */
  available(headers: RequestHeaders): readonly AvailableProvider[];
  /** Names that the operator gave to models and lets be asked for, without the patterns among them; absent: none. */
  readonly aliases?: readonly string[];
}

/** A provider that can be asked for its models; `model` says nothing here. */
export interface AvailableProvider extends ResolvedModel {
  /** What stands before its models' names where a request asks for them: `groq/`; empty for the default upstream. */
  readonly prefix: string;
}

/** The headers of the request that a provider may be chosen and authorised by; names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | undefined>>;

export interface ResolvedModel {
  readonly provider: Provider;
  /** The name to send to the provider, without our prefix. */
  readonly model: string;
  readonly credentials: Credentials;
}

/** The provider that is called, as the catalogue or the operator names it. */
export function toProviderName({
  provider,
  credentials,
}: Pick<ResolvedModel, 'provider' | 'credentials'>): string {
  return credentials.style?.provider ?? provider.id;
}
