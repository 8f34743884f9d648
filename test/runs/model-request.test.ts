/** What the model is sent: every field of the run, the thread's window, the run's own turns, and nothing else. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as steps from '../support/upstream-steps.ts';
import { type Json, OPERATOR_KEY, type RunFixture, startFixture, toFunction } from './run-fixture.ts';

let fixture: RunFixture;

beforeAll(async () => {
  fixture = await startFixture();
});

afterAll(() => fixture.stop());

const ANSWER = [steps.say('ok')];

function script(name: string, ...turns: readonly (readonly steps.Step[])[]): string {
  return fixture.upstream.script(name, ...(turns.length === 0 ? [ANSWER] : turns));
}

/** The bodies that this model's server was sent, oldest first. */
function toBodies(model: string): Json[] {
  return fixture.upstream.requestsFor(model).map(({ body }) => body);
}

/** Runs on a thread, answering calls, until the run has ended. */
async function runOn(threadId: string, body: object): Promise<Json> {
  const { api } = fixture;
  let run = await api.waitForRest(await api.post(`/v1/threads/${threadId}/runs`, body));
  while (run.status === 'requires_action') run = await api.waitForRest(await api.submit(run));
  return run;
}

/** Runs with these fields on a thread of its own, to its end. */
async function runWith(model: string, fields: object = {}, assistantFields: object = {}): Promise<Json> {
  const { api } = fixture;
  const assistant = await api.createAssistant(model, assistantFields);
  return runOn(await api.createThread(), { assistant_id: assistant, ...fields });
}

/** The first body that a run with these fields sends. */
async function sentWith(name: string, fields: object, assistantFields: object = {}): Promise<Json> {
  const model = script(name);
  const run = await runWith(model, fields, assistantFields);
  expect(run.status).toBe('completed');
  return toBodies(model)[0];
}

function toContents(body: Json): Json[] {
  return body.messages.map((message: Json) => message.content);
}

