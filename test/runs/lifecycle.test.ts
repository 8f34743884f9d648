/** The life of runs as their clients see it: events, endings, cancelling, restarts. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type OpenAI from 'openai';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { readEverything } from '../support/stored.ts';
import * as steps from '../support/upstream-steps.ts';

type Run = OpenAI.Beta.Threads.Run;

const TOOL: OpenAI.Beta.AssistantTool = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
};

const TEXT_EVENTS = [
  'thread.run.in_progress',
  'thread.run.step.created',
  'thread.run.step.in_progress',
  'thread.message.created',
  'thread.message.in_progress',
  'thread.message.delta',
  'thread.message.completed',
  'thread.run.step.completed',
  'thread.run.completed',
];

let upstream: ScriptedUpstream;
let server: TestServer;
let client: OpenAI;

function toEnv() {
  return { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'operator-key' };
}

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  server = await startServer({ env: toEnv(), flags: ['--run-expires-seconds', '3'] });
  client = server.client();
});

afterAll(async () => {
  await server.stop();
  await upstream.close();
});

async function createAssistant(model: string, body: Partial<OpenAI.Beta.AssistantCreateParams> = {}) {
  return client.beta.assistants.create({ model, ...body });
}

async function createThread(text = 'Hello'): Promise<string> {
  return (await client.beta.threads.create({ messages: [{ role: 'user', content: text }] })).id;
}

/** The names of the events, repeated deltas told once. */
async function collect(stream: AsyncIterable<{ event: string }>): Promise<string[]> {
  const names: string[] = [];
  for await (const { event } of stream) if (names.at(-1) !== event) names.push(event);
  return names;
}

async function runToRest(model: string, body: Partial<OpenAI.Beta.AssistantCreateParams> = {}): Promise<Run> {
  const assistant = await createAssistant(model, body);
  return client.beta.threads.runs.createAndPoll(await createThread(), { assistant_id: assistant.id });
}

function waitForStatus(run: Run, status: Run['status']): Promise<void> {
  return waitUntil(`run is ${status}`, async () => {
    const now = await client.beta.threads.runs.retrieve(run.id, { thread_id: run.thread_id });
    return now.status === status;
  });
}

