/** Files that are searched in runs, from the upload to the citation, over the real server. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type OpenAI from 'openai';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { findSchemaFaults } from './event-reader.ts';
import {
  createApi,
  type Json,
  type RunFixture,
  startFixture,
  toEnvironment,
  toLastRun,
} from './run-fixture.ts';

const REHEARSAL = 'understudy/rehearsal';
const CONTENT = 'step_details.tool_calls[*].file_search.results[*].content';
const RULES = 'Guests may check in from 3 pm. Pets stay outside.\n\nBreakfast is served at 8 am.';
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
/** Two starts of a server, on a machine that is busy. */
const KILL_MS = 60_000;
const SEARCH = steps.callTool('file_search', { queries: ['check in'] });

/** A vector store with this one document, read. */
async function createStore(
  client: OpenAI,
  text = RULES,
  name = 'house-rules.md',
): Promise<{ id: string; fileId: string }> {
  const file = await client.files.create({ purpose: 'assistants', file: new File([text], name) });
  const { id } = await client.vectorStores.create({ file_ids: [file.id] });
  await waitUntil(
    'the document has been read',
    async () => (await client.vectorStores.retrieve(id)).file_counts.completed === 1,
  );
  return { id, fileId: file.id };
}

function createAssistant(client: OpenAI, model: string, storeId?: string): Promise<OpenAI.Beta.Assistant> {
  return client.beta.assistants.create({
    model,
    tools: [{ type: 'file_search' }],
    ...(storeId === undefined ? {} : { tool_resources: { file_search: { vector_store_ids: [storeId] } } }),
  });
}

function toText(message: OpenAI.Beta.Threads.Message | undefined): OpenAI.Beta.Threads.Text {
  const [part] = message?.content ?? [];
  if (part?.type !== 'text') throw new Error('no text was said');
  return part.text;
}

/** What the model's server was sent, oldest first. */
function toBodies(model: string): Json[] {
  return fixture.upstream.requestsFor(model).map(({ body }) => body);
}

let fixture: RunFixture;
let client: OpenAI;
let rules: { id: string; fileId: string };

beforeAll(async () => {
  fixture = await startFixture();
  client = fixture.server.client();
  rules = await createStore(client);
});

afterAll(() => fixture.stop());

describe('the official client', () => {
  test('gets a citation that points to the file, the same in stream and store', async () => {
    const assistant = await createAssistant(client, REHEARSAL, rules.id);
    const thread = { messages: [{ role: 'user' as const, content: 'When may guests check in?' }] };
    const stream = client.beta.threads.createAndRunStream({ assistant_id: assistant.id, thread });
    const run = await stream.finalRun();
    const [told] = await stream.finalMessages();
    const { data } = await client.beta.threads.messages.list(run.thread_id);
    expect(run.status).toBe('completed');
    expect(told).toEqual(data[0] as typeof told);
    const { value, annotations } = toText(data[0]);
    expect(value).toEndWith('"Guests may check in from 3 pm."【4:0†house-rules.md】');
    const [cited, ...others] = annotations;
    expect(others).toEqual([]);
    expect(cited).toMatchObject({
      type: 'file_citation',
      text: '【4:0†house-rules.md】',
      end_index: value.length,
      file_citation: { file_id: rules.fileId },
    });
    expect(value.slice(cited?.start_index, cited?.end_index)).toBe(cited?.text ?? '');
  });

  test('sees what was found where it asks for it, in steps and in streams', async () => {
    const model = fixture.upstream.script('server-include', [SEARCH], [steps.say('Ok')]);
    const assistant = await createAssistant(client, model, rules.id);
    const path = `/v1/threads/runs?include[]=${encodeURIComponent(CONTENT)}`;
    const thread = { messages: [{ role: 'user', content: 'When?' }] };
    const reader = await fixture.api.open(path, { assistant_id: assistant.id, thread });
    const events = await reader.rest();
    expect(findSchemaFaults(events)).toEqual([]);
    const run = toLastRun(events);
    const scope = { thread_id: run.thread_id, run_id: run.id };
    const plain = (
      await client.beta.threads.runs.steps.list(run.id, { thread_id: run.thread_id, order: 'asc' })
    ).data[0];
    const listed = (
      await client.beta.threads.runs.steps.list(run.id, {
        thread_id: run.thread_id,
        order: 'asc',
        include: [CONTENT],
      })
    ).data[0];
    const one = await client.beta.threads.runs.steps.retrieve(plain?.id ?? '', {
      ...scope,
      include: [CONTENT],
    });
    const announced = events.find(({ event }) => event === 'thread.run.step.completed')?.data;
    expect(JSON.stringify(plain)).not.toContain('Pets stay outside');
    expect(listed).toEqual(one);
    expect(announced).toEqual(one);
    const [call] = one.step_details.type === 'tool_calls' ? one.step_details.tool_calls : [];
    if (call?.type !== 'file_search') throw new Error('the step shows no search');
    expect(call.file_search.results?.[0]).toMatchObject({
      file_id: rules.fileId,
      file_name: 'house-rules.md',
      content: [{ type: 'text', text: expect.stringContaining('Pets stay outside') }],
    });
  });

  test('may ask at once about a file that it attaches to its message', async () => {
    const assistant = await createAssistant(client, REHEARSAL);
    const text = 'The pool opens at noon.';
    const file = await client.files.create({ purpose: 'assistants', file: new File([text], 'pool.txt') });
    const run = await client.beta.threads.createAndRunPoll({
      assistant_id: assistant.id,
      thread: {
        messages: [
          {
            role: 'user',
            content: 'When does the pool open?',
            attachments: [{ file_id: file.id, tools: [{ type: 'file_search' }] }],
          },
        ],
      },
    });
    const { data } = await client.beta.threads.messages.list(run.thread_id);
    expect(toText(data[0]).annotations).toMatchObject([{ file_citation: { file_id: file.id } }]);
  });

  test('has its pictures shown to the model', async () => {
    const model = fixture.upstream.script('server-picture', [steps.say('A dot.')]);
    const assistant = await client.beta.assistants.create({ model });
    const file = await client.files.create({ purpose: 'vision', file: new File([PNG], 'dot.png') });
    const run = await client.beta.threads.createAndRunPoll({
      assistant_id: assistant.id,
      thread: {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What is it?' },
              { type: 'image_file', image_file: { file_id: file.id, detail: 'low' } },
            ],
          },
        ],
      },
    });
    expect(run.status).toBe('completed');
    const [body = {}] = toBodies(model);
    expect(body.messages[0].content[1]).toEqual({
      type: 'image_url',
      image_url: { url: `data:image/png;base64,${PNG.toString('base64')}`, detail: 'low' },
    });
  });
});

