import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ChatEvent } from '../../src/providers/provider.ts';
import {
  collectEvents,
  createTestProvider,
  joinCalls,
  toCallOptions,
  toChatRequest,
  toFunctionTool,
} from '../support/provider-calls.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { callTool, callTools, chunk, type Step, TOOL_CALL_STYLES } from '../support/upstream-steps.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(() => upstream.close());

const tools = [toFunctionTool('get_weather'), toFunctionTool('get_time')];
const provider = createTestProvider({ retryPolicy: { attemptsMax: 1 } });

async function play(name: string, ...steps: Step[]): Promise<{ events: ChatEvent[]; error: unknown }> {
  const model = upstream.script(name, steps);
  return await collectEvents(provider.chat(toChatRequest(model, { tools }), toCallOptions(upstream.url)));
}

/** A chunk with one choice. */
function toChunk(delta: unknown, finishReason: string | null = null, rest: object = {}): Step {
  return chunk({ id: 'x', choices: [{ index: 0, delta, finish_reason: finishReason }], ...rest });
}

describe('tool calls', () => {
  const calls = [
    { name: 'get_weather', arguments: { city: 'Zürich', unit: 'c' } },
    { name: 'get_time', arguments: { zone: 'CET' } },
  ];

  test.each([...TOOL_CALL_STYLES])(
    'two parallel calls written as %p normalise to the same calls',
    async (style) => {
      const { events, error } = await play(`calls ${style}`, callTools(calls, { style }));
      expect(error).toBeNull();
      const joined = joinCalls(events);
      expect(joined.map(({ index, name }) => ({ index, name }))).toEqual([
        { index: 0, name: 'get_weather' },
        { index: 1, name: 'get_time' },
      ]);
      expect(joined.map((call) => JSON.parse(call.arguments))).toEqual(calls.map((call) => call.arguments));
      const ids = joined.map((call) => call.id);
      if (/^id-(empty|missing)/.test(style)) {
        // Made here: distinct, and of OpenAI's form.
        expect(new Set(ids).size).toBe(2);
        for (const id of ids) expect(id).toMatch(/^call_\w{8,}$/);
      } else {
        expect(ids).toEqual(['call_get_weather_0', 'call_get_time_1']);
      }
      expect(events.filter((event) => event.type === 'tool_call')).toHaveLength(2);
      expect(events.filter((event) => event.type === 'finish')).toEqual([
        { type: 'finish', reason: 'tool_calls' },
      ]);
    },
  );

  test.each([...TOOL_CALL_STYLES])('one call written as %p normalises to that call', async (style) => {
    const { events } = await play(`call ${style}`, callTool('get_weather', { city: 'Rom' }, { style }));
    expect(joinCalls(events)).toMatchObject([{ index: 0, name: 'get_weather', arguments: '{"city":"Rom"}' }]);
  });

  test.each([1, 2, 5, 1000])(
    'arguments in pieces of %p characters are put together unchanged',
    async (size) => {
      const args = { text: 'a"b\\c\u00e9\u{1F5FC} {}}', list: [1, [2]] };
      const { events } = await play(
        `pieces ${size}`,
        callTool('get_weather', args, { pieceCharacters: size }),
      );
      expect(JSON.parse(joinCalls(events)[0]?.arguments ?? '')).toEqual(args);
    },
  );

  test.each(['', 'null', ' null '])(
    'arguments %p, which some servers write for none, become {}',
    async (text) => {
      const { events } = await play(`none ${text}`, callTool('get_time', text, { pieceCharacters: 1 }));
      expect(joinCalls(events)).toMatchObject([{ name: 'get_time', arguments: '{}' }]);
    },
  );

  test('several calls without arguments, index and id stay several calls', async () => {
    const { events } = await play(
      'bare calls',
      toChunk({ tool_calls: [{ function: { name: 'get_weather' } }, { function: { name: 'get_time' } }] }),
      toChunk({ tool_calls: [{ function: { name: 'get_weather', arguments: '' } }] }, 'tool_calls'),
    );
    expect(joinCalls(events).map((call) => call.name)).toEqual(['get_weather', 'get_time', 'get_weather']);
  });

  test('two calls that share an id get two ids', async () => {
    const { events } = await play(
      'shared id',
      callTools([
        { name: 'get_weather', arguments: {}, id: 'call_0' },
        { name: 'get_time', arguments: {}, id: 'call_0' },
      ]),
    );
    expect(new Set(joinCalls(events).map((call) => call.id)).size).toBe(2);
  });

  test('an id that comes after the arguments does not begin another call', async () => {
    const { events } = await play(
      'late id',
      toChunk({ tool_calls: [{ index: 0, function: { name: 'get_time', arguments: '{"a"' } }] }),
      toChunk({ tool_calls: [{ index: 0, id: 'call_late', function: { arguments: ':1}' } }] }, 'tool_calls'),
    );
    expect(joinCalls(events)).toMatchObject([{ name: 'get_time', arguments: '{"a":1}' }]);
  });

  test('a name that contains another offered name is not cut short', async () => {
    const model = upstream.script('prefix', [
      toChunk({ tool_calls: [{ index: 0, id: 'c', function: { name: 'get', arguments: '' } }] }),
      toChunk({ tool_calls: [{ index: 0, function: { name: '_all', arguments: '' } }] }),
      toChunk({ tool_calls: [{ index: 0, function: { arguments: '{}' } }] }, 'tool_calls'),
    ]);
    const request = toChatRequest(model, { tools: [toFunctionTool('get'), toFunctionTool('get_all')] });
    const { events } = await collectEvents(provider.chat(request, toCallOptions(upstream.url)));
    expect(joinCalls(events)).toMatchObject([{ name: 'get_all' }]);
  });

  test('the form before tools, function_call, is a tool call', async () => {
    const { events } = await play(
      'legacy',
      toChunk({ function_call: { name: 'get_time', arguments: '' } }),
      toChunk({ function_call: { arguments: '{"zone":' } }),
      toChunk({ function_call: { arguments: '"CET"}' } }),
      toChunk({}, 'function_call'),
    );
    expect(joinCalls(events)).toMatchObject([{ index: 0, name: 'get_time', arguments: '{"zone":"CET"}' }]);
    expect(events).toContainEqual({ type: 'finish', reason: 'tool_calls' });
  });

  test('arguments without a name are an error, not a call to nothing', async () => {
    const { error } = await play(
      'nameless',
      toChunk({ tool_calls: [{ index: 0, id: 'c', function: { arguments: '{}' } }] }, 'tool_calls'),
    );
    expect(error).toMatchObject({ kind: 'protocol' });
  });

  test('more than 128 calls are refused', async () => {
    const many = Array.from({ length: 129 }, () => ({ name: 'get_time', arguments: {} }));
    const { error } = await play('many', callTools(many, { style: 'whole' }));
    expect(error).toMatchObject({ kind: 'protocol' });
  });
});
