import { describe, expect, test } from 'bun:test';
import { createChatReply } from '../../src/providers/openai/chat-reply.ts';
import type { UpstreamAnswer } from '../../src/providers/outbound/upstream-answer.ts';
import type { ChatEvent } from '../../src/providers/provider.ts';
import { joinCalls, joinText } from '../support/provider-calls.ts';

/** Streams in the shapes that servers really send, each with what it says. */
const RECORDINGS: Record<
  string,
  {
    text: string;
    said: Partial<Record<'text' | 'reasoning' | 'refusal', string>>;
    calls?: unknown[];
    finish: string;
    totalTokens?: number;
  }
> = {
  'OpenAI, two tool calls': {
    text: [
      'data: {"id":"chatcmpl-A","object":"chat.completion.chunk","created":1,"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}',
      'data: {"id":"chatcmpl-A","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}]},"logprobs":null,"finish_reason":null}],"usage":null}',
      'data: {"id":"chatcmpl-A","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"ci"}}]},"finish_reason":null}],"usage":null}',
      'data: {"id":"chatcmpl-A","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"ty\\":\\"Zürich 🗼\\"}"}}]},"finish_reason":null}],"usage":null}',
      'data: {"id":"chatcmpl-A","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"get_time","arguments":""}}]},"finish_reason":null}],"usage":null}',
      'data: {"id":"chatcmpl-A","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]},"finish_reason":null}],"usage":null}',
      'data: {"id":"chatcmpl-A","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"usage":null}',
      'data: {"id":"chatcmpl-A","choices":[],"usage":{"prompt_tokens":81,"completion_tokens":49,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":0}}}',
      'data: [DONE]',
      '',
    ].join('\n\n'),
    said: {},
    calls: [
      { index: 0, id: 'call_1', name: 'get_weather', arguments: '{"city":"Zürich 🗼"}' },
      { index: 1, id: 'call_2', name: 'get_time', arguments: '{}' },
    ],
    finish: 'tool_calls',
    totalTokens: 130,
  },
  'Azure, an empty first chunk and filter results': {
    text: [
      'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}',
      'data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"id":"x"}',
      'data: {"choices":[{"content_filter_results":{"hate":{"filtered":false}},"delta":{"content":"Grüezi"},"finish_reason":null,"index":0}],"id":"x"}',
      'data: {"choices":[{"delta":{},"finish_reason":"stop","index":0}],"id":"x"}',
      'data: {"choices":[{"content_filter_offsets":{"check_offset":3},"content_filter_results":{},"finish_reason":null,"index":0}],"id":""}',
      'data: [DONE]',
      '',
    ].join('\r\n\r\n'),
    said: { text: 'Grüezi' },
    finish: 'stop',
  },
  'OpenRouter, comments, thoughts and a repeated finish': {
    text: [
      ': OPENROUTER PROCESSING',
      ': OPENROUTER PROCESSING',
      'data: {"id":"gen-1","provider":"X","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Let me","reasoning_details":[{"type":"reasoning.text","text":"Let me"}]},"finish_reason":null,"native_finish_reason":null}]}',
      'data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}',
      'data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"end_turn"}]}',
      'data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6,"cost":0.1}}',
      'data: [DONE]',
      '',
    ].join('\n\n'),
    said: { text: 'Hi', reasoning: 'Let me' },
    finish: 'stop',
    totalTokens: 6,
  },
  'Groq, usage under its own name': {
    text: [
      'data: {"id":"chatcmpl-g","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_1"}}',
      'data: {"id":"chatcmpl-g","choices":[{"index":0,"delta":{"content":"fast"},"logprobs":null,"finish_reason":null}]}',
      'data: {"id":"chatcmpl-g","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.1,"prompt_tokens":20,"completion_tokens":3,"total_tokens":23}}}',
      'data: [DONE]',
      '',
    ].join('\n\n'),
    said: { text: 'fast' },
    finish: 'stop',
    totalTokens: 23,
  },
  'Mistral, a list of parts and empty names later': {
    text: [
      'data: {"id":"m","choices":[{"index":0,"delta":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]},"finish_reason":null}]}',
      'data: {"id":"m","choices":[{"index":0,"delta":{"content":[{"type":"text","text":"Je "}]},"finish_reason":null}]}',
      'data: {"id":"m","choices":[{"index":0,"delta":{"content":"cherche","tool_calls":[{"id":"D681PevKs","function":{"name":"search","arguments":"{\\"q\\": "},"index":0}]},"finish_reason":null}]}',
      'data: {"id":"m","choices":[{"index":0,"delta":{"tool_calls":[{"id":"null","function":{"name":"","arguments":"1}"},"index":0}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"total_tokens":20,"completion_tokens":11}}',
      'data: [DONE]',
      '',
    ].join('\n\n'),
    said: { text: 'Je cherche', reasoning: 'hm' },
    calls: [{ index: 0, id: 'D681PevKs', name: 'search', arguments: '{"q": 1}' }],
    finish: 'tool_calls',
    totalTokens: 20,
  },
  'Google, no ids and stop for calls': {
    text: [
      'data: {"choices":[{"delta":{"role":"assistant","tool_calls":[{"function":{"arguments":"{\\"city\\":\\"Rom\\"}","name":"get_weather"},"id":"","index":0,"type":"function"}]},"finish_reason":"stop","index":0}],"created":1,"model":"gemini","object":"chat.completion.chunk"}',
      'data: {"choices":[{"delta":{"role":"assistant","tool_calls":[{"function":{"arguments":"{\\"city\\":\\"Ulm\\"}","name":"get_weather"},"id":"","index":0,"type":"function"}]},"finish_reason":"stop","index":0}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":9}}',
      'data: [DONE]',
      '',
    ].join('\n\n'),
    said: {},
    calls: [
      { index: 0, id: 'call_made_1', name: 'get_weather', arguments: '{"city":"Rom"}' },
      { index: 1, id: 'call_made_2', name: 'get_weather', arguments: '{"city":"Ulm"}' },
    ],
    finish: 'tool_calls',
    totalTokens: 9,
  },
  'DeepSeek behind a proxy, keep-alive comments and no [DONE]': {
    text: [
      ': keep-alive',
      'data: {"id":"d","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"Überlegung"},"logprobs":null,"finish_reason":null}]}',
      ': keep-alive',
      'data: {"id":"d","choices":[{"index":0,"delta":{"content":"7","reasoning_content":null},"finish_reason":null}]}',
      'data: {"id":"d","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"finish_reason":"length"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}',
    ].join('\n\n'),
    said: { text: '7', reasoning: 'Überlegung' },
    finish: 'length',
    totalTokens: 10,
  },
};

