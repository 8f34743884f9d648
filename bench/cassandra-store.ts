/**
 * What the store port costs on Cassandra, on a node of its own (Java and Maven are needed; the node is fetched once).
 *
 *     bun bench/cassandra-store.ts [--quick]
 *
 * 1. Message creation by 64 concurrent callers, as the service does it (the thread must be there and have no active run, then the
 *    message is inserted), against plain prepared inserts of the same documents with the driver alone. Messages a second, aim ≥ 0.5.
 * 2. Page 1,000 of a list of 100,000 messages against page 1, 100 messages a page. Ratio of latencies, aim ≤ 1.5.
 * 3. Calls of the cluster that operations take.
 *
 * Both sides of a ratio alternate; the ratio is the median over the rounds.
 */

import { Client } from 'cassandra-driver';
import { openSession } from '../src/cassandra/connect.ts';
import { migrate } from '../src/cassandra/schema.ts';
import { systemClock } from '../src/clock.ts';
import { createIds } from '../src/ids.ts';
import { createCassandraStore } from '../src/store/cassandra/cassandra-store.ts';
import { toStoreMigrations } from '../src/store/cassandra/schema.ts';
import type { StoredRecord } from '../src/store/store.ts';
import { toSettings } from '../test/support/cassandra/keyspace.ts';
import { startCassandra } from '../test/support/cassandra/node.ts';
import { readVersion } from '../test/support/cassandra/requirements.ts';
import { atLeast, atMost, isQuick, openResults, toMedian } from './harness.ts';

const CALLERS = 64;
const THREADS = 64;
const TENANT = 'bench';
const PAGE_LIMIT = 100;
const plan = isQuick
  ? { rounds: 3, messages: 3_000, pages: 100, pageRounds: 40 }
  : { rounds: 7, messages: 8_000, pages: 1_000, pageRounds: 200 };
const CREATE_AIM = 0.5;
const PAGE_AIM = 1.5;

function toMessage(id: string, threadId: string): StoredRecord {
  const text = { value: 'How many roads must a man walk down? '.repeat(8), annotations: [] };
  const message = {
    id,
    object: 'thread.message',
    created_at: 1_790_000_000,
    thread_id: threadId,
    status: 'completed',
    role: 'user',
    content: [{ type: 'text', text }],
    run_id: null,
    attachments: [],
    metadata: {},
  };
  return message;
}

/** Calls a second of `work` by so many callers at once. */
async function measure(count: number, work: (at: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const begin = performance.now();
  const call = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  return count / ((performance.now() - begin) / 1000);
}

const node = await startCassandra({ commitLogSync: 'periodic', heapMiB: 1024 });
const settings = toSettings(node.contactPoint, 'bench');
const session = await openSession(settings);
await migrate({ session, migrations: toStoreMigrations(false), owner: 'bench', clock: systemClock });
const store = createCassandraStore({ session, clock: systemClock });
const ids = createIds(systemClock);
const client = new Client({
  contactPoints: [node.contactPoint],
  localDataCenter: 'datacenter1',
  keyspace: 'bench',
});
await client.connect();
await client.execute(
  'CREATE TABLE plain (thread text, sort text, body text, PRIMARY KEY (thread, sort)) WITH CLUSTERING ORDER BY (sort DESC)',
);

const tenant = { tenant: TENANT };
const threads = Array.from({ length: THREADS }, () => ids.create('thread'));
for (const id of threads) {
  const thread = { id, active_run_id: null };
  await store.insert('threads', tenant, thread, { isFresh: true });
}

async function createThroughPort(at: number): Promise<void> {
  const thread = threads[at % THREADS] ?? '';
  const record = toMessage(ids.create('message'), thread);
  const scope = { tenant: TENANT, parent: thread };
  await store.write([
    { kind: 'require', collection: 'threads', scope: tenant, id: thread, equals: { active_run_id: null } },
    { kind: 'insert', collection: 'messages', scope, record, isFresh: true },
  ]);
}

async function createPlainly(at: number): Promise<void> {
  const thread = threads[at % THREADS] ?? '';
  const id = ids.create('message');
  const values = [thread, id, JSON.stringify(toMessage(id, thread))];
  await client.execute('INSERT INTO plain (thread, sort, body) VALUES (?, ?, ?)', values, {
    prepare: true,
    isIdempotent: true,
    consistency: 6,
  });
}

const ratios: number[] = [];
const rates: number[] = [];
for (let round = 0; round <= plan.rounds; round += 1) {
  const plain = await measure(plan.messages, createPlainly);
  const port = await measure(plan.messages, createThroughPort);
  // The first round warms the node up.
  if (round === 0) continue;
  ratios.push(port / plain);
  rates.push(port);
}
const ratio = toMedian(ratios);
const results = openResults('cassandra-store');
results.addVersion('Apache Cassandra', readVersion());
results.report({
  id: 'create-over-plain',
  what: 'messages created through the store’s port by 64 callers (a read and a write each), over plain prepared inserts',
  value: ratio,
  unit: '',
  aim: atLeast(CREATE_AIM),
  beside: [{ name: 'messages', value: toMedian(rates), unit: 'a second' }],
});

const long = { tenant: TENANT, parent: ids.create('thread') };
await measure(plan.pages * PAGE_LIMIT, () =>
  store.insert('messages', long, toMessage(ids.create('message'), long.parent), { isFresh: true }),
);
const cursors: string[] = [];
for (let page = 1, after: string | undefined; page < plan.pages; page += 1) {
  const { items } = await store.list('messages', long, {
    limit: PAGE_LIMIT,
    order: 'desc',
    ...(after === undefined ? {} : { after }),
  });
  after = items.at(-1)?.record.id;
  if (after !== undefined) cursors.push(after);
}
const firsts: number[] = [];
const lasts: number[] = [];
for (let round = 0; round < plan.pageRounds; round += 1) {
  for (const [times, after] of [
    [firsts, cursors[0]],
    [lasts, cursors.at(-1)],
  ] as const) {
    const begin = performance.now();
    await store.list('messages', long, {
      limit: PAGE_LIMIT,
      order: 'desc',
      ...(after === undefined ? {} : { after }),
    });
    times.push(performance.now() - begin);
  }
}
const pages = toMedian(lasts) / toMedian(firsts);
results.report({
  id: 'deep-page',
  what: `page ${plan.pages} over page 2 of ${plan.pages * PAGE_LIMIT} messages`,
  value: pages,
  unit: '',
  aim: atMost(PAGE_AIM),
  beside: [{ name: 'the page', value: toMedian(lasts), unit: 'ms' }],
});

await client.shutdown();
await store.close();
await node.kill();
process.exit(0);
