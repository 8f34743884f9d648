/**
 * Google's Vertex AI: Gemini and Claude in a project of Google Cloud, or Gemini by an express key.
 *
 * The package `@ai-sdk/google-vertex` is the Gemini and Anthropic packages at other addresses, with a library for tokens that
 * calls Google past our way out and reads the environment. Here are the addresses; `google-token.ts` has the tokens.
 */

import { toList, toRecord } from '../json-values.ts';
import { type CallOptions, type Credentials, ProviderError } from '../provider.ts';
import { CLAUDE_RULES } from './anthropic.ts';
import { GEMINI_RULES, GEMINI_TASKS } from './gemini.ts';
import type { GoogleTokens } from './google-token.ts';
import type { Access, EmbeddingProtocol, PromptRules, Protocol } from './protocol.ts';
import { toUnitVector, toVector } from './vectors.ts';

const API_VERSION = 'v1beta1';
const EXPRESS_URL = 'https://aiplatform.googleapis.com/v1/publishers/google';
const ANTHROPIC_VERSION = 'vertex-2023-10-16';
const EMBED_TEXTS_MAX = 250;

/** Gemini reads pictures at their addresses itself; Claude does not on this platform. */
const VERTEX_GEMINI_RULES: PromptRules = Object.freeze({ ...GEMINI_RULES, takesPictureUrls: true });
const VERTEX_CLAUDE_RULES: PromptRules = Object.freeze({ ...CLAUDE_RULES, takesPictureUrls: false });

export function createVertexProtocol(tokens: GoogleTokens): Protocol {
  return Object.freeze<Protocol>({
    id: 'vertex',
    name: 'Vertex AI',

    async connect(call, model) {
      const { credentials } = call;
      const token = await findToken(call, tokens);
      if (token !== null) {
        const publisher = isClaude(model) ? 'publishers/anthropic' : 'publishers/google';
        return {
          baseUrl: toProjectUrl(credentials, model.startsWith('endpoints/') ? null : publisher),
          headers: { authorization: `Bearer ${token}` },
        };
      }
      if (credentials.apiKey === null) throw createMissingCredentials();
      return {
        baseUrl: toExpressUrl(credentials.baseUrl),
        headers: { 'x-goog-api-key': credentials.apiKey },
      };
    },

    chat: {
      rules: (model) => (isClaude(model) ? VERTEX_CLAUDE_RULES : VERTEX_GEMINI_RULES),
      loadModel: (access) => (isClaude(access.model) ? loadClaude(access) : loadGemini(access)),
    },

    embeddings,

    // There is no endpoint for it.
    listModels: async () => [],
  });
}

const embeddings: EmbeddingProtocol = {
  textsMax: (model) => (model.startsWith('gemini-embedding') ? 1 : EMBED_TEXTS_MAX),
  async embed({ texts, dimensions, inputKind }, { model, connection, send }) {
    const reply = await send({
      method: 'POST',
      url: `${connection.baseUrl}/models/${encodeURIComponent(model)}:predict`,
      body: {
        instances: texts.map((content) => ({ content, task_type: GEMINI_TASKS[inputKind] })),
        parameters: dimensions === null ? {} : { outputDimensionality: dimensions },
      },
    });
    const found = toList(toRecord(reply)?.predictions).map((entry) => toRecord(toRecord(entry)?.embeddings));
    const vectors = found.map((entry) => toVector(entry?.values));
    const counts = found.map((entry) => toRecord(entry?.statistics)?.token_count);
    return {
      vectors: dimensions === null ? vectors : vectors.map(toUnitVector),
      tokens: counts.reduce<number>((sum, count) => sum + (typeof count === 'number' ? count : 0), 0),
    };
  },
};

async function loadGemini({ model, connection, fetch, createCallId }: Access) {
  const { GoogleLanguageModel } = await import('@ai-sdk/google/internal');
  return new GoogleLanguageModel(model, {
    provider: 'google.vertex.chat',
    baseURL: connection.baseUrl,
    fetch,
    generateId: createCallId,
  });
}

async function loadClaude({ model, connection, fetch, createCallId }: Access) {
  const { AnthropicLanguageModel } = await import('@ai-sdk/anthropic/internal');
  return new AnthropicLanguageModel(model, {
    provider: 'vertex.anthropic.messages',
    baseURL: `${connection.baseUrl}/models`,
    fetch,
    generateId: createCallId,
    buildRequestUrl: (baseUrl, isStreaming) =>
      `${baseUrl}/${encodeURIComponent(model)}:${isStreaming ? 'streamRawPredict' : 'rawPredict'}`,
    transformRequestBody: ({ model: _, ...body }) => ({ ...body, anthropic_version: ANTHROPIC_VERSION }),
    supportsNativeStructuredOutput: false,
    supportsStrictTools: false,
  });
}

function isClaude(model: string): boolean {
  return model.startsWith('claude-');
}

/** An access token: of the credentials, or given as the key. Null: there is an express key at most. */
async function findToken(call: CallOptions, tokens: GoogleTokens): Promise<string | null> {
  const { apiKey, parameters = {} } = call.credentials;
  const given = parameters['vertex-credentials'] ?? '';
  if (given !== '') return await tokens.getToken(given, call);
  return apiKey?.startsWith('ya29.') === true ? apiKey : null;
}

function toProjectUrl({ baseUrl, parameters = {} }: Credentials, publisher: string | null): string {
  if (baseUrl !== null && /\/projects\//.test(new URL(baseUrl).pathname)) {
    const project = baseUrl.replace(/\/publishers\/[^/]*\/?$/, '');
    return publisher === null ? project : `${project}/${publisher}`;
  }
  const project = toLabel(parameters['vertex-project'] ?? '', 'vertex-project');
  const location = toLabel(parameters['vertex-location'] ?? '', 'vertex-location');
  const root = baseUrl === null ? `https://${toHost(location)}/${API_VERSION}` : withVersion(baseUrl);
  return [root, 'projects', project, 'locations', location, ...(publisher === null ? [] : [publisher])].join(
    '/',
  );
}

function withVersion(baseUrl: string): string {
  return /\/v\d/.test(new URL(baseUrl).pathname) ? baseUrl : `${baseUrl}/${API_VERSION}`;
}

function toHost(location: string): string {
  if (location === 'global') return 'aiplatform.googleapis.com';
  if (location === 'eu' || location === 'us') return `aiplatform.${location}.rep.googleapis.com`;
  return `${location}-aiplatform.googleapis.com`;
}

function toExpressUrl(baseUrl: string | null): string {
  if (baseUrl === null) return EXPRESS_URL;
  const { pathname } = new URL(baseUrl);
  if (/\/publishers\//.test(pathname)) return baseUrl;
  return `${/\/v\d/.test(pathname) ? baseUrl : `${baseUrl}/v1`}/publishers/google`;
}

/** Part of a host or a path: nothing in it may lead elsewhere. Projects may be `example.com:name`. */
function toLabel(text: string, name: string): string {
  if (/^[a-z0-9][a-z0-9.:-]*$/i.test(text) && (name === 'vertex-project' || !/[.:]/.test(text))) return text;
  const what = text === '' ? 'is missing' : 'is none';
  throw new ProviderError('invalid_request', `'${name}' ${what}: Vertex AI needs one.`, {
    status: 400,
    param: name,
  });
}

function createMissingCredentials(): ProviderError {
  return new ProviderError(
    'authentication',
    "Vertex AI needs credentials: the JSON of a service account's key as 'vertex-credentials', or an express key.",
    { status: 401, param: 'vertex-credentials' },
  );
}
