/**
 * Embedding models over the provider port: which one a new vector store gets, and how its texts get to it.
 *
 * `embedding-model` and `embedding-param-*` headers choose per request, the configuration otherwise.
 */

import { ApiError } from '../errors.ts';
import { isOpenAiHost, OPENAI_BASE_URL } from './base-url.ts';
import type { Embedder, EmbeddingModel } from './embedder.ts';
import { type EmbeddingCall, embedTexts } from './embedding-batches.ts';
import { findWindowTokens } from './embedding-windows.ts';
import { ProviderError, type RequestHeaders, type ResolvedModel, type Router } from './provider.ts';

/** What OpenAI's own vector stores used. */
export const OPENAI_EMBEDDING: EmbeddingModel = Object.freeze({
  model: 'text-embedding-3-large',
  dimensions: 256,
});

/** Small enough that no answer keeps the event loop for long: 64 vectors of 3,072 numbers are 1 MB in base64. */
const BATCH_TEXTS_MAX = 64;
/** OpenAI takes 300,000 tokens a request. */
const BATCH_TOKENS_MAX = 200_000;
const DIMENSIONS_MAX = 16_000;
const NAME_LENGTH_MAX = 256;
const PARAMETER_PREFIX = 'embedding-param-';
/** Parameters that say who answers; all others are fields of the request to the model. */
const ROUTING_PARAMETERS: ReadonlySet<string> = new Set([
  'api-key',
  'base-url',
  'api-base',
  'api-version',
  'custom-llm-provider',
  'model',
  'input',
  'dimensions',
  'encoding-format',
]);

export interface Embedders {
  /**
   * The model that a store without vectors gets by this request: the one that a header names, else the configured
   * one, else OpenAI's where OpenAI is the upstream. Null: there is none, and the store is searched by words.
   * Errors: 400 naming the header.
   */
  choose(headers: RequestHeaders): EmbeddingModel | null;
  /** The model that a header names, or null. Errors: 400 naming the header. */
  readNamed(headers: RequestHeaders): EmbeddingModel | null;
  /** Errors: `ProviderError` (`not_configured`, `model_not_found`); `ApiError` for a header that is not acceptable. */
  resolve(model: EmbeddingModel, headers: RequestHeaders): Embedder;
}

export function createEmbedders(deps: {
  readonly router: Router;
  readonly configured: EmbeddingModel | null;
}): Embedders {
  const { router, configured } = deps;
  return {
    readNamed,
    choose(headers) {
      const named = readNamed(headers);
      if (named !== null) return named;
      if (configured !== null) {
        return { ...configured, dimensions: readDimensions(headers) ?? configured.dimensions };
      }
      return isOpenAiUpstream(router, headers) ? OPENAI_EMBEDDING : null;
    },
    resolve(model, headers) {
      const resolved = router.resolve(model.model, toEmbeddingHeaders(headers));
      return createEmbedder(model, resolved, toFields(headers));
    },
  };
}

function createEmbedder(
  model: EmbeddingModel,
  resolved: ResolvedModel,
  fields: Readonly<Record<string, unknown>>,
): Embedder {
  const textTokensMax = findWindowTokens(model.model);
  return {
    ...model,
    fromRequest: resolved.credentials.fromRequest,
    batchTextsMax: BATCH_TEXTS_MAX,
    batchTokensMax: BATCH_TOKENS_MAX,
    textTokensMax,
    embed(texts, { signal, requestId }) {
      const call: EmbeddingCall = async (inputs) => {
        const body = {
          ...fields,
          model: resolved.model,
          input: inputs,
          encoding_format: 'base64',
          ...(model.dimensions === null ? {} : { dimensions: model.dimensions }),
        };
        const { credentials } = resolved;
        return await resolved.provider.relay('embeddings', body, { credentials, signal, requestId });
      };
      return embedTexts(texts, call, {
        textsMax: BATCH_TEXTS_MAX,
        tokensMax: BATCH_TOKENS_MAX,
        textTokensMax,
        dimensions: model.dimensions,
      });
    },
  };
}

function isOpenAiUpstream(router: Router, headers: RequestHeaders): boolean {
  try {
    const { credentials } = router.resolve(OPENAI_EMBEDDING.model, toEmbeddingHeaders(headers));
    return credentials.apiKey !== null && isOpenAiHost(credentials.baseUrl ?? OPENAI_BASE_URL);
  } catch (error) {
    if (error instanceof ProviderError) return false;
    throw error;
  }
}

function readNamed(headers: RequestHeaders): EmbeddingModel | null {
  const model = headers['embedding-model']?.trim() ?? '';
  if (model === '') return null;
  if (model.length > NAME_LENGTH_MAX) {
    throw ApiError.invalidValue('embedding-model', `Invalid header 'embedding-model': the name is too long.`);
  }
  return { model, dimensions: readDimensions(headers) };
}

function readDimensions(headers: RequestHeaders): number | null {
  const name = `${PARAMETER_PREFIX}dimensions`;
  const text = headers[name]?.trim() ?? '';
  if (text === '') return null;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= DIMENSIONS_MAX) return value;
  throw ApiError.invalidValue(
    name,
    `Invalid header '${name}': expected a whole number from 1 to ${DIMENSIONS_MAX}.`,
  );
}

/** The headers by which the embedding model's provider is found: its own parameters win over those of the language model. */
function toEmbeddingHeaders(headers: RequestHeaders): RequestHeaders {
  const key = headers[`${PARAMETER_PREFIX}api-key`]?.trim() ?? '';
  const baseUrl =
    headers[`${PARAMETER_PREFIX}base-url`]?.trim() || headers[`${PARAMETER_PREFIX}api-base`]?.trim() || '';
  if (key === '' && baseUrl === '') return headers;
  // A key that came for another address does not go to this one.
  const { authorization, 'base-url': _, ...rest } = headers;
  return {
    ...rest,
    ...(key === '' ? (baseUrl === '' ? { authorization } : {}) : { authorization: `Bearer ${key}` }),
    ...(baseUrl === '' ? { 'base-url': headers['base-url'] } : { 'base-url': baseUrl }),
  };
}

/** Further parameters, as fields of the request: `embedding-param-input-type: query` is `input_type`. */
function toFields(headers: RequestHeaders): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(headers)) {
    if (text === undefined || !name.startsWith(PARAMETER_PREFIX)) continue;
    const parameter = name.slice(PARAMETER_PREFIX.length).replaceAll('_', '-');
    if (ROUTING_PARAMETERS.has(parameter)) continue;
    fields[parameter.replaceAll('-', '_')] = toValue(text);
  }
  return fields;
}

/** Numbers and truth values as such, everything else as text. */
function toValue(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
