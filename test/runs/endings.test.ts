/** How runs end: completed, incomplete, failed, expired; what is left of them, and that their thread is free. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createServer } from 'node:net';
import { waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { findSchemaFaults, type SeenEvent, toNames } from './event-reader.ts';
import {
  type Json,
  OPERATOR_KEY,
  type RunFixture,
  startFixture,
  toFunction,
  toLastRun,
  toOutputs,
  toRunPath,
  useThread,
} from './run-fixture.ts';

const EXPIRES_SECONDS = 3;
/** Sweeps come every two seconds. */
const EXPIRED_WITHIN_MS = 8_000;

let fixture: RunFixture;

beforeAll(async () => {
  fixture = await startFixture({ flags: ['--run-expires-seconds', String(EXPIRES_SECONDS)] });
});

afterAll(() => fixture.stop());

const TOOLS = [toFunction('get_weather')];

function script(name: string, ...turns: readonly (readonly steps.Step[])[]): string {
  return fixture.upstream.script(name, ...turns);
}

interface Remains {
  readonly run: Json;
  readonly steps: Json[];
  /** Of the assistant. */
  readonly messages: Json[];
}

async function readRemains(run: Json): Promise<Remains> {
  const { api } = fixture;
  const messages = await api.listMessages(run.thread_id);
  return {
    run: await api.getRun(run),
    steps: await api.listSteps(run),
    messages: messages.filter((message) => message.role === 'assistant'),
  };
}

/** Streams a run to its end, checks that the stream tells the truth, and answers what is left of it. */
async function streamToRemains(model: string, fields: object = {}): Promise<Remains> {
  const events = await fixture.api.streamRun(model, fields);
  expect(findSchemaFaults(events)).toEqual([]);
  const remains = await readRemains(toLastRun(events));
  expect(events.at(-1)?.event).toBe(`thread.run.${remains.run.status}`);
  expect(events.at(-1)?.data).toEqual(remains.run);
  expectSettled(remains);
  await useThread(fixture.api, remains.run.thread_id);
  return remains;
}

/** Nothing of an ended run is still open, and its times say how it ended. */
function expectSettled({ run, steps: stored, messages }: Remains): void {
  for (const { status } of [...stored, ...messages]) expect(status).not.toBe('in_progress');
  expect(run.required_action).toBeNull();
  expect(run.usage).not.toBeNull();
  expect(run.status === 'failed' ? run.failed_at : run.failed_at === null).toBeTruthy();
  expect(run.last_error === null).toBe(run.status !== 'failed');
  expect(run.incomplete_details === null).toBe(run.status !== 'incomplete');
}

