/** The npm client's streams of runs: what its handlers are called with, in which order, and what they leave behind. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { AssistantStream } from 'openai/lib/AssistantStream';
import { startServer, type TestServer } from '../support/server.ts';

const MODEL = 'understudy/rehearsal';
const TOOLS: OpenAI.Beta.AssistantTool[] = ['get_weather', 'get_time'].map((name) => ({
  type: 'function',
  function: {
    name,
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}));

let server: TestServer;
let client: OpenAI;
let assistantId: string;

beforeAll(async () => {
  server = await startServer();
  client = server.client();
  assistantId = (await client.beta.assistants.create({ model: MODEL, tools: TOOLS })).id;
});

afterAll(() => server?.stop());

async function createThread(content: string): Promise<string> {
  return (await client.beta.threads.create({ messages: [{ role: 'user', content }] })).id;
}

function toOutputs(run: OpenAI.Beta.Threads.Run) {
  const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  return calls.map((call) => ({ tool_call_id: call.id, output: `${call.function.name} is done` }));
}

/** The names of the handlers as they are called; one that is called again and again counts once in a row. */
function noteHandlers(stream: AssistantStream): string[] {
  const called: string[] = [];
  const note = (name: string): void => {
    if (called.at(-1) !== name) called.push(name);
  };
  stream
    .on('connect', () => note('connect'))
    .on('runStepCreated', () => note('runStepCreated'))
    .on('runStepDone', () => note('runStepDone'))
    .on('toolCallCreated', (call) =>
      note(`toolCallCreated ${call.type === 'function' ? call.function.name : ''}`),
    )
    .on('toolCallDelta', () => note('toolCallDelta'))
    .on('toolCallDone', (call) => note(`toolCallDone ${call.type === 'function' ? call.function.name : ''}`))
    .on('messageCreated', () => note('messageCreated'))
    .on('textCreated', () => note('textCreated'))
    .on('textDelta', () => note('textDelta'))
    .on('textDone', () => note('textDone'))
    .on('messageDone', () => note('messageDone'))
    .on('run', () => note('run'))
    .on('end', () => note('end'));
  return called;
}

describe('handlers', () => {
  test('of a message are called in the order of its life', async () => {
    const threadId = await createThread('Hello');
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
    const called = noteHandlers(stream);
    await stream.done();
    expect(called).toEqual([
      'connect',
      'runStepCreated',
      'messageCreated',
      'textCreated',
      'textDelta',
      'textDone',
      'messageDone',
      'runStepDone',
      'run',
      'end',
    ]);
  });

  test('of parallel function calls are called for each, with the arguments put together', async () => {
    const threadId = await createThread('get_weather in Oslo and get_time in Rome');
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
    const called = noteHandlers(stream);
    const done: string[] = [];
    stream.on('toolCallDone', (call) => {
      if (call.type === 'function') done.push(call.function.arguments);
    });
    const run = await stream.finalRun();
    expect(run.status).toBe('requires_action');
    expect(called.filter((name) => name.startsWith('toolCall'))).toEqual([
      'toolCallCreated get_weather',
      'toolCallDelta',
      'toolCallDone get_weather',
      'toolCallCreated get_time',
      'toolCallDelta',
      'toolCallDone get_time',
    ]);
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    expect(calls.map((call) => call.function.arguments)).toEqual(['{"city":"Oslo"}', '{"city":"Rome"}']);
    expect(done).toEqual(['{"city":"Oslo"}', '{"city":"Rome"}']);
  });

  test('get every event, and each delta with the snapshot that it leads to', async () => {
    const threadId = await createThread('rehearsal: say One two three');
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
    const events: string[] = [];
    const snapshots: string[] = [];
    stream.on('event', ({ event }) => events.push(event));
    stream.on('textDelta', (_delta, snapshot) => snapshots.push(snapshot.value));
    const run = await stream.finalRun();
    expect(events).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.delta',
      'thread.message.delta',
      'thread.message.delta',
      'thread.message.completed',
      'thread.run.step.completed',
      'thread.run.completed',
    ]);
    expect(snapshots).toEqual(['One', 'One two', 'One two three']);
    expect(run).toEqual(await client.beta.threads.runs.retrieve(run.id, { thread_id: threadId }));
  });
});

describe('what a stream knows', () => {
  test('currentRun, currentEvent and the current snapshots follow the stream', async () => {
    const threadId = await createThread('Hello');
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
    expect(stream.currentRun()).toBeUndefined();
    const seen: Record<string, unknown> = {};
    stream.on('textCreated', () => {
      seen.run = stream.currentRun()?.status;
      seen.event = stream.currentEvent()?.event;
      seen.message = stream.currentMessageSnapshot()?.status;
      seen.step = stream.currentRunStepSnapshot()?.type;
    });
    await stream.done();
    expect(seen).toEqual({
      run: 'in_progress',
      event: 'thread.message.delta',
      message: 'in_progress',
      step: 'message_creation',
    });
    expect(stream.currentRun()?.status).toBe('completed');
  });

  test('finalRun, finalMessages and finalRunSteps are what the server keeps', async () => {
    const threadId = await createThread('Hello');
    const stream = client.beta.threads.runs.createAndStream(threadId, { assistant_id: assistantId });
    const [run, messages, steps] = await Promise.all([
      stream.finalRun(),
      stream.finalMessages(),
      stream.finalRunSteps(),
    ]);
    const kept = await client.beta.threads.messages.list(threadId, { run_id: run.id });
    expect(messages).toEqual(kept.data);
    const keptSteps = await client.beta.threads.runs.steps.list(run.id, { thread_id: threadId });
    expect(steps).toEqual(keptSteps.data);
    expect(run.usage?.completion_tokens).toBe(steps[0]?.usage?.completion_tokens ?? -1);
  });

  test('a stream that is handed on as bytes tells the same story', async () => {
    const threadId = await createThread('Hello');
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
    const copy = AssistantStream.fromReadableStream(stream.toReadableStream());
    const messages = await copy.finalMessages();
    expect((await copy.finalRun()).status).toBe('completed');
    expect(messages).toEqual((await client.beta.threads.messages.list(threadId, { limit: 1 })).data);
  });
});