describe('fields', () => {
  const WEATHER = toFunction('get_weather', {
    description: 'How warm it is.',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', enum: ['Oslo', 'Rome'] } },
      required: ['city'],
      additionalProperties: false,
    },
    strict: true,
  });
  const JSON_SCHEMA = {
    type: 'json_schema',
    json_schema: {
      name: 'answer',
      strict: true,
      schema: { type: 'object', properties: { a: { type: 'number' } } },
    },
  };
  /** What a run or an assistant says, and what the model gets of it. */
  const SHARED: readonly [string, object, object][] = [
    [
      'instructions',
      { instructions: 'Be kind.' },
      {
        messages: [
          { role: 'system', content: 'Be kind.' },
          { role: 'user', content: 'Hello.' },
        ],
      },
    ],
    ['tools', { tools: [WEATHER] }, { tools: [WEATHER] }],
    ['temperature 0', { temperature: 0 }, { temperature: 0 }],
    ['top_p', { top_p: 0.25 }, { top_p: 0.25 }],
    [
      'response_format json_object',
      { response_format: { type: 'json_object' } },
      { response_format: { type: 'json_object' } },
    ],
    ['response_format json_schema', { response_format: JSON_SCHEMA }, { response_format: JSON_SCHEMA }],
    ['reasoning_effort', { reasoning_effort: 'high' }, { reasoning_effort: 'high' }],
  ];
  for (const [name, given, expected] of SHARED) {
    test(`${name} of a run reaches the model`, async () => {
      expect(await sentWith(`run ${name}`, given)).toMatchObject(expected);
    });
    test(`${name} of an assistant reaches the model`, async () => {
      expect(await sentWith(`assistant ${name}`, {}, given)).toMatchObject(expected);
    });
  }

  const OF_RUN: readonly [string, object, object][] = [
    ['max_completion_tokens', { max_completion_tokens: 321 }, { max_completion_tokens: 321 }],
    ['tool_choice none', { tools: [WEATHER], tool_choice: 'none' }, { tool_choice: 'none' }],
    ['tool_choice auto', { tools: [WEATHER], tool_choice: 'auto' }, { tool_choice: 'auto' }],
    ['tool_choice required', { tools: [WEATHER], tool_choice: 'required' }, { tool_choice: 'required' }],
    [
      'tool_choice of a function',
      { tools: [WEATHER], tool_choice: { type: 'function', function: { name: 'get_weather' } } },
      { tool_choice: { type: 'function', function: { name: 'get_weather' } } },
    ],
    [
      'parallel_tool_calls false',
      { tools: [WEATHER], parallel_tool_calls: false },
      { parallel_tool_calls: false },
    ],
  ];
  for (const [name, given, expected] of OF_RUN) {
    test(`${name} reaches the model`, async () => {
      expect(await sentWith(name, given)).toMatchObject(expected);
    });
  }

  test('what a run says wins over its assistant, field by field', async () => {
    const model = script('wins');
    const assistant = {
      instructions: 'A',
      temperature: 0.1,
      top_p: 0.1,
      tools: [toFunction('of_the_assistant')],
      response_format: { type: 'json_object' },
      reasoning_effort: 'low',
    };
    const run = {
      model,
      instructions: 'B',
      temperature: 0.9,
      top_p: 0.9,
      tools: [toFunction('of_the_run')],
      response_format: { type: 'text' },
      reasoning_effort: 'high',
    };
    const ended = await runWith('script:nobody-asks-this', run, assistant);
    expect(ended).toMatchObject({
      status: 'completed',
      model,
      instructions: 'B',
      temperature: 0.9,
      top_p: 0.9,
    });
    const [body] = toBodies(model);
    expect(body).toMatchObject({ temperature: 0.9, top_p: 0.9, reasoning_effort: 'high' });
    expect(body.tools).toEqual([toFunction('of_the_run')]);
    expect(body.messages[0].content).toBe('B');
    expect(body).not.toHaveProperty('response_format');
  });

  test('an empty list of tools takes the tools of the assistant away', async () => {
    const body = await sentWith('no-tools', { tools: [] }, { tools: [toFunction('get_weather')] });
    expect(body).not.toHaveProperty('tools');
    expect(body).not.toHaveProperty('tool_choice');
  });

  test('additional instructions follow the instructions, whosesoever they are', async () => {
    const add = { additional_instructions: 'And brief.' };
    const body = await sentWith('additional', add, { instructions: 'Be kind.' });
    expect(body.messages[0]).toEqual({ role: 'system', content: 'Be kind.\n\nAnd brief.' });
    const alone = await sentWith('additional-alone', add);
    expect(alone.messages[0]).toEqual({ role: 'system', content: 'And brief.' });
  });

  test('additional messages come last, in order, and stay in the thread', async () => {
    const { api } = fixture;
    const model = script('additional-messages');
    const threadId = await api.createThread('first');
    await runOn(threadId, {
      assistant_id: await api.createAssistant(model),
      additional_messages: [
        { role: 'assistant', content: 'second' },
        { role: 'user', content: 'third' },
      ],
    });
    const expected = [
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'second' },
      { role: 'user', content: 'third' },
    ];
    expect(toBodies(model)[0].messages).toEqual(expected);
    const stored = await api.listMessages(threadId);
    expect(stored.slice(0, 3).map(({ role, content }) => ({ role, content: content[0].text.value }))).toEqual(
      expected,
    );
  });

  test('a function says no more of itself than it was given', async () => {
    const bare = { type: 'function', function: { name: 'ping' } };
    expect((await sentWith('bare-function', { tools: [bare] })).tools).toEqual([bare]);
  });

  test('pictures reach the model where they stand, with their detail', async () => {
    const { api } = fixture;
    const model = script('pictures');
    const { id: threadId } = await api.post('/v1/threads', {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Compare' },
            { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
            { type: 'text', text: 'with' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
          ],
        },
      ],
    });
    await runOn(threadId, { assistant_id: await api.createAssistant(model) });
    expect(toBodies(model)[0].messages[0].content).toEqual([
      { type: 'text', text: 'Compare' },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
      { type: 'text', text: 'with' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'auto' } },
    ]);
  });

  test('the key of the operator goes upstream, and the stand-in key of a client does not', async () => {
    const model = script('key');
    const { api } = fixture;
    const run = await api.openRun(model, {}, { authorization: 'Bearer understudy' });
    await run.rest();
    expect(fixture.upstream.requestsFor(model)[0]?.headers.authorization).toBe(`Bearer ${OPERATOR_KEY}`);
  });

  test('a key of the request goes upstream in place of the one of the operator', async () => {
    const model = script('own-key');
    const run = await fixture.api.openRun(model, {}, { authorization: 'Bearer sk-own-0123456789' });
    await run.rest();
    expect(fixture.upstream.requestsFor(model)[0]?.headers.authorization).toBe('Bearer sk-own-0123456789');
  });
});

