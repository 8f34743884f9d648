import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ChatMessage, ChatRequest } from '../../../src/providers/provider.ts';
import {
  CHAT_PROTOCOLS,
  type ChatProtocolId,
  createProtocolProviders,
  type ProtocolProviders,
  toProtocolCall,
} from '../../support/protocols/protocol-calls.ts';
import { type ProtocolServer, startProtocolServer } from '../../support/protocols/protocol-server.ts';
import { collectEvents, toFunctionTool } from '../../support/provider-calls.ts';
import { say } from '../../support/upstream-steps.ts';

let server: ProtocolServer;
let providers: ProtocolProviders;
let count = 0;

beforeAll(async () => {
  server = await startProtocolServer();
  providers = createProtocolProviders();
});
afterAll(() => server.close());

const QUESTION: ChatMessage = { role: 'user', content: 'Hello' };
const TOOLS = [toFunctionTool('get_weather'), toFunctionTool('get_time')];

/** The body that went out; the model's name begins with `prefix`, by which packages tell what it can. */
async function send(id: ChatProtocolId, request: Partial<ChatRequest>, prefix = 'some-model') {
  count += 1;
  const model = server.script(`${prefix}-${count}`, [say('Hi')]);
  const { error } = await collectEvents(
    providers[id].chat({ messages: [QUESTION], ...request, model }, toProtocolCall(id, server.origin)),
  );
  if (error !== null) throw error;
  return server.requestsFor(model)[0]?.body;
}

async function sendToAll(
  request: Partial<ChatRequest>,
): Promise<Record<ChatProtocolId, ReturnType<typeof JSON.parse>>> {
  const bodies = await Promise.all(CHAT_PROTOCOLS.map(async (id) => [id, await send(id, request)] as const));
  return Object.fromEntries(bodies) as Record<ChatProtocolId, ReturnType<typeof JSON.parse>>;
}

test('limits, temperature, stops and seeds arrive under the names of each', async () => {
  const sent = await sendToAll({
    max_completion_tokens: 77,
    temperature: 0.3,
    top_p: 0.8,
    stop: ['END', 'STOP'],
    seed: 5,
    presence_penalty: 0.25,
  });
  expect(sent.anthropic).toMatchObject({ max_tokens: 77, temperature: 0.3, stop_sequences: ['END', 'STOP'] });
  const google = {
    maxOutputTokens: 77,
    temperature: 0.3,
    topP: 0.8,
    stopSequences: ['END', 'STOP'],
    seed: 5,
    presencePenalty: 0.25,
  };
  expect(sent.gemini.generationConfig).toMatchObject(google);
  expect(sent.vertex.generationConfig).toMatchObject(google);
  expect(sent.bedrock.inferenceConfig).toEqual({
    maxTokens: 77,
    temperature: 0.3,
    topP: 0.8,
    stopSequences: ['END', 'STOP'],
  });
  expect(sent.cohere).toMatchObject({
    max_tokens: 77,
    temperature: 0.3,
    p: 0.8,
    stop_sequences: ['END', 'STOP'],
    seed: 5,
    presence_penalty: 0.25,
  });
  expect(sent.mistral).toMatchObject({
    max_tokens: 77,
    temperature: 0.3,
    top_p: 0.8,
    stop: ['END', 'STOP'],
    random_seed: 5,
    presence_penalty: 0.25,
  });
});

test('Anthropic is given a limit where the request has none, for it demands one', async () => {
  const body = await send('anthropic', {}, 'claude-sonnet-4-5');
  expect(body.max_tokens).toBeGreaterThan(1000);
});

test('what is null, or a text where one stop is meant, is understood', async () => {
  const body = await send('mistral', { temperature: null, stop: 'END', max_tokens: null, seed: null });
  expect(body).toMatchObject({ stop: ['END'] });
  expect('temperature' in body || 'max_tokens' in body || 'random_seed' in body).toBe(false);
});

