/** kill -9 during writes, again and again on one data directory: what was acknowledged is there, nothing is stuck. */

import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';

const ROUNDS = 6;
const WRITERS = 8;
/** Written before the kill in each round. */
const WRITES_BEFORE_KILL = 200;

interface Acknowledged {
  /** Messages by thread. */
  readonly messages: Map<string, string[]>;
  /** Runs with their threads. */
  readonly runs: { id: string; threadId: string }[];
}

async function write(server: TestServer, assistantId: string, seen: Acknowledged): Promise<void> {
  const client = server.client();
  const thread = await client.beta.threads.create();
  const ids: string[] = [];
  seen.messages.set(thread.id, ids);
  for (;;) {
    const message = await client.beta.threads.messages.create(thread.id, { role: 'user', content: 'kept' });
    ids.push(message.id);
    const run = await client.beta.threads.createAndRun({ assistant_id: assistantId });
    seen.runs.push({ id: run.id, threadId: run.thread_id });
  }
}

test('no acknowledged write is lost, and no run stays active', async () => {
  const upstream = await startScriptedUpstream({ requestsMax: 0 });
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-kill-'));
  const env = { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'k' };
  const model = upstream.script('kill', [steps.say('one'), steps.wait(20), steps.say(' two')]);
  const seen: Acknowledged = { messages: new Map(), runs: [] };
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const server = await startServer({ dataDirectory, env });
      const { id } = await server.client().beta.assistants.create({ model });
      const before = seen.runs.length;
      const writers = Array.from({ length: WRITERS }, () => write(server, id, seen).catch(() => undefined));
      await waitUntil('enough is written', () => seen.runs.length - before >= WRITES_BEFORE_KILL, 30_000);
      await server.kill();
      await Promise.all(writers);
    }
    const server = await startServer({ dataDirectory, env });
    await checkMessages(server, seen);
    await checkRuns(server, seen);
    await server.stop();
    checkFile(join(dataDirectory, 'understudy.db'));
  } finally {
    await upstream.close();
    await rm(dataDirectory, { recursive: true, force: true });
  }
}, 240_000);

async function checkMessages(server: TestServer, seen: Acknowledged): Promise<void> {
  for (const [threadId, ids] of seen.messages) {
    const stored = new Set<string>();
    for await (const message of server.client().beta.threads.messages.list(threadId, { limit: 100 })) {
      stored.add(message.id);
    }
    for (const id of ids) expect(stored.has(id)).toBe(true);
  }
}

async function checkRuns(server: TestServer, seen: Acknowledged): Promise<void> {
  const client = server.client();
  for (const { id, threadId } of seen.runs) {
    await waitUntil(`run ${id} has ended`, async () => {
      const run = await client.beta.threads.runs.retrieve(id, { thread_id: threadId });
      return run.status === 'completed';
    });
    const messages = await client.beta.threads.messages.list(threadId);
    expect(messages.data.map((message) => message.status)).toEqual(['completed']);
  }
}

function checkFile(file: string): void {
  const database = new Database(file, { readonly: true });
  const count = (sql: string): number =>
    database.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${sql}`).get()?.n ?? -1;
  expect(
    database.query<{ integrity_check: string }, []>('PRAGMA integrity_check').get()?.integrity_check,
  ).toBe('ok');
  expect(count('leases')).toBe(0);
  expect(count(`threads WHERE json_extract(document, '$.active_run_id') IS NOT NULL`)).toBe(0);
  expect(count(`steps WHERE json_extract(document, '$.status') = 'in_progress'`)).toBe(0);
  expect(count('steps WHERE parent NOT IN (SELECT id FROM runs)')).toBe(0);
  expect(count('runs')).toBe(count('threads WHERE id IN (SELECT parent FROM runs)'));
  database.close();
}