describe('events', () => {
  test('a streamed run announces everything in the order of OpenAI, and ends', async () => {
    const assistant = await createAssistant(upstream.script('events-text', [steps.say('Hi there friend')]));
    const stream = client.beta.threads.runs.stream(await createThread(), { assistant_id: assistant.id });
    expect(await collect(stream)).toEqual(['thread.run.created', 'thread.run.queued', ...TEXT_EVENTS]);
    expect((await stream.finalMessages())[0]?.content[0]).toMatchObject({
      text: { value: 'Hi there friend' },
    });
  });

  test('a run with text and calls waits, and goes on in the stream of the outputs', async () => {
    const model = upstream.script(
      'events-calls',
      [
        steps.say('Let me see'),
        steps.callTools([
          { name: 'get_weather', arguments: { city: 'Oslo' } },
          { name: 'get_weather', arguments: { city: 'Rome' } },
        ]),
      ],
      [steps.say('Cold and warm')],
    );
    const assistant = await createAssistant(model, { tools: [TOOL] });
    const threadId = await createThread();
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistant.id });
    expect(await collect(stream)).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.delta',
      'thread.message.completed',
      'thread.run.step.completed',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.run.step.delta',
      'thread.run.requires_action',
    ]);
    const run = await stream.finalRun();
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    expect(calls.map((call) => JSON.parse(call.function.arguments))).toEqual([
      { city: 'Oslo' },
      { city: 'Rome' },
    ]);
    const second = client.beta.threads.runs.submitToolOutputsStream(run.id, {
      thread_id: threadId,
      tool_outputs: calls.map((call, index) => ({ tool_call_id: call.id, output: `out ${index}` })),
    });
    expect(await collect(second)).toEqual(['thread.run.step.completed', 'thread.run.queued', ...TEXT_EVENTS]);
    const sent = upstream.requestsFor(model).at(-1)?.body as OpenAI.Chat.ChatCompletionCreateParams;
    expect(sent.messages.map((message) => message.role)).toEqual(['user', 'assistant', 'tool', 'tool']);
    expect(sent.messages.slice(2)).toMatchObject(
      calls.map((call, index) => ({ tool_call_id: call.id, content: `out ${index}` })),
    );
    expect(sent.messages[1]).toMatchObject({ content: 'Let me see' });
  });

  test('every event of a stream is stored when it is announced', async () => {
    const assistant = await createAssistant(upstream.script('stored', [steps.say('one two three')]));
    const threadId = await createThread();
    const stream = await client.beta.threads.runs.create(threadId, {
      assistant_id: assistant.id,
      stream: true,
    });
    for await (const event of stream) {
      if (event.event === 'thread.message.created' || event.event === 'thread.message.completed') {
        const stored = await client.beta.threads.messages.retrieve(event.data.id, { thread_id: threadId });
        expect(['in_progress', 'completed']).toContain(stored.status);
        if (event.event === 'thread.message.completed')
          expect(stored).toMatchObject({ content: event.data.content });
      }
      if (event.event === 'thread.run.completed') {
        const stored = await client.beta.threads.runs.retrieve(event.data.id, { thread_id: threadId });
        expect(stored).toMatchObject({ status: 'completed', usage: event.data.usage });
      }
    }
  });

  test('the frames are named events ended by done', async () => {
    const assistant = await createAssistant(upstream.script('frames', [steps.say('hi')]));
    const { text, headers } = await server.call('POST', '/v1/threads/runs', {
      assistant_id: assistant.id,
      stream: true,
    });
    expect(headers.get('content-type')).toContain('text/event-stream');
    const frames = text.split('\n\n').filter((frame) => frame !== '');
    expect(frames[0]).toStartWith('event: thread.created\ndata: {');
    expect(frames.at(-1)).toBe('event: done\ndata: [DONE]');
    for (const frame of frames) expect(frame).toMatch(/^event: [a-z._]+\ndata: [^\n]+$/);
  });
});

describe('the request to the model', () => {
  test('every field of the run reaches the model, and wins over the assistant', async () => {
    const model = upstream.script('fields', [steps.say('ok')]);
    const assistant = await createAssistant('script:other', { instructions: 'A', temperature: 0.1 });
    const run = await client.beta.threads.runs.createAndPoll(await createThread('first'), {
      assistant_id: assistant.id,
      model,
      instructions: 'B',
      additional_instructions: 'C',
      additional_messages: [{ role: 'user', content: 'second' }],
      tools: [TOOL],
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
      parallel_tool_calls: false,
      temperature: 0.5,
      top_p: 0.9,
      max_completion_tokens: 300,
      reasoning_effort: 'low',
      response_format: { type: 'json_object' },
    });
    expect(run.status).toBe('completed');
    expect(upstream.requestsFor(model)[0]?.body).toMatchObject({
      model,
      messages: [
        { role: 'system', content: 'B\n\nC' },
        { role: 'user', content: 'first' },
        { role: 'user', content: 'second' },
      ],
      temperature: 0.5,
      top_p: 0.9,
      max_completion_tokens: 300,
      reasoning_effort: 'low',
      parallel_tool_calls: false,
      response_format: { type: 'json_object' },
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
      tools: [{ type: 'function', function: { name: 'get_weather' } }],
    });
  });

  test('what nobody set is not sent, and shows its default', async () => {
    const model = upstream.script('defaults', [steps.say('ok')]);
    const run = await runToRest(model);
    const body = upstream.requestsFor(model)[0]?.body as Record<string, unknown>;
    expect(Object.keys(body).sort()).toEqual(['messages', 'model', 'stream', 'stream_options']);
    expect(run).toMatchObject({ temperature: 1, top_p: 1, tool_choice: 'auto', parallel_tool_calls: true });
  });

  test('a run on an empty thread without instructions asks the model something', async () => {
    const model = upstream.script('empty', [steps.say('ok')]);
    const assistant = await createAssistant(model);
    const run = await client.beta.threads.createAndRunPoll({ assistant_id: assistant.id });
    expect(run.status).toBe('completed');
    expect(upstream.requestsFor(model)[0]?.body).toMatchObject({ messages: [{ role: 'system' }] });
  });

  test('last_messages shows the model the newest messages only', async () => {
    const model = upstream.script('last', [steps.say('ok')]);
    const assistant = await createAssistant(model);
    const thread = await client.beta.threads.create({
      messages: ['a', 'b', 'c', 'd'].map((content) => ({ role: 'user' as const, content })),
    });
    await client.beta.threads.runs.createAndPoll(thread.id, {
      assistant_id: assistant.id,
      truncation_strategy: { type: 'last_messages', last_messages: 2 },
    });
    expect(upstream.requestsFor(model)[0]?.body).toMatchObject({
      messages: [{ content: 'c' }, { content: 'd' }],
    });
  });

  test('a prompt that is too long for the model is tried again with less of the thread', async () => {
    const tooLong = steps.fail(400, { code: 'context_length_exceeded', message: 'too long', times: 2 });
    const model = upstream.script('overflow', [tooLong, steps.say('fits')]);
    const assistant = await createAssistant(model);
    const thread = await client.beta.threads.create({
      messages: Array.from({ length: 40 }, (_, index) => ({
        role: 'user' as const,
        content: `message ${index}`,
      })),
    });
    const run = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
    const lengths = upstream
      .requestsFor(model)
      .map((request) => (request.body as OpenAI.Chat.ChatCompletionCreateParams).messages.length);
    expect(lengths).toHaveLength(3);
    for (let i = 1; i < lengths.length; i += 1) expect(lengths[i]).toBeLessThan(lengths[i - 1] ?? 0);
    expect(run.status).toBe('completed');
  });
});

