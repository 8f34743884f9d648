/**
 * Cohere's API, version 2: server-sent events with names.
 *
 * Shapes after streams recorded from the real API, in the tests of vercel/ai (`packages/cohere/src/__fixtures__`:
 * `cohere-tool-call`, `cohere-reasoning`, `issue-22070-cached-usage`).
 */

import type { Counts } from './protocol-steps.ts';
import {
  type Bytes,
  countTurns,
  type FinishName,
  type Speaker,
  toScriptedVector,
  toSse,
  toTexts,
  type Voice,
} from './voice.ts';

const FINISH_REASONS: Readonly<Record<FinishName, string>> = {
  stop: 'COMPLETE',
  length: 'MAX_TOKENS',
  tool_calls: 'TOOL_CALL',
  content_filter: 'ERROR_TOXIC',
};

export const cohereSpeaker: Speaker = {
  id: 'cohere',
  contentType: 'text/event-stream',

  read(path, body) {
    if (path.startsWith('/v1/models')) return { kind: 'models', model: '', turn: 0 };
    if (path === '/v2/embed') return { kind: 'embeddings', model: String(body.model), turn: 0 };
    if (path !== '/v2/chat') return null;
    const turn = countTurns(
      body.messages,
      ({ role }) => role === 'assistant',
      ({ role }) => role === 'user',
    );
    return { kind: 'chat', model: String(body.model), turn };
  },

  createVoice: () => createVoice(),

  refuse: (status, message, retrySeconds) => ({
    status,
    headers: retrySeconds === null ? {} : { 'retry-after': String(retrySeconds) },
    body: { id: '2941521a-b87a-45f6-9b0d-235fd66c3025', message },
  }),

  embed(body) {
    const dimensions = typeof body.output_dimension === 'number' ? body.output_dimension : 8;
    const texts = toTexts(body.texts);
    return {
      id: '2941521a',
      texts,
      embeddings: { float: texts.map((text) => toScriptedVector(text, dimensions)) },
      meta: { api_version: { version: '2' }, billed_units: { input_tokens: texts.length * 3 } },
    };
  },

  listModels: (models) => ({
    models: [
      ...models.map((name) => ({ name, endpoints: ['chat'] })),
      { name: 'rerank-v4', endpoints: ['rerank'] },
    ],
  }),
};

function createVoice(): Voice {
  let index = -1;
  let open: 'text' | 'thinking' | null = null;
  const send = (data: { type: string } & Record<string, unknown>): string => toSse(data, data.type);
  const close = (): Bytes[] => {
    if (open === null) return [];
    open = null;
    return [send({ type: 'content-end', index })];
  };
  const openBlock = (kind: 'text' | 'thinking'): Bytes[] => {
    if (open === kind) return [];
    const closed = close();
    index += 1;
    open = kind;
    const content = { type: kind, [kind]: '' };
    return [...closed, send({ type: 'content-start', index, delta: { message: { content } } })];
  };
  const say = (content: object): string =>
    send({ type: 'content-delta', index, delta: { message: { content } } });

  return {
    begin: () => [
      send({
        type: 'message-start',
        id: '2941521a-b87a-45f6-9b0d-235fd66c3025',
        delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } },
      }),
    ],
    text: (token) => [...openBlock('text'), say({ text: token })],
    think: (token) => [...openBlock('thinking'), say({ thinking: token })],
    // There are no signatures here.
    sign: () => [],
    call({ index: at, name, pieces }) {
      const send1 = (type: string, calls: object): string =>
        send({ type, index: at, delta: { message: { tool_calls: calls } } });
      const id = `${name}_e8p4pn45zt${at}`;
      return [
        ...close(),
        send1('tool-call-start', { id, type: 'function', function: { name, arguments: '' } }),
        ...pieces.map((piece) => send1('tool-call-delta', { function: { arguments: piece } })),
        send({ type: 'tool-call-end', index: at }),
      ];
    },
    finish: (reason, counts) => [
      ...close(),
      send({
        type: 'message-end',
        delta: { finish_reason: FINISH_REASONS[reason], usage: toUsage(counts) },
      }),
      'data: [DONE]\n\n',
    ],
    fault: (message) => [
      send({
        type: 'message-end',
        delta: {
          finish_reason: 'ERROR',
          error: message,
          usage: toUsage({ prompt: 1, completion: 0, cached: 0, thoughts: 0 }),
        },
      }),
    ],
  };
}

function toUsage({ prompt, completion, cached }: Counts): object {
  return {
    // What is billed is less than what went through the model.
    billed_units: { input_tokens: Math.ceil(prompt / 10), output_tokens: completion },
    tokens: { input_tokens: prompt, output_tokens: completion },
    cached_tokens: cached,
  };
}