test('a vector store that is deleted between two questions is told of, and the run answers', async () => {
  const store = await createStore(client);
  const model = fixture.upstream.script('server-gone', [SEARCH], [steps.say('I cannot tell【4:0†x】.')]);
  const assistant = await createAssistant(client, model, store.id);
  await client.vectorStores.delete(store.id);
  const run = await client.beta.threads.createAndRunPoll({
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content: 'When?' }] },
  });
  expect(run.status).toBe('completed');
  const [, second = {}] = toBodies(model);
  expect(second.messages.at(-1).content).toContain('could not be searched');
  const { data } = await client.beta.threads.messages.list(run.thread_id);
  expect(toText(data[0])).toEqual({ value: 'I cannot tell.', annotations: [] });
});

describe('a killed server', () => {
  let before: ScriptedUpstream;
  let after: ScriptedUpstream;
  let dataDirectory: string;
  let server: TestServer;

  beforeAll(async () => {
    [before, after] = await Promise.all([startScriptedUpstream(), startScriptedUpstream()]);
    dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-search-'));
  });

  afterAll(async () => {
    await server?.stop();
    await Promise.all([before.close(), after.close()]);
    await rm(dataDirectory, { recursive: true, force: true });
  });

  test(
    'leaves a run that still cites what was found before',
    async () => {
      const model = before.script('killed', [SEARCH], [steps.say('From 3'), steps.hang()]);
      after.script('killed', [SEARCH], [steps.say('From 3 pm【4:0†x】.')]);
      const first = await startServer({ dataDirectory, env: toEnvironment(before) });
      const { id, fileId } = await createStore(first.client());
      const assistant = await createAssistant(first.client(), model, id);
      const thread = { messages: [{ role: 'user', content: 'When?' }] };
      const reader = await createApi(first).open('/v1/threads/runs', { assistant_id: assistant.id, thread });
      const run = toLastRun(await reader.readTo('thread.message.delta'));
      void reader.rest().catch(() => undefined);
      await first.kill();
      server = await startServer({ dataDirectory, env: toEnvironment(after) });
      await createApi(server).waitFor(run, 'completed');
      const { data } = await server.client().beta.threads.messages.list(run.thread_id);
      expect(toText(data[0])).toMatchObject({
        value: 'From 3 pm【4:0†house-rules.md】.',
        annotations: [{ start_index: 9, file_citation: { file_id: fileId } }],
      });
      expect(after.requestsFor(model)).toHaveLength(1);
    },
    KILL_MS,
  );
});