describe('endings', () => {
  const failures: [string, steps.Step[], string][] = [
    ['rate limit', [steps.fail(429, { retryAfter: '3600' })], 'rate_limit_exceeded'],
    ['bad key', [steps.fail(401)], 'server_error'],
    ['bad request', [steps.fail(400)], 'invalid_prompt'],
    ['cut in the middle', [steps.say('Hello wor'), steps.reset()], 'server_error'],
    ['ended without a finish', [steps.say('Hello wor'), steps.end()], 'server_error'],
    ['half a line', [steps.say('Hello wor'), steps.raw('data: {"cho'), steps.end()], 'server_error'],
  ];
  for (const [name, script, code] of failures) {
    test(`${name} fails the run, ends its stream and frees the thread`, async () => {
      const assistant = await createAssistant(upstream.script(`fails ${name}`, script));
      const threadId = await createThread();
      const stream = await client.beta.threads.runs.create(threadId, {
        assistant_id: assistant.id,
        stream: true,
      });
      const names = await collect(stream);
      expect(names.at(-1)).toBe('thread.run.failed');
      const [run] = (await client.beta.threads.runs.list(threadId)).data;
      expect(run).toMatchObject({ status: 'failed', last_error: { code } });
      const [message] = (await client.beta.threads.messages.list(threadId)).data;
      if (message?.role === 'assistant') {
        expect(message).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'run_failed' } });
      }
      const good = await createAssistant('any-other-model');
      const next = await client.beta.threads.runs.createAndPoll(threadId, { assistant_id: good.id });
      expect(next.status).toBe('completed');
    });
  }

  test('a server that fails twice and then answers is asked again', async () => {
    const model = upstream.script('flaky', [steps.fail(500, { times: 2 }), steps.say('at last')]);
    expect((await runToRest(model)).status).toBe('completed');
  });

  test('length ends a run incomplete, with what was said', async () => {
    const run = await runToRest(upstream.script('length', [steps.say('so far'), steps.finish('length')]));
    expect(run).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_completion_tokens' },
    });
    const [message] = (await client.beta.threads.messages.list(run.thread_id)).data;
    expect(message).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_tokens' } });
    expect(message?.content[0]).toMatchObject({ text: { value: 'so far' } });
  });

  test('an answer without a word leaves a message with an empty text', async () => {
    const run = await runToRest(upstream.script('silent', [steps.finish('stop')]));
    expect(run.status).toBe('completed');
    const [message] = (await client.beta.threads.messages.list(run.thread_id)).data;
    expect(message?.content[0]).toMatchObject({ type: 'text', text: { value: '' } });
  });

  test('a model that hangs expires the run', async () => {
    const run = await runToRest(upstream.script('hangs', [steps.say('wait for it'), steps.hang()]));
    expect(run.status).toBe('expired');
  });

  test('outputs that never come expire the run and its step', async () => {
    const run = await runToRest(upstream.script('waits', [steps.callTool('get_weather', {})]), {
      tools: [TOOL],
    });
    expect(run.status).toBe('requires_action');
    await waitForStatus(run, 'expired');
    const [step] = (await client.beta.threads.runs.steps.list(run.id, { thread_id: run.thread_id })).data;
    expect(step?.status).toBe('expired');
    const late = client.beta.threads.runs.submitToolOutputs(run.id, {
      thread_id: run.thread_id,
      tool_outputs: [],
    });
    expect(await late.catch((error) => error.status)).toBe(400);
  });

  test('without any model the run fails and says what to set', async () => {
    const bare = await startServer();
    try {
      const own = bare.client();
      const assistant = await own.beta.assistants.create({ model: 'gpt-4o' });
      const run = await own.beta.threads.createAndRunPoll({ assistant_id: assistant.id });
      expect(run.status).toBe('failed');
      expect(run.last_error?.message).toContain('OPENAI_API_KEY');
    } finally {
      await bare.stop();
    }
  });
});