describe('failures of the model', () => {
  const PARTIAL = steps.say('Hello wor');
  interface Failure {
    readonly name: string;
    readonly script: readonly steps.Step[];
    readonly code: string;
    /** Of `last_error.message`. */
    readonly message: RegExp;
    readonly isPartial?: boolean;
  }
  const FAILURES: readonly Failure[] = [
    {
      name: 'a rate limit that outlasts the retries',
      script: [steps.fail(429, { message: 'Slow down.', headers: { 'retry-after-ms': '10' } })],
      code: 'rate_limit_exceeded',
      message: /Slow down/,
    },
    {
      name: 'a rate limit that asks for too long a wait',
      script: [steps.fail(429, { message: 'Come back in an hour.', retryAfter: '3600' })],
      code: 'rate_limit_exceeded',
      message: /in an hour/,
    },
    {
      name: 'a spent quota',
      script: [steps.fail(429, { code: 'insufficient_quota', message: 'You exceeded your current quota.' })],
      code: 'rate_limit_exceeded',
      message: /quota/,
    },
    {
      name: 'a server error that outlasts the retries',
      script: [steps.fail(500, { message: 'The model broke.', headers: { 'retry-after-ms': '10' } })],
      code: 'server_error',
      message: /The model broke/,
    },
    {
      name: 'a wrong key',
      script: [steps.fail(401, { message: `Incorrect API key provided: ${OPERATOR_KEY}.` })],
      code: 'server_error',
      message: /Incorrect API key/,
    },
    {
      name: 'a model that is not there',
      script: [steps.fail(404, { code: 'model_not_found', message: 'The model `x` does not exist.' })],
      code: 'server_error',
      message: /does not exist/,
    },
    {
      name: 'a request that the model refuses',
      script: [steps.fail(400, { message: 'Unsupported parameter.' })],
      code: 'invalid_prompt',
      message: /Unsupported parameter/,
    },
    {
      name: "a gateway's page of HTML",
      script: [
        steps.answer(502, '<html><body><h1>502 Bad Gateway</h1></body></html>', {
          'content-type': 'text/html',
          'retry-after-ms': '10',
        }),
      ],
      code: 'server_error',
      message: /^(?!.*<h1>).*502/,
    },
    {
      name: 'an error in the middle of the answer',
      script: [
        PARTIAL,
        steps.chunk({ error: { message: 'Overloaded.', type: 'server_error' } }),
        steps.end(),
      ],
      code: 'server_error',
      message: /Overloaded/,
      isPartial: true,
    },
    {
      name: 'a connection cut in the middle of the answer',
      script: [PARTIAL, steps.reset()],
      code: 'server_error',
      message: /./,
      isPartial: true,
    },
    {
      name: 'an answer that ends without a finish',
      script: [PARTIAL, steps.end()],
      code: 'server_error',
      message: /finish/,
      isPartial: true,
    },
    {
      name: 'a malformed line',
      script: [PARTIAL, steps.raw('data: {"choices":[{"del\n\n'), steps.say('more')],
      code: 'server_error',
      message: /not JSON/,
      isPartial: true,
    },
  ];
  for (const failure of FAILURES) {
    test.concurrent(`${failure.name} fails the run, and what was said is kept`, async () => {
      const model = script(failure.name, failure.script);
      const { run, steps: stored, messages } = await streamToRemains(model);
      expect(run).toMatchObject({ status: 'failed', last_error: { code: failure.code } });
      expect(run.last_error.message).toMatch(failure.message);
      expect(run.last_error.message).not.toContain(OPERATOR_KEY);
      expect(stored).toHaveLength(failure.isPartial === true ? 1 : 0);
      expect(messages).toHaveLength(failure.isPartial === true ? 1 : 0);
      if (failure.isPartial !== true) return;
      expect(messages[0]).toMatchObject({
        status: 'incomplete',
        incomplete_details: { reason: 'run_failed' },
        completed_at: null,
        content: [{ type: 'text', text: { value: 'Hello wor' } }],
      });
      expect(stored[0]).toMatchObject({
        status: 'failed',
        completed_at: null,
        last_error: { code: 'server_error', message: run.last_error.message },
      });
    });
  }

  test.concurrent('a failure amid the arguments of a call leaves a failed step, and nothing to answer', async () => {
    const call = steps.callTool('get_weather', { city: 'Oslo' });
    const model = script('cut-call', [call, steps.reset()]);
    const { run, steps: stored } = await streamToRemains(model, { tools: TOOLS });
    expect(run.status).toBe('failed');
    expect(stored).toMatchObject([
      { type: 'tool_calls', status: 'failed', last_error: { code: 'server_error' } },
    ]);
  });

  test.concurrent('a failure after the outputs fails the run, and keeps the step of the calls', async () => {
    const model = script('cut-later', [steps.callTool('get_weather', {})], [steps.fail(401)]);
    const { api } = fixture;
    const waiting = toLastRun(await api.streamRun(model, { tools: TOOLS }));
    const reader = await api.open(`${toRunPath(waiting)}/submit_tool_outputs`, {
      tool_outputs: toOutputs(waiting),
    });
    expect(toNames(await reader.rest())).toEqual([
      'thread.run.step.completed',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.failed',
    ]);
    const remains = await readRemains(waiting);
    expectSettled(remains);
    expect(remains.steps).toMatchObject([{ type: 'tool_calls', status: 'completed' }]);
    await useThread(api, waiting.thread_id);
  });

  test.concurrent('a call of a function that nobody offered waits for the client all the same', async () => {
    const model = script('foreign-call', [steps.callTool('of_its_own', {})], [steps.say('ok')]);
    const run = toLastRun(await fixture.api.streamRun(model, { tools: TOOLS }));
    expect(run.status).toBe('requires_action');
    await fixture.api.submit(run);
    await fixture.api.waitFor(run, 'completed');
  });
});