describe('streams without helpers', () => {
  test('create, submitToolOutputs and createAndRun with stream: true are iterated to their end', async () => {
    const threadId = await createThread('get_weather in Oslo, then get_time in Rome');
    const runs = client.beta.threads.runs;
    const readLastRun = async (stream: AsyncIterable<OpenAI.Beta.AssistantStreamEvent>) => {
      let last: OpenAI.Beta.Threads.Run | null = null;
      for await (const event of stream) {
        if (event.event === 'thread.run.requires_action' || event.event === 'thread.run.completed')
          last = event.data;
      }
      if (last === null) throw new Error('The stream ended without the end of a run.');
      return last;
    };
    const asked: string[] = [];
    let run = await readLastRun(await runs.create(threadId, { assistant_id: assistantId, stream: true }));
    while (run.status === 'requires_action' && asked.length < 5) {
      const outputs = toOutputs(run);
      asked.push(...outputs.map(({ output }) => output));
      run = await readLastRun(
        await runs.submitToolOutputs(run.id, { thread_id: threadId, tool_outputs: outputs, stream: true }),
      );
    }
    expect(run.status).toBe('completed');
    expect(asked).toEqual(['get_weather is done', 'get_time is done']);

    const whole = await client.beta.threads.createAndRun({
      assistant_id: assistantId,
      thread: { messages: [{ role: 'user', content: 'Hello' }] },
      stream: true,
    });
    expect((await readLastRun(whole)).status).toBe('completed');
  });
});

describe('streams that do not end well', () => {
  test('a failing model ends the stream with a failed run and its last_error', async () => {
    const threadId = await createThread('rehearsal: words 20\nrehearsal: fail midway');
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
    const events: string[] = [];
    let incomplete = '';
    stream.on('event', ({ event }) => events.push(event));
    stream.on('messageDone', (message) => {
      incomplete = message.status;
    });
    const run = await stream.finalRun();
    expect(run).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } });
    expect(events.at(-1)).toBe('thread.run.failed');
    expect(events).toContain('thread.run.step.failed');
    expect(incomplete).toBe('incomplete');
  });

  test('a stream that reaches its token limit ends with an incomplete run and keeps what was said', async () => {
    const threadId = await createThread('rehearsal: words 300');
    const stream = client.beta.threads.runs.stream(threadId, {
      assistant_id: assistantId,
      max_completion_tokens: 256,
    });
    const run = await stream.finalRun();
    expect(run).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_completion_tokens' },
    });
    const [message] = await stream.finalMessages();
    expect(message).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_tokens' } });
    const [part] = message?.content ?? [];
    expect(part?.type === 'text' ? part.text.value.split(' ').length : 0).toBe(256);
  });

  test('a run that is cancelled elsewhere ends the stream as cancelled', async () => {
    const threadId = await createThread('rehearsal: words 1000\nrehearsal: slow 20ms');
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
    const cancelled = Promise.withResolvers<void>();
    let isCancelling = false;
    stream.on('textDelta', () => {
      const run = stream.currentRun();
      if (isCancelling || run === undefined) return;
      isCancelling = true;
      client.beta.threads.runs
        .cancel(run.id, { thread_id: threadId })
        .then(() => cancelled.resolve(), cancelled.reject);
    });
    expect((await stream.finalRun()).status).toBe('cancelled');
    await cancelled.promise;
  });

  test('a loop that is left early aborts the request, and the run goes on to its end', async () => {
    const threadId = await createThread('rehearsal: words 40\nrehearsal: slow 5ms');
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
    // Whoever iterates gets the abort from the loop; the promise that nobody waits for is told so.
    stream.done().catch(() => {});
    let runId = '';
    for await (const event of stream) {
      if (event.event === 'thread.run.created') runId = event.data.id;
      if (event.event === 'thread.message.delta') break;
    }
    expect(stream.controller.signal.aborted).toBe(true);
    const run = await client.beta.threads.runs.poll(runId, { thread_id: threadId });
    expect(run.status).toBe('completed');
  });

  test('a stream that cannot begin rejects with the typed error', async () => {
    const threadId = await createThread('Hello');
    const error = await client.beta.threads.runs
      .stream(threadId, { assistant_id: 'asst_missing' })
      .finalRun()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({ status: 404, message: expect.stringContaining("'asst_missing'") });
  });
});