describe('cancelling', () => {
  test('a cancel from another connection ends the stream, the message and the call upstream', async () => {
    const model = upstream.script('cancelled', [steps.say('Once upon'), steps.hang()]);
    const assistant = await createAssistant(model);
    const threadId = await createThread();
    const stream = await client.beta.threads.runs.create(threadId, {
      assistant_id: assistant.id,
      stream: true,
    });
    const names: string[] = [];
    for await (const event of stream) {
      names.push(event.event);
      if (
        event.event === 'thread.message.delta' &&
        names.filter((name) => name === event.event).length === 1
      ) {
        const [run] = (await client.beta.threads.runs.list(threadId)).data;
        const cancelling = await client.beta.threads.runs.cancel(run?.id ?? '', { thread_id: threadId });
        expect(cancelling.status).toBe('cancelling');
      }
    }
    expect(names.slice(-4)).toEqual([
      'thread.run.cancelling',
      'thread.message.incomplete',
      'thread.run.step.cancelled',
      'thread.run.cancelled',
    ]);
    const [message] = (await client.beta.threads.messages.list(threadId)).data;
    expect(message).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'run_cancelled' } });
    expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');
  });

  test('a run that waits for outputs is cancelled, with its step', async () => {
    const run = await runToRest(upstream.script('waits2', [steps.callTool('get_weather', {})]), {
      tools: [TOOL],
    });
    await client.beta.threads.runs.cancel(run.id, { thread_id: run.thread_id });
    await waitForStatus(run, 'cancelled');
    const [step] = (await client.beta.threads.runs.steps.list(run.id, { thread_id: run.thread_id })).data;
    expect(step?.status).toBe('cancelled');
  });

  test('cancelling against the end of a run always comes to an end', async () => {
    const assistant = await createAssistant(upstream.script('race', [steps.say('done at once')]));
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const threadId = await createThread();
        const run = await client.beta.threads.runs.create(threadId, { assistant_id: assistant.id });
        if (index % 2 === 1) await Bun.sleep(index / 10);
        await client.beta.threads.runs.cancel(run.id, { thread_id: threadId }).catch((error) => {
          expect(error.status).toBe(400);
        });
        const ended = await client.beta.threads.runs.poll(run.id, { thread_id: threadId });
        expect(['cancelled', 'completed']).toContain(ended.status);
        await client.beta.threads.messages.create(threadId, { role: 'user', content: 'the thread is free' });
      }),
    );
  });
});

