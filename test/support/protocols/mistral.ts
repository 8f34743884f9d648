/**
 * Mistral's API: chunks like OpenAI's, with content as text or as a list of thoughts and texts; and Voyage's embeddings, which
 * have the same path.
 *
 * Shapes after streams recorded from the real API, in the tests of vercel/ai (`packages/mistral/src/__fixtures__`:
 * `mistral-tool-call`, `mistral-reasoning`, `mistral-text`).
 */

import type { Counts } from './protocol-steps.ts';
import {
  countTurns,
  type FinishName,
  type Speaker,
  toScriptedVector,
  toSse,
  toTexts,
  type Voice,
} from './voice.ts';

const FINISH_REASONS: Readonly<Record<FinishName, string>> = {
  stop: 'stop',
  length: 'model_length',
  tool_calls: 'tool_calls',
  content_filter: 'content_filter',
};

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  404: 'invalid_model',
  422: 'invalid_request_error',
  429: 'service_tier_capacity_exceeded',
};

export const mistralSpeaker: Speaker = {
  id: 'mistral',
  contentType: 'text/event-stream; charset=utf-8',

  read(path, body) {
    if (path === '/v1/models') return { kind: 'models', model: '', turn: 0 };
    if (path === '/v1/embeddings') return { kind: 'embeddings', model: String(body.model), turn: 0 };
    if (path !== '/v1/chat/completions') return null;
    const turn = countTurns(
      body.messages,
      ({ role }) => role === 'assistant',
      ({ role }) => role === 'user',
    );
    return { kind: 'chat', model: String(body.model), turn };
  },

  createVoice: (model) => createVoice(model),

  refuse: (status, message, retrySeconds) => ({
    status,
    headers: retrySeconds === null ? {} : { 'retry-after': String(retrySeconds) },
    body:
      status === 401
        ? { detail: message }
        : {
            object: 'error',
            message,
            type: ERROR_TYPES[status] ?? 'internal_server_error',
            param: null,
            code: '3051',
          },
  }),

  embed(body) {
    const dimensions = typeof body.output_dimension === 'number' ? body.output_dimension : 8;
    const texts = toTexts(body.input);
    const data = texts.map((text, index) => ({
      object: 'embedding',
      embedding: toScriptedVector(text, dimensions),
      index,
    }));
    return {
      object: 'list',
      // The order is in the indexes, not in the list.
      data: data.toReversed(),
      model: body.model,
      usage: { prompt_tokens: texts.length * 3, total_tokens: texts.length * 3 },
    };
  },

  listModels: (models) => ({
    object: 'list',
    data: models.map((id) => ({ id, object: 'model', created: 1_769_088_854, owned_by: 'mistralai' })),
  }),
};

function createVoice(model: string): Voice {
  const send = (delta: object, finish: string | null = null, extra: object = {}): string =>
    toSse({
      id: 'b3999b8c93e04e11bcbff7bcab829667',
      object: 'chat.completion.chunk',
      created: 1_769_088_854,
      model,
      choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }],
      ...extra,
    });

  return {
    begin: () => [send({ role: 'assistant', content: '' })],
    text: (token) => [send({ content: token })],
    think: (token) => [send({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: token }] }] })],
    // There are no signatures here.
    sign: () => [],
    call: ({ index, name, pieces }) => [
      send({
        content: null,
        tool_calls: [{ id: `gSIMJiOk${index}`, function: { name, arguments: pieces.join('') }, index }],
      }),
    ],
    finish: (reason, counts) => [
      send({ content: '' }, FINISH_REASONS[reason], { usage: toUsage(counts) }),
      'data: [DONE]\n\n',
    ],
    fault: (message) => [
      toSse({ object: 'error', message, type: 'internal_server_error', param: null, code: '1000' }),
    ],
  };
}

function toUsage({ prompt, completion, cached }: Counts): object {
  return {
    prompt_tokens: prompt,
    total_tokens: prompt + completion,
    completion_tokens: completion,
    ...(cached === 0 ? {} : { prompt_tokens_details: { cached_tokens: cached } }),
  };
}
