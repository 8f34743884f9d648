/** Anthropic's Messages API. */

import { PLAIN_CALL_IDS } from '../chat/call-ids.ts';
import { toList, toRecord, toText } from '../json-values.ts';
import type { ModelInfo } from '../provider.ts';
import { toVersionedUrl } from './base-urls.ts';
import type { PromptRules, Protocol } from './protocol.ts';

const BASE_URL = 'https://api.anthropic.com/v1';
const API_VERSION = '2023-06-01';
const MODELS_MAX = 1000;

/** Claude's, wherever it is served. */
export const CLAUDE_RULES: PromptRules = Object.freeze({
  optionsName: 'anthropic',
  callIds: PLAIN_CALL_IDS,
  beginsWithUser: true,
  takesPictureUrls: true,
  takesBlankOutputs: true,
  needsToolsForHistory: true,
  knowsChoiceNone: true,
  signsThoughts: true,
  oneCallAtATime: { anthropic: { disableParallelToolUse: true } },
});

export const anthropicProtocol = Object.freeze<Protocol>({
  id: 'anthropic',
  name: 'Anthropic',

  async connect({ credentials }) {
    return {
      baseUrl: toVersionedUrl(credentials.baseUrl ?? BASE_URL, 'v1'),
      headers: {
        'anthropic-version': API_VERSION,
        ...(credentials.apiKey === null ? {} : { 'x-api-key': credentials.apiKey }),
      },
    };
  },

  chat: {
    rules: () => CLAUDE_RULES,
    async loadModel({ model, connection, fetch, createCallId }) {
      const { createAnthropic } = await import('@ai-sdk/anthropic');
      // The key is put on in `fetch`; what is not said here would be read from the environment.
      return createAnthropic({
        baseURL: connection.baseUrl,
        apiKey: '',
        fetch,
        generateId: createCallId,
      }).languageModel(model);
    },
  },

  embeddings: null,

  async listModels({ connection, send }) {
    const url = `${connection.baseUrl}/models?limit=${MODELS_MAX}`;
    const reply = toRecord(await send({ method: 'GET', url }));
    return toList(reply?.data).flatMap((entry): ModelInfo[] => {
      const model = toRecord(entry);
      const id = toText(model?.id);
      const createdMs = Date.parse(toText(model?.created_at) ?? '');
      const created = Number.isNaN(createdMs) ? 0 : Math.max(0, Math.floor(createdMs / 1000));
      return id === null ? [] : [{ id, created, ownedBy: 'anthropic' }];
    });
  },
});
