/**
 * Amazon Bedrock: ConverseStream in frames with checksums, InvokeModel for embeddings.
 *
 * Shapes after streams recorded from the real API, in the tests of vercel/ai (`packages/amazon-bedrock/src/__fixtures__`:
 * `bedrock-reasoning`, `bedrock-tool-call.1`, `model-stream-error-exception`).
 */

import { toEventFrame } from './event-stream.ts';
import type { Counts } from './protocol-steps.ts';
import {
  type Bytes,
  countTurns,
  type FinishName,
  type Speaker,
  toScriptedVector,
  toTexts,
  type Voice,
} from './voice.ts';

const STOP_REASONS: Readonly<Record<FinishName, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'guardrail_intervened',
};

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: 'ValidationException',
  403: 'UnrecognizedClientException',
  404: 'ResourceNotFoundException',
  429: 'ThrottlingException',
  500: 'InternalServerException',
  503: 'ServiceUnavailableException',
};

export const bedrockSpeaker: Speaker = {
  id: 'bedrock',
  contentType: 'application/vnd.amazon.eventstream',

  read(path, body) {
    const [, model = '', method = ''] = /^\/model\/([^/]+)\/(converse-stream|invoke)$/.exec(path) ?? [];
    if (method === 'invoke') return { kind: 'embeddings', model: decodeURIComponent(model), turn: 0 };
    if (method === '') return null;
    const isOutput = (content: unknown): boolean =>
      Array.isArray(content) && content.some((block) => 'toolResult' in block);
    const turn = countTurns(
      body.messages,
      ({ role }) => role === 'assistant',
      ({ role, content }) => role === 'user' && !isOutput(content),
    );
    return { kind: 'chat', model: decodeURIComponent(model), turn };
  },

  createVoice: () => createVoice(),

  refuse: (status, message) => ({
    status,
    headers: {
      'x-amzn-errortype': `${ERROR_TYPES[status] ?? 'ModelErrorException'}:http://internal.amazon.com/coral/`,
      'x-amzn-requestid': '1c2d3e4f',
    },
    body: { message },
  }),

  embed(body) {
    if (Array.isArray(body.texts)) {
      return {
        embeddings: toTexts(body.texts).map((text) => toScriptedVector(text)),
        response_type: 'embeddings_floats',
      };
    }
    const dimensions = typeof body.dimensions === 'number' ? body.dimensions : 8;
    return { embedding: toScriptedVector(String(body.inputText), dimensions), inputTextTokenCount: 3 };
  },

  listModels: () => ({}),
};

function createVoice(): Voice {
  let index = -1;
  let open: 'text' | 'reasoning' | null = null;
  const send = (type: string, payload: object): Uint8Array =>
    toEventFrame(
      { ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' },
      // Padding, so that lengths tell nothing.
      { ...payload, p: 'abcdefgh' },
    );
  const close = (): Bytes[] => {
    if (open === null) return [];
    open = null;
    return [send('contentBlockStop', { contentBlockIndex: index })];
  };
  /** Blocks of text and thoughts have no start of their own. */
  const openBlock = (kind: 'text' | 'reasoning'): Bytes[] => {
    if (open === kind) return [];
    const closed = close();
    index += 1;
    open = kind;
    return closed;
  };
  const delta = (value: object): Uint8Array =>
    send('contentBlockDelta', { contentBlockIndex: index, delta: value });

  return {
    begin: () => [send('messageStart', { role: 'assistant' })],
    text: (token) => [...openBlock('text'), delta({ text: token })],
    think: (token) => [...openBlock('reasoning'), delta({ reasoningContent: { text: token } })],
    sign: (signature) => [delta({ reasoningContent: { signature } })],
    call({ index: at, name, pieces }) {
      const closed = close();
      index += 1;
      const toolUse = { name, toolUseId: `tooluse_${name}-${at}` };
      return [
        ...closed,
        send('contentBlockStart', { contentBlockIndex: index, start: { toolUse } }),
        ...pieces.map((input) => delta({ toolUse: { input } })),
        send('contentBlockStop', { contentBlockIndex: index }),
      ];
    },
    finish: (reason, counts) => [
      ...close(),
      send('messageStop', { stopReason: STOP_REASONS[reason] }),
      send('metadata', { metrics: { latencyMs: 2281 }, usage: toUsage(counts) }),
    ],
    fault: (message) => [
      toEventFrame(
        {
          ':exception-type': 'serviceUnavailableException',
          ':content-type': 'application/json',
          ':message-type': 'exception',
        },
        { message },
      ),
    ],
  };
}

function toUsage({ prompt, completion, cached }: Counts): object {
  return {
    inputTokens: prompt - cached,
    outputTokens: completion,
    totalTokens: prompt + completion,
    cacheReadInputTokens: cached,
    cacheWriteInputTokens: 0,
  };
}
