/**
 * The provider port: a language model behind one small contract.
 *
 * A provider takes a request of the shape of Chat Completions and yields events. It keeps nothing of a
 * request: credentials come with each call and are forgotten with it.
 */

import type OpenAI from 'openai';

export type ChatMessage = OpenAI.Chat.ChatCompletionMessageParam;
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
  | { readonly type: 'tool_call'; readonly index: number; readonly id: string; readonly name: string }
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
   * What the provider needs besides, under LiteLLM's names: `api-version`, `aws-access-key-id`, `aws-secret-access-key`,
   * `aws-session-token`, `aws-region-name`, `vertex-project`, `vertex-location`, `vertex-credentials`, `project-id`,
   * `organization`. Secrets among them, as the key is.
   */
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface CallOptions {
  readonly credentials: Credentials;
  /** Ends the call; the upstream connection is closed. */
  readonly signal: AbortSignal;
  /** For the log, and sent upstream as `x-request-id`. */
  readonly requestId: string;
}

/** The endpoints that are handed through, as paths below `/v1`. */
export type RelayPath = 'chat/completions' | 'embeddings';

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
  | 'not_configured';

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
  relay(path: RelayPath, body: Readonly<Record<string, unknown>>, options: CallOptions): Promise<Response>;

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
  /** Every provider that can be used with these headers now, for listing models. */
  available(headers: RequestHeaders): readonly ResolvedModel[];
}

/** The headers of the request that a provider may be chosen and authorised by; names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | undefined>>;

export interface ResolvedModel {
  readonly provider: Provider;
  /** The name to send to the provider, without our prefix. */
  readonly model: string;
  readonly credentials: Credentials;
}