describe('without a model', () => {
  /** A port of this machine that nobody listens on. */
  async function findClosedPort(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
    return promise;
  }

  test.concurrent('a server that refuses the connection fails the run', async () => {
    const baseUrl = `http://127.0.0.1:${await findClosedPort()}/v1`;
    const reader = await fixture.api.openRun('any', {}, { 'base-url': baseUrl });
    const run = toLastRun(await reader.rest());
    expect(run).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } });
    expect(run.last_error.message).not.toBe('Sorry, something went wrong.');
    await useThread(fixture.api, run.thread_id);
  });

  test.concurrent('a server that was given none says in the run what to set, and closes the stream', async () => {
    const bare = await startFixture({ env: { OPENAI_BASE_URL: '', OPENAI_API_KEY: '' } });
    try {
      const events = await bare.api.streamRun('gpt-5');
      expect(toNames(events)).toEqual([
        'thread.created',
        'thread.run.created',
        'thread.run.queued',
        'thread.run.failed',
      ]);
      expect(toLastRun(events).last_error.message).toMatch(/OPENAI_API_KEY.*OPENAI_BASE_URL/);
      // The built-in model answers there nevertheless, on the same thread.
      const assistant = await bare.api.createAssistant('understudy/rehearsal');
      const path = `/v1/threads/${toLastRun(events).thread_id}/runs`;
      await bare.api.waitFor(await bare.api.post(path, { assistant_id: assistant }), 'completed');
    } finally {
      await bare.stop();
    }
  });
});

describe('incomplete', () => {
  test.concurrent('an answer cut by its length is kept', async () => {
    const {
      run,
      steps: stored,
      messages,
    } = await streamToRemains(script('length', [steps.say('so far'), steps.finish('length')]));
    expect(run).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_completion_tokens' },
    });
    expect(messages).toMatchObject([
      {
        status: 'incomplete',
        incomplete_details: { reason: 'max_tokens' },
        content: [{ text: { value: 'so far' } }],
      },
    ]);
    expect(stored).toMatchObject([{ status: 'completed' }]);
  });

  test.concurrent('an answer cut by a content filter says so, in the word that Azure has for it', async () => {
    const model = script('filter', [steps.say('so far'), steps.finish('content_filter')]);
    const run = await fixture.api.waitFor(await fixture.api.createRun(model), 'incomplete');
    expect(run.incomplete_details).toEqual({ reason: 'content_filter' });
    const { messages } = await readRemains(run);
    expect(messages).toMatchObject([
      { status: 'incomplete', incomplete_details: { reason: 'content_filter' } },
    ]);
    await useThread(fixture.api, run.thread_id);
  });

  test.concurrent('calls cut by their length are not asked for', async () => {
    const call = steps.callTool('get_weather', { city: 'Oslo' });
    const { run, steps: stored } = await streamToRemains(
      script('length-call', [call, steps.finish('length')]),
      {
        tools: TOOLS,
      },
    );
    expect(run.status).toBe('incomplete');
    expect(stored).toMatchObject([{ type: 'tool_calls', status: 'failed' }]);
  });
});

describe('retries', () => {
  test.concurrent('a server that fails twice and then answers completes the run', async () => {
    const failing = steps.fail(500, { times: 2, headers: { 'retry-after-ms': '10' } });
    const model = script('retry', [failing, steps.say('at last')]);
    const { run, messages } = await streamToRemains(model);
    expect(run.status).toBe('completed');
    expect(messages).toMatchObject([{ content: [{ text: { value: 'at last' } }] }]);
    expect(fixture.upstream.requestsFor(model)).toHaveLength(3);
  });

  test.concurrent('what has begun is not asked again', async () => {
    const model = script('no-retry', [steps.say('Hello'), steps.reset()]);
    expect((await streamToRemains(model)).run.status).toBe('failed');
    expect(fixture.upstream.requestsFor(model)).toHaveLength(1);
  });
});

