import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ChatEvent, ChatMessage, ChatRequest } from '../../../src/providers/provider.ts';
import {
  CHAT_PROTOCOLS,
  type ChatProtocolId,
  createProtocolProviders,
  type ProtocolProviders,
  toProtocolCall,
} from '../../support/protocols/protocol-calls.ts';
import { type ProtocolServer, startProtocolServer } from '../../support/protocols/protocol-server.ts';
import { count, type ProtocolStep, sign } from '../../support/protocols/protocol-steps.ts';
import { collectEvents, toFunctionTool } from '../../support/provider-calls.ts';
import { callTools, finish, say, think } from '../../support/upstream-steps.ts';

let server: ProtocolServer;
let providers: ProtocolProviders;

beforeAll(async () => {
  server = await startProtocolServer();
  providers = createProtocolProviders();
});
afterAll(() => server.close());

/** What is the same whoever answers: pieces put together, ids numbered, what only some count left out. */
function toCommon(events: readonly ChatEvent[]): unknown[] {
  const common: unknown[] = [];
  for (const event of events) {
    const latest = common.at(-1) as { type: string; text: string; index?: number } | undefined;
    if (event.type === 'metadata') continue;
    if ('text' in event) {
      const isSame =
        latest?.type === event.type && (event.type !== 'tool_arguments' || latest.index === event.index);
      if (isSame && latest !== undefined) latest.text += event.text;
      else common.push({ ...event });
    } else if (event.type === 'tool_call') {
      common.push({ type: event.type, index: event.index, name: event.name });
    } else if (event.type === 'usage') {
      const { promptTokens, completionTokens, totalTokens } = event.usage;
      common.push({ type: 'usage', usage: { promptTokens, completionTokens, totalTokens } });
    } else {
      common.push(event);
    }
  }
  return common;
}

async function ask(
  id: ChatProtocolId,
  name: string,
  steps: readonly (readonly ProtocolStep[])[],
  request: Partial<ChatRequest> = {},
) {
  const model = server.script(`${name}-${id}`, ...steps);
  const messages: ChatMessage[] = [{ role: 'user', content: 'Hello' }];
  const { events, error } = await collectEvents(
    providers[id].chat({ messages, ...request, model }, toProtocolCall(id, server.origin)),
  );
  expect(error).toBeNull();
  const [sent] = server.requestsFor(model);
  if (sent === undefined) throw new Error('Nothing was sent.');
  return { events, sent };
}

const USAGE = {
  type: 'usage',
  usage: { promptTokens: 120, completionTokens: 40, totalTokens: 160 },
};
const COUNTS = count({ prompt: 120, completion: 40, cached: 100, thoughts: 15 });
const TOOLS = [toFunctionTool('get_weather'), toFunctionTool('get_time')];