describe('one active run a thread', () => {
  test('of runs created at once exactly one wins, the others get the reason', async () => {
    const assistant = await createAssistant(
      upstream.script('slow', [steps.say('a'), steps.wait(300), steps.say('b')]),
    );
    const threadId = await createThread();
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () =>
        client.beta.threads.runs.create(threadId, { assistant_id: assistant.id }),
      ),
    );
    const won = results.filter((result) => result.status === 'fulfilled');
    expect(won).toHaveLength(1);
    for (const result of results) {
      if (result.status !== 'rejected') continue;
      expect(result.reason.status).toBe(400);
      expect(result.reason.message).toContain(`Thread ${threadId} already has an active run run_`);
    }
    const adding = client.beta.threads.messages.create(threadId, { role: 'user', content: 'too early' });
    expect(await adding.catch((error) => error.status)).toBe(400);
    const run = won[0]?.value as Run;
    expect((await client.beta.threads.runs.poll(run.id, { thread_id: threadId })).status).toBe('completed');
  });

  test('a client that leaves does not stop its run', async () => {
    const model = upstream.script('left', [steps.say('a b c'), steps.wait(200), steps.say(' d e f')]);
    const assistant = await createAssistant(model);
    const threadId = await createThread();
    const stream = await client.beta.threads.runs.create(threadId, {
      assistant_id: assistant.id,
      stream: true,
    });
    for await (const event of stream) if (event.event === 'thread.message.delta') break;
    const [run] = (await client.beta.threads.runs.list(threadId)).data;
    const ended = await client.beta.threads.runs.poll(run?.id ?? '', { thread_id: threadId });
    expect(ended.status).toBe('completed');
    const [message] = (await client.beta.threads.messages.list(threadId)).data;
    expect(message?.content[0]).toMatchObject({ text: { value: 'a b c d e f' } });
  });
});

describe('restarts', () => {
  test('what is active at a kill ends: continued under its own ids, or failed with the reason', async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-restart-'));
    const first = await startServer({ dataDirectory, env: toEnv() });
    const own = first.client();
    const model = upstream.script('restart', [steps.say('Half'), steps.wait(1500), steps.say(' whole')]);
    const assistant = await own.beta.assistants.create({ model });
    const waiting = await own.beta.assistants.create({
      model: upstream.script('restart-calls', [steps.callTool('get_weather', {})], [steps.say('warm')]),
      tools: [TOOL],
    });
    const start = (c: OpenAI) => c.beta.threads.createAndRun({ assistant_id: assistant.id, stream: true });
    const kept = await start(own);
    const lost = await start(
      first.client({ apiKey: 'sk-of-the-request', defaultHeaders: { 'base-url': upstream.url } }),
    );
    const asked = await own.beta.threads.createAndRunPoll({ assistant_id: waiting.id });
    const seen = await Promise.all([kept, lost].map(readUntilText));
    await first.kill();
    const second = await startServer({ dataDirectory, env: toEnv() });
    try {
      const again = second.client();
      const [a, b] = await Promise.all(
        seen.map(({ runId, threadId }) => again.beta.threads.runs.poll(runId, { thread_id: threadId })),
      );
      expect(a?.status).toBe('completed');
      const messages = (await again.beta.threads.messages.list(seen[0]?.threadId ?? '')).data;
      expect(messages.map(({ id, status }) => [id, status])).toEqual([
        [seen[0]?.messageId ?? '', 'completed'],
      ]);
      expect(messages[0]?.content[0]).toMatchObject({ text: { value: 'Half whole' } });
      expect(b).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } });
      expect(b?.last_error?.message).toContain('restarted');
      const [call] = asked.required_action?.submit_tool_outputs.tool_calls ?? [];
      const answered = await again.beta.threads.runs.submitToolOutputsAndPoll(asked.id, {
        thread_id: asked.thread_id,
        tool_outputs: [{ tool_call_id: call?.id ?? '', output: '22' }],
      });
      expect(answered.status).toBe('completed');
    } finally {
      await second.stop();
      await rm(dataDirectory, { recursive: true, force: true });
    }
  });
});

