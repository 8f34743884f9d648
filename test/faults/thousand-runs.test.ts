/** 1,000 runs, 100 at a time: none stuck, none lost, every stream ended, the events of each in order. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import type OpenAI from 'openai';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';

const RUNS = 1000;
const CONCURRENCY = 100;

let upstream: ScriptedUpstream;
let server: TestServer;
let client: OpenAI;

beforeAll(async () => {
  upstream = await startScriptedUpstream({ requestsMax: 0 });
  server = await startServer({ env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'k' } });
  client = server.client();
});

afterAll(async () => {
  await server.stop();
  await upstream.close();
});

/** Which event may follow which; deltas repeat. */
const NEXT: Readonly<Record<string, readonly string[]>> = {
  start: ['thread.created'],
  'thread.created': ['thread.run.created'],
  'thread.run.created': ['thread.run.queued'],
  'thread.run.queued': ['thread.run.in_progress'],
  'thread.run.in_progress': ['thread.run.step.created', 'thread.run.failed'],
  'thread.run.step.created': ['thread.run.step.in_progress'],
  'thread.run.step.in_progress': ['thread.message.created', 'thread.run.step.delta'],
  'thread.run.step.delta': ['thread.run.step.delta', 'thread.run.requires_action'],
  'thread.message.created': ['thread.message.in_progress'],
  'thread.message.in_progress': ['thread.message.delta'],
  'thread.message.delta': ['thread.message.delta', 'thread.message.completed', 'thread.message.incomplete'],
  'thread.message.completed': ['thread.run.step.completed'],
  'thread.message.incomplete': ['thread.run.step.failed'],
  'thread.run.step.failed': ['thread.run.failed'],
  'thread.run.step.completed': ['thread.run.completed', 'thread.run.queued'],
};

type Event = OpenAI.Beta.AssistantStreamEvent;

/** Reads a stream to its end, holding the order. Answers the run as it was last announced. */
async function follow(stream: AsyncIterable<Event>, begin: string): Promise<OpenAI.Beta.Threads.Run> {
  let before = begin;
  let run: OpenAI.Beta.Threads.Run | null = null;
  for await (const event of stream) {
    if (before !== 'submitted') expect(NEXT[before] ?? []).toContain(event.event);
    before = event.event;
    if ('status' in event.data && event.data.object === 'thread.run') run = event.data;
  }
  if (run === null) throw new Error('a stream without a run');
  expect(['completed', 'failed', 'requires_action']).toContain(run.status);
  return run;
}

async function runOnce(assistantId: string, index: number): Promise<string> {
  const body = {
    assistant_id: assistantId,
    thread: { messages: [{ role: 'user' as const, content: `${index}` }] },
  };
  if (index % 3 === 0) {
    const run = await client.beta.threads.createAndRunPoll(body, { pollIntervalMs: 20 });
    return answer(run);
  }
  const run = await follow(await client.beta.threads.createAndRun({ ...body, stream: true }), 'start');
  return answer(run);
}

/** Gives the outputs that the run waits for. Answers how the run ended. */
async function answer(run: OpenAI.Beta.Threads.Run): Promise<string> {
  if (run.status !== 'requires_action') return run.status;
  const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
  const stream = await client.beta.threads.runs.submitToolOutputs(run.id, {
    thread_id: run.thread_id,
    tool_outputs: calls.map((call) => ({ tool_call_id: call.id, output: 'warm' })),
    stream: true,
  });
  return (await follow(stream, 'submitted')).status;
}

test('1,000 runs at 100 at a time all come to their end, in order', async () => {
  const plain = upstream.script('plain', [steps.say('one two three four')]);
  const calls = upstream.script(
    'calls',
    [steps.callTool('get_weather', { a: 1 })],
    [steps.say('it is warm')],
  );
  const cut = upstream.script('cut', [steps.say('one two'), steps.reset()]);
  const tools = [{ type: 'function' as const, function: { name: 'get_weather' } }];
  const assistants = await Promise.all(
    [plain, calls, plain, cut].map((model) => client.beta.assistants.create({ model, tools })),
  );
  const expected = ['completed', 'completed', 'completed', 'failed'];
  let next = 0;
  const counts = new Map<string, number>();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (next < RUNS) {
        const index = next;
        next += 1;
        const status = await runOnce(assistants[index % assistants.length]?.id ?? '', index);
        expect(status).toBe(expected[index % expected.length] ?? '');
        counts.set(status, (counts.get(status) ?? 0) + 1);
      }
    }),
  );
  expect(Object.fromEntries(counts)).toEqual({ completed: 750, failed: 250 });
  let threads = 0;
  for await (const thread of await listThreads()) {
    threads += 1;
    const runs = await client.beta.threads.runs.list(thread.id);
    expect(runs.data.map((run) => run.status)).toEqual([expect.stringMatching(/^(completed|failed)$/)]);
  }
  expect(threads).toBe(RUNS);
}, 180_000);

/** `GET /v1/threads` is ours: the official client has no method for it. */
async function listThreads(): Promise<AsyncIterable<{ id: string }>> {
  const walk = async function* (): AsyncGenerator<{ id: string }> {
    for (let after = '', more = true; more; ) {
      const page = (await server.call('GET', `/v1/threads?limit=100&after=${after}`)).json;
      yield* page.data;
      after = page.last_id;
      more = page.has_more;
    }
  };
  return walk();
}