describe.each(CHAT_PROTOCOLS)('%s', (id) => {
  test('says a text in pieces, ends, and counts', async () => {
    const { events } = await ask(id, 'text', [[say('Grüezi, how can I help? 🗼'), COUNTS]]);
    expect(events.filter(({ type }) => type === 'text').length).toBeGreaterThan(3);
    expect(toCommon(events)).toEqual([
      { type: 'text', text: 'Grüezi, how can I help? 🗼' },
      { type: 'finish', reason: 'stop' },
      USAGE,
    ]);
  });

  test('keeps thoughts apart from what is said', async () => {
    const steps = [think('I should greet.'), sign('c2lnbmF0dXJl'), say('Hello there'), COUNTS];
    const { events } = await ask(id, 'thoughts', [steps]);
    expect(toCommon(events)).toEqual([
      { type: 'reasoning', text: 'I should greet.' },
      { type: 'text', text: 'Hello there' },
      { type: 'finish', reason: 'stop' },
      USAGE,
    ]);
  });

  test('makes parallel calls with ids of their own', async () => {
    const calls = callTools([
      { name: 'get_weather', arguments: { city: 'Zürich', days: [1, 2] } },
      { name: 'get_time', arguments: {} },
    ]);
    const { events } = await ask(id, 'calls', [[say('Let me look.'), calls, COUNTS]], { tools: TOOLS });
    expect(toCommon(events)).toEqual([
      { type: 'text', text: 'Let me look.' },
      { type: 'tool_call', index: 0, name: 'get_weather' },
      { type: 'tool_arguments', index: 0, text: '{"city":"Zürich","days":[1,2]}' },
      { type: 'tool_call', index: 1, name: 'get_time' },
      { type: 'tool_arguments', index: 1, text: '{}' },
      { type: 'finish', reason: 'tool_calls' },
      USAGE,
    ]);
    const ids = events.flatMap((event) => (event.type === 'tool_call' ? [event.id] : []));
    expect(new Set(ids).size).toBe(2);
    expect(ids.every((text) => text.length > 0)).toBe(true);
  });

  test('takes the outputs of calls that another provider made, and goes on', async () => {
    const messages: ChatMessage[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'developer', content: 'Be kind.' },
      { role: 'user', content: 'Weather and time?' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'functions.get_weather:0',
            type: 'function',
            function: { name: 'get_weather', arguments: '{"city":"Bern"}' },
          },
          { id: 'functions.get_time:1', type: 'function', function: { name: 'get_time', arguments: '' } },
        ],
      },
      { role: 'tool', tool_call_id: 'functions.get_weather:0', content: 'sunny' },
      { role: 'tool', tool_call_id: 'functions.get_time:1', content: 'noon' },
    ];
    const turns = [[callTools([{ name: 'get_time', arguments: {} }])], [say('Sunny at noon.'), COUNTS]];
    const { events, sent } = await ask(id, 'round', turns, { messages, tools: TOOLS });
    expect(toCommon(events)).toEqual([
      { type: 'text', text: 'Sunny at noon.' },
      { type: 'finish', reason: 'stop' },
      USAGE,
    ]);
    for (const text of ['Be brief.', 'Be kind.', 'Weather and time?', 'Bern', 'sunny', 'noon']) {
      expect(sent.text).toContain(text);
    }
  });

  test('shows a picture and asks for an object of a schema', async () => {
    const schema = {
      type: 'object',
      properties: { color: { type: 'string' } },
      required: ['color'],
      additionalProperties: false,
    };
    const { events, sent } = await ask(
      id,
      'picture',
      // Where the package asks for a tool instead, what the tool is called with is what is said.
      [
        [
          sentAsTool(id)
            ? callTools([{ name: 'json', arguments: { color: 'red' } }])
            : say('{"color":"red"}'),
          COUNTS,
        ],
      ],
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'Which color?' },
              { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}` } },
            ],
          },
        ],
        response_format: { type: 'json_schema', json_schema: { name: 'color', schema, strict: true } },
      },
    );
    expect(toCommon(events)).toEqual([
      { type: 'text', text: '{"color":"red"}' },
      { type: 'finish', reason: 'stop' },
      USAGE,
    ]);
    expect(sent.text).toContain(PIXEL);
    expect(sent.text).toContain('"color":{"type":"string"}');
  });

  test.each([
    ['length', 'length'],
    ['content_filter', 'content_filter'],
  ] as const)('ends with %s where the provider says so', async (given, expected) => {
    const { events } = await ask(id, `end-${given}`, [[say('So'), finish(given), COUNTS]]);
    expect(toCommon(events)).toEqual([
      { type: 'text', text: 'So' },
      { type: 'finish', reason: expected },
      USAGE,
    ]);
  });
});

/** Models that are not known to have schemas of their own. */
function sentAsTool(id: ChatProtocolId): boolean {
  return id === 'anthropic' || id === 'bedrock';
}

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

test('cached tokens and those of thoughts are told by every provider that counts them', async () => {
  const told: Record<string, unknown> = {};
  for (const id of CHAT_PROTOCOLS) {
    const { events } = await ask(id, 'counts', [[say('Hi'), COUNTS]]);
    const found = events.find((event) => event.type === 'usage');
    if (found?.type === 'usage') told[id] = [found.usage.cachedTokens, found.usage.reasoningTokens];
  }
  expect(told).toEqual({
    anthropic: [100, 15],
    gemini: [100, 15],
    vertex: [100, 15],
    bedrock: [100, undefined],
    cohere: [100, undefined],
    mistral: [100, undefined],
  });
});