describe('turns', () => {
  const TOOLS = [toFunction('get_weather'), toFunction('get_time')];

  test('calls and outputs go back under their ids, in the order of the calls, once', async () => {
    const model = script(
      'turns',
      [
        steps.say('Let me see'),
        steps.callTools([
          { name: 'get_weather', arguments: { city: 'Oslo' }, id: 'call_a' },
          { name: 'get_time', arguments: { zone: 'UTC' }, id: 'call_b' },
        ]),
      ],
      [steps.callTool('get_weather', { city: 'Rome' }, { id: 'call_c' })],
      [steps.say('Done')],
    );
    const { api } = fixture;
    const threadId = await api.createThread('How warm?');
    const assistant = await api.createAssistant(model, { tools: TOOLS });
    let run = await api.post(`/v1/threads/${threadId}/runs`, { assistant_id: assistant });
    run = await api.waitFor(run, 'requires_action');
    // The outputs in another order than the calls.
    const outputs = [
      { tool_call_id: 'call_b', output: 'noon' },
      { tool_call_id: 'call_a', output: '' },
    ];
    await api.post(`/v1/threads/${threadId}/runs/${run.id}/submit_tool_outputs`, { tool_outputs: outputs });
    run = await api.waitFor(run, 'requires_action');
    await api.submit(run, () => '22 °C');
    await api.waitFor(run, 'completed');
    const toCall = (id: string, name: string, args: object) => ({
      id,
      type: 'function',
      function: { name, arguments: JSON.stringify(args) },
    });
    expect(toBodies(model)[2].messages).toEqual([
      { role: 'user', content: 'How warm?' },
      {
        role: 'assistant',
        content: 'Let me see',
        tool_calls: [
          toCall('call_a', 'get_weather', { city: 'Oslo' }),
          toCall('call_b', 'get_time', { zone: 'UTC' }),
        ],
      },
      { role: 'tool', tool_call_id: 'call_a', content: '' },
      { role: 'tool', tool_call_id: 'call_b', content: 'noon' },
      { role: 'assistant', content: null, tool_calls: [toCall('call_c', 'get_weather', { city: 'Rome' })] },
      { role: 'tool', tool_call_id: 'call_c', content: '22 °C' },
    ]);
  });

  for (const [name, choice] of [
    ['required', 'required'],
    ['a function', { type: 'function', function: { name: 'get_weather' } }],
  ] as const) {
    test(`a choice that forces ${name} holds until a tool was called, then the model may answer`, async () => {
      const model = script(`forced ${name}`, [steps.callTool('get_weather', {})], ANSWER);
      const run = await runWith(model, { tools: TOOLS, tool_choice: choice });
      expect(run).toMatchObject({ status: 'completed', tool_choice: choice });
      expect(toBodies(model).map((body) => body.tool_choice)).toEqual([choice, 'auto']);
    });
  }

  test('max_completion_tokens bounds all turns together', async () => {
    const counts = { prompt_tokens: 10, completion_tokens: 90 };
    const call = [steps.callTool('get_weather', {}), steps.usage(counts)];
    const model = script('budget', call, call, call, call);
    const run = await runWith(model, { tools: TOOLS, max_completion_tokens: 300 });
    expect(toBodies(model).map((body) => body.max_completion_tokens)).toEqual([300, 210, 120, 30]);
    expect(run).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_completion_tokens' },
      usage: { completion_tokens: 360 },
    });
  });

  test('the next run sees what the runs before it said, without their calls', async () => {
    const { api } = fixture;
    const model = script('history', [steps.callTool('get_weather', {})], [steps.say('It is warm')]);
    const threadId = await api.createThread('How warm?');
    const assistant = await api.createAssistant(model, { tools: TOOLS });
    await runOn(threadId, { assistant_id: assistant });
    await api.post(`/v1/threads/${threadId}/messages`, { role: 'user', content: 'And now?' });
    await runOn(threadId, { assistant_id: assistant });
    expect(toBodies(model)[2].messages).toEqual([
      { role: 'user', content: 'How warm?' },
      { role: 'assistant', content: 'It is warm' },
      { role: 'user', content: 'And now?' },
    ]);
  });
});

