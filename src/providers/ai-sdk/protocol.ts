/** What a provider with a protocol of its own is to the adapter: where it is, what it wants, and the package that speaks it. */

import type { LanguageModelV4, LanguageModelV4CallOptions } from '@ai-sdk/provider';
import type { CallIdRule } from '../chat/call-ids.ts';
import type { CallOptions, Credentials, ModelInfo } from '../provider.ts';
import type { PackageFetch } from './upstream-fetch.ts';

export type AiSdkProviderId = 'anthropic' | 'gemini' | 'vertex' | 'bedrock' | 'cohere' | 'mistral' | 'voyage';

/** What conversations with a model must look like. */
export interface PromptRules {
  /** The name under which the package knows options and metadata: `anthropic`, `google`. */
  readonly optionsName: string;
  readonly callIds: CallIdRule | null;
  /** The first message must be the user's. */
  readonly beginsWithUser: boolean;
  /** Takes pictures by their URLs; otherwise they are fetched here. */
  readonly takesPictureUrls: boolean;
  /** An output of a tool may be blank. */
  readonly takesBlankOutputs: boolean;
  /** Calls among the messages are refused, or dropped, unless tools are offered. */
  readonly needsToolsForHistory: boolean;
  /** Knows that no tool is to be called although some are offered. */
  readonly knowsChoiceNone: boolean;
  /** Thinks only where no tool is forced, and its own signed thoughts precede the calls that are answered. */
  readonly signsThoughts: boolean;
  /** How the one setting of OpenAI is said that the packages have no common name for. */
  readonly oneCallAtATime: NonNullable<LanguageModelV4CallOptions['providerOptions']> | null;
}

export interface Connection {
  /** With its version, without a slash at its end. */
  readonly baseUrl: string;
  /** What authorises a call; null: the package signs it. */
  readonly headers: Readonly<Record<string, string>> | null;
}

/** One request of JSON to the provider, without its package. Throws `ProviderError`. */
export type SendJson = (request: JsonRequest) => Promise<unknown>;

export interface JsonRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly body?: unknown;
}

/** What a protocol needs for one call. */
export interface Access {
  readonly model: string;
  readonly credentials: Credentials;
  readonly connection: Connection;
  readonly fetch: PackageFetch;
  readonly send: SendJson;
  /** For calls that come without an id. */
  readonly createCallId: () => string;
}

export type InputKind = 'document' | 'query';

export interface EmbedRequest {
  readonly texts: readonly string[];
  /** Null: the model's own. */
  readonly dimensions: number | null;
  readonly inputKind: InputKind;
}

export interface EmbedReply {
  /** In the order of the texts. */
  readonly vectors: readonly (readonly number[])[];
  /** 0 where the provider does not count. */
  readonly tokens: number;
}

export interface EmbeddingProtocol {
  /** Texts that one call takes. */
  textsMax(model: string): number;
  /** One call. Throws `ProviderError`. */
  embed(request: EmbedRequest, access: Access): Promise<EmbedReply>;
}

export interface ChatProtocol {
  rules(model: string): PromptRules;
  /** Loads the package at its first use. */
  loadModel(access: Access): Promise<LanguageModelV4>;
}

export interface Protocol {
  readonly id: AiSdkProviderId;
  /** As people call it, for messages. */
  readonly name: string;
  /** Throws `ProviderError` where the credentials are of no use. */
  connect(call: CallOptions, model: string): Promise<Connection>;
  /** Null: has no such models. */
  readonly chat: ChatProtocol | null;
  readonly embeddings: EmbeddingProtocol | null;
  listModels(access: Access): Promise<readonly ModelInfo[]>;
}
