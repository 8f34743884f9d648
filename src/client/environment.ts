/** What the variables of the environment say of providers: for each the headers that its models need, and for no other. */

import { CATALOGUE, type ProviderEntry } from '../providers/catalogue/catalogue.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What goes with the calls of one provider's models, by the names that stand behind `LLM-PARAM-` or `EMBEDDING-PARAM-`. */
export type ProviderValues = Readonly<Record<string, string>>;

export interface ClientEnvironment {
  /** By the catalogue's id; a provider without what authorises it is not there. */
  readonly providers: ReadonlyMap<string, ProviderValues>;
  readonly openAiKey: string | null;
  /** The key of the server's own. */
  readonly serverKey: string | null;
  readonly baseUrl: string | null;
  readonly embeddingModel: string | null;
  /** Sent with every call: where the data is kept. */
  readonly storeHeaders: Readonly<Record<string, string>>;
  /** What was left out, each naming its variable and never its value. */
  readonly warnings: readonly string[];
}

/** Answers the text of a file. Throws where there is none. */
export type ReadFile = (path: string) => string;

interface Reading {
  readonly env: Environment;
  readonly readFile: ReadFile | null;
  readonly warnings: string[];
}

export function readEnvironment(env: Environment, readFile: ReadFile | null): ClientEnvironment {
  const reading: Reading = { env, readFile, warnings: [] };
  const providers = new Map<string, ProviderValues>();
  for (const entry of CATALOGUE) {
    const values = readProvider(entry, reading);
    if (values !== null) providers.set(entry.id, values);
  }
  const storeHeaders: Record<string, string> = {};
  const token = readFirst(['ASTRA_DB_APPLICATION_TOKEN'], reading);
  if (token !== null) storeHeaders['astra-api-token'] = token;
  const database = readFirst(['ASTRA_DB_ID'], reading);
  if (database !== null) storeHeaders['astra-db-id'] = database;
  return {
    providers,
    openAiKey: readFirst(['OPENAI_API_KEY'], reading),
    serverKey: readFirst(['UNDERSTUDY_API_KEY'], reading),
    baseUrl: readFirst(['UNDERSTUDY_BASE_URL', 'base_url', 'BASE_URL'], reading),
    embeddingModel: readFirst(['UNDERSTUDY_EMBEDDING_MODEL', 'EMBEDDING_MODEL'], reading),
    storeHeaders,
    warnings: reading.warnings,
  };
}

/**
 * Null where there is nothing that authorises a call: a region or an address alone would be sent in the place of the operator's,
 * whose key is never used with what a request brings.
 */
function readProvider(entry: ProviderEntry, reading: Reading): ProviderValues | null {
  const values: Record<string, string> = {};
  const key = readFirst(entry.keyVariables, reading);
  for (const { name, variables, fileVariable } of entry.parameters) {
    const value = readFirst(variables, reading) ?? readFileOf(fileVariable, reading);
    if (value !== null) values[toBoundName(entry, name)] = value;
  }
  const isComplete = entry.keySets.some((names) =>
    names.every((name) => (name === 'api-key' ? key !== null : toBoundName(entry, name) in values)),
  );
  if (!isComplete && !entry.isKeyOptional) return null;
  if (key !== null) values[toBoundName(entry, 'api-key')] = key;
  // OpenAI's is the address of the server that this client calls.
  const baseUrl = entry.id === 'openai' ? null : readFirst(entry.baseUrlVariables, reading);
  if (baseUrl !== null) values[toBoundName(entry, 'base-url')] = baseUrl;
  return Object.keys(values).length === 0 ? null : values;
}

/**
 * `groq-api-key`: with its provider's name in it a value reaches no other provider, whatever the server makes of the model's name
 * (an alias, a fallback) and whichever other models a run asks.
 */
function toBoundName({ id }: ProviderEntry, name: string): string {
  return UNBOUND.has(name) ? `${id.toLowerCase().replaceAll(/[_.]/g, '-')}-${name}` : name;
}

/** Names of more than one provider's. */
const UNBOUND: ReadonlySet<string> = new Set(['api-key', 'base-url', 'api-version']);

/** The first that is set; variables are often set to nothing, or end in a line's end. */
function readFirst(variables: readonly string[], { env, warnings }: Reading): string | null {
  for (const variable of variables) {
    const text = env[variable]?.trim() ?? '';
    if (text === '') continue;
    if (HEADER_TEXT.test(text)) return text;
    warnings.push(`${variable} holds characters that no header may have, and is ignored.`);
  }
  return null;
}

/** What a header can carry. */
const HEADER_TEXT = /^[\x20-\x7e]+$/;

/** A file of JSON, in one line. */
function readFileOf(variable: string | undefined, { env, readFile, warnings }: Reading): string | null {
  const path = variable === undefined ? '' : (env[variable]?.trim() ?? '');
  if (path === '' || readFile === null) return null;
  try {
    const text = JSON.stringify(JSON.parse(readFile(path)));
    if (HEADER_TEXT.test(text)) return text;
  } catch {
    // What is wrong with it must not be shown: it is a secret.
  }
  warnings.push(`${variable} names a file that cannot be read, and is ignored.`);
  return null;
}