describe('usage', () => {
  test.concurrent('is summed over the turns, and told by step and run', async () => {
    const model = script(
      'usage-sum',
      [
        steps.callTool('get_weather', {}),
        steps.usage({ prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 }),
      ],
      [steps.say('warm'), steps.usage({ prompt_tokens: 140, completion_tokens: 5, total_tokens: 145 })],
    );
    const { api } = fixture;
    const waiting = toLastRun(await api.streamRun(model, { tools: TOOLS }));
    expect(waiting.usage).toBeNull();
    await api.submit(waiting);
    const run = await api.waitFor(waiting, 'completed');
    expect(run.usage).toEqual({ prompt_tokens: 240, completion_tokens: 25, total_tokens: 265 });
    expect((await api.listSteps(run)).map((step) => step.usage)).toEqual([
      { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 },
      { prompt_tokens: 140, completion_tokens: 5, total_tokens: 145 },
    ]);
  });

  test.concurrent('is zero where the model tells none', async () => {
    const { run, steps: stored } = await streamToRemains(
      script('usage-none', [steps.say('hi'), steps.usage(null)]),
    );
    const none = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    expect(run).toMatchObject({ status: 'completed', usage: none });
    expect(stored).toMatchObject([{ usage: none }]);
  });
});

describe('expiry', () => {
  test.concurrent('a model that hangs expires the run, its step and its message, and is let go', async () => {
    const model = script('hang', [steps.say('wait for it'), steps.hang()]);
    const { run, steps: stored, messages } = await streamToRemains(model);
    expect(run).toMatchObject({ status: 'expired', last_error: null });
    expect(stored).toMatchObject([{ status: 'expired' }]);
    expect(stored[0].expired_at).toBeGreaterThan(0);
    expect(messages).toMatchObject([
      {
        status: 'incomplete',
        incomplete_details: { reason: 'run_expired' },
        content: [{ text: { value: 'wait for it' } }],
      },
    ]);
    expect(await fixture.upstream.requestsFor(model)[0]?.ended).toBe('aborted');
  });

  test.concurrent('a model that does not even begin expires the run', async () => {
    const model = script('hang-before', [steps.hang()]);
    const { run, messages } = await streamToRemains(model);
    expect(run.status).toBe('expired');
    expect(messages).toEqual([]);
    expect(await fixture.upstream.requestsFor(model)[0]?.ended).toBe('aborted');
  });

  test.concurrent('outputs that never come expire the run and its step, and are refused afterwards', async () => {
    const { api } = fixture;
    const model = script('no-outputs', [steps.callTool('get_weather', {})], [steps.say('never')]);
    const waiting = toLastRun(await api.streamRun(model, { tools: TOOLS }));
    expect(waiting.expires_at - waiting.created_at).toBeLessThanOrEqual(EXPIRES_SECONDS + 1);
    await api.waitFor(waiting, 'expired', EXPIRED_WITHIN_MS);
    const remains = await readRemains(waiting);
    expectSettled(remains);
    expect(remains.steps).toMatchObject([{ type: 'tool_calls', status: 'expired' }]);
    const late = await api.tryPost(`${toRunPath(waiting)}/submit_tool_outputs`, {
      tool_outputs: toOutputs(waiting),
    });
    expect(late.status).toBe(400);
    expect(late.json.error.message).toContain('expired');
    expect(fixture.upstream.requestsFor(model)).toHaveLength(1);
    await useThread(api, waiting.thread_id);
  });

  test.concurrent('outputs give the run its full time again', async () => {
    const { api } = fixture;
    const model = script('in-time', [steps.callTool('get_weather', {})], [steps.say('warm')]);
    const waiting = toLastRun(await api.streamRun(model, { tools: TOOLS }));
    // A new wait ends in a later second than the first one, which still leaves two of them for a busy machine.
    const isLater = (): boolean => Date.now() >= (waiting.expires_at - 2) * 1000;
    await waitUntil('a second has gone by', isLater);
    const reader = await api.open(`${toRunPath(waiting)}/submit_tool_outputs`, {
      tool_outputs: toOutputs(waiting),
    });
    const queued = (await reader.rest()).find(({ event }: SeenEvent) => event === 'thread.run.queued');
    expect(queued?.data.expires_at).toBeGreaterThan(waiting.expires_at);
    expect((await api.getRun(waiting)).status).toBe('completed');
  });
});
