/**
 * What the store port costs on SQLite.
 *
 *     bun bench/store.ts           # about half a minute
 *     bun bench/store.ts --quick   # a few seconds, for CI
 *
 * 1. Message creation by 64 concurrent callers, as the service does it (the thread must be there and have no
 *    active run, then the message is inserted), against plain `bun:sqlite` on one thread, which does nothing
 *    but insert the same documents into a table of the same shape, 64 a transaction, with the same sync.
 *    Ratio of messages a second, aim ≥ 0.5.
 * 2. Page 1,000 of a list of 100,000 messages against page 1, 100 messages a page. Ratio of latencies, aim ≤ 1.5.
 * 3. A list with a condition that 10 of the 100,000 messages meet, against the first 10 of the list without one.
 *    Ratio of latencies, aim ≤ 2.
 *
 * Both sides of a ratio alternate within one process; the ratio is the median over the rounds.
 */

import { Database } from 'bun:sqlite';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/clock.ts';
import { createIds, type Ids, toNativeSortKey } from '../src/ids.ts';
import { createSqliteStore, type SqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import type { Scope, StoredRecord, Where } from '../src/store/store.ts';
import { atLeast, atMost, isQuick, openResults, toMedian } from './harness.ts';

const CALLERS = 64;
const THREADS = 64;
const TENANT = 'bench';
const PAGE_LIMIT = 100;
const MATCHES = 10;

const results = openResults('store');
const plan = isQuick
  ? { rounds: 3, messages: 3200, pages: 200, pageRounds: 40 }
  : { rounds: 9, messages: 12_800, pages: 1000, pageRounds: 400 };

interface Figures {
  readonly perSecond: number;
  /** CPU of the whole process, both threads. */
  readonly cpuMicros: number;
}

interface ActiveThread extends StoredRecord {
  readonly active_run_id: string | null;
}

function toMessage(id: string, threadId: string, runId: string | null = null): StoredRecord {
  const message = {
    id,
    object: 'thread.message',
    created_at: 1_790_000_000,
    thread_id: threadId,
    status: 'completed',
    incomplete_details: null,
    completed_at: 1_790_000_000,
    incomplete_at: null,
    role: 'user',
    content: [
      { type: 'text', text: { value: 'How many roads must a man walk down? '.repeat(8), annotations: [] } },
    ],
    assistant_id: null,
    run_id: runId,
    attachments: [],
    metadata: {},
  };
  return message;
}

async function measure(count: number, work: () => Promise<void> | void): Promise<Figures> {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await work();
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: count / seconds, cpuMicros: (user + system) / count };
}

async function createThroughPort(store: SqliteStore, ids: Ids, threads: readonly string[]): Promise<void> {
  let left = plan.messages;
  const call = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const threadId = threads[left % threads.length] ?? '';
      const record = toMessage(ids.create('message'), threadId);
      await store.write([
        {
          kind: 'require',
          collection: 'threads',
          scope: { tenant: TENANT },
          id: threadId,
          equals: { active_run_id: null },
        },
        { kind: 'insert', collection: 'messages', scope: { tenant: TENANT, parent: threadId }, record },
      ]);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
}

function createRaw(database: Database, ids: Ids, threads: readonly string[]): void {
  const begin = database.query('BEGIN IMMEDIATE');
  const commit = database.query('COMMIT');
  const insert = database.query<void, [string, string, string, string, string]>(
    'INSERT INTO messages (tenant, parent, sort_key, id, version, document) VALUES (?, ?, ?, ?, 1, ?)',
  );
  for (let done = 0; done < plan.messages; done += CALLERS) {
    begin.run();
    for (let i = done; i < done + CALLERS; i += 1) {
      const threadId = threads[i % threads.length] ?? '';
      const id = ids.create('message');
      insert.run(TENANT, threadId, toNativeSortKey(id) ?? '', id, JSON.stringify(toMessage(id, threadId)));
    }
    commit.run();
  }
}

function openRaw(file: string): Database {
  const database = new Database(file, { create: true });
  database.run('PRAGMA journal_mode = WAL');
  database.run('PRAGMA synchronous = FULL');
  database.run(`CREATE TABLE messages (tenant TEXT NOT NULL, parent TEXT NOT NULL, sort_key TEXT NOT NULL,
    id TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL) STRICT`);
  database.run('CREATE UNIQUE INDEX messages_place ON messages (tenant, parent, sort_key, id)');
  return database;
}

