/** Cohere's API, version 2. */

import { toList, toRecord, toText } from '../json-values.ts';
import type { ModelInfo } from '../provider.ts';
import { toVersionedUrl } from './base-urls.ts';
import type { EmbeddingProtocol, PromptRules, Protocol } from './protocol.ts';
import { toVector } from './vectors.ts';

const BASE_URL = 'https://api.cohere.com/v2';
const EMBED_TEXTS_MAX = 96;
const MODELS_MAX = 1000;

const RULES: PromptRules = Object.freeze({
  optionsName: 'cohere',
  callIds: null,
  beginsWithUser: false,
  takesPictureUrls: true,
  takesBlankOutputs: true,
  needsToolsForHistory: false,
  knowsChoiceNone: true,
  signsThoughts: false,
  // Cohere has no such setting.
  oneCallAtATime: null,
});

const embeddings: EmbeddingProtocol = {
  textsMax: () => EMBED_TEXTS_MAX,
  async embed({ texts, dimensions, inputKind }, { model, connection, send }) {
    const reply = toRecord(
      await send({
        method: 'POST',
        url: `${connection.baseUrl}/embed`,
        body: {
          model,
          texts,
          input_type: inputKind === 'query' ? 'search_query' : 'search_document',
          embedding_types: ['float'],
          ...(dimensions === null ? {} : { output_dimension: dimensions }),
        },
      }),
    );
    // `billed_units` and `tokens` differ; the tokens are what went through the model.
    const meta = toRecord(reply?.meta);
    const tokens = toRecord(meta?.tokens)?.input_tokens ?? toRecord(meta?.billed_units)?.input_tokens;
    return {
      vectors: toList(toRecord(reply?.embeddings)?.float).map(toVector),
      tokens: typeof tokens === 'number' ? tokens : 0,
    };
  },
};

export const cohereProtocol = Object.freeze<Protocol>({
  id: 'cohere',
  name: 'Cohere',

  async connect({ credentials }) {
    return {
      baseUrl: toVersionedUrl(credentials.baseUrl ?? BASE_URL, 'v2'),
      headers: credentials.apiKey === null ? {} : { authorization: `Bearer ${credentials.apiKey}` },
    };
  },

  chat: {
    rules: () => RULES,
    async loadModel({ model, connection, fetch, createCallId }) {
      const { createCohere } = await import('@ai-sdk/cohere');
      return createCohere({
        baseURL: connection.baseUrl,
        apiKey: '',
        fetch,
        generateId: createCallId,
      }).languageModel(model);
    },
  },

  embeddings,

  async listModels({ connection, send }) {
    // The list has stayed at version 1.
    const url = `${connection.baseUrl.replace(/\/v2$/, '/v1')}/models?page_size=${MODELS_MAX}`;
    const reply = toRecord(await send({ method: 'GET', url }));
    return toList(reply?.models).flatMap((entry): ModelInfo[] => {
      const model = toRecord(entry);
      const name = toText(model?.name);
      const isUsable = toList(model?.endpoints).some(
        (endpoint) => endpoint === 'chat' || endpoint === 'embed',
      );
      return name === null || !isUsable ? [] : [{ id: name, created: 0, ownedBy: 'cohere' }];
    });
  },
});
