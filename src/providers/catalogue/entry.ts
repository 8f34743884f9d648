/** What the catalogue says of one provider: plain data, nothing of the operator's and nothing of a request. */

import type { Quirks } from '../provider.ts';

/** How a provider is spoken to; each has an adapter. */
export type Protocol =
  | 'openai'
  | 'azure'
  | 'anthropic'
  | 'gemini'
  | 'vertex'
  | 'bedrock'
  | 'cohere'
  | 'mistral'
  | 'voyage'
  | 'watsonx';

/** Something that a provider needs besides a key and a base URL. */
export interface Parameter {
  /** Under LiteLLM's name: a request sends it as `LLM-PARAM-` and this. */
  readonly name: string;
  /** Variables of the environment that hold the operator's, the first one that is set counts. */
  readonly variables: readonly string[];
  /**
   * `secret` authorises, `identity` says whose account it is: the operator's own are never mixed with a request's, and never
   * go to an address that a request named. `plain` is neither.
   */
  readonly kind: 'secret' | 'identity' | 'plain';
  /** Where nobody says anything else. */
  readonly fallback?: string;
  /** Whether it becomes part of an address, and so may be one label of a name only. */
  readonly isLabel?: true;
  /** A header to be sent as. */
  readonly header?: string;
  /** A variable that holds the path of a file with the value. */
  readonly fileVariable?: string;
}

export interface ProviderEntry {
  /** LiteLLM's prefix: `groq` in `groq/llama-3.3-70b`. */
  readonly id: string;
  /** Other prefixes for the same. */
  readonly aliases: readonly string[];
  /** For messages. */
  readonly name: string;
  readonly protocol: Protocol;
  /**
   * With its version, without a slash at its end; `{name}` stands for a parameter. Null: it has to be given
   * (or, of Vertex AI and Bedrock, follows from the region).
   */
  readonly baseUrl: string | null;
  /** What a base URL ends in, and gets where it has no version yet (`/v1`); null: it is taken as given. */
  readonly version: string | null;
  /** Further hosts of the provider's, `{…}` for one label of a name: a request may name them all as `base-url`. */
  readonly hosts: readonly string[];
  readonly keyVariables: readonly string[];
  readonly baseUrlVariables: readonly string[];
  /** `bearer`: in `authorization`; else the header that the key stands in. */
  readonly auth: 'bearer' | { readonly header: string };
  /** Whether it answers without a key too. */
  readonly isKeyOptional: boolean;
  /** Whether the base URL is on the operator's own machine: only those who sit there may have it asked without his word. */
  readonly isLocal: boolean;
  /** Stands for any server of the protocol, whose key then may come as `authorization`. */
  readonly isGeneric: boolean;
  readonly parameters: readonly Parameter[];
  /** Each is enough: `api-key` and names of parameters. */
  readonly keySets: readonly (readonly string[])[];
  /** Taken off a model's name in front: `converse/` at Bedrock. */
  readonly modelPrefixes: readonly string[];
  /** Whether it can be asked for its models. */
  readonly listsModels: boolean;
  readonly quirks: Quirks;
  readonly embedding: DefaultEmbedding | null;
}

/** What new vector stores get where this provider is the one that is configured. */
export interface DefaultEmbedding {
  readonly model: string;
  /** Of its vectors; null where unknown. */
  readonly dimensions: number | null;
  /** Whether these are to be asked for, instead of the model's own. */
  readonly isAsked?: true;
}

type Given = Partial<Omit<ProviderEntry, 'id' | 'baseUrl' | 'keyVariables'>>;

const NONE: readonly never[] = Object.freeze([]);
const API_KEY: readonly (readonly string[])[] = Object.freeze([Object.freeze(['api-key'])]);

/** One line of the catalogue: what most providers have in common need not be said. */
export function row(
  id: string,
  name: string,
  baseUrl: string | null,
  keyVariables: readonly string[],
  given: Given = {},
): ProviderEntry {
  return Object.freeze({
    id,
    name,
    baseUrl,
    keyVariables,
    aliases: NONE,
    protocol: 'openai',
    version: null,
    hosts: NONE,
    baseUrlVariables: NONE,
    auth: 'bearer',
    isKeyOptional: false,
    isLocal: false,
    isGeneric: false,
    parameters: NONE,
    keySets: API_KEY,
    modelPrefixes: NONE,
    listsModels: true,
    quirks: HOSTED_QUIRKS,
    embedding: null,
    ...given,
  } as const);
}

/** Most know the older name of the limit of tokens only, and no `developer`. */
export const HOSTED_QUIRKS: Quirks = Object.freeze({ maxTokensName: 'max_tokens', noDeveloperRole: true });

/** An embedding model of known dimensions. */
export function embeds(model: string, dimensions: number | null = null): DefaultEmbedding {
  return Object.freeze({ model, dimensions });
}
