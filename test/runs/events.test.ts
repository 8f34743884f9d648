/** The events of a run: which, in what order, in what form, and that they tell what is stored. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as steps from '../support/upstream-steps.ts';
import {
  findSchemaFaults,
  joinCallDeltas,
  joinDeltas,
  type SeenEvent,
  toNames,
  toShape,
} from './event-reader.ts';
import {
  type Json,
  type RunFixture,
  startFixture,
  toFunction,
  toLastRun,
  toOutputs,
  toRunPath,
} from './run-fixture.ts';

let fixture: RunFixture;

beforeAll(async () => {
  fixture = await startFixture();
});

afterAll(() => fixture.stop());

const TOOLS = [toFunction('get_weather'), toFunction('get_time')];
const OPENING = ['thread.run.created', 'thread.run.queued', 'thread.run.in_progress'];
const STEP_OPENING = ['thread.run.step.created', 'thread.run.step.in_progress'];
const MESSAGE = [
  ...STEP_OPENING,
  'thread.message.created',
  'thread.message.in_progress',
  'thread.message.delta*',
  'thread.message.completed',
  'thread.run.step.completed',
];
const CALLS = [...STEP_OPENING, 'thread.run.step.delta*'];
const RESUMED = ['thread.run.step.completed', 'thread.run.queued', 'thread.run.in_progress'];

function script(name: string, ...turns: readonly (readonly steps.Step[])[]): string {
  return fixture.upstream.script(name, ...turns);
}

async function streamOutputs(run: Json): Promise<SeenEvent[]> {
  const path = `${toRunPath(run)}/submit_tool_outputs`;
  return (await fixture.api.open(path, { tool_outputs: toOutputs(run) })).rest();
}

describe('order', () => {
  test('a run on a thread announces run, step, message, deltas, and their ends from the inside out', async () => {
    const { api } = fixture;
    const assistant = await api.createAssistant(script('order-text', [steps.say('one two three')]));
    const path = `/v1/threads/${await api.createThread()}/runs`;
    const reader = await api.open(path, { assistant_id: assistant });
    expect(reader.status).toBe(200);
    const events = await reader.rest();
    expect(toShape(events)).toEqual([...OPENING, ...MESSAGE, 'thread.run.completed']);
    expect(toNames(events).filter((name) => name === 'thread.message.delta')).toHaveLength(3);
  });

  test('create-and-run announces the thread first', async () => {
    const events = await fixture.api.streamRun(script('order-thread', [steps.say('one two')]));
    expect(toShape(events)).toEqual(['thread.created', ...OPENING, ...MESSAGE, 'thread.run.completed']);
    expect(events[0]?.data.id).toBe(toLastRun(events).thread_id);
  });

  test('a run with calls ends its stream where it waits, and the outputs go on in a stream of their own', async () => {
    const model = script('order-calls', [steps.callTool('get_weather', { a: 1 })], [steps.say('It is warm')]);
    const events = await fixture.api.streamRun(model, { tools: TOOLS });
    expect(toShape(events)).toEqual(['thread.created', ...OPENING, ...CALLS, 'thread.run.requires_action']);
    const rest = await streamOutputs(toLastRun(events));
    expect(toShape(rest)).toEqual([...RESUMED, ...MESSAGE, 'thread.run.completed']);
  });

  test('a text before calls is a message of its own, complete before the calls begin', async () => {
    const model = script('order-both', [
      steps.say('Let me see'),
      steps.callTool('get_weather', { city: 'Oslo' }),
    ]);
    const events = await fixture.api.streamRun(model, { tools: TOOLS });
    expect(toShape(events)).toEqual([
      'thread.created',
      ...OPENING,
      ...MESSAGE,
      ...CALLS,
      'thread.run.requires_action',
    ]);
  });

  test('each round of calls is a step, and the last one is followed by the answer', async () => {
    const call = (n: number) => [steps.callTool('get_weather', { n }, { id: `call_round_${n}` })];
    const model = script('order-rounds', call(0), call(1), call(2), [steps.say('Done at last')]);
    let events = await fixture.api.streamRun(model, { tools: TOOLS });
    for (const _ of [1, 2]) {
      events = await streamOutputs(toLastRun(events));
      expect(toShape(events)).toEqual([...RESUMED, ...CALLS, 'thread.run.requires_action']);
    }
    events = await streamOutputs(toLastRun(events));
    expect(toShape(events)).toEqual([...RESUMED, ...MESSAGE, 'thread.run.completed']);
    const stored = await fixture.api.listSteps(toLastRun(events));
    expect(stored.map(({ type, status }) => `${type} ${status}`)).toEqual([
      'tool_calls completed',
      'tool_calls completed',
      'tool_calls completed',
      'message_creation completed',
    ]);
  });

  test('a refusal is told as a part of its own', async () => {
    const events = await fixture.api.streamRun(script('order-refusal', [steps.refuse('I will not do that')]));
    expect(toShape(events)).toEqual(['thread.created', ...OPENING, ...MESSAGE, 'thread.run.completed']);
    expect(findSchemaFaults(events)).toEqual([]);
    const completed = events.find(({ event }) => event === 'thread.message.completed')?.data;
    expect(completed.content).toEqual([{ type: 'refusal', refusal: 'I will not do that' }]);
    expect([...joinDeltas(events).values()]).toEqual(['I will not do that']);
  });

  test('an answer without a word is a message with an empty text, without deltas', async () => {
    const events = await fixture.api.streamRun(script('order-empty', [steps.finish('stop')]));
    const shape = MESSAGE.filter((name) => name !== 'thread.message.delta*');
    expect(toShape(events)).toEqual(['thread.created', ...OPENING, ...shape, 'thread.run.completed']);
    const completed = events.find(({ event }) => event === 'thread.message.completed')?.data;
    expect(completed.content).toEqual([{ type: 'text', text: { value: '', annotations: [] } }]);
  });

  test('a run that is cut short tells so of its message and of itself', async () => {
    const model = script('order-length', [steps.say('so far'), steps.finish('length')]);
    const events = await fixture.api.streamRun(model);
    expect(toShape(events).slice(-3)).toEqual([
      'thread.message.incomplete',
      'thread.run.step.completed',
      'thread.run.incomplete',
    ]);
  });
});

describe('form', () => {
  test('every event of every kind of run fits the API document', async () => {
    const both = [
      steps.say('Let me see'),
      steps.callTools([
        { name: 'get_weather', arguments: { city: 'Oslo' } },
        { name: 'get_time', arguments: {} },
      ]),
    ];
    const models = [
      script('form-text', [steps.say('Hello there')]),
      script('form-cut', [steps.say('Hello'), steps.reset()]),
      script('form-length', [steps.say('Hello'), steps.finish('length')]),
      script('form-401', [steps.fail(401)]),
    ];
    const calls = script('form-calls', both, [steps.say('Cold')]);
    const streams = await Promise.all(models.map((model) => fixture.api.streamRun(model)));
    const waiting = await fixture.api.streamRun(calls, { tools: TOOLS });
    for (const events of [...streams, waiting, await streamOutputs(toLastRun(waiting))]) {
      expect(events.length).toBeGreaterThan(3);
      expect(findSchemaFaults(events)).toEqual([]);
    }
  });

  test('text of any script, line ends and control characters come through exactly', async () => {
    const tokens = ['Grüße ', '日本', '語 ', '👩‍👩‍👧 ', 'a\nb\r\nc ', 'data: x\n\n', '\u2028\u0000 "q" \\'];
    const events = await fixture.api.streamRun(script('form-unicode', [steps.say(...tokens)]));
    expect([...joinDeltas(events).values()]).toEqual([tokens.join('')]);
    const [, message] = await fixture.api.listMessages(toLastRun(events).thread_id);
    expect(message.content[0].text.value).toBe(tokens.join(''));
  });

  test('an event belongs to its run, its thread and its step', async () => {
    const events = await fixture.api.streamRun(script('form-ids', [steps.say('Hello there')]));
    const run = toLastRun(events);
    const step = events.find(({ event }) => event === 'thread.run.step.created')?.data;
    const message = events.find(({ event }) => event === 'thread.message.created')?.data;
    expect(step).toMatchObject({ run_id: run.id, thread_id: run.thread_id, assistant_id: run.assistant_id });
    expect(message).toMatchObject({
      run_id: run.id,
      thread_id: run.thread_id,
      role: 'assistant',
      content: [],
    });
    expect(step.step_details.message_creation.message_id).toBe(message.id);
    for (const { event, data } of events) {
      if (event === 'thread.message.delta') expect(data.id).toBe(message.id);
    }
  });
});

describe('calls', () => {
  const TWO = [
    { name: 'get_weather', arguments: { city: 'São Paulo', days: [1, 2] } },
    { name: 'get_time', arguments: { zone: 'UTC' } },
  ];
  for (const style of steps.TOOL_CALL_STYLES) {
    test(`parallel calls written in the manner '${style}' are announced, kept and asked for alike`, async () => {
      const model = script(`calls-${style}`, [steps.callTools(TWO, { style })], [steps.say('ok')]);
      const events = await fixture.api.streamRun(model, { tools: TOOLS });
      expect(findSchemaFaults(events)).toEqual([]);
      const run = toLastRun(events);
      const asked = run.required_action.submit_tool_outputs.tool_calls;
      const told = joinCallDeltas(events);
      expect(told.map(({ name, arguments: args }) => ({ name, arguments: JSON.parse(args) }))).toEqual(TWO);
      const toPlain = (call: Json) => ({ id: call.id, ...call.function });
      expect(asked.map(toPlain)).toEqual(told);
      expect(new Set(told.map(({ id }) => id)).size).toBe(2);
      const [step] = await fixture.api.listSteps(run);
      expect(step.step_details.tool_calls.map(toPlain)).toEqual(
        told.map((call) => ({ ...call, output: null })),
      );
    });
  }

  test('a call without arguments is asked for with an empty object', async () => {
    const model = script('calls-none', [steps.callTool('get_time', '')], [steps.say('ok')]);
    const run = toLastRun(await fixture.api.streamRun(model, { tools: TOOLS }));
    expect(run.required_action.submit_tool_outputs.tool_calls[0].function).toEqual({
      name: 'get_time',
      arguments: '{}',
    });
  });

  test('outputs are kept with their calls, and told when the step ends', async () => {
    const model = script('calls-kept', [steps.callTools(TWO)], [steps.say('ok')]);
    const waiting = toLastRun(await fixture.api.streamRun(model, { tools: TOOLS }));
    const [ended] = await streamOutputs(waiting);
    const [stored] = await fixture.api.listSteps(waiting);
    expect(ended?.data).toEqual(stored);
    expect(stored.step_details.tool_calls.map((call: Json) => call.function.output)).toEqual([
      'output of get_weather',
      'output of get_time',
    ]);
  });
});

describe('storage', () => {
  /** What the stored object may be by now, for each status that was announced: itself or what comes later. */
  const LATER: Readonly<Record<string, readonly string[]>> = {
    queued: ['queued', 'in_progress', 'requires_action', 'completed'],
    in_progress: ['in_progress', 'requires_action', 'completed'],
    requires_action: ['requires_action'],
    completed: ['completed'],
  };

  async function read(data: Json): Promise<Json> {
    const { api } = fixture;
    if (data.object === 'thread.run') return api.getRun(data);
    if (data.object === 'thread.message') {
      return api.get(`/v1/threads/${data.thread_id}/messages/${data.id}`);
    }
    return api.get(`/v1/threads/${data.thread_id}/runs/${data.run_id}/steps/${data.id}`);
  }

  test('what is announced can be read at once, as far as it was told', async () => {
    const model = script(
      'storage',
      [steps.pace(100), steps.say('a b c d'), steps.callTool('get_weather', { city: 'Oslo' })],
      [steps.pace(100), steps.say('e f g h')],
    );
    const first = await fixture.api.openRun(model, { tools: TOOLS });
    const seen: SeenEvent[] = [];
    const check = async (event: SeenEvent): Promise<void> => {
      seen.push(event);
      if (!('status' in event.data)) return;
      const stored = await read(event.data);
      expect(LATER[event.data.status]).toContain(stored.status);
      if (event.data.status === 'completed') expect(stored).toEqual(event.data);
    };
    for await (const event of first.events) await check(event);
    const run = toLastRun(seen);
    const path = `${toRunPath(run)}/submit_tool_outputs`;
    const second = await fixture.api.open(path, { tool_outputs: toOutputs(run) });
    for await (const event of second.events) await check(event);
    expect(toLastRun(seen).status).toBe('completed');
    expect(seen.length).toBeGreaterThan(25);
  });

  test('tokens are told as they come, not when the answer is whole', async () => {
    const model = script('live', [steps.say('first'), steps.hang()]);
    const reader = await fixture.api.openRun(model);
    const seen = await reader.readTo('thread.message.delta');
    expect([...joinDeltas(seen).values()]).toEqual(['first']);
    const run = toLastRun(seen);
    await fixture.api.post(`${toRunPath(run)}/cancel`);
    expect(toNames(await reader.rest()).at(-1)).toBe('thread.run.cancelled');
  });
});
