/** The npm client's plain calls: records that change and go, lists that page by themselves, errors with their types. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { startServer, type TestServer } from '../support/server.ts';

const MODEL = 'understudy/rehearsal';
/** Small enough that a list of `ITEMS` takes several requests. */
const PAGE = 2;
const ITEMS = 5;

let server: TestServer;
let client: OpenAI;
let assistantId: string;

beforeAll(async () => {
  server = await startServer();
  client = server.client();
  assistantId = (
    await client.beta.assistants.create({
      model: MODEL,
      tools: [
        { type: 'function', function: { name: 'look_up', parameters: { type: 'object', properties: {} } } },
      ],
    })
  ).id;
});

afterAll(() => server?.stop());

async function createThread(content: string): Promise<string> {
  return (await client.beta.threads.create({ messages: [{ role: 'user', content }] })).id;
}

async function collectIds(page: AsyncIterable<{ id: string }>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of page) ids.push(id);
  return ids;
}

describe('auto-paging iterators over several pages see everything once, newest first and oldest first', () => {
  test('assistants', async () => {
    const other = await startServer();
    try {
      const { assistants } = other.client().beta;
      const ids: string[] = [];
      for (let i = 0; i < ITEMS; i += 1) ids.push((await assistants.create({ model: MODEL })).id);
      expect(await collectIds(assistants.list({ limit: PAGE, order: 'asc' }))).toEqual(ids);
      expect(await collectIds(assistants.list({ limit: PAGE }))).toEqual(ids.toReversed());
    } finally {
      await other.stop();
    }
  });

  test('runs, and the messages of one run', async () => {
    const threadId = await createThread('Hello');
    const ids: string[] = [];
    for (let i = 0; i < ITEMS; i += 1) {
      const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
      ids.push((await stream.finalRun()).id);
    }
    const { runs, messages } = client.beta.threads;
    expect(await collectIds(runs.list(threadId, { limit: PAGE, order: 'asc' }))).toEqual(ids);
    expect(await collectIds(runs.list(threadId, { limit: PAGE }))).toEqual(ids.toReversed());
    const ofOne: (string | null)[] = [];
    for await (const { run_id } of messages.list(threadId, { run_id: ids[1] ?? '', limit: 1 }))
      ofOne.push(run_id);
    expect(ofOne).toEqual([ids[1] ?? '']);
  });

  test('steps', async () => {
    const threadId = await createThread(
      ['rehearsal: call look_up', 'rehearsal: then call look_up', 'rehearsal: then call look_up'].join('\n'),
    );
    const { runs } = client.beta.threads;
    let run = await runs.stream(threadId, { assistant_id: assistantId }).finalRun();
    for (let round = 0; round < 3 && run.status === 'requires_action'; round += 1) {
      const calls = run.required_action?.submit_tool_outputs.tool_calls ?? [];
      const outputs = calls.map(({ id }) => ({ tool_call_id: id, output: 'found' }));
      run = await runs
        .submitToolOutputsStream(run.id, { thread_id: threadId, tool_outputs: outputs })
        .finalRun();
    }
    expect(run.status).toBe('completed');
    const types: string[] = [];
    const list = { thread_id: threadId, limit: PAGE };
    for await (const step of runs.steps.list(run.id, { ...list, order: 'asc' })) types.push(step.type);
    expect(types).toEqual(['tool_calls', 'tool_calls', 'tool_calls', 'message_creation']);
    const ascending = await collectIds(runs.steps.list(run.id, { ...list, order: 'asc' }));
    expect(await collectIds(runs.steps.list(run.id, list))).toEqual(ascending.toReversed());
  });

  test('page by page, forwards and backwards by cursor', async () => {
    const threadId = await createThread('0');
    const { messages } = client.beta.threads;
    for (let i = 1; i < ITEMS; i += 1) await messages.create(threadId, { role: 'user', content: `${i}` });
    const all = await collectIds(messages.list(threadId, { order: 'asc' }));
    let page = await messages.list(threadId, { order: 'asc', limit: PAGE });
    const sizes = [page.data.length];
    while (page.hasNextPage()) {
      page = await page.getNextPage();
      sizes.push(page.data.length);
    }
    expect(sizes).toEqual([2, 2, 1]);
    const before = await messages.list(threadId, { order: 'asc', limit: PAGE, before: all.at(-1) ?? '' });
    expect(before.data.map(({ id }) => id)).toEqual(all.slice(-3, -1));
  });
});