async function benchCreation(directory: string, ids: Ids): Promise<void> {
  const store = await createSqliteStore({ directory: join(directory, 'port') });
  const raw = openRaw(join(directory, 'raw.db'));
  const threads = Array.from({ length: THREADS }, () => ids.create('thread'));
  for (const id of threads) {
    await store.insert<ActiveThread>('threads', { tenant: TENANT }, { id, active_run_id: null });
  }
  const ratios: number[] = [];
  const rates: number[] = [];
  const transactions: number[] = [];
  // The first round warms both sides up and does not count.
  for (let round = 0; round <= plan.rounds; round += 1) {
    const before = store.getStatistics().transactions;
    const port = await measure(plan.messages, () => createThroughPort(store, ids, threads));
    transactions.push(plan.messages / (store.getStatistics().transactions - before));
    const plain = await measure(plan.messages, () => createRaw(raw, ids, threads));
    if (round === 0) continue;
    ratios.push(port.perSecond / plain.perSecond);
    rates.push(port.perSecond);
    console.log(
      `round ${round}: port ${toFixed(port.perSecond)}/s at ${toFixed(port.cpuMicros, 1)} µs of CPU, ` +
        `raw ${toFixed(plain.perSecond)}/s at ${toFixed(plain.cpuMicros, 1)} µs`,
    );
  }
  raw.close();
  await store.close();
  console.log(`messages a transaction through the port: ${toFixed(toMedian(transactions), 1)}`);
  results.report({
    id: 'create-over-raw',
    what: 'messages created through the store’s port by 64 callers, over raw inserts in transactions of the same size with the same sync',
    value: toMedian(ratios),
    unit: '',
    aim: atLeast(0.5),
    beside: [{ name: 'messages', value: toMedian(rates), unit: 'a second' }],
  });
}

async function benchPages(directory: string, ids: Ids): Promise<void> {
  const store = await createSqliteStore({ directory: join(directory, 'pages') });
  const scope: Scope = { tenant: TENANT, parent: ids.create('thread') };
  const total = plan.pages * PAGE_LIMIT;
  const runId = ids.create('run');
  let lastCursor = '';
  for (let made = 0; made < total; made += PAGE_LIMIT) {
    const records = Array.from({ length: PAGE_LIMIT }, (_, index) => {
      const isMatch = (made + index) % (total / MATCHES) === 0;
      return toMessage(ids.create('message'), scope.parent ?? '', isMatch ? runId : null);
    });
    await store.write(records.map((record) => ({ kind: 'insert', collection: 'messages', scope, record })));
    if (made + 2 * PAGE_LIMIT === total) lastCursor = records.at(-1)?.id ?? '';
  }
  const read = async (limit: number, after?: string, where?: Where): Promise<number> => {
    const begin = performance.now();
    const request = { limit, order: 'asc', ...(after === undefined ? {} : { after }) } as const;
    const page = await store.list('messages', scope, request, where);
    if (page.items.length !== limit) throw new Error(`A page of ${page.items.length}.`);
    return performance.now() - begin;
  };
  const latencies = {
    first: [] as number[],
    last: [] as number[],
    plain: [] as number[],
    matching: [] as number[],
  };
  for (let round = -10; round < plan.pageRounds; round += 1) {
    const first = await read(PAGE_LIMIT);
    const last = await read(PAGE_LIMIT, lastCursor);
    const plain = await read(MATCHES);
    const matching = await read(MATCHES, undefined, { fields: { run_id: runId } });
    if (round < 0) continue;
    latencies.first.push(first);
    latencies.last.push(last);
    latencies.plain.push(plain);
    latencies.matching.push(matching);
  }
  await store.close();
  reportPair(
    'deep-page',
    `page ${plan.pages} of ${total} messages`,
    latencies.last,
    'page 1',
    latencies.first,
    1.5,
  );
  reportPair(
    'matches',
    `${MATCHES} matches among ${total} messages`,
    latencies.matching,
    `${MATCHES} messages`,
    latencies.plain,
    2,
  );
}

function reportPair(
  id: string,
  name: string,
  values: number[],
  baseName: string,
  base: number[],
  aim: number,
): void {
  results.report({
    id,
    what: `${name}, over ${baseName}`,
    value: toMedian(values) / toMedian(base),
    unit: '',
    aim: atMost(aim),
    beside: [
      { name, value: toMedian(values), unit: 'ms' },
      { name: baseName, value: toMedian(base), unit: 'ms' },
    ],
  });
}

function toFixed(value: number, digits = 0): string {
  return value.toFixed(digits);
}

const directory = await mkdtemp(join(tmpdir(), 'understudy-bench-'));
try {
  const ids = createIds(systemClock);
  await benchCreation(directory, ids);
  await benchPages(directory, ids);
} finally {
  await rm(directory, { recursive: true, force: true });
}
