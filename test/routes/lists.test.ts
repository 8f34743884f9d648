/** Lists: every record once, whatever is inserted meanwhile; filters; deletion that leaves nothing behind. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer, type TestServer } from '../support/server.ts';
import { countFilterValues, countRecords, readRecords } from '../support/stored.ts';

const MODEL = 'understudy/rehearsal';
const MESSAGES = 150;
const PAGE = 7;

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server.stop());

async function makeThread(body: unknown = {}): Promise<string> {
  return (await server.call('POST', '/v1/threads', body)).json.id;
}

async function say(threadId: string, content: string): Promise<string> {
  return (await server.call('POST', `/v1/threads/${threadId}/messages`, { role: 'user', content })).json.id;
}

/** All ids by raw cursors; `inBetween` happens after each page. */
async function walk(
  path: string,
  order: 'asc' | 'desc',
  cursor: 'after' | 'before',
  from: string | null,
  inBetween: () => Promise<unknown>,
): Promise<string[]> {
  const ids: string[] = [];
  let at = from;
  for (let more = true; more; ) {
    const query = at === null ? '' : `&${cursor}=${at}`;
    const { json } = await server.call('GET', `${path}?limit=${PAGE}&order=${order}${query}`);
    const page: string[] = json.data.map((item: { id: string }) => item.id);
    expect(json.first_id).toBe(page[0] ?? null);
    expect(json.last_id).toBe(page.at(-1) ?? null);
    if (cursor === 'after') ids.push(...page);
    else ids.unshift(...page);
    at = cursor === 'after' ? json.last_id : json.first_id;
    more = json.has_more;
    await inBetween();
  }
  return ids;
}

describe('walks by cursor', () => {
  for (const order of ['asc', 'desc'] as const) {
    for (const cursor of ['after', 'before'] as const) {
      test(`${MESSAGES} messages, ${order}, ${cursor}: none missed, none twice, while others are inserted`, async () => {
        const threadId = await makeThread();
        const path = `/v1/threads/${threadId}/messages`;
        const ids: string[] = [];
        for (let i = 0; i < MESSAGES; i += 1) ids.push(await say(threadId, String(i)));
        const expected = order === 'asc' ? ids : ids.toReversed();
        // Backwards begins at the end, which has to be named.
        const from = cursor === 'after' ? null : (expected.at(-1) ?? '');
        const seen = await walk(path, order, cursor, from, () => say(threadId, 'meanwhile'));
        if (from !== null) seen.push(from);
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen.filter((id) => ids.includes(id))).toEqual(expected);
      });
    }
  }

  test('an empty list is a 200 without ids', async () => {
    const { status, json } = await server.call('GET', `/v1/threads/${await makeThread()}/messages`);
    expect(status).toBe(200);
    expect(json).toEqual({ object: 'list', data: [], first_id: null, last_id: null, has_more: false });
  });
});

describe('filters', () => {
  test('threads by metadata: all pairs must hold, newest first', async () => {
    const a = await makeThread({ metadata: { user: 'ann', 'odd key]': '1' } });
    const b = await makeThread({ metadata: { user: 'ann', team: 'red' } });
    await makeThread({ metadata: { user: 'bob', team: 'red' } });
    const find = async (query: string): Promise<string[]> => {
      const { json } = await server.call('GET', `/v1/threads?${query}`);
      return json.data.map((thread: { id: string }) => thread.id);
    };
    expect(await find('metadata[user]=ann')).toEqual([b, a]);
    expect(await find('metadata[user]=ann&metadata[team]=red')).toEqual([b]);
    expect(await find(`${encodeURIComponent('metadata[odd key]]')}=1`)).toEqual([a]);
    await server.call('POST', `/v1/threads/${a}`, { metadata: { user: 'eve' } });
    expect(await find('metadata[user]=ann')).toEqual([b]);
    expect(await find('metadata[user]=ann&limit=1')).toEqual([b]);
  });

  test('messages by run', async () => {
    const { id } = (await server.call('POST', '/v1/assistants', { model: MODEL })).json;
    const client = server.client();
    const threadId = await makeThread({ messages: [{ role: 'user', content: 'Hello' }] });
    const runs = [];
    for (let i = 0; i < 2; i += 1) {
      runs.push(
        await client.beta.threads.runs.createAndPoll(threadId, { assistant_id: id }, { pollIntervalMs: 5 }),
      );
    }
    for (const run of runs) {
      const found = await client.beta.threads.messages.list(threadId, { run_id: run.id });
      expect(found.data.map((message) => message.run_id)).toEqual([run.id]);
    }
  });
});

test('a deleted thread leaves no message, run, step or lease behind, active runs included', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-deletion-'));
  const own = await startServer({ dataDirectory });
  try {
    const client = own.client();
    const tools = [{ type: 'function' as const, function: { name: 'get_weather' } }];
    const { id } = await client.beta.assistants.create({ model: MODEL, tools });
    const start = (content: string) =>
      client.beta.threads.createAndRun({
        assistant_id: id,
        thread: { messages: [{ role: 'user', content }] },
      });
    const done = await start('Hello');
    const waiting = await start('get_weather');
    const active = await client.beta.threads.createAndRun({
      assistant_id: id,
      stream: true,
      thread: { messages: [{ role: 'user', content: 'rehearsal: words 500\nrehearsal: slow 20ms' }] },
    });
    for (const run of [done, waiting])
      await client.beta.threads.runs.poll(run.id, { thread_id: run.thread_id }, { pollIntervalMs: 5 });
    const kept = await client.beta.threads.create({ messages: [{ role: 'user', content: 'kept' }] });
    let activeThread = '';
    for await (const event of active) {
      if (event.event === 'thread.created') activeThread = event.data.id;
      // The stream ends by itself once its thread is gone.
      if (event.event === 'thread.message.in_progress') await client.beta.threads.delete(activeThread);
    }
    for (const run of [done, waiting]) await client.beta.threads.delete(run.thread_id);
    for (const threadId of [done.thread_id, activeThread]) {
      expect((await own.call('GET', `/v1/threads/${threadId}/messages`)).status).toBe(404);
    }
    await own.stop();
    expect((await readRecords(dataDirectory, 'threads')).map(({ id }) => id)).toEqual([kept.id]);
    const counts: Record<string, number> = {};
    for (const collection of ['messages', 'runs', 'steps', 'leases', 'deletions'] as const) {
      counts[collection] = await countRecords(dataDirectory, collection);
    }
    expect(counts).toEqual({ messages: 1, runs: 0, steps: 0, leases: 0, deletions: 0 });
    expect(await countFilterValues(dataDirectory, 'threads')).toBe(0);
  } finally {
    await own.stop();
    await rm(dataDirectory, { recursive: true, force: true });
  }
});