describe('keys', () => {
  const SECRETS = ['sk-operator-0123456789', 'sk-request-0123456789'];

  test('reach the model, and neither the disk, nor the log, nor an answer', async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-keys-'));
    const env = { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: SECRETS[0] ?? '' };
    const own = await startServer({ dataDirectory, env, flags: ['--log-level', 'debug'] });
    const models = [
      upstream.script('keys-fine', [steps.say('ok')]),
      upstream.script('keys-refused', [
        steps.fail(401, { message: `Incorrect API key: ${SECRETS.join(' ')}` }),
      ]),
    ];
    let answers = '';
    for (const apiKey of ['understudy', SECRETS[1] ?? '']) {
      const asked = own.client({ apiKey });
      for (const model of models) {
        const { id } = await asked.beta.assistants.create({ model });
        answers += JSON.stringify(await asked.beta.threads.createAndRunPoll({ assistant_id: id }));
        answers += (
          await own.call(
            'POST',
            '/v1/chat/completions',
            { model, messages: [] },
            { authorization: `Bearer ${apiKey}` },
          )
        ).text;
      }
    }
    const sent = upstream.requestsFor(models[0] ?? '').map((request) => request.headers.authorization);
    expect(new Set(sent)).toEqual(new Set(SECRETS.map((secret) => `Bearer ${secret}`)));
    await own.stop();
    let kept = own.output() + answers;
    kept += await readEverything(dataDirectory);
    expect(kept.length).toBeGreaterThan(10_000);
    // Refused calls quote keys: the request's own is taken out, as is whatever looks like one.
    for (const secret of SECRETS) expect(kept).not.toContain(secret);
    await rm(dataDirectory, { recursive: true, force: true });
  });
});

describe('stopping', () => {
  test('a run that goes on when the server stops is taken up at once by the next', async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-stop-'));
    const model = upstream.script('stopped', [steps.say('Half'), steps.wait(1000), steps.say(' whole')]);
    const first = await startServer({ dataDirectory, env: toEnv(), flags: ['--drain-seconds', '0'] });
    const assistant = await first.client().beta.assistants.create({ model });
    const stream = await first
      .client()
      .beta.threads.createAndRun({ assistant_id: assistant.id, stream: true });
    const seen = await readUntilText(stream);
    expect(await first.stop()).toBe(0);
    const second = await startServer({ dataDirectory, env: toEnv() });
    try {
      const again = second.client();
      const run = await again.beta.threads.runs.poll(seen.runId, { thread_id: seen.threadId });
      expect(run.status).toBe('completed');
      const messages = (await again.beta.threads.messages.list(seen.threadId)).data;
      expect(messages.map(({ id }) => id)).toEqual([seen.messageId]);
    } finally {
      await second.stop();
      await rm(dataDirectory, { recursive: true, force: true });
    }
  });

  test('a run that ends within the time to drain ends on the server that stops', async () => {
    const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-drain-'));
    const model = upstream.script('drained', [steps.say('Half'), steps.wait(400), steps.say(' whole')]);
    const own = await startServer({ dataDirectory, env: toEnv() });
    const assistant = await own.client().beta.assistants.create({ model });
    const stream = await own.client().beta.threads.createAndRun({ assistant_id: assistant.id, stream: true });
    let stopped: Promise<number> | null = null;
    const names: string[] = [];
    for await (const event of stream) {
      names.push(event.event);
      if (event.event === 'thread.message.delta') stopped ??= own.stop();
    }
    expect(names.at(-1)).toBe('thread.run.completed');
    expect(await stopped).toBe(0);
    await rm(dataDirectory, { recursive: true, force: true });
  });
});

type Streamed = AsyncIterable<OpenAI.Beta.AssistantStreamEvent>;

async function readUntilText(
  stream: Streamed,
): Promise<{ runId: string; threadId: string; messageId: string }> {
  const seen = { runId: '', threadId: '', messageId: '' };
  for await (const event of stream) {
    if (event.event === 'thread.run.created') {
      seen.runId = event.data.id;
      seen.threadId = event.data.thread_id;
    }
    if (event.event === 'thread.message.delta') {
      seen.messageId = event.data.id;
      return seen;
    }
  }
  throw new Error('the stream ended without a text');
}
