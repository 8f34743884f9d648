/** Google's Gemini API. */

import { type JsonRecord, toList, toRecord, toText } from '../json-values.ts';
import type { ModelInfo } from '../provider.ts';
import { toVersionedUrl } from './base-urls.ts';
import type { EmbeddingProtocol, InputKind, PromptRules, Protocol } from './protocol.ts';
import { toUnitVector, toVector } from './vectors.ts';

const BASE_URL = 'https://generativelanguage.googleapis.com/v1beta';
const EMBED_TEXTS_MAX = 100;
const MODELS_MAX = 1000;

export const GEMINI_RULES: PromptRules = Object.freeze({
  optionsName: 'google',
  callIds: null,
  beginsWithUser: true,
  takesPictureUrls: false,
  takesBlankOutputs: true,
  needsToolsForHistory: false,
  knowsChoiceNone: true,
  signsThoughts: false,
  // Gemini has no such setting.
  oneCallAtATime: null,
});

export const GEMINI_TASKS: Readonly<Record<InputKind, string>> = Object.freeze({
  document: 'RETRIEVAL_DOCUMENT',
  query: 'RETRIEVAL_QUERY',
});

const embeddings: EmbeddingProtocol = {
  textsMax: () => EMBED_TEXTS_MAX,
  async embed({ texts, dimensions, inputKind }, { model, connection, send }) {
    const name = toModelPath(model);
    const reply = await send({
      method: 'POST',
      url: `${connection.baseUrl}/${name}:batchEmbedContents`,
      body: {
        requests: texts.map((text) => ({
          model: name,
          content: { parts: [{ text }] },
          taskType: GEMINI_TASKS[inputKind],
          ...(dimensions === null ? {} : { outputDimensionality: dimensions }),
        })),
      },
    });
    const record = toRecord(reply);
    const vectors = toList(record?.embeddings).map((entry) => toVector(toRecord(entry)?.values));
    const tokens = toRecord(record?.usageMetadata)?.promptTokenCount;
    return {
      // Only vectors of full length come as unit vectors.
      vectors: dimensions === null ? vectors : vectors.map(toUnitVector),
      tokens: typeof tokens === 'number' ? tokens : 0,
    };
  },
};

export const geminiProtocol = Object.freeze<Protocol>({
  id: 'gemini',
  name: 'Google Gemini',

  async connect({ credentials }) {
    return {
      baseUrl: toVersionedUrl(credentials.baseUrl ?? BASE_URL, 'v1beta'),
      headers: credentials.apiKey === null ? {} : { 'x-goog-api-key': credentials.apiKey },
    };
  },

  chat: {
    rules: () => GEMINI_RULES,
    async loadModel({ model, connection, fetch, createCallId }) {
      const { createGoogle } = await import('@ai-sdk/google');
      return createGoogle({
        baseURL: connection.baseUrl,
        apiKey: '',
        fetch,
        generateId: createCallId,
      }).languageModel(model);
    },
  },

  embeddings,

  async listModels({ connection, send }) {
    const url = `${connection.baseUrl}/models?pageSize=${MODELS_MAX}`;
    const reply = toRecord(await send({ method: 'GET', url }));
    return toList(reply?.models).flatMap(toModelInfo);
  },
});

function toModelPath(model: string): string {
  return model.includes('/') ? model : `models/${model}`;
}

/** Only what can be asked for by chat or for embeddings. */
function toModelInfo(entry: unknown): ModelInfo[] {
  const model: JsonRecord = toRecord(entry) ?? {};
  const name = toText(model.name)?.replace(/^models\//, '') ?? null;
  const methods = toList(model.supportedGenerationMethods);
  const isUsable = methods.length === 0 || methods.some((method) => USABLE_METHODS.has(method));
  return name === null || !isUsable ? [] : [{ id: name, created: 0, ownedBy: 'google' }];
}

const USABLE_METHODS: ReadonlySet<unknown> = new Set(['generateContent', 'embedContent']);