describe('which tool is called', () => {
  const choose = (tool_choice: ChatRequest['tool_choice']) =>
    sendToAll({ tools: TOOLS, ...(tool_choice === undefined ? {} : { tool_choice }) });

  test('a forced one is forced, by sending it alone where there is no other way', async () => {
    const sent = await choose({ type: 'function', function: { name: 'get_time' } });
    expect(sent.anthropic.tool_choice).toEqual({ type: 'tool', name: 'get_time' });
    expect(sent.gemini.toolConfig.functionCallingConfig).toEqual({
      mode: 'ANY',
      allowedFunctionNames: ['get_time'],
    });
    expect(sent.bedrock.toolConfig.toolChoice).toEqual({ tool: { name: 'get_time' } });
    expect(sent.cohere.tools.map((tool: { function: { name: string } }) => tool.function.name)).toEqual([
      'get_time',
    ]);
    expect(sent.cohere.tool_choice).toBe('REQUIRED');
    expect(sent.mistral.tool_choice).toEqual({ type: 'function', function: { name: 'get_time' } });
  });

  test('any one is required', async () => {
    const sent = await choose('required');
    expect(sent.anthropic.tool_choice.type).toBe('any');
    expect(sent.gemini.toolConfig.functionCallingConfig.mode).toBe('ANY');
    expect(sent.bedrock.toolConfig.toolChoice).toEqual({ any: {} });
    expect(sent.cohere.tool_choice).toBe('REQUIRED');
    expect(sent.mistral.tool_choice).toBe('any');
  });

  test('none is none', async () => {
    const sent = await choose('none');
    expect(sent.anthropic.tool_choice.type).toBe('none');
    expect(sent.gemini.toolConfig.functionCallingConfig.mode).toBe('NONE');
    expect(sent.bedrock.toolConfig).toBeUndefined();
    expect(sent.cohere.tool_choice).toBe('NONE');
    expect(sent.mistral.tool_choice).toBe('none');
  });

  test('some of them are allowed', async () => {
    const allowed = {
      mode: 'required' as const,
      tools: [{ type: 'function', function: { name: 'get_time' } }],
    };
    const body = await send('mistral', {
      tools: TOOLS,
      tool_choice: { type: 'allowed_tools', allowed_tools: allowed },
    });
    expect(body.tools.map((tool: { function: { name: string } }) => tool.function.name)).toEqual([
      'get_time',
    ]);
    expect(body.tool_choice).toBe('any');
  });
});

const HISTORY: ChatMessage[] = [
  QUESTION,
  {
    role: 'assistant',
    content: 'Let me see.',
    tool_calls: [{ id: 'call_1.2:3', type: 'function', function: { name: 'get_time', arguments: '{}' } }],
  },
  { role: 'tool', tool_call_id: 'call_1.2:3', content: '' },
  { role: 'user', content: 'Thanks' },
];

test('calls that were made before are kept where no tool is offered, or none is to be called', async () => {
  for (const request of [{}, { tools: TOOLS, tool_choice: 'none' as const }]) {
    const bedrock = await send('bedrock', { ...request, messages: HISTORY });
    expect(bedrock.messages[1].content[1].toolUse.name).toBe('get_time');
    // Nothing blank is taken.
    expect(bedrock.messages[2].content[0].toolResult.content[0].text).toBe('[no output]');
    const names = bedrock.toolConfig.tools.map((tool: { toolSpec: { name: string } }) => tool.toolSpec.name);
    expect(names).toContain('get_time');
  }
  const anthropic = await send('anthropic', { messages: HISTORY });
  expect(anthropic.tools.map(({ name }: { name: string }) => name)).toEqual(['get_time']);
});

test('ids of calls are rewritten as each wants them, the same for call and output; plain ones stay', async () => {
  const pairs: Record<string, [string, string]> = {
    anthropic: await send('anthropic', { messages: HISTORY }).then(({ messages }) => [
      messages[1].content[1].id,
      messages[2].content[0].tool_use_id,
    ]),
    bedrock: await send('bedrock', { messages: HISTORY }).then(({ messages }) => [
      messages[1].content[1].toolUse.toolUseId,
      messages[2].content[0].toolResult.toolUseId,
    ]),
    mistral: await send('mistral', { messages: HISTORY }).then(({ messages }) => [
      messages[1].tool_calls[0].id,
      messages[2].tool_call_id,
    ]),
    cohere: await send('cohere', { messages: HISTORY }).then(({ messages }) => [
      messages[1].tool_calls[0].id,
      messages[2].tool_call_id,
    ]),
  };
  for (const [call, output] of Object.values(pairs)) expect(call).toBe(output);
  expect(pairs.anthropic?.[0]).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
  expect(pairs.bedrock?.[0]).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
  expect(pairs.mistral?.[0]).toMatch(/^[a-zA-Z0-9]{9}$/);
  expect(pairs.cohere?.[0]).toBe('call_1.2:3');
  const again = await send('mistral', { messages: HISTORY });
  expect(again.messages[1].tool_calls[0].id).toBe(pairs.mistral?.[0] ?? '');
});

