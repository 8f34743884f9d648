/** An official client that calls understudy, and sends with each call only the keys that its models need. */

import type OpenAI from 'openai';
import { findEntryByUrl } from '../providers/catalogue/catalogue.ts';
import { type Call, toCall } from './call.ts';
import { type ClientEnvironment, type Environment, type ReadFile, readEnvironment } from './environment.ts';
import { type CallModels, NO_KEY, toCallHeaders, toPlainHeaders } from './model-headers.ts';
import { createModelLookup, type Fetch, type ModelLookup } from './model-lookup.ts';
import { findChangedAssistant, findModelUse, searchesFiles } from './model-use.ts';

const DEFAULT_BASE_URL = 'http://127.0.0.1:8700/v1';

export interface PatchOptions {
  /** Where understudy is; `/v1` is added where there is no path. Else `UNDERSTUDY_BASE_URL`, `base_url`, `BASE_URL`, the client's. */
  readonly baseURL?: string;
  /** A key of the server's own (`sk-understudy-…`); else `UNDERSTUDY_API_KEY`. */
  readonly apiKey?: string;
  /** The model of new vector stores: `cohere/embed-v4.0`; else `UNDERSTUDY_EMBEDDING_MODEL`, `EMBEDDING_MODEL`. */
  readonly embeddingModel?: string;
  /** Where keys and settings are read, once; by default the variables of this process. */
  readonly env?: Environment;
}

/**
 * Answers a new client of the same type; the given one stays as it is. Keys are read from the environment at once, and only then.
 * Throws `TypeError` for a base URL that is none.
 */
export function patch<Client extends OpenAI>(client: Client, options: PatchOptions = {}): Client {
  const read = readEnvironment(options.env ?? findVariables(), findReadFile());
  for (const warning of read.warnings) client.logger.warn(`understudy: ${warning}`);
  const environment: ClientEnvironment = { ...read, serverKey: options.apiKey ?? read.serverKey };
  const baseURL = toBaseUrl(options.baseURL ?? environment.baseUrl ?? findOwnBaseUrl(client.baseURL));
  const inner = findFetch(client);
  const lookup = createModelLookup({ fetch: inner, baseUrl: baseURL, now: () => performance.now() });
  const deps: Deps = {
    environment,
    lookup,
    embeddingModel: options.embeddingModel ?? environment.embeddingModel,
  };
  return client.withOptions({
    baseURL,
    fetch: createFetch(inner, baseURL, deps),
    // The official client refuses to call without a key.
    ...(client.apiKey === null && !client._hasApiKeyProvider() ? { apiKey: NO_KEY } : {}),
  });
}

interface Deps {
  readonly environment: ClientEnvironment;
  readonly lookup: ModelLookup;
  readonly embeddingModel: string | null;
}

function createFetch(inner: Fetch, baseUrl: string, deps: Deps): Fetch {
  return async (input, init) => {
    const request = input instanceof Request ? input : null;
    const body = init?.body ?? (request === null ? null : await request.clone().text());
    const call = toCall(baseUrl, toUrl(input), init?.method ?? request?.method ?? 'GET', body);
    // A copy of this client may have been pointed elsewhere: nothing of ours goes there.
    if (call === null) return await inner(input, init);
    const given = new Headers(init?.headers ?? request?.headers);
    const models = await findModels(call, given, init?.signal ?? request?.signal ?? null, deps);
    const headers = toCallHeaders(given, models, deps.environment);
    const changed = findChangedAssistant(call);
    if (changed !== null) deps.lookup.forgetAssistant(changed);
    try {
      // Whoever redirects must not get the keys; the server never does.
      return await inner(input, { redirect: 'manual', ...init, headers });
    } finally {
      // What was looked up meanwhile may be from before the change.
      if (changed !== null) deps.lookup.forgetAssistant(changed);
    }
  };
}

async function findModels(
  call: Call,
  given: Headers,
  signal: AbortSignal | null,
  { environment, lookup, embeddingModel }: Deps,
): Promise<CallModels> {
  const use = findModelUse(call);
  const ownModel = given.get('embedding-model')?.trim() || embeddingModel;
  const wantsTools = use.embedding === 'maybe' && ownModel !== null && !Array.isArray(use.tools);
  const isHeld = use.holder !== null && (use.model === null || wantsTools);
  const held =
    isHeld && use.holder !== null
      ? await lookup.find(use.holder, toPlainHeaders(given, environment), signal)
      : null;
  const searches = use.embedding === 'maybe' && searchesFiles(use.tools ?? held?.tools);
  const isEmbedding = use.embedding === 'names' || use.embedding === 'asks' || searches;
  return {
    model: use.model ?? held?.model ?? null,
    embeddingModel: isEmbedding ? ownModel : null,
    namesEmbedding: use.embedding === 'names',
  };
}

function toUrl(input: string | URL | Request): string {
  return input instanceof Request ? input.url : String(input);
}

/** The client's own `fetch`, so that what its owner set there goes on working. It is no part of the type's public members. */
function findFetch(client: OpenAI): Fetch {
  const own: unknown = Reflect.get(client, 'fetch');
  return typeof own === 'function' ? (input, init) => own.call(undefined, input, init) : fetch;
}

/** Where the client calls, unless that is OpenAI or another provider: keys of all of them must not go there. */
function findOwnBaseUrl(baseUrl: string): string {
  return findEntryByUrl(baseUrl) === null ? baseUrl : DEFAULT_BASE_URL;
}

function toBaseUrl(text: string): string {
  const url = URL.parse(text.trim());
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError("understudy's base URL must be a URL like http://127.0.0.1:8700/v1.");
  }
  return url.origin + (url.pathname === '/' ? '/v1' : url.pathname.replace(/\/+$/, ''));
}

/** Nothing where there is no process, as in a browser. */
function findVariables(): Environment {
  return typeof process === 'undefined' ? {} : process.env;
}

/** Without an import, so that the library is for browsers too. */
function findReadFile(): ReadFile | null {
  if (typeof process === 'undefined' || typeof process.getBuiltinModule !== 'function') return null;
  const files = process.getBuiltinModule('node:fs');
  return (path) => files.readFileSync(path, 'utf8');
}