describe('recorded streams', () => {
  test.each(Object.keys(RECORDINGS))('%s: means what it says', async (name) => {
    const recording = RECORDINGS[name];
    if (recording === undefined) throw new Error('No such recording.');
    const events = await readPieces([new TextEncoder().encode(recording.text)]);
    for (const type of ['text', 'reasoning', 'refusal'] as const) {
      expect(joinText(events, type)).toBe(recording.said[type] ?? '');
    }
    expect(joinCalls(events)).toEqual((recording.calls ?? []) as never);
    expect(events.filter((event) => event.type === 'finish')).toEqual([
      { type: 'finish', reason: recording.finish as never },
    ]);
    const usages = events.flatMap((event) => (event.type === 'usage' ? [event.usage.totalTokens] : []));
    expect(usages).toEqual(recording.totalTokens === undefined ? [] : [recording.totalTokens]);
  });

  test.each(Object.keys(RECORDINGS))('%s: gives the same events, cut in two at any byte', async (name) => {
    const bytes = new TextEncoder().encode(RECORDINGS[name]?.text ?? '');
    const whole = await readPieces([bytes]);
    for (let at = 1; at < bytes.length; at += 1) {
      expect(await readPieces([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
    }
  });

  test.each(Object.keys(RECORDINGS))('%s: gives the same events, byte by byte', async (name) => {
    const bytes = new TextEncoder().encode(RECORDINGS[name]?.text ?? '');
    const pieces = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    expect(await readPieces(pieces)).toEqual(await readPieces([bytes]));
  });
});

async function readPieces(pieces: readonly Uint8Array[]): Promise<ChatEvent[]> {
  const rest = [...pieces];
  const answer: UpstreamAnswer = {
    status: 200,
    headers: new Headers({ 'content-type': 'text/event-stream' }),
    contentType: 'text/event-stream',
    read: async () => rest.shift() ?? null,
    readText: () => Promise.reject(new Error('A stream is not read as text.')),
    close: () => undefined,
  };
  let made = 0;
  const reply = createChatReply(answer, {
    provider: 'openai',
    toolNames: new Set(['get_weather', 'get_time', 'search']),
    createCallId() {
      made += 1;
      return `call_made_${made}`;
    },
    errorContext: () => ({ apiKey: null, nowMs: 0 }),
    trailerMs: 1_000,
  });
  const events: ChatEvent[] = [];
  for (let batch = await reply.nextBatch(); batch !== null; batch = await reply.nextBatch())
    events.push(...batch);
  return events;
}
