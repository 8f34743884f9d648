/** Mistral's API: near to OpenAI's, with lists of thoughts and texts as content, and ids of nine characters. */

import type { CallIdRule } from '../chat/call-ids.ts';
import { toList, toRecord, toText } from '../json-values.ts';
import type { ModelInfo } from '../provider.ts';
import { toVersionedUrl } from './base-urls.ts';
import { readIndexedVectors } from './indexed-vectors.ts';
import { withChoices } from './mistral-chunks.ts';
import type { EmbeddingProtocol, PromptRules, Protocol } from './protocol.ts';

const BASE_URL = 'https://api.mistral.ai/v1';
const EMBED_TEXTS_MAX = 32;

const CALL_IDS: CallIdRule = Object.freeze({ pattern: /^[a-zA-Z0-9]{9}$/, characters: 9 });

const RULES: PromptRules = Object.freeze({
  optionsName: 'mistral',
  callIds: CALL_IDS,
  beginsWithUser: false,
  takesPictureUrls: true,
  takesBlankOutputs: true,
  needsToolsForHistory: false,
  knowsChoiceNone: true,
  signsThoughts: false,
  oneCallAtATime: { mistral: { parallelToolCalls: false } },
});

const embeddings: EmbeddingProtocol = {
  textsMax: () => EMBED_TEXTS_MAX,
  async embed({ texts, dimensions }, { model, connection, send }) {
    const reply = await send({
      method: 'POST',
      url: `${connection.baseUrl}/embeddings`,
      body: { model, input: texts, ...(dimensions === null ? {} : { output_dimension: dimensions }) },
    });
    return readIndexedVectors(reply);
  },
};

export const mistralProtocol = Object.freeze<Protocol>({
  id: 'mistral',
  name: 'Mistral',

  async connect({ credentials }) {
    return {
      baseUrl: toVersionedUrl(credentials.baseUrl ?? BASE_URL, 'v1'),
      headers: credentials.apiKey === null ? {} : { authorization: `Bearer ${credentials.apiKey}` },
    };
  },

  chat: {
    rules: () => RULES,
    async loadModel({ model, connection, fetch, createCallId }) {
      const { createMistral } = await import('@ai-sdk/mistral');
      return createMistral({
        baseURL: connection.baseUrl,
        apiKey: '',
        fetch: withChoices(fetch),
        generateId: createCallId,
      }).languageModel(model);
    },
  },

  embeddings,

  async listModels({ connection, send }) {
    const reply = toRecord(await send({ method: 'GET', url: `${connection.baseUrl}/models` }));
    return toList(reply?.data).flatMap((entry): ModelInfo[] => {
      const model = toRecord(entry);
      const id = toText(model?.id);
      const created = typeof model?.created === 'number' ? Math.max(0, Math.floor(model.created)) : 0;
      return id === null ? [] : [{ id, created, ownedBy: toText(model?.owned_by) ?? 'mistralai' }];
    });
  },
});
