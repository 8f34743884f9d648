/**
 * Anthropic's Messages API: server-sent events with names.
 *
 * Shapes after streams recorded from the real API, in the tests of vercel/ai (`packages/anthropic/src/__fixtures__`:
 * `anthropic-json-other-tool.1`, `anthropic-claude-sonnet-5-reasoning-summarized`, `anthropic-refusal`).
 */

import type { Counts } from './protocol-steps.ts';
import { type Bytes, countTurns, type FinishName, type Speaker, toSse, type Voice } from './voice.ts';

const STOP_REASONS: Readonly<Record<FinishName, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
};

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  529: 'overloaded_error',
};

export const anthropicSpeaker: Speaker = {
  id: 'anthropic',
  contentType: 'text/event-stream; charset=utf-8',

  read(path, body) {
    if (path.startsWith('/v1/models')) return { kind: 'models', model: '', turn: 0 };
    const vertex = /\/publishers\/anthropic\/models\/([^/:]+):streamRawPredict$/.exec(path)?.[1];
    if (path !== '/v1/messages' && vertex === undefined) return null;
    const isOutput = (content: unknown): boolean =>
      Array.isArray(content) && content.some((block) => block.type === 'tool_result');
    const turn = countTurns(
      body.messages,
      ({ role }) => role === 'assistant',
      ({ role, content }) => role === 'user' && !isOutput(content),
    );
    return {
      kind: 'chat',
      model: vertex === undefined ? String(body.model) : decodeURIComponent(vertex),
      turn,
    };
  },

  createVoice: (model) => createVoice(model),

  refuse: (status, message, retrySeconds) => ({
    status,
    headers: retrySeconds === null ? {} : { 'retry-after': String(retrySeconds) },
    body: {
      type: 'error',
      error: { type: ERROR_TYPES[status] ?? 'api_error', message },
      request_id: 'req_011C',
    },
  }),

  embed: () => ({}),

  listModels: (models) => ({
    data: models.map((id) => ({ type: 'model', id, display_name: id, created_at: '2025-10-01T00:00:00Z' })),
    has_more: false,
    first_id: models[0] ?? null,
    last_id: models.at(-1) ?? null,
  }),
};

function createVoice(model: string): Voice {
  let index = -1;
  let open: 'text' | 'thinking' | null = null;
  const send = (data: { type: string } & Record<string, unknown>): string => toSse(data, data.type);
  const close = (): Bytes[] => {
    if (open === null) return [];
    open = null;
    return [send({ type: 'content_block_stop', index })];
  };
  const openBlock = (block: { type: 'text' | 'thinking' } & Record<string, unknown>): Bytes[] => {
    if (open === block.type) return [];
    const closed = close();
    index += 1;
    open = block.type;
    return [...closed, send({ type: 'content_block_start', index, content_block: block })];
  };
  const delta = (value: object): string => send({ type: 'content_block_delta', index, delta: value });

  return {
    begin: (counts) => [
      send({
        type: 'message_start',
        message: {
          model,
          id: 'msg_01CD3XaZfhNabxRt1SG5ybtK',
          type: 'message',
          role: 'assistant',
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { ...toInputUsage(counts), output_tokens: 1, service_tier: 'standard' },
        },
      }),
      send({ type: 'ping' }),
    ],
    text: (token) => [
      ...openBlock({ type: 'text', text: '' }),
      delta({ type: 'text_delta', text: token }),
      send({ type: 'ping' }),
    ],
    think: (token) => [
      ...openBlock({ type: 'thinking', thinking: '', signature: '' }),
      delta({ type: 'thinking_delta', thinking: token }),
    ],
    sign: (signature) => [delta({ type: 'signature_delta', signature })],
    call({ index: at, name, pieces }) {
      const closed = close();
      index += 1;
      const block = { type: 'tool_use', id: `toolu_01${name}${at}`, name, input: {} };
      return [
        ...closed,
        send({ type: 'content_block_start', index, content_block: block }),
        ...['', ...pieces].map((partial) => delta({ type: 'input_json_delta', partial_json: partial })),
        send({ type: 'content_block_stop', index }),
      ];
    },
    finish: (reason, counts) => [
      ...close(),
      send({
        type: 'message_delta',
        delta: { stop_reason: STOP_REASONS[reason], stop_sequence: null },
        usage: {
          ...toInputUsage(counts),
          output_tokens: counts.completion,
          output_tokens_details: { thinking_tokens: counts.thoughts },
        },
      }),
      send({ type: 'message_stop' }),
    ],
    fault: (message) => [send({ type: 'error', error: { type: 'overloaded_error', message } })],
  };
}

function toInputUsage({ prompt, cached }: Counts) {
  return { input_tokens: prompt - cached, cache_creation_input_tokens: 0, cache_read_input_tokens: cached };
}
