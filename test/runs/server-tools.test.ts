/** Tools that the server carries out itself, alone and beside the client's functions in one step. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { RunRecord, StepRecord } from '../../src/runs/run-records.ts';
import type { ServerTool } from '../../src/runs/tools/server-tool.ts';
import * as steps from '../support/upstream-steps.ts';
import { CALLER, countLeases, type EngineFixture, startEngineFixture } from './engine-fixture.ts';

const QUERY = { queries: ['how warm is it'] };
const TOOLS: RunRecord['tools'] = [
  { type: 'file_search' },
  { type: 'function', function: { name: 'get_weather' } },
];

const SEARCH: ServerTool = {
  type: 'file_search',
  toChatTool: () => ({ type: 'function', function: { name: 'file_search', parameters: { type: 'object' } } }),
  toRecord: (call) => ({ id: call.id, type: 'file_search', file_search: {} }),
  toUnaskedArguments: () => null,
  prepare: async () => undefined,
  async execute(call) {
    if (call.arguments.includes('break')) throw new Error('the index is gone');
    const record = { id: call.id, type: 'file_search' as const, file_search: {} };
    return { output: `found for ${call.arguments}`, record };
  },
};

let fixture: EngineFixture;

beforeAll(async () => {
  fixture = await startEngineFixture({ toTools: () => [SEARCH] });
});

afterAll(() => fixture.stop());

function toCallTypes(step: StepRecord | undefined): string[] {
  return step?.step_details.type === 'tool_calls' ? step.step_details.tool_calls.map(({ type }) => type) : [];
}

test('a call of the server is carried out, and the model goes on without the client', async () => {
  const model = fixture.upstream.script(
    'tools-own',
    [steps.callTool('file_search', QUERY)],
    [steps.say('Warm')],
  );
  const { run, events } = await fixture.ask(model, { run: { tools: TOOLS } });
  expect(events.at(-1)?.event).toBe('thread.run.completed');
  // What the model asked is the server's affair.
  expect(JSON.stringify(events)).not.toContain('how warm is it');
  const [call, message] = await fixture.readSteps(run);
  expect(toCallTypes(call)).toEqual(['file_search']);
  expect([call?.status, message?.type]).toEqual(['completed', 'message_creation']);
  const [first, second] = fixture.toBodies(model);
  expect(second?.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool']);
  expect(second?.messages[2]).toMatchObject({ content: `found for ${JSON.stringify(QUERY)}` });
  const { tools = [] } = first ?? {};
  expect(tools.map((tool) => (tool.type === 'function' ? tool.function.name : ''))).toEqual([
    'get_weather',
    'file_search',
  ]);
});

test('calls of both in one step: the client is asked for its own, and the model hears of both, in order', async () => {
  const model = fixture.upstream.script(
    'tools-mixed',
    [
      steps.callTools([
        { name: 'file_search', arguments: QUERY },
        { name: 'get_weather', arguments: { city: 'Oslo' } },
      ]),
    ],
    [steps.say('Cold')],
  );
  const { run, events } = await fixture.ask(model, { run: { tools: TOOLS } });
  expect(events.at(-1)?.event).toBe('thread.run.requires_action');
  const [waiting] = await fixture.readSteps(run);
  expect(toCallTypes(waiting)).toEqual(['file_search', 'function']);
  expect((await fixture.submit(run, '-3')).events.at(-1)?.event).toBe('thread.run.completed');
  const sent = fixture.toBodies(model)[1]?.messages ?? [];
  expect(sent.slice(2).map(({ content }) => content)).toEqual([`found for ${JSON.stringify(QUERY)}`, '-3']);
});

test('a tool that breaks fails the run, and the thread is free', async () => {
  const model = fixture.upstream.script('tools-break', [
    steps.callTool('file_search', { queries: ['break'] }),
  ]);
  const { run, events } = await fixture.ask(model, { run: { tools: TOOLS } });
  expect(events.at(-1)?.event).toBe('thread.run.failed');
  expect(JSON.stringify(events)).not.toContain('the index is gone');
  const [step] = await fixture.readSteps(run);
  expect(step?.status).toBe('failed');
  const thread = await fixture.store.get<{ id: string; active_run_id: string | null }>(
    'threads',
    CALLER.scope,
    run.thread_id,
  );
  expect(thread?.record.active_run_id).toBeNull();
  expect(await countLeases(fixture.store)).toBe(0);
});
