/** Voyage's API: embeddings only. Near to OpenAI's, with names of its own for the kind of text and the dimensions. */

import { toVersionedUrl } from './base-urls.ts';
import { readIndexedVectors } from './indexed-vectors.ts';
import type { EmbeddingProtocol, Protocol } from './protocol.ts';

const BASE_URL = 'https://api.voyageai.com/v1';
const EMBED_TEXTS_MAX = 128;

const embeddings: EmbeddingProtocol = {
  textsMax: () => EMBED_TEXTS_MAX,
  async embed({ texts, dimensions, inputKind }, { model, connection, send }) {
    const reply = await send({
      method: 'POST',
      url: `${connection.baseUrl}/embeddings`,
      body: {
        model,
        input: texts,
        input_type: inputKind,
        ...(dimensions === null ? {} : { output_dimension: dimensions }),
      },
    });
    return readIndexedVectors(reply);
  },
};

export const voyageProtocol = Object.freeze<Protocol>({
  id: 'voyage',
  name: 'Voyage AI',

  async connect({ credentials }) {
    return {
      baseUrl: toVersionedUrl(credentials.baseUrl ?? BASE_URL, 'v1'),
      headers: credentials.apiKey === null ? {} : { authorization: `Bearer ${credentials.apiKey}` },
    };
  },

  chat: null,
  embeddings,

  // There is no endpoint for it.
  listModels: async () => [],
});
