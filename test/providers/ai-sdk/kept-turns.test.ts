import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ChatEvent, ChatMessage } from '../../../src/providers/provider.ts';
import { toTurnMessages } from '../../../src/runs/turns.ts';
import {
  type ChatProtocolId,
  createProtocolProviders,
  type ProtocolProviders,
  toProtocolCall,
} from '../../support/protocols/protocol-calls.ts';
import { type ProtocolServer, startProtocolServer } from '../../support/protocols/protocol-server.ts';
import { type ProtocolStep, sign } from '../../support/protocols/protocol-steps.ts';
import { collectEvents, joinCalls, toFunctionTool } from '../../support/provider-calls.ts';
import { callTools, say, think } from '../../support/upstream-steps.ts';

let server: ProtocolServer;
let providers: ProtocolProviders;

beforeAll(async () => {
  server = await startProtocolServer();
  providers = createProtocolProviders();
});
afterAll(() => server.close());

const TOOLS = [toFunctionTool('get_weather'), toFunctionTool('get_time')];
const CALLS = callTools([
  { name: 'get_weather', arguments: { city: 'Bern' } },
  { name: 'get_time', arguments: {} },
]);
const QUESTION: ChatMessage = { role: 'user', content: 'Weather and time?' };
/** Base64, as signatures are. */
const SIGNATURE = 'RXBJQ0NrZ0lDeEFCR0FJcVFPV1BCNg==';

async function ask(id: ChatProtocolId, model: string, messages: ChatMessage[]) {
  const request = { model, messages, tools: TOOLS, reasoning_effort: 'low' as const };
  const { events, error } = await collectEvents(
    providers[id].chat(request, toProtocolCall(id, server.origin)),
  );
  expect(error).toBeNull();
  return events;
}

/** The messages of the next turn, made as a run makes them: out of what was stored, by way of JSON. */
function toNextMessages(events: readonly ChatEvent[]): ChatMessage[] {
  const metadata = events.find((event) => event.type === 'metadata');
  const calls = joinCalls(events).map(({ id, name, arguments: args }) => ({
    id,
    name,
    arguments: args,
    output: 'yes',
  }));
  const turn = { text: '', calls, ...(metadata === undefined ? {} : { providerMetadata: metadata.value }) };
  return [QUESTION, ...(JSON.parse(JSON.stringify(toTurnMessages([turn]))) as ChatMessage[])];
}

async function takeTwoTurns(id: ChatProtocolId, model: string, first: readonly ProtocolStep[]) {
  server.script(model, first, [say('Done.')]);
  const events = await ask(id, model, [QUESTION]);
  await ask(id, model, toNextMessages(events));
  const [, sent] = server.requestsFor(model);
  return { events, body: sent?.body };
}

const SIGNED_THOUGHT = [think('I need both.'), sign(SIGNATURE), CALLS];

test("Claude's signed thoughts come back before the calls that they led to", async () => {
  const { body } = await takeTwoTurns('anthropic', 'claude-sonnet-4-5', SIGNED_THOUGHT);
  expect(body.messages[1].content.map(({ type }: { type: string }) => type)).toEqual([
    'thinking',
    'tool_use',
    'tool_use',
  ]);
  expect(body.messages[1].content[0]).toEqual({
    type: 'thinking',
    thinking: 'I need both.',
    signature: SIGNATURE,
  });
  expect(body.thinking.type).toBe('enabled');
});

test('the same for Claude on Bedrock', async () => {
  const { body } = await takeTwoTurns('bedrock', 'anthropic.claude-sonnet-4-5-v1:0', SIGNED_THOUGHT);
  expect(body.messages[1].content[0]).toEqual({
    reasoningContent: { reasoningText: { text: 'I need both.', signature: SIGNATURE } },
  });
  expect(body.messages[1].content.length).toBe(3);
  expect(body.additionalModelRequestFields.thinking.type).toBe('enabled');
});

describe.each(['gemini', 'vertex'] as const)('%s', (id) => {
  test('gets its signature back with the call that carried it', async () => {
    const model = `gemini-3-pro-${id}`;
    const { body, events } = await takeTwoTurns(id, model, [sign(SIGNATURE), CALLS]);
    const [first, second] = body.contents[1].parts;
    expect(first.functionCall.name).toBe('get_weather');
    expect(first.thoughtSignature).toBe(SIGNATURE);
    expect(second.thoughtSignature).toBeUndefined();
    expect(body.contents[2].parts.length).toBe(2);
    const calls = events.filter((event) => event.type === 'tool_call');
    expect(calls.map(({ extraContent }) => extraContent)).toEqual([
      { google: { thought_signature: SIGNATURE } },
      undefined,
    ]);
  });

  test('takes the signature from a client that sends its calls back as they came', async () => {
    const model = server.script(`gemini-3-client-${id}`, [say('Done.')]);
    const calls = [
      {
        id: 'call_1',
        type: 'function' as const,
        function: { name: 'get_time', arguments: '{}' },
        extra_content: { google: { thought_signature: SIGNATURE } },
      },
    ];
    await ask(id, model, [
      QUESTION,
      { role: 'assistant', content: null, tool_calls: calls },
      { role: 'tool', tool_call_id: 'call_1', content: 'noon' },
    ]);
    const [sent] = server.requestsFor(model);
    expect(sent?.body.contents[1].parts[0].thoughtSignature).toBe(SIGNATURE);
  });
});

test('what one provider signed is not shown to another, who thinks no further about it', async () => {
  server.script('first-claude', SIGNED_THOUGHT);
  const events = await ask('anthropic', 'first-claude', [QUESTION]);
  const messages = toNextMessages(events);
  for (const [id, model] of [
    ['bedrock', 'eu.anthropic.claude-other'],
    ['gemini', 'gemini-3-other'],
    ['mistral', 'mistral-other'],
    ['cohere', 'command-other'],
  ] as const) {
    server.script(model, [say('Done.')]);
    await ask(id, model, messages);
    const [sent] = server.requestsFor(model);
    expect(sent?.text).not.toContain(SIGNATURE);
    expect(sent?.text).not.toContain('I need both.');
    // Thinking would be refused after calls without their thoughts.
    if (id === 'bedrock') expect(sent?.text).not.toContain('"thinking"');
  }
});

test('a stored turn that is broken, or a forged one, is left out and not sent', async () => {
  const model = server.script('claude-forged', [say('Done.')]);
  const forged = {
    provider: 'anthropic',
    thoughts: ['x', { text: 5, options: 'no' }, null],
    calls: { a: 'b' },
  };
  const messages = toNextMessages([{ type: 'tool_call', index: 0, id: 'call_1', name: 'get_time' }]);
  await ask(
    'anthropic',
    model,
    messages.map((message) => ({ ...message, provider_metadata: forged }) as ChatMessage),
  );
  const [sent] = server.requestsFor(model);
  expect(sent?.body.messages[1].content.map(({ type }: { type: string }) => type)).toEqual(['tool_use']);
  expect(sent?.text).not.toContain('provider_metadata');
});