describe('what is changed stays changed, what is deleted is gone', () => {
  test('a message keeps its text when its metadata change, and can be deleted alone', async () => {
    const threadId = await createThread('first');
    const { messages } = client.beta.threads;
    const made = await messages.create(threadId, {
      role: 'assistant',
      content: 'second',
      metadata: { a: '1' },
    });
    const changed = await messages.update(made.id, { thread_id: threadId, metadata: { b: '2' } });
    expect(changed).toEqual({ ...made, metadata: { b: '2' } });
    expect(await messages.retrieve(made.id, { thread_id: threadId })).toEqual(changed);
    expect(await messages.delete(made.id, { thread_id: threadId })).toEqual({
      id: made.id,
      object: 'thread.message.deleted',
      deleted: true,
    });
    expect(await messages.retrieve(made.id, { thread_id: threadId }).catch(toStatus)).toBe(404);
    expect(await collectIds(messages.list(threadId))).toHaveLength(1);
  });

  test('a thread takes its messages and runs along', async () => {
    const threadId = await createThread('Hello');
    const stream = client.beta.threads.runs.stream(threadId, { assistant_id: assistantId });
    const run = await stream.finalRun();
    expect((await client.beta.threads.delete(threadId)).deleted).toBe(true);
    const { threads } = client.beta;
    expect(await threads.retrieve(threadId).catch(toStatus)).toBe(404);
    expect(await threads.runs.retrieve(run.id, { thread_id: threadId }).catch(toStatus)).toBe(404);
    expect(await collectIds(threads.messages.list(threadId)).catch(toStatus)).toBe(404);
  });
});

describe('runs without helpers', () => {
  test('create, poll, submitToolOutputs and poll again come to the answer', async () => {
    const threadId = await createThread('look_up');
    const { runs } = client.beta.threads;
    const made = await runs.create(threadId, { assistant_id: assistantId });
    expect(made.status).toBe('queued');
    const waiting = await runs.poll(made.id, { thread_id: threadId }, { pollIntervalMs: 10 });
    const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
    const outputs = [{ tool_call_id: call?.id ?? '', output: 'found' }];
    const submitted = await runs.submitToolOutputs(made.id, { thread_id: threadId, tool_outputs: outputs });
    expect(['queued', 'in_progress']).toContain(submitted.status);
    const ended = await runs.poll(made.id, { thread_id: threadId }, { pollIntervalMs: 10 });
    expect(ended.status).toBe('completed');
    expect(ended.required_action).toBeNull();
  });

  test('createAndRun answers at once with the run of a new thread', async () => {
    const { threads } = client.beta;
    const run = await threads.createAndRun({
      assistant_id: assistantId,
      thread: { messages: [{ role: 'user', content: 'Hello' }], metadata: { topic: 'greeting' } },
    });
    expect((await threads.retrieve(run.thread_id)).metadata).toEqual({ topic: 'greeting' });
    const ended = await threads.runs.poll(run.id, { thread_id: run.thread_id }, { pollIntervalMs: 10 });
    expect(ended.status).toBe('completed');
  });
});

describe('errors are the typed ones, with code, parameter and request id', () => {
  test('NotFoundError for an id that is not there', async () => {
    const error = await client.beta.threads.retrieve('thread_missing').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
    expect(error).toMatchObject({
      status: 404,
      type: 'invalid_request_error',
      message: "404 No thread found with id 'thread_missing'.",
      requestID: expect.stringMatching(/^req_/),
    });
  });

  test('BadRequestError for a second run, a message meanwhile, and outputs for calls that were never made', async () => {
    const threadId = await createThread('look_up');
    const { runs, messages } = client.beta.threads;
    const run = await runs.stream(threadId, { assistant_id: assistantId }).finalRun();
    const outputs = [{ tool_call_id: 'call_missing', output: '' }];
    const attempts: (() => Promise<unknown>)[] = [
      () => runs.create(threadId, { assistant_id: assistantId }),
      () => messages.create(threadId, { role: 'user', content: 'And now?' }),
      () => runs.submitToolOutputs(run.id, { thread_id: threadId, tool_outputs: outputs }),
    ];
    for (const attempt of attempts) {
      expect(await attempt().catch((thrown: unknown) => thrown)).toBeInstanceOf(OpenAI.BadRequestError);
    }
    await runs.cancel(run.id, { thread_id: threadId });
    expect(await collectIds(messages.list(threadId))).toHaveLength(1);
  });

  test('BadRequestError names the parameter, however deep', async () => {
    const metadata = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`key${i}`, 'value']));
    const error = await client.beta.threads.create({ metadata }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ param: 'metadata' });
    const deep = await client.beta.threads
      .create({
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'x', detail: 'high' } }] },
        ],
      })
      .catch((thrown: unknown) => thrown);
    expect(deep).toMatchObject({ status: 400, param: expect.stringMatching(/^messages\[0\]/) });
  });

  test('the raw response of a call carries the ids that support asks for', async () => {
    const { response, request_id } = await client.beta.assistants.list().withResponse();
    expect(response.headers.get('openai-version')).not.toBeNull();
    expect(request_id).toBe(response.headers.get('x-request-id'));
  });
});

function toStatus(error: unknown): number {
  if (error instanceof OpenAI.APIError && typeof error.status === 'number') return error.status;
  throw error;
}
