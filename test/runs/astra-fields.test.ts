/**
 * What programs of astra-assistants-api read in steps, beside the API's own fields: shown to requests with a token of Astra's and to
 * nobody else.
 */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type OpenAI from 'openai';
import type { StepRecord } from '../../src/runs/run-records.ts';
import { toStep } from '../../src/runs/step-views.ts';
import { type ScriptedEmbedder, startScriptedEmbedder } from '../support/scripted-embedder.ts';
import { waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { findSchemaFaults } from './event-reader.ts';
import { type Json, type RunFixture, startFixture, toLastRun, toOutputs, toRunPath } from './run-fixture.ts';

const ASTRA = { 'astra-api-token': 'AstraCS:any' };
const CONTENT = 'step_details.tool_calls[*].file_search.results[*].content';
const RULES = 'Guests may check in from 3 pm. Pets stay outside.';
const QUERIES = ['check in', 'arrival'];
const SEARCH = steps.callTool('file_search', { queries: QUERIES });

let fixture: RunFixture;
let embedder: ScriptedEmbedder;
let client: OpenAI;
let rules: { id: string; fileId: string };

beforeAll(async () => {
  embedder = startScriptedEmbedder();
  fixture = await startFixture({ flags: ['--allow-upstream', new URL(embedder.url).host] });
  client = fixture.server.client();
  rules = await createStore(RULES, 'rules.md');
});

afterAll(async () => {
  await fixture.stop();
  await embedder.close();
});

/** A vector store with this one document; read, unless told otherwise. */
async function createStore(
  text: string,
  name: string,
  { headers = {}, isRead = true }: { headers?: Record<string, string>; isRead?: boolean } = {},
): Promise<{ id: string; fileId: string }> {
  const file = await client.files.create({ purpose: 'assistants', file: new File([text], name) });
  const { id } = await client.vectorStores.create({ file_ids: [file.id] }, { headers });
  const hasRead = async () => (await client.vectorStores.retrieve(id)).file_counts.completed === 1;
  if (isRead) await waitUntil('the document has been read', hasRead);
  return { id, fileId: file.id };
}

function createAssistant(model: string, storeIds: readonly string[], tools: object[] = []): Promise<string> {
  return fixture.api.createAssistant(model, {
    tools: [{ type: 'file_search' }, ...tools],
    tool_resources: { file_search: { vector_store_ids: storeIds } },
  });
}

const THREAD = Object.freeze({ messages: [{ role: 'user', content: 'When may I come?' }] });

function toCall(step: Json): Json {
  return step.step_details.tool_calls[0].file_search;
}

async function listSteps(run: Json, headers: Record<string, string>, query = ''): Promise<Json[]> {
  const path = `${toRunPath(run)}/steps?order=asc${query}`;
  return (await fixture.server.call('GET', path, undefined, headers)).json.data;
}

describe('a search in a step', () => {
  test('has chunks beside its results, in steps and in streams', async () => {
    const model = fixture.upstream.script('chunks', [SEARCH], [steps.say('Ok')]);
    const assistantId = await createAssistant(model, [rules.id]);
    const reader = await fixture.api.open(
      '/v1/threads/runs',
      { assistant_id: assistantId, thread: THREAD },
      ASTRA,
    );
    const events = await reader.rest();
    expect(findSchemaFaults(events)).toEqual([]);
    const run = toLastRun(events);
    const [step, last] = await listSteps(run, ASTRA);
    const found = toCall(step);
    const [result] = found.results;
    expect(found.chunks).toEqual([
      {
        chunk_id: `${rules.fileId}_0`,
        content: RULES,
        score: result.score,
        file_id: rules.fileId,
        file_name: 'rules.md',
        bytes: RULES.length,
        search_string: QUERIES.join('\n'),
      },
    ]);
    const path = `${toRunPath(run)}/steps/${step.id}`;
    expect((await fixture.server.call('GET', path, undefined, ASTRA)).json).toEqual(step);
    const told = events.filter(({ event }) => event === 'thread.run.step.completed');
    expect(told.map(({ data }) => data)).toEqual([step, last]);
  });

  test('has none for others, and its texts only where they are asked for', async () => {
    const model = fixture.upstream.script('others', [SEARCH], [steps.say('Ok')]);
    const assistantId = await createAssistant(model, [rules.id]);
    const body = { assistant_id: assistantId, thread: THREAD };
    const events = await (await fixture.api.open('/v1/threads/runs', body)).rest();
    const run = toLastRun(events);
    const plain = await listSteps(run, {});
    for (const shown of [JSON.stringify(events), JSON.stringify(plain)]) {
      expect(shown).not.toContain('chunks');
      expect(shown).not.toContain('Pets stay outside');
    }
    const { chunks, ...rest } = toCall((await listSteps(run, ASTRA))[0]);
    expect(chunks).toHaveLength(1);
    expect(rest).toEqual(toCall(plain[0]));
    const both = toCall((await listSteps(run, ASTRA, `&include[]=${encodeURIComponent(CONTENT)}`))[0]);
    expect([both.chunks[0].content, both.results[0].content[0].text]).toEqual([RULES, RULES]);
  });

  test('has them in a step that waits for a function, too, once it is told to be complete', async () => {
    const weather = { type: 'function', function: { name: 'get_weather' } };
    const calls = steps.callTools([
      { name: 'file_search', arguments: { queries: ['check in'] } },
      { name: 'get_weather', arguments: {} },
    ]);
    const model = fixture.upstream.script('mixed-chunks', [calls], [steps.say('Ok')]);
    const assistantId = await createAssistant(model, [rules.id], [weather]);
    const begun = await fixture.api.post('/v1/threads/runs', { assistant_id: assistantId, thread: THREAD });
    const run = await fixture.api.waitFor(begun, 'requires_action');
    const reader = await fixture.api.open(
      `${toRunPath(run)}/submit_tool_outputs`,
      { tool_outputs: toOutputs(run) },
      ASTRA,
    );
    const events = await reader.rest();
    expect(findSchemaFaults(events)).toEqual([]);
    const [ended] = events.filter(({ event }) => event === 'thread.run.step.completed');
    expect(toCall(ended?.data).chunks[0].search_string).toBe('check in');
    expect(ended?.data.step_details.tool_calls[1].function.output).toBe('output of get_weather');
  });
});

test("a message's step has a list of calls, an empty one, for handlers that look into every step", async () => {
  const model = fixture.upstream.script('no-calls', [steps.say('Hello.')]);
  const events = await (await fixture.api.openRun(model, {}, ASTRA)).rest();
  expect(findSchemaFaults(events)).toEqual([]);
  const run = toLastRun(events);
  const stepEvents = events.filter(({ data }) => data.object === 'thread.run.step');
  expect(stepEvents).toHaveLength(3);
  for (const { data } of stepEvents) expect(data.step_details.tool_calls).toEqual([]);
  expect((await listSteps(run, ASTRA))[0].step_details.tool_calls).toEqual([]);
  expect(Object.keys((await listSteps(run, {}))[0].step_details)).toEqual(['type', 'message_creation']);
});

test('a run that names the model of one store searches the others by their own, without its key', async () => {
  const named = {
    'embedding-model': 'store-embedding',
    'embedding-param-base-url': embedder.url,
    'embedding-param-api-key': 'sk-of-the-store',
  };
  const store = await createStore('Breakfast is served at 8 am.', 'breakfast.md', { headers: named });
  const model = fixture.upstream.script('two-stores', [SEARCH], [steps.say('Ok')]);
  const assistantId = await createAssistant(model, [store.id]);
  const thread = { ...THREAD, tool_resources: { file_search: { vector_store_ids: [rules.id] } } };
  const before = embedder.calls.length;
  const run = await fixture.api.post(
    '/v1/threads/runs',
    { assistant_id: assistantId, thread },
    { ...ASTRA, ...named },
  );
  await fixture.api.waitFor(run, 'completed');
  const { results } = toCall((await listSteps(run, {}))[0]);
  const files = results.map(({ file_id: id }: Json) => id);
  expect(files.toSorted()).toEqual([rules.fileId, store.fileId].toSorted());
  const [call, ...others] = embedder.calls.slice(before);
  expect(others).toEqual([]);
  expect([call?.inputs, call?.authorization]).toEqual([QUERIES, 'Bearer sk-of-the-store']);
  const asked = JSON.stringify(fixture.upstream.requests.map(({ headers }) => headers));
  expect(asked).not.toContain('sk-of-the-store');
});

test("a run begins once the assistant's store has a file that is read, where programs do not wait by themselves", async () => {
  const headers = { 'embedding-model': 'slow-embedding', 'embedding-param-base-url': embedder.url };
  const model = fixture.upstream.script('waits', [SEARCH], [steps.say('Ok')]);
  const hasty = fixture.upstream.script('does-not-wait', [steps.say('Ok')]);
  embedder.behave({ holds: true });
  const store = await createStore(RULES, 'late.md', { headers, isRead: false });
  const body = { assistant_id: await createAssistant(model, [store.id]), thread: THREAD };
  const run = await fixture.api.post('/v1/threads/runs', body, { ...ASTRA, ...headers });
  await fixture.api.waitFor(run, 'in_progress');
  // Without the token the model is asked at once, although this run comes later.
  const other = { assistant_id: await createAssistant(hasty, [store.id]), thread: THREAD };
  const later = await fixture.api.post('/v1/threads/runs', other, headers);
  await fixture.api.waitFor(later, 'completed');
  expect(fixture.upstream.requestsFor(model)).toEqual([]);
  embedder.behave({ holds: false });
  await fixture.api.waitFor(run, 'completed');
  expect(toCall((await listSteps(run, {}))[0]).results).toHaveLength(1);
});

test('the API document of the server tells of all these fields', async () => {
  const { schemas } = (await fixture.server.call('GET', '/openapi.json')).json.components;
  const search = schemas.RunStepDetailsToolCallsFileSearchObject.properties.file_search;
  expect(search.properties.chunks.items.required).toContain('search_string');
  expect(schemas.RunStepDetailsMessageCreationObject.properties.tool_calls.maxItems).toBe(0);
  expect(schemas.OpenAIFile.properties.embedding_model).toBeDefined();
  expect(schemas.ModifyMessageRequest.properties.content).toEqual(
    schemas.CreateMessageRequest.properties.content,
  );
  for (const name of ['OpenAIFile', 'ModifyMessageRequest']) {
    expect(schemas[name].required ?? []).not.toContain('embedding_model');
    expect(schemas[name].required ?? []).not.toContain('content');
  }
});

test('a step from before the places of chunks were kept numbers them as they come, and tells no size', () => {
  const found = [1, 2].map((at) => ({
    marker: `【4:${at}†a.md】`,
    file_id: 'file-a',
    page: null,
    text: `${at}`,
  }));
  const results = found.map(({ file_id }) => ({ file_id, file_name: 'a.md', score: 0.5 }));
  const call = { id: 'call_1', type: 'file_search', file_search: { results } };
  const answered = { id: 'call_1', name: 'file_search', arguments: '{"queries":["a"]}', output: '', found };
  const step = {
    step_details: { type: 'tool_calls', tool_calls: [call] },
    internal: { turn: 0, usage: null, server_calls: [answered] },
  } as unknown as StepRecord;
  const shown = { file_id: 'file-a', file_name: 'a.md', score: 0.5, search_string: 'a' };
  expect(toCall(toStep(step, { content: false, chunks: true })).chunks).toEqual([
    { ...shown, chunk_id: 'file-a_0', content: '1' },
    { ...shown, chunk_id: 'file-a_1', content: '2' },
  ]);
});
