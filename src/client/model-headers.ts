/** The headers of a call: those of its models' providers, and of nobody else. */

import { findEntry } from '../providers/catalogue/catalogue.ts';
import { guessProvider, splitPrefix } from '../providers/routing/model-names.ts';
import type { ClientEnvironment, ProviderValues } from './environment.ts';

/** SDKs insist on a key: this one says that there is none. */
export const NO_KEY = 'understudy';
/** What keys of understudy's own begin with. */
const SERVER_KEY_PREFIX = 'sk-understudy-';
const OPENAI = 'openai';
/** By these a caller says himself who answers, and with what key: nothing is added. */
const STEERING = ['api-key', 'base-url'].flatMap((name) => [name, `llm-param-${name}`]);
const EMBEDDING_STEERING = ['embedding-param-api-key', 'embedding-param-base-url'];

export interface CallModels {
  /** Null: the call asks no language model, or one that is nobody's of the catalogue. */
  readonly model: string | null;
  readonly embeddingModel: string | null;
  /** Whether `embeddingModel` is to be named to the server. */
  readonly namesEmbedding: boolean;
}

/** New headers for a call that came with `given`; what the caller set himself stays. */
export function toCallHeaders(given: Headers, models: CallModels, environment: ClientEnvironment): Headers {
  const headers = toPlainHeaders(given, environment);
  const openAiKey = findOpenAiKey(given, environment);
  const isSteered = STEERING.some((name) => given.has(name));
  const provider = isSteered ? null : findProvider(models.model, given.get('custom-llm-provider'));
  if (provider === OPENAI) {
    addValues(headers, 'llm-param-', toOpenAiValues(given, environment, null));
    if (openAiKey !== null && isNoKey(headers)) headers.set('authorization', `Bearer ${openAiKey}`);
    else if (openAiKey !== null) addValues(headers, 'llm-param-', { 'openai-api-key': openAiKey });
  } else if (provider !== null) {
    addValues(headers, 'llm-param-', environment.providers.get(provider) ?? {});
  }
  const named = given.get('embedding-model')?.trim() || models.embeddingModel;
  if (named === null || EMBEDDING_STEERING.some((name) => given.has(name))) return headers;
  const embedder = models.embeddingModel === null ? null : findProvider(named, null);
  const values =
    embedder === OPENAI
      ? toOpenAiValues(given, environment, openAiKey)
      : (environment.providers.get(embedder ?? '') ?? {});
  addValues(headers, 'embedding-param-', values);
  if (models.namesEmbedding) addValues(headers, '', { 'embedding-model': named });
  return headers;
}

/** Headers of a call that asks no model: without any provider's key. */
export function toPlainHeaders(given: Headers, environment: ClientEnvironment): Headers {
  const headers = new Headers(given);
  headers.set('authorization', `Bearer ${findServerKey(given, environment) ?? NO_KEY}`);
  // The official client sends them with every call, whoever's model is asked.
  headers.delete('openai-organization');
  headers.delete('openai-project');
  addValues(headers, '', environment.storeHeaders);
  return headers;
}

function addValues(headers: Headers, prefix: string, values: ProviderValues): void {
  for (const [name, value] of Object.entries(values)) {
    if (!headers.has(prefix + name)) headers.set(prefix + name, value);
  }
}

/** Whose model it is, by the rules of the server; null where only the server may know. */
function findProvider(model: string | null, custom: string | null): string | null {
  if (custom !== null && custom.trim() !== '') return findEntry(custom.trim())?.id ?? null;
  if (model === null) return null;
  const prefix = splitPrefix(model)?.prefix;
  const entry = prefix === undefined ? null : findEntry(prefix);
  return entry?.id ?? guessProvider(model);
}

// ——— What came as `authorization` ———

function findServerKey(given: Headers, { serverKey }: ClientEnvironment): string | null {
  if (serverKey !== null) return serverKey;
  const key = toBearerKey(given);
  return key?.startsWith(SERVER_KEY_PREFIX) ? key : null;
}

/** The key that the client was made with, unless it is understudy's own, or stands for none. */
function findOpenAiKey(given: Headers, { openAiKey, serverKey }: ClientEnvironment): string | null {
  const key = toBearerKey(given);
  const isOther = key === null || key === NO_KEY || key === serverKey || key.startsWith(SERVER_KEY_PREFIX);
  return isOther ? openAiKey : key;
}

function isNoKey(headers: Headers): boolean {
  return toBearerKey(headers) === NO_KEY;
}

function toBearerKey(headers: Headers): string | null {
  return /^\s*bearer\s+(\S+)\s*$/i.exec(headers.get('authorization') ?? '')?.[1] ?? null;
}

/** The organization and the project that the client was made with come before those of the environment. */
function toOpenAiValues(
  given: Headers,
  { providers }: ClientEnvironment,
  key: string | null,
): Record<string, string> {
  const { 'openai-api-key': _, ...values } = { ...providers.get(OPENAI) };
  const organization = given.get('openai-organization');
  const project = given.get('openai-project');
  return {
    ...values,
    ...(organization === null ? {} : { organization }),
    ...(project === null ? {} : { project }),
    ...(key === null ? {} : { 'openai-api-key': key }),
  };
}
