/**
 * Embedding models over the provider port: which one a new vector store gets, and how its texts get to it.
 *
 * `embedding-model` and `embedding-param-*` headers choose per request, the configuration otherwise.
 */

import { ApiError } from '../../errors.ts';
import type { BeginCall } from '../call-meter.ts';
import { findEntry, findEntryByUrl } from '../catalogue/catalogue.ts';
import type { Embedder, EmbeddingModel } from '../embedder.ts';
import {
  ProviderError,
  type RequestHeaders,
  type ResolvedModel,
  type Router,
  toProviderName,
} from '../provider.ts';
import { isOpenAiHost, OPENAI_BASE_URL } from '../routing/base-url.ts';
import { toEmbeddingHeaders, toParameterFields } from '../routing/embedding-headers.ts';
import { type EmbeddingCall, embedTexts } from './embedding-batches.ts';
import { findWindowTokens } from './embedding-windows.ts';

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
const DIMENSIONS_HEADER = 'embedding-param-dimensions';

export interface Embedders {
  /**
   * The model that a store without vectors gets by this request: the one that a header names, else the configured
   * one, else that of the default upstream where it is OpenAI or another known provider, else that of the default model's
   * provider. Null: there is none, and the store is searched by words.
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
  /** Told of each call; absent: nobody counts. */
  readonly beginCall?: BeginCall;
}): Embedders {
  const { router, configured, beginCall } = deps;
  return {
    readNamed,
    choose(headers) {
      const named = readNamed(headers);
      if (named !== null) return named;
      if (configured !== null) {
        return { ...configured, dimensions: readDimensions(headers) ?? configured.dimensions };
      }
      return findUpstreamEmbedding(router, headers) ?? findModelEmbedding(router, headers);
    },
    resolve(model, headers) {
      const resolved = router.resolve(model.model, toEmbeddingHeaders(headers));
      return createEmbedder(model, resolved, toParameterFields(headers), beginCall);
    },
  };
}

function createEmbedder(
  model: EmbeddingModel,
  resolved: ResolvedModel,
  fields: Readonly<Record<string, unknown>>,
  beginCall: BeginCall | undefined,
): Embedder {
  const textTokensMax = findWindowTokens(model.model);
  const ownMax = resolved.credentials.style?.quirks.embeddingTextsMax ?? BATCH_TEXTS_MAX;
  const batchTextsMax = Math.min(BATCH_TEXTS_MAX, ownMax);
  return {
    ...model,
    fromRequest: resolved.credentials.fromRequest || Object.keys(fields).length > 0,
    batchTextsMax,
    batchTokensMax: BATCH_TOKENS_MAX,
    textTokensMax,
    embed(texts, { signal, requestId, tenant, keyId }) {
      const provider = toProviderName(resolved);
      const meter = beginCall?.({ tenant, keyId, provider, kind: 'embedding' });
      const call: EmbeddingCall = async (inputs) => {
        const body = {
          ...fields,
          model: resolved.model,
          input: inputs,
          encoding_format: 'base64',
          ...(model.dimensions === null ? {} : { dimensions: model.dimensions }),
        };
        const { credentials } = resolved;
        const call = { credentials, signal, requestId, ...(meter ? { meter } : {}) };
        return await resolved.provider.relay('embeddings', body, call);
      };
      return embedTexts(texts, call, {
        textsMax: batchTextsMax,
        tokensMax: BATCH_TOKENS_MAX,
        textTokensMax,
        dimensions: model.dimensions,
        ...(meter ? { onUsage: (counts) => meter.usage(counts) } : {}),
      });
    },
  };
}

/** The default upstream's own: of OpenAI, or of a known provider that the operator's or the request's base URL leads to. */
function findUpstreamEmbedding(router: Router, headers: RequestHeaders): EmbeddingModel | null {
  const resolved = tryResolve(router, OPENAI_EMBEDDING.model, headers);
  if (resolved === null) return null;
  const { apiKey, baseUrl } = resolved.credentials;
  if (apiKey === null) return null;
  if (isOpenAiHost(baseUrl ?? OPENAI_BASE_URL)) return OPENAI_EMBEDDING;
  const model = findEntryByUrl(baseUrl ?? '')?.embedding?.model ?? null;
  return model === null ? null : { model, dimensions: null };
}

/** That of the provider which the operator chose for requests that name no model. */
function findModelEmbedding(router: Router, headers: RequestHeaders): EmbeddingModel | null {
  const { defaultModel = null } = router;
  const resolved = defaultModel === null ? null : tryResolve(router, defaultModel, headers);
  const entry = findEntry(resolved?.credentials.style?.provider ?? '');
  return entry?.embedding ? { model: `${entry.id}/${entry.embedding.model}`, dimensions: null } : null;
}

function tryResolve(router: Router, model: string, headers: RequestHeaders): ResolvedModel | null {
  try {
    return router.resolve(model, toEmbeddingHeaders(headers));
  } catch (error) {
    if (error instanceof ProviderError) return null;
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
  const name = DIMENSIONS_HEADER;
  const text = headers[name]?.trim() ?? '';
  if (text === '') return null;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= DIMENSIONS_MAX) return value;
  throw ApiError.invalidValue(
    name,
    `Invalid header '${name}': expected a whole number from 1 to ${DIMENSIONS_MAX}.`,
  );
}