describe('window', () => {
  /** About 100 tokens each. */
  const LONG = Array.from({ length: 20 }, (_, index) => `${index}: ${'word '.repeat(80)}`);

  async function runOnLong(model: string, fields: object): Promise<Json> {
    const { api } = fixture;
    const threadId = await api.createThread(...LONG);
    return runOn(threadId, { assistant_id: await api.createAssistant(model), ...fields });
  }

  test('last_messages counts the newest ones, additional messages included', async () => {
    const { api } = fixture;
    const model = script('window-last');
    const threadId = await api.createThread('a', 'b', 'c', 'd');
    await runOn(threadId, {
      assistant_id: await api.createAssistant(model, { instructions: 'Be kind.' }),
      additional_messages: [{ role: 'user', content: 'e' }],
      truncation_strategy: { type: 'last_messages', last_messages: 3 },
    });
    expect(toContents(toBodies(model)[0])).toEqual(['Be kind.', 'c', 'd', 'e']);
  });

  test('max_prompt_tokens keeps the instructions and as many of the newest messages as fit', async () => {
    const model = script('window-auto');
    const run = await runOnLong(model, { max_prompt_tokens: 500, instructions: 'Be kind.' });
    expect(run.status).toBe('completed');
    const [instructions, ...shown] = toContents(toBodies(model)[0]);
    expect(instructions).toBe('Be kind.');
    expect(shown.length).toBeGreaterThan(1);
    expect(shown).toEqual(LONG.slice(-shown.length));
    expect(JSON.stringify(toBodies(model)[0].messages).length / 4).toBeLessThan(600);
  });

  test('without a bound all of an ordinary thread is shown, oldest first', async () => {
    const model = script('window-all');
    await runOnLong(model, {});
    expect(toContents(toBodies(model)[0])).toEqual(LONG);
  });

  test('a max_prompt_tokens that does not hold the newest message ends the run before the model is asked', async () => {
    const model = script('window-none');
    const run = await runOnLong(model, { max_prompt_tokens: 256, instructions: 'word '.repeat(300) });
    expect(run).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_prompt_tokens' },
      usage: { total_tokens: 0 },
    });
    expect(toBodies(model)).toHaveLength(0);
  });

  test('turns that use up max_prompt_tokens end the run incomplete', async () => {
    const call = [
      steps.callTool('get_weather', {}),
      steps.usage({ prompt_tokens: 300, completion_tokens: 5 }),
    ];
    const model = script('window-spent', call);
    const run = await runWith(model, { tools: [toFunction('get_weather')], max_prompt_tokens: 500 });
    expect(run).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_prompt_tokens' },
      usage: { prompt_tokens: 600 },
    });
    expect(toBodies(model)).toHaveLength(2);
  });

  test('a model that says the prompt is too long gets the newer half, then the newer quarter', async () => {
    const tooLong = steps.fail(400, { code: 'context_length_exceeded', times: 2 });
    const model = script('window-shorter', [tooLong, steps.say('it fits')]);
    const run = await runOnLong(model, { instructions: 'Be kind.' });
    expect(run.status).toBe('completed');
    const shown = toBodies(model).map(toContents);
    expect(shown.map(([first]) => first)).toEqual(['Be kind.', 'Be kind.', 'Be kind.']);
    const lengths = shown.map((contents) => contents.length - 1);
    expect(lengths).toEqual([20, 10, 5]);
    expect(shown[2]?.slice(1)).toEqual(LONG.slice(-5));
  });

  test('a prompt that is too long however short it gets fails the run as an invalid prompt', async () => {
    const model = script('window-never', [steps.fail(400, { code: 'context_length_exceeded' })]);
    const run = await runOnLong(model, {});
    expect(run).toMatchObject({ status: 'failed', last_error: { code: 'invalid_prompt' } });
    expect(toBodies(model).length).toBeLessThanOrEqual(5);
  });

  test('last_messages is a promise: a model that finds it too long is not shown less', async () => {
    const model = script('window-promise', [steps.fail(400, { code: 'context_length_exceeded' })]);
    const strategy = { type: 'last_messages', last_messages: 10 };
    const run = await runOnLong(model, { truncation_strategy: strategy });
    expect(run.status).toBe('failed');
    expect(toBodies(model)).toHaveLength(1);
  });
});
