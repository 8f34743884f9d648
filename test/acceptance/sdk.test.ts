/** The official npm client, unchanged, with every helper that it has for assistants. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { startServer, type TestServer } from '../support/server.ts';

const MODEL = 'understudy/rehearsal';
const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};
const ASK = { role: 'user' as const, content: 'What is the weather in Paris?' };

let server: TestServer;
let client: OpenAI;
let assistantId: string;

beforeAll(async () => {
  server = await startServer();
  client = server.client();
  assistantId = (await client.beta.assistants.create({ model: MODEL, tools: [WEATHER] })).id;
});

afterAll(() => server.stop());

function toOutputs(run: OpenAI.Beta.Threads.Run) {
  const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  return calls.map((call) => ({ tool_call_id: call.id, output: 'sunny' }));
}

async function readLastText(threadId: string): Promise<string> {
  const [message] = (await client.beta.threads.messages.list(threadId, { limit: 1 })).data;
  const part = message?.content[0];
  return part?.type === 'text' ? part.text.value : '';
}

describe('helpers of runs', () => {
  test('createAndPoll, submitToolOutputsAndPoll', async () => {
    const thread = await client.beta.threads.create({ messages: [ASK] });
    const run = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistantId });
    expect(run.status).toBe('requires_action');
    const ended = await client.beta.threads.runs.submitToolOutputsAndPoll(run.id, {
      thread_id: thread.id,
      tool_outputs: toOutputs(run),
    });
    expect(ended.status).toBe('completed');
    expect(ended.usage?.total_tokens).toBeGreaterThan(0);
    expect(await readLastText(thread.id)).toContain('sunny');
  });

  test('createAndRunPoll, poll', async () => {
    const run = await client.beta.threads.createAndRunPoll({
      assistant_id: assistantId,
      thread: { messages: [{ role: 'user', content: 'Hello' }] },
    });
    expect(run.status).toBe('completed');
    expect((await client.beta.threads.runs.poll(run.id, { thread_id: run.thread_id })).status).toBe(
      'completed',
    );
  });

  test('a stream calls every handler, and its snapshots are what is stored', async () => {
    const thread = await client.beta.threads.create({ messages: [ASK] });
    const called: string[] = [];
    const note = (name: string) => () => {
      if (!called.includes(name)) called.push(name);
    };
    const first = client.beta.threads.runs
      .stream(thread.id, { assistant_id: assistantId })
      .on('runStepCreated', note('runStepCreated'))
      .on('runStepDelta', note('runStepDelta'))
      .on('toolCallCreated', note('toolCallCreated'))
      .on('toolCallDelta', note('toolCallDelta'))
      .on('toolCallDone', note('toolCallDone'));
    const run = await first.finalRun();
    expect(called).toEqual([
      'runStepCreated',
      'toolCallCreated',
      'runStepDelta',
      'toolCallDelta',
      'toolCallDone',
    ]);
    const [step] = await first.finalRunSteps();
    expect(step?.step_details).toMatchObject({
      tool_calls: [{ function: { arguments: '{"city":"Paris"}' } }],
    });

    called.length = 0;
    let text = '';
    const second = client.beta.threads.runs
      .submitToolOutputsStream(run.id, { thread_id: thread.id, tool_outputs: toOutputs(run) })
      .on('event', note('event'))
      .on('messageCreated', note('messageCreated'))
      .on('messageDelta', note('messageDelta'))
      .on('textCreated', note('textCreated'))
      .on('textDelta', (delta) => {
        text += delta.value ?? '';
      })
      .on('textDone', note('textDone'))
      .on('messageDone', note('messageDone'))
      .on('runStepDone', note('runStepDone'))
      .on('run', note('run'))
      .on('end', note('end'));
    const messages = await second.finalMessages();
    await second.done();
    for (const name of [
      'messageCreated',
      'messageDelta',
      'textCreated',
      'textDone',
      'messageDone',
      'runStepDone',
      'end',
    ]) {
      expect(called).toContain(name);
    }
    const stored = await client.beta.threads.messages.retrieve(messages[0]?.id ?? '', {
      thread_id: thread.id,
    });
    expect(messages[0]?.content).toEqual(stored.content);
    expect(text).toBe(await readLastText(thread.id));
  });

  test('createAndRunStream begins with the thread', async () => {
    const stream = client.beta.threads.createAndRunStream({ assistant_id: assistantId });
    const names: string[] = [];
    for await (const event of stream) names.push(event.event);
    expect(names[0]).toBe('thread.created');
    expect((await stream.finalRun()).status).toBe('completed');
  });

  test('an aborted stream leaves its run going on', async () => {
    const thread = await client.beta.threads.create({
      messages: [{ role: 'user', content: 'rehearsal: words 30\nrehearsal: slow 10ms' }],
    });
    const stream = client.beta.threads.runs.stream(thread.id, { assistant_id: assistantId });
    stream.on('textDelta', () => stream.abort());
    await stream.done().catch((error) => expect(error).toBeInstanceOf(OpenAI.APIUserAbortError));
    const [run] = (await client.beta.threads.runs.list(thread.id)).data;
    const ended = await client.beta.threads.runs.poll(run?.id ?? '', { thread_id: thread.id });
    expect(ended.status).toBe('completed');
    expect((await readLastText(thread.id)).split(' ').length).toBeGreaterThanOrEqual(30);
  });

  test('cancel, update, and listing of runs and steps', async () => {
    const thread = await client.beta.threads.create({ messages: [ASK] });
    const run = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistantId });
    const changed = await client.beta.threads.runs.update(run.id, {
      thread_id: thread.id,
      metadata: { a: 'b' },
    });
    expect(changed.metadata).toEqual({ a: 'b' });
    await client.beta.threads.runs.cancel(run.id, { thread_id: thread.id });
    expect((await client.beta.threads.runs.poll(run.id, { thread_id: thread.id })).status).toBe('cancelled');
    const steps = await client.beta.threads.runs.steps.list(run.id, { thread_id: thread.id });
    const [step] = steps.data;
    const same = await client.beta.threads.runs.steps.retrieve(step?.id ?? '', {
      thread_id: thread.id,
      run_id: run.id,
    });
    expect(same).toMatchObject({ id: step?.id ?? '', status: 'cancelled' });
  });
});

describe('lists and records', () => {
  test('auto-paging iterators see everything once, in both orders', async () => {
    const thread = await client.beta.threads.create();
    const ids: string[] = [];
    for (let i = 0; i < 25; i += 1) {
      ids.push((await client.beta.threads.messages.create(thread.id, { role: 'user', content: `${i}` })).id);
    }
    for (const order of ['asc', 'desc'] as const) {
      const seen: string[] = [];
      for await (const message of client.beta.threads.messages.list(thread.id, { order, limit: 4 }))
        seen.push(message.id);
      expect(seen).toEqual(order === 'asc' ? ids : ids.toReversed());
    }
  });

  test('assistants and threads are made, changed, listed and deleted', async () => {
    const made = await client.beta.assistants.create({ model: MODEL, name: 'A', metadata: { k: 'v' } });
    const changed = await client.beta.assistants.update(made.id, { name: 'B', instructions: 'Be brief.' });
    expect(changed).toMatchObject({ name: 'B', instructions: 'Be brief.', metadata: { k: 'v' } });
    const ids: string[] = [];
    for await (const assistant of client.beta.assistants.list({ limit: 1 })) ids.push(assistant.id);
    expect(ids).toContain(made.id);
    expect(await client.beta.assistants.delete(made.id)).toMatchObject({ id: made.id, deleted: true });
    const gone = await client.beta.assistants.retrieve(made.id).catch((error) => error);
    expect(gone).toBeInstanceOf(OpenAI.NotFoundError);

    const thread = await client.beta.threads.create({ metadata: { user: '1' } });
    expect((await client.beta.threads.update(thread.id, { metadata: { user: '2' } })).metadata).toEqual({
      user: '2',
    });
    expect((await client.beta.threads.delete(thread.id)).deleted).toBe(true);
  });

  test('errors are typed, with code and parameter', async () => {
    const error = await client.beta.assistants
      .create({ model: MODEL, temperature: 5 })
      .catch((thrown: InstanceType<typeof OpenAI.BadRequestError>) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ status: 400, param: 'temperature', code: 'decimal_above_max_value' });
  });
});

describe('the models themselves', () => {
  test('chat completions, plain and streamed', async () => {
    const messages = [{ role: 'user' as const, content: 'rehearsal: say Good evening' }];
    const plain = await client.chat.completions.create({ model: MODEL, messages });
    expect(plain.choices[0]?.message.content).toBe('Good evening');
    const stream = client.chat.completions.stream({ model: MODEL, messages });
    expect(await stream.finalContent()).toBe('Good evening');
  });

  test('chat completions call tools', async () => {
    const completion = await client.chat.completions.create({
      model: MODEL,
      messages: [ASK],
      tools: [WEATHER],
    });
    expect(completion.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ function: { name: 'get_weather', arguments: '{"city":"Paris"}' } }] },
    });
  });

  test('embeddings have the asked dimensions, models are listed', async () => {
    const { data } = await client.embeddings.create({ model: MODEL, input: ['a', 'b'], dimensions: 64 });
    expect(data.map(({ embedding }) => embedding.length)).toEqual([64, 64]);
    const names: string[] = [];
    for await (const model of client.models.list()) names.push(model.id);
    expect(names).toContain(MODEL);
    expect((await client.models.retrieve(MODEL)).object).toBe('model');
  });
});