test('one call at a time is asked for where that can be said', async () => {
  const request = { tools: TOOLS, parallel_tool_calls: false };
  const anthropic = await send('anthropic', request);
  expect(anthropic.tool_choice).toEqual({ type: 'auto', disable_parallel_tool_use: true });
  const claude = await send('bedrock', request, 'anthropic.claude-sonnet-4-5');
  expect(claude.additionalModelRequestFields.tool_choice).toEqual({
    type: 'auto',
    disable_parallel_tool_use: true,
  });
  const mistral = await send('mistral', request);
  expect(mistral.parallel_tool_calls).toBe(false);
});

describe('thinking', () => {
  const effort = { reasoning_effort: 'medium' as const };

  test('is asked for in the words of each', async () => {
    expect((await send('anthropic', effort, 'claude-sonnet-4-5')).thinking.type).toBe('enabled');
    expect((await send('gemini', effort, 'gemini-3-pro')).generationConfig.thinkingConfig.thinkingLevel).toBe(
      'medium',
    );
    expect(
      (await send('gemini', effort, 'gemini-2.5-flash')).generationConfig.thinkingConfig.thinkingBudget,
    ).toBeGreaterThan(0);
    const bedrock = await send('bedrock', effort, 'anthropic.claude-sonnet-4-5');
    expect(bedrock.additionalModelRequestFields.thinking.type).toBe('enabled');
    expect((await send('cohere', effort, 'command-a-reasoning')).thinking.type).toBe('enabled');
  });

  test('gives way to a forced tool, and takes the temperature along', async () => {
    const forced = await send(
      'anthropic',
      { ...effort, tools: TOOLS, tool_choice: 'required' },
      'claude-sonnet-4-5',
    );
    expect(forced.thinking).toBeUndefined();
    expect(forced.tool_choice.type).toBe('any');
    const warm = await send('anthropic', { ...effort, temperature: 0.5 }, 'claude-sonnet-4-5');
    expect(warm.temperature).toBeUndefined();
  });

  test('of no known effort is refused', async () => {
    const request = { reasoning_effort: 'enormous' as 'high' };
    await expect(send('anthropic', request)).rejects.toMatchObject({
      kind: 'invalid_request',
      param: 'reasoning_effort',
    });
  });
});

describe('an object of a schema', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'number' } },
    required: ['a'],
    additionalProperties: false,
  };
  const format = {
    response_format: { type: 'json_schema' as const, json_schema: { name: 'shape', schema } },
  };

  test('is asked for in the words of each', async () => {
    const claude = await send('anthropic', format, 'claude-sonnet-4-5');
    expect(JSON.stringify(claude.output_config ?? claude.output_format)).toContain('"json_schema"');
    const old = await send('anthropic', format, 'claude-3-haiku-20240307');
    expect(old.tools[0].name).toBe('json');
    expect(old.tool_choice.name ?? old.tool_choice.type).toMatch(/json|any/);
    const gemini = await send('gemini', format);
    expect(gemini.generationConfig.responseMimeType).toBe('application/json');
    expect(
      gemini.generationConfig.responseJsonSchema ?? gemini.generationConfig.responseSchema,
    ).toBeDefined();
    expect((await send('cohere', format)).response_format).toEqual({
      type: 'json_object',
      json_schema: schema,
    });
    expect((await send('mistral', format)).response_format.json_schema).toMatchObject({
      name: 'shape',
      schema,
    });
  });

  test('of any shape too', async () => {
    const any = { response_format: { type: 'json_object' as const } };
    expect((await send('gemini', any)).generationConfig.responseMimeType).toBe('application/json');
    expect((await send('cohere', any)).response_format.type).toBe('json_object');
    expect((await send('mistral', any)).response_format.type).toBe('json_object');
  });
});

