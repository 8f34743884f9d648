/** Tools that the server carries out itself, alone and beside the client's functions in one step. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type OpenAI from 'openai';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { createLog } from '../../src/log.ts';
import { createOpenAiProvider } from '../../src/providers/openai/openai-provider.ts';
import type { Router } from '../../src/providers/provider.ts';
import { createUpstream } from '../../src/providers/upstream.ts';
import { createRunEngine, type RunEngine } from '../../src/runs/run-engine.ts';
import type { StepRecord } from '../../src/runs/run-records.ts';
import type { ServerTool } from '../../src/runs/tools/server-tool.ts';
import { readSteps } from '../../src/runs/turns.ts';
import { createAssistant } from '../../src/services/assistants.ts';
import { type Caller, createThreadAndRun } from '../../src/services/run-creation.ts';
import { submitToolOutputs } from '../../src/services/runs.ts';
import { createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import * as steps from '../support/upstream-steps.ts';

const CALLER: Caller = { scope: { tenant: 'test' }, headers: {}, requestId: 'req_test' };
const QUERY = { queries: ['how warm is it'] };

const SEARCH: ServerTool = {
  type: 'file_search',
  toChatTool: () => ({ type: 'function', function: { name: 'file_search', parameters: { type: 'object' } } }),
  toRecord: (call) => ({ id: call.id, type: 'file_search', file_search: {} }),
  async execute(call) {
    if (call.arguments.includes('break')) throw new Error('the index is gone');
    const record = { id: call.id, type: 'file_search' as const, file_search: {} };
    return { output: `found for ${call.arguments}`, record };
  },
};

let upstream: ScriptedUpstream;
let directory: string;
let store: Store;
let runs: RunEngine;
let deps: Parameters<typeof createThreadAndRun>[0];

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  directory = await mkdtemp(join(tmpdir(), 'understudy-tools-'));
  store = await createSqliteStore({ directory });
  const clock = systemClock;
  const ids = createIds(clock);
  const log = createLog('silent', () => undefined);
  const provider = createOpenAiProvider({ upstream: createUpstream({ fetch }), clock, ids });
  const credentials = { apiKey: 'k', baseUrl: upstream.url, fromRequest: false };
  const router: Router = { resolve: (model) => ({ provider, model, credentials }), available: () => [] };
  const settings = { expiresMs: 60_000 };
  runs = createRunEngine({ store, clock, ids, log }, { owner: 'host/1/a', settings, serverTools: [SEARCH] });
  deps = { store, clock, ids, router, runs };
});

afterAll(async () => {
  await runs.close(1_000);
  await store.close();
  await upstream.close();
  await rm(directory, { recursive: true, force: true });
});

async function startRun(model: string) {
  const tools = [
    { type: 'file_search' as const },
    { type: 'function' as const, function: { name: 'get_weather' } },
  ];
  const assistant = await createAssistant(deps, CALLER.scope, { model, tools });
  const thread = { messages: [{ role: 'user' as const, content: 'How warm is it?' }] };
  const { run, stream } = await createThreadAndRun(deps, CALLER, {
    assistant_id: assistant.id,
    thread,
    stream: true,
  });
  return { run, text: await new Response(stream).text() };
}

function toBody(model: string, request: number): OpenAI.Chat.ChatCompletionCreateParams {
  return upstream.requestsFor(model)[request]?.body as OpenAI.Chat.ChatCompletionCreateParams;
}

function toCallTypes(step: StepRecord | undefined): string[] {
  return step?.step_details.type === 'tool_calls' ? step.step_details.tool_calls.map(({ type }) => type) : [];
}

test('a call of the server is carried out, and the model goes on without the client', async () => {
  const model = upstream.script('tools-own', [steps.callTool('file_search', QUERY)], [steps.say('Warm')]);
  const { run, text } = await startRun(model);
  expect(text).toContain('event: thread.run.completed');
  // What the model asked is the server's affair.
  expect(text).not.toContain('how warm is it');
  const [call, message] = await readSteps(deps, 'test', run.id);
  expect(toCallTypes(call)).toEqual(['file_search']);
  expect([call?.status, message?.type]).toEqual(['completed', 'message_creation']);
  const sent = toBody(model, 1).messages;
  expect(sent.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool']);
  expect(sent[2]).toMatchObject({ content: `found for ${JSON.stringify(QUERY)}` });
  const { tools = [] } = toBody(model, 0);
  expect(tools.map((tool) => (tool.type === 'function' ? tool.function.name : ''))).toEqual([
    'get_weather',
    'file_search',
  ]);
});

test('calls of both in one step: the client is asked for its own, and the model hears of both, in order', async () => {
  const model = upstream.script(
    'tools-mixed',
    [
      steps.callTools([
        { name: 'file_search', arguments: QUERY },
        { name: 'get_weather', arguments: { city: 'Oslo' } },
      ]),
    ],
    [steps.say('Cold')],
  );
  const { run, text } = await startRun(model);
  expect(text).toContain('event: thread.run.requires_action');
  const [waiting] = await readSteps(deps, 'test', run.id);
  expect(toCallTypes(waiting)).toEqual(['file_search', 'function']);
  const details = waiting?.step_details;
  const callId = details?.type === 'tool_calls' ? (details.tool_calls[1]?.id ?? '') : '';
  const body = { tool_outputs: [{ tool_call_id: callId, output: '-3' }], stream: true };
  const { stream } = await submitToolOutputs(deps, CALLER, run.thread_id, run.id, body);
  expect(await new Response(stream).text()).toContain('event: thread.run.completed');
  const sent = toBody(model, 1).messages;
  expect(sent.slice(2).map(({ content }) => content)).toEqual([`found for ${JSON.stringify(QUERY)}`, '-3']);
});

test('a tool that breaks fails the run, and the thread is free', async () => {
  const model = upstream.script('tools-break', [steps.callTool('file_search', { queries: ['break'] })]);
  const { run, text } = await startRun(model);
  expect(text).toContain('event: thread.run.failed');
  expect(text).not.toContain('the index is gone');
  const [step] = await readSteps(deps, 'test', run.id);
  expect(step?.status).toBe('failed');
  const thread = await store.get<{ id: string; active_run_id: string | null }>(
    'threads',
    CALLER.scope,
    run.thread_id,
  );
  expect(thread?.record.active_run_id).toBeNull();
});
