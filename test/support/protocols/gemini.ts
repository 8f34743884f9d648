/**
 * Google's Gemini API and Vertex AI: server-sent events, each a whole `GenerateContentResponse`.
 *
 * Shapes after streams recorded from the real API, in the tests of vercel/ai (`packages/google/src/__fixtures__`:
 * `google-tool-call-gemini3`, `google-reasoning-gemini3`, `issue-19758-prompt-block`, `google-429-retry-info`).
 */

import type { Counts } from './protocol-steps.ts';
import { countTurns, type FinishName, type Speaker, toScriptedVector, type Voice } from './voice.ts';

const FINISH_REASONS: Readonly<Record<FinishName, string>> = {
  stop: 'STOP',
  length: 'MAX_TOKENS',
  // Calls end with STOP as everything else does.
  tool_calls: 'STOP',
  content_filter: 'SAFETY',
};

const STATUS_NAMES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

export const geminiSpeaker: Speaker = {
  id: 'gemini',
  contentType: 'text/event-stream',

  read(path, body) {
    const pathname = path.split('?', 1)[0] ?? '';
    if (pathname.endsWith('/v1beta/models')) return { kind: 'models', model: '', turn: 0 };
    const match = /\/models\/([^/:]+):(\w+)$/.exec(pathname);
    const [, model = '', method = ''] = match ?? [];
    if (/^(batchEmbedContents|predict)$/.test(method)) {
      return { kind: 'embeddings', model: decodeURIComponent(model), turn: 0 };
    }
    if (method !== 'streamGenerateContent' || !path.endsWith('?alt=sse')) return null;
    const isOutput = (parts: unknown): boolean =>
      Array.isArray(parts) && parts.some((part) => 'functionResponse' in part);
    const turn = countTurns(
      body.contents,
      ({ role }) => role === 'model',
      ({ role, parts }) => role === 'user' && !isOutput(parts),
    );
    return { kind: 'chat', model: decodeURIComponent(model), turn };
  },

  createVoice: (model) => createVoice(model),

  refuse: (status, message, retrySeconds) => ({
    status,
    headers: {},
    body: {
      error: {
        code: status,
        message,
        status: STATUS_NAMES[status] ?? 'UNKNOWN',
        ...(retrySeconds === null
          ? {}
          : {
              details: [
                {
                  '@type': 'type.googleapis.com/google.rpc.RetryInfo',
                  retryDelay: `${retrySeconds}s`,
                },
              ],
            }),
      },
    },
  }),

  embed(body) {
    if (Array.isArray(body.instances)) {
      const { outputDimensionality } = body.parameters as { outputDimensionality?: number };
      return {
        predictions: body.instances.map(({ content }) => ({
          embeddings: {
            values: toScriptedVector(content, outputDimensionality),
            statistics: { token_count: 3, truncated: false },
          },
        })),
      };
    }
    const requests = body.requests as {
      content: { parts: { text: string }[] };
      outputDimensionality?: number;
    }[];
    return {
      embeddings: requests.map(({ content, outputDimensionality }) => ({
        // Shortened vectors are not of unit length.
        values: toScriptedVector(content.parts[0]?.text ?? '', outputDimensionality).map((value) =>
          outputDimensionality === undefined ? value : value * 0.7,
        ),
      })),
    };
  },

  listModels: (models) => ({
    models: [
      ...models.map((id) => ({ name: `models/${id}`, supportedGenerationMethods: ['generateContent'] })),
      { name: 'models/imagen', supportedGenerationMethods: ['predict'] },
    ],
  }),
};

function createVoice(model: string): Voice {
  let usage: object = {};
  const send = (candidate: object): string => {
    const chunk = {
      candidates: [{ ...candidate, index: 0 }],
      usageMetadata: usage,
      modelVersion: model,
      responseId: 'QHiLaa6LBrb8vdIPoNztsAg',
    };
    return `data: ${JSON.stringify(chunk)}\r\n\r\n`;
  };
  const say = (part: object): string => send({ content: { parts: [part], role: 'model' } });

  return {
    begin(counts) {
      usage = toUsage(counts);
      return [];
    },
    text: (token) => [say({ text: token })],
    think: (token) => [say({ text: token, thought: true })],
    sign: (signature) => [say({ text: '', thought: true, thoughtSignature: signature })],
    call: ({ name, pieces, signature }) => [
      say({
        functionCall: { name, args: JSON.parse(pieces.join('') || '{}') },
        ...(signature === null ? {} : { thoughtSignature: signature }),
      }),
    ],
    finish(reason, counts) {
      usage = toUsage(counts);
      const content = { parts: [{ text: '' }], role: 'model' };
      // A candidate that was blocked says nothing more.
      return [
        send({ ...(reason === 'content_filter' ? {} : { content }), finishReason: FINISH_REASONS[reason] }),
      ];
    },
    fault: (message) => [
      `data: ${JSON.stringify({ error: { code: 503, message, status: 'UNAVAILABLE' } })}\r\n\r\n`,
    ],
  };
}

function toUsage({ prompt, completion, cached, thoughts }: Counts): object {
  return {
    promptTokenCount: prompt,
    candidatesTokenCount: completion - thoughts,
    totalTokenCount: prompt + completion,
    ...(cached === 0 ? {} : { cachedContentTokenCount: cached }),
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: prompt }],
    thoughtsTokenCount: thoughts,
  };
}
