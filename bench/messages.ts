/**
 * Messages created over HTTP by 64 clients, against raw inserts of the same documents, with ids of the same kind, into the
 * server's own tables with the same settings and the same sync, in transactions of as many as there are clients.
 * `node scripts/bun.mjs bench/messages.ts`
 */

import type { Database } from 'bun:sqlite';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/clock.ts';
import { createIds, toNativeSortKey } from '../src/ids.ts';
import { openDatabase } from '../src/store/sqlite/schema.ts';
import { atLeast, isQuick, liftCallLimit, openResults, repeat, startServer, toMedian } from './harness.ts';

liftCallLimit();

const CLIENTS = 64;
const MESSAGES = isQuick ? 4000 : 16_000;
const ROUNDS = isQuick ? 3 : 7;
const TENANT = 'default';
const LOCK_WAIT_MS = 1000;
const AIM = 0.5;

interface Figures {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

const ids = createIds(systemClock);
const folder = await mkdtemp(join(tmpdir(), 'understudy-bench-raw-'));
const database = openDatabase({ directory: folder, file: join(folder, 'raw.db'), lockWaitMs: LOCK_WAIT_MS });
const server = await startServer();
const threads: string[] = [];
for (let i = 0; i < CLIENTS; i += 1) {
  threads.push(((await (await server.post('/v1/threads', {})).json()) as { id: string }).id);
}
const body = {
  role: 'user',
  content: 'A message of a usual length, as people write them to an assistant. '.repeat(3),
};
const reply = await (await server.post(`/v1/threads/${threads[0]}/messages`, body)).json();
const document = JSON.stringify(reply);

/** On this thread, with nothing else to do: no HTTP, no checks, not even JSON. */
function insertRaw(into: Database): Figures {
  const begin = into.query('BEGIN IMMEDIATE');
  const commit = into.query('COMMIT');
  const insert = into.query<void, [string, string, string, string, string]>(
    'INSERT INTO messages (tenant, parent, sort_key, id, version, document) VALUES (?, ?, ?, ?, 1, ?)',
  );
  const cpu = process.cpuUsage();
  const beganMs = performance.now();
  for (let done = 0; done < MESSAGES; done += CLIENTS) {
    begin.run();
    for (const thread of threads) {
      const id = ids.create('message');
      insert.run(TENANT, thread, toNativeSortKey(id) ?? '', id, document);
    }
    commit.run();
  }
  const seconds = (performance.now() - beganMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const rows = Math.ceil(MESSAGES / CLIENTS) * CLIENTS;
  return { perSecond: rows / seconds, perCpuSecond: (rows * 1e6) / (user + system) };
}

async function createMessages(): Promise<Figures> {
  const cpu = await server.readCpu();
  const begin = performance.now();
  await repeat(MESSAGES, CLIENTS, async (index) => {
    const response = await server.post(`/v1/threads/${threads[index % CLIENTS]}/messages`, body);
    if (response.status !== 200) throw new Error(await response.text());
    await response.text();
  });
  return {
    perSecond: MESSAGES / ((performance.now() - begin) / 1000),
    perCpuSecond: MESSAGES / ((await server.readCpu()) - cpu),
  };
}

const ratios = { time: [] as number[], cpu: [] as number[] };
const perCpuSecond = { http: [] as number[], raw: [] as number[] };
// The first round warms both sides up and does not count.
for (let round = 0; round <= ROUNDS; round += 1) {
  const raw = insertRaw(database);
  const http = await createMessages();
  if (round === 0) continue;
  ratios.time.push(http.perCpuSecond / raw.perSecond);
  ratios.cpu.push(http.perCpuSecond / raw.perCpuSecond);
  perCpuSecond.http.push(http.perCpuSecond);
  perCpuSecond.raw.push(raw.perCpuSecond);
  console.log(
    `raw ${raw.perSecond.toFixed(0)} rows/s, ${raw.perCpuSecond.toFixed(0)} a CPU second; ` +
      `HTTP ${http.perSecond.toFixed(0)} messages/s, ${http.perCpuSecond.toFixed(0)} a CPU second of the server`,
  );
}
await server.stop();
database.close();
await rm(folder, { recursive: true, force: true });
// Client and server share the cores here, and the client's own HTTP costs more than half: so what the server spends counts, on
// both sides. Over raw rows a second the ratio would grow with every wait for the disk, which the raw side alone is charged for.
openResults('messages').report({
  id: 'over-raw-rows',
  what: 'messages over HTTP by 64 clients, over raw inserts into the same tables, both a CPU second',
  value: toMedian(ratios.cpu),
  unit: '',
  aim: atLeast(AIM),
  beside: [
    { name: 'messages', value: toMedian(perCpuSecond.http), unit: 'a CPU second' },
    { name: 'raw rows', value: toMedian(perCpuSecond.raw), unit: 'a CPU second' },
  ],
});
console.log(`messages a CPU second over raw rows a second of time: ${toMedian(ratios.time).toFixed(2)}`);
console.log('bench/store.ts compares the store alone, without HTTP');
