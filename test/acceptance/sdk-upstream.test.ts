/** Runs of the npm client with a language model behind the server: what reaches it, and what comes back of it. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { callTools, fail, say, usage } from '../support/upstream-steps.ts';

const TOOLS: OpenAI.Beta.AssistantTool[] = ['add', 'multiply'].map((name) => ({
  type: 'function',
  function: {
    name,
    parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
  },
}));
const ROUNDS_MAX = 5;

let upstream: ScriptedUpstream;
let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  server = await startServer({ env: { OPENAI_BASE_URL: upstream.url } });
  client = server.client();
});

afterAll(async () => {
  await server?.stop();
  await upstream?.close();
});

async function start(model: string, content: string | OpenAI.Beta.Threads.MessageContentPartParam[]) {
  const assistant = await client.beta.assistants.create({ model, tools: TOOLS });
  const thread = await client.beta.threads.create({ messages: [{ role: 'user', content }] });
  return { assistant_id: assistant.id, threadId: thread.id };
}

test('parallel calls over several rounds keep the ids of the model, and their outputs reach it in order', async () => {
  const model = upstream.script(
    'rounds',
    [
      callTools([
        { name: 'add', arguments: { a: 1, b: 2 }, id: 'call_first' },
        { name: 'multiply', arguments: { a: 3, b: 4 }, id: 'call_second' },
      ]),
    ],
    [callTools([{ name: 'add', arguments: { a: 3, b: 12 }, id: 'call_third' }])],
    [say('The sum is 15.')],
  );
  const { assistant_id, threadId } = await start(model, '1 + 2 + 3 * 4');
  const { runs } = client.beta.threads;
  let run = await runs.createAndPoll(threadId, { assistant_id }, { pollIntervalMs: 10 });
  const rounds: string[][] = [];
  while (run.status === 'requires_action' && rounds.length < ROUNDS_MAX) {
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    rounds.push(calls.map(({ id }) => id));
    const outputs = calls.map((call) => {
      const { a, b } = JSON.parse(call.function.arguments);
      return { tool_call_id: call.id, output: `${call.function.name === 'add' ? a + b : a * b}` };
    });
    run = await runs.submitToolOutputsAndPoll(
      run.id,
      // Whoever answers in another order means the same.
      { thread_id: threadId, tool_outputs: outputs.toReversed() },
      { pollIntervalMs: 10 },
    );
  }
  expect(run.status).toBe('completed');
  expect(rounds).toEqual([['call_first', 'call_second'], ['call_third']]);
  expect(upstream.requestsFor(model).at(-1)?.body).toMatchObject({
    messages: [
      { role: 'user' },
      { role: 'assistant', tool_calls: [{ id: 'call_first' }, { id: 'call_second' }] },
      { role: 'tool', tool_call_id: 'call_first', content: '3' },
      { role: 'tool', tool_call_id: 'call_second', content: '12' },
      { role: 'assistant', tool_calls: [{ id: 'call_third' }] },
      { role: 'tool', tool_call_id: 'call_third', content: '15' },
    ],
  });
});

test('pictures, instructions and settings of a streamed run reach the model', async () => {
  const model = upstream.script('vision', [
    say('A cat.'),
    usage({ prompt_tokens: 90, completion_tokens: 3 }),
  ]);
  const { assistant_id, threadId } = await start(model, [
    { type: 'text', text: 'What is this?' },
    { type: 'image_url', image_url: { url: 'https://images.example/cat.png', detail: 'high' } },
  ]);
  const stream = client.beta.threads.runs.stream(threadId, {
    assistant_id,
    instructions: 'Be brief.',
    additional_messages: [{ role: 'user', content: 'One word.' }],
    temperature: 0.2,
    max_completion_tokens: 400,
    tool_choice: 'none',
  });
  const run = await stream.finalRun();
  expect(run.usage).toMatchObject({ prompt_tokens: 90, completion_tokens: 3, total_tokens: 93 });
  expect(upstream.requestsFor(model)[0]?.body).toMatchObject({
    temperature: 0.2,
    tool_choice: 'none',
    messages: [
      { content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'https://images.example/cat.png', detail: 'high' } },
        ],
      },
      { role: 'user', content: 'One word.' },
    ],
  });
});

test('a model that refuses the request ends createAndPoll with a failed run that says why', async () => {
  const limited = upstream.script('limited', [fail(429, { code: 'rate_limit_exceeded', retryAfter: '0' })]);
  const { assistant_id, threadId } = await start(limited, 'Hello');
  const run = await client.beta.threads.runs.createAndPoll(
    threadId,
    { assistant_id },
    { pollIntervalMs: 10 },
  );
  expect(run).toMatchObject({ status: 'failed', last_error: { code: 'rate_limit_exceeded' } });
});

test('the key of the client goes to the model, and is kept nowhere', async () => {
  const model = upstream.script('keyed', [say('Hello.')]);
  const { assistant_id, threadId } = await start(model, 'Hello');
  const keyed = server.client({ apiKey: 'sk-of-the-client' });
  const run = await keyed.beta.threads.runs.stream(threadId, { assistant_id }).finalRun();
  expect(upstream.requestsFor(model)[0]?.headers.authorization).toBe('Bearer sk-of-the-client');
  expect(JSON.stringify(run)).not.toContain('sk-of-the-client');
  expect(server.output()).not.toContain('sk-of-the-client');
});

test('a stream that its client aborts is answered by the model to its end', async () => {
  const model = 'paced:30@100';
  const { assistant_id, threadId } = await start(model, 'Hello');
  const stream = client.beta.threads.runs.stream(threadId, { assistant_id });
  let runId = '';
  stream.on('textDelta', () => {
    runId = stream.currentRun()?.id ?? '';
    stream.abort();
  });
  expect(await stream.done().catch((thrown: unknown) => thrown)).toBeInstanceOf(OpenAI.APIUserAbortError);
  const run = await client.beta.threads.runs.poll(runId, { thread_id: threadId }, { pollIntervalMs: 10 });
  expect(run).toMatchObject({ status: 'completed', usage: { completion_tokens: 30 } });
  expect(await upstream.requestsFor(model)[0]?.ended).toBe('complete');
});