describe('conversations', () => {
  test('have one text of instructions at their beginning, wherever they stood', async () => {
    const sent = await sendToAll({
      messages: [
        { role: 'system', content: 'One.' },
        QUESTION,
        { role: 'developer', content: [{ type: 'text', text: 'Two.' }] },
        { role: 'assistant', content: 'Hi' },
        { role: 'user', content: 'Go on' },
      ],
    });
    expect(sent.anthropic.system).toEqual([{ type: 'text', text: 'One.\n\nTwo.' }]);
    expect(sent.gemini.systemInstruction.parts).toEqual([{ text: 'One.\n\nTwo.' }]);
    expect(sent.bedrock.system).toEqual([{ text: 'One.\n\nTwo.' }]);
    expect(sent.cohere.messages[0]).toEqual({ role: 'system', content: 'One.\n\nTwo.' });
    expect(sent.mistral.messages[0]).toEqual({ role: 'system', content: 'One.\n\nTwo.' });
  });

  test('begin with the user where they must, though the window begins later', async () => {
    const messages: ChatMessage[] = [{ role: 'assistant', content: 'Hello!' }, QUESTION];
    const sent = await sendToAll({ messages });
    for (const id of ['anthropic', 'bedrock'] as const) expect(sent[id].messages[0].role).toBe('user');
    expect(sent.gemini.contents[0].role).toBe('user');
    expect(sent.mistral.messages[0].role).toBe('assistant');
  });

  test('of instructions alone are asked as the user', async () => {
    const sent = await sendToAll({ messages: [{ role: 'system', content: 'Say hello.' }] });
    expect(sent.anthropic.messages[0].content[0].text).toBe('Say hello.');
    expect(sent.gemini.contents[0].parts[0].text).toBe('Say hello.');
    expect(sent.cohere.messages[0]).toEqual({ role: 'user', content: 'Say hello.' });
  });

  test('leave out what is blank', async () => {
    const messages: ChatMessage[] = [
      { role: 'system', content: '' },
      QUESTION,
      { role: 'assistant', content: '' },
      {
        role: 'user',
        content: [
          { type: 'text', text: ' \n' },
          { type: 'text', text: 'Still there?' },
        ],
      },
    ];
    const body = await send('anthropic', { messages });
    expect(body.system).toBeUndefined();
    expect(JSON.stringify(body.messages)).not.toMatch(/"text":"\s*"/);
    expect(body.messages.length).toBe(1);
  });

  test('carry documents and sounds where they are taken', async () => {
    const pdf = {
      type: 'file' as const,
      file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' },
    };
    const messages: ChatMessage[] = [{ role: 'user', content: [{ type: 'text', text: 'Read' }, pdf] }];
    expect((await send('anthropic', { messages })).messages[0].content[1].type).toBe('document');
    expect((await send('gemini', { messages })).contents[0].parts[1].inlineData.mimeType).toBe(
      'application/pdf',
    );
    expect((await send('bedrock', { messages })).messages[0].content[1].document.format).toBe('pdf');
    const sound = { type: 'input_audio' as const, input_audio: { data: 'UklGRg==', format: 'wav' as const } };
    const spoken: ChatMessage[] = [{ role: 'user', content: [sound] }];
    expect((await send('gemini', { messages: spoken })).contents[0].parts[0].inlineData.mimeType).toBe(
      'audio/wav',
    );
    await expect(send('anthropic', { messages: spoken })).rejects.toMatchObject({
      kind: 'invalid_request',
      status: 400,
    });
  });

  test.each([
    ['messages[0].tool_call_id', [{ role: 'tool', tool_call_id: 'nothing', content: 'x' }]],
    ['messages[0].role', [{ role: 'function', name: 'f', content: 'x' }]],
    ['messages[0].content[0].type', [{ role: 'user', content: [{ type: 'video' }] }]],
    [
      'messages[0].content[0].image_url.url',
      [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }] }],
    ],
    [
      'messages[0].content[0].file.file_data',
      [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file-1' } }] }],
    ],
    ['tools[0].type', undefined],
  ])('that cannot be asked are refused, naming %s', async (param, messages) => {
    const request =
      messages === undefined
        ? { tools: [{ type: 'custom', custom: { name: 'x' } }] as ChatRequest['tools'] }
        : { messages: messages as ChatMessage[] };
    await expect(send('anthropic', request as Partial<ChatRequest>)).rejects.toMatchObject({
      kind: 'invalid_request',
      status: 400,
      param,
    });
  });
});
