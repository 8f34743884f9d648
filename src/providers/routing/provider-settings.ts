/** What the operator says of providers and models, as the router takes it. Made by the configuration. */

import type { Secret } from '../../secret.ts';
import type { ProviderEntry } from '../catalogue/catalogue.ts';
import type { UpstreamStyle } from '../provider.ts';

/** A provider of the catalogue for which something is set, or one of the operator's own. */
export interface ProviderSettings {
  readonly entry: ProviderEntry;
  readonly apiKey: Secret | null;
  /** As it was given, without a slash at its end. */
  readonly baseUrl: string | null;
  /** By LiteLLM's names. */
  readonly parameters: Readonly<Record<string, Secret>>;
  /** Sent with each call, but never to an address that a request named; names in lower case. */
  readonly headers: Readonly<Record<string, Secret>>;
  readonly timeouts: UpstreamStyle['timeouts'];
  /** Calls under way at once in one process; null: any number. */
  readonly callsMax: number | null;
  /** What it is listed with instead of being asked; empty: it is asked. */
  readonly models: readonly string[];
}

export interface ModelSettings {
  /** By id. */
  readonly providers: ReadonlyMap<string, ProviderSettings>;
  /** What a name stands for: models that are tried in this order. A name may end in `*`. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
  /** What is tried when a model fails. A name may end in `*`. */
  readonly fallbacks: ReadonlyMap<string, readonly string[]>;
  readonly defaultModel: string | null;
  /** Names, which may end in `*`; null: all of them. */
  readonly allowedModels: readonly string[] | null;
  /** Hosts that requests may name beside the catalogue's, each `host` or `host:port`. */
  readonly allowedHosts: readonly string[];
}

export const NO_MODEL_SETTINGS: ModelSettings = Object.freeze({
  providers: new Map(),
  aliases: new Map(),
  fallbacks: new Map(),
  defaultModel: null,
  allowedModels: null,
  allowedHosts: Object.freeze([]),
});
