/** Traces of the real server, at a collector that speaks OpenTelemetry's protocol. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createApi, type RunApi, toEnvironment, toFunction, toOutputs } from '../runs/run-fixture.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { type ServerOptions, startServer, type TestServer, waitUntil } from '../support/server.ts';
import { type CollectedSpan, startTraceCollector, type TraceCollector } from '../support/trace-collector.ts';
import * as steps from '../support/upstream-steps.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const TRACED = { traceparent: `00-${TRACE}-${CALLER}-01` };
const SECRET_WORDS = 'a very private question';

let collector: TraceCollector;
let upstream: ScriptedUpstream;
let server: TestServer;
let api: RunApi;

beforeEach(async () => {
  collector = startTraceCollector();
  upstream = await startScriptedUpstream();
});
afterEach(async () => {
  await server.stop();
  await upstream.close();
  await collector[Symbol.asyncDispose]();
});

async function start(env: Record<string, string> = {}, options: ServerOptions = {}): Promise<void> {
  const traced = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=sk-collector',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
  server = await startServer({ ...options, env: { ...toEnvironment(upstream), ...traced, ...env } });
  api = createApi(server);
}

const ofTrace = (): CollectedSpan[] => collector.spans.filter(({ traceId }) => traceId === TRACE);

function findSpan(name: string): CollectedSpan {
  const found = ofTrace().find((span) => span.name === name);
  if (found === undefined) throw new Error(`no span ${name} among ${ofTrace().map((span) => span.name)}`);
  return found;
}

async function waitForSpans(...names: readonly string[]): Promise<void> {
  await waitUntil(`there are ${names}`, () => {
    const seen = ofTrace().map(({ name }) => name);
    return names.every((name) => seen.includes(name));
  });
}

describe('a request that is part of a trace', () => {
  test('has the run below it, with its questions to models and its tools, and the model is told', async () => {
    const model = upstream.script(
      'searching',
      [
        steps.callTool('file_search', '{"queries":["it"]}'),
        steps.finish('tool_calls'),
        steps.usage({ prompt_tokens: 11, completion_tokens: 3 }),
      ],
      [steps.say('said'), steps.finish('stop'), steps.usage({ prompt_tokens: 20, completion_tokens: 5 })],
    );
    await start();
    const assistant = await api.createAssistant(model, { tools: [{ type: 'file_search' }] });
    const run = await api.post(
      '/v1/threads/runs',
      { assistant_id: assistant, thread: { messages: [{ role: 'user', content: SECRET_WORDS }] } },
      TRACED,
    );
    await waitForSpans('invoke_agent', `chat ${model}`, 'execute_tool file_search', 'POST /v1/threads/runs');
    const request = findSpan('POST /v1/threads/runs');
    expect(request).toMatchObject({
      parentSpanId: CALLER,
      kind: 2,
      attributes: { 'http.request.method': 'POST', 'http.response.status_code': 200 },
    });
    const work = findSpan('invoke_agent');
    expect(work).toMatchObject({
      parentSpanId: request.spanId,
      isError: false,
      attributes: { 'understudy.run.id': run.id, 'understudy.run.status': 'completed' },
    });
    const chats = ofTrace().filter(({ name }) => name === `chat ${model}`);
    expect(chats.map(({ attributes }) => attributes['gen_ai.usage.input_tokens']).sort()).toEqual([11, 20]);
    for (const chat of chats) expect(chat).toMatchObject({ parentSpanId: work.spanId, kind: 3 });
    expect(findSpan('execute_tool file_search').parentSpanId).toBe(work.spanId);
    const told = upstream.requestsFor(model).map(({ headers }) => headers.traceparent);
    expect(told.sort()).toEqual(chats.map(({ spanId }) => `00-${TRACE}-${spanId}-01`).sort());
  });

  test('of a client that answers calls goes on under the same run', async () => {
    const model = upstream.script(
      'calling',
      [steps.callTool('look', '{}'), steps.finish('tool_calls')],
      [steps.say('done'), steps.finish('stop')],
    );
    await start();
    const assistant = await api.createAssistant(model, { tools: [toFunction('look')] });
    const thread = await api.createThread();
    const made = await api.post(`/v1/threads/${thread}/runs`, { assistant_id: assistant }, TRACED);
    const path = `/v1/threads/${thread}/runs/${made.id}`;
    await waitUntil('it asks', async () => (await api.get(path)).status === 'requires_action');
    const asking = await api.get(path);
    await api.post(`${path}/submit_tool_outputs`, { tool_outputs: toOutputs(asking) });
    await waitUntil('both parts are told', () => {
      const parts = ofTrace().filter(({ name }) => name === 'invoke_agent');
      return (
        parts.map(({ attributes }) => attributes['understudy.run.status']).join() ===
        'requires_action,completed'
      );
    });
  });

  test('that relays a stream has the call below it until the stream ends', async () => {
    const model = upstream.script('told', [
      steps.say('one ', 'two'),
      steps.finish('stop'),
      steps.usage({ prompt_tokens: 7, completion_tokens: 2 }),
    ]);
    await start();
    const body = {
      model,
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: 'user', content: SECRET_WORDS }],
    };
    const answer = await server.call('POST', '/v1/chat/completions', body, TRACED);
    expect(answer.status).toBe(200);
    await waitForSpans(`chat ${model}`, 'POST /v1/chat/completions');
    expect(findSpan(`chat ${model}`)).toMatchObject({
      parentSpanId: findSpan('POST /v1/chat/completions').spanId,
      attributes: { 'gen_ai.usage.input_tokens': 7, 'gen_ai.usage.output_tokens': 2 },
    });
  });
});

describe('what goes to the collector', () => {
  test('are failures by their kind, and nothing of what was said, no key and no header', async () => {
    const model = upstream.script('broken', [
      steps.fail(500),
      steps.fail(500),
      steps.fail(500),
      steps.fail(500),
    ]);
    await start({ OTEL_SERVICE_NAME: 'assistants' });
    const assistant = await api.createAssistant(model, { instructions: SECRET_WORDS });
    const thread = await api.createThread(SECRET_WORDS);
    const made = await api.post(`/v1/threads/${thread}/runs`, { assistant_id: assistant }, TRACED);
    await waitUntil('it has failed', async () => {
      return (await api.get(`/v1/threads/${thread}/runs/${made.id}`)).status === 'failed';
    });
    await waitForSpans('invoke_agent', `chat ${model}`);
    expect(findSpan('invoke_agent')).toMatchObject({ isError: true, attributes: { 'error.type': 'failed' } });
    expect(findSpan(`chat ${model}`)).toMatchObject({ isError: true });
    const everything = collector.bodies.join('\n');
    for (const secret of [SECRET_WORDS, 'sk-', 'authorization']) expect(everything).not.toContain(secret);
    expect(collector.resources[0]).toMatchObject({ 'service.name': 'assistants' });
    expect(collector.headers[0]?.get('x-key')).toBe('sk-collector');
    expect(server.output()).not.toContain('sk-collector');
  });

  test('is what is left when the server stops', async () => {
    await start();
    await server.call('GET', '/v1/assistants', undefined, TRACED);
    await server.stop();
    expect(findSpan('GET /v1/assistants').parentSpanId).toBe(CALLER);
  });

  test('is only what whoever began the trace keeps, or the part that is asked for', async () => {
    await start({ OTEL_TRACES_SAMPLER: 'always_off' });
    await server.call('GET', '/v1/assistants');
    await server.call('GET', '/v1/threads/thread_none', undefined, {
      traceparent: `00-${TRACE}-${CALLER}-00`,
    });
    await server.call('GET', '/v1/files', undefined, TRACED);
    await server.stop();
    expect(collector.spans.map(({ name }) => name)).toEqual(['GET /v1/files']);
  });
});

test('a collector that refuses costs nothing but a word in the log', async () => {
  collector.fail();
  await start();
  for (let round = 0; round < 3; round += 1) {
    expect((await server.call('GET', '/v1/assistants')).status).toBe(200);
  }
  await waitUntil('it is told', () => server.output().includes('traces not taken by the collector'));
  expect(await server.stop()).toBe(0);
});

test('without a collector a traceparent is taken and goes nowhere', async () => {
  const model = upstream.script('told', [steps.say('yes'), steps.finish('stop')]);
  await start({ OTEL_SDK_DISABLED: 'true' });
  const body = { model, messages: [{ role: 'user', content: 'Say it.' }] };
  expect((await server.call('POST', '/v1/chat/completions', body, TRACED)).status).toBe(200);
  expect(upstream.requestsFor(model)[0]?.headers.traceparent).toBeUndefined();
  expect(collector.bodies).toEqual([]);
});
