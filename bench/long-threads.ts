/**
 * A thread of 100,000 messages beside one of 20: page 1,000 against page 1, and the start of a run. `bun bench/long-threads.ts`
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/clock.ts';
import { createIds } from '../src/ids.ts';
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import { type StoredRecord, WRITES_MAX, type Write } from '../src/store/store.ts';
import {
  atMost,
  createAssistant,
  isQuick,
  openResults,
  RUN_TOKEN,
  readStream,
  type Server,
  startServer,
  startUpstream,
  toMedian,
} from './harness.ts';

const MESSAGES = 100_000;
const SHORT_THREAD = 20;
const PAGE = 100;
const DEEP_PAGE = 999;
const ROUNDS = isQuick ? 40 : 200;
const AIM = 1.5;
/** About 50 tokens, as people write. */
const USUAL =
  'A message of a usual length, as people write them to an assistant that knows them well. '.repeat(2);
const TINY = 'Yes, do that.';
const TENANT = 'default';

const ids = createIds(systemClock);
const directory = await mkdtemp(join(tmpdir(), 'understudy-bench-long-'));
const upstream = await startUpstream();

/** Each run adds a message, so a short thread serves a few rounds only. */
const ROUNDS_PER_SHORT_THREAD = 10;
const WARM_UP = 20;

/** Writes a thread past the server, as the services would. Answers the ids of its messages too. */
async function fill(count: number, text: string): Promise<{ threadId: string; messageIds: string[] }> {
  const store = await createSqliteStore({ directory });
  const threadId = ids.create('thread');
  const thread = {
    id: threadId,
    object: 'thread',
    created_at: 1,
    metadata: {},
    tool_resources: {},
    active_run_id: null,
  };
  const messages = Array.from({ length: count }, (_, index) => toMessage(threadId, index, text));
  for (let start = 0; start < count; start += WRITES_MAX) {
    const writes = messages.slice(start, start + WRITES_MAX).map(
      (record): Write => ({
        kind: 'insert',
        collection: 'messages',
        scope: { tenant: TENANT, parent: threadId },
        record,
      }),
    );
    await store.write(writes);
  }
  await store.insert('threads', { tenant: TENANT }, thread as StoredRecord);
  await store.close();
  return { threadId, messageIds: messages.map(({ id }) => id) };
}

async function fillShort(text: string): Promise<string[]> {
  const threadIds: string[] = [];
  const count = Math.ceil((ROUNDS + WARM_UP) / ROUNDS_PER_SHORT_THREAD);
  for (let i = 0; i < count; i += 1) threadIds.push((await fill(SHORT_THREAD, text)).threadId);
  return threadIds;
}

function toMessage(threadId: string, index: number, text: string): StoredRecord {
  const record = {
    id: ids.create('message'),
    object: 'thread.message',
    created_at: 1,
    thread_id: threadId,
    status: 'completed',
    incomplete_details: null,
    completed_at: 1,
    incomplete_at: null,
    role: index % 2 === 0 ? 'user' : 'assistant',
    content: [{ type: 'text', text: { value: text, annotations: [] } }],
    assistant_id: null,
    run_id: null,
    attachments: [],
    metadata: {},
  };
  return record;
}

async function timePage(server: Server, threadId: string, after: string | null): Promise<number> {
  const cursor = after === null ? '' : `&after=${after}`;
  const begin = performance.now();
  const response = await fetch(
    `${server.url}/v1/threads/${threadId}/messages?limit=${PAGE}&order=asc${cursor}`,
  );
  const { data } = (await response.json()) as { data: unknown[] };
  if (data.length !== PAGE) throw new Error(`a page of ${data.length}`);
  return performance.now() - begin;
}

async function timeRun(server: Server, threadId: string, assistantId: string): Promise<number> {
  const body = { assistant_id: assistantId, stream: true };
  return (await readStream(() => server.post(`/v1/threads/${threadId}/runs`, body), RUN_TOKEN)).firstTokenMs;
}

const long = await fill(MESSAGES, USUAL);
const longTiny = await fill(MESSAGES, TINY);
const short = await fillShort(USUAL);
const shortTiny = await fillShort(TINY);
const server = await startServer({ upstreamUrl: upstream.url, dataDirectory: directory });
const assistantId = await createAssistant(server, 'paced:2@0');

const first: number[] = [];
const deep: number[] = [];
for (let round = -WARM_UP; round < ROUNDS; round += 1) {
  const a = await timePage(server, long.threadId, null);
  const b = await timePage(server, long.threadId, long.messageIds[DEEP_PAGE * PAGE - 1] ?? '');
  if (round >= 0) {
    first.push(a);
    deep.push(b);
  }
}
const pages = toMedian(deep) / toMedian(first);
console.log(
  `page 1: ${toMedian(first).toFixed(2)} ms, page ${DEEP_PAGE + 1}: ${toMedian(deep).toFixed(2)} ms`,
);
const results = openResults('long-threads');
results.report({
  id: 'deep-page',
  what: 'page 1,000 over page 1 of a thread of 100,000 messages, over HTTP',
  value: pages,
  unit: '',
  aim: atMost(AIM),
  beside: [{ name: 'the deep page', value: toMedian(deep), unit: 'ms' }],
});

for (const [id, name, one, many] of [
  ['usual', 'usual messages', short, long],
  ['tiny', 'tiny messages', shortTiny, longTiny],
] as const) {
  const few: number[] = [];
  const all: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round += 1) {
    const threadId = one[Math.floor((round + WARM_UP) / ROUNDS_PER_SHORT_THREAD)] ?? '';
    const a = await timeRun(server, threadId, assistantId);
    const b = await timeRun(server, many.threadId, assistantId);
    if (round >= 0) {
      few.push(a);
      all.push(b);
    }
  }
  const runs = toMedian(all) / toMedian(few);
  results.report({
    id: `run-start-${id}`,
    what: `first token of a run on a thread of 100,000 ${name}, over one on a thread of 20`,
    value: runs,
    unit: '',
    aim: atMost(AIM),
    beside: [
      { name: 'on the long one', value: toMedian(all), unit: 'ms' },
      { name: 'on the short one', value: toMedian(few), unit: 'ms' },
    ],
  });
}
await server.stop();
await upstream.stop();
await rm(directory, { recursive: true, force: true });
