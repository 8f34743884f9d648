/**
 * Messages created over HTTP by 64 clients, against raw inserts of rows of the same size with the same sync, in
 * transactions of as many as there are clients. `bun bench/messages.ts`
 */

import { Database } from 'bun:sqlite';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isQuick, repeat, report, startServer, toMedian } from './harness.ts';

const CLIENTS = 64;
const MESSAGES = isQuick ? 4000 : 16_000;
const ROUNDS = isQuick ? 3 : 5;
const AIM = 0.5;

const folder = await mkdtemp(join(tmpdir(), 'understudy-bench-raw-'));
const database = new Database(join(folder, 'raw.db'), { create: true });
database.run('PRAGMA journal_mode = WAL');
database.run('PRAGMA synchronous = FULL');
database.run('CREATE TABLE rows (id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID');
const insert = database.prepare('INSERT INTO rows (id, document) VALUES (?, ?)');
const server = await startServer();
const threads: string[] = [];
for (let i = 0; i < CLIENTS; i += 1) {
  threads.push(((await (await server.post('/v1/threads', {})).json()) as { id: string }).id);
}
const body = {
  role: 'user',
  content: 'A message of a usual length, as people write them to an assistant. '.repeat(3),
};
const document = await (await server.post(`/v1/threads/${threads[0]}/messages`, body)).text();

function insertRaw(): number {
  const begin = performance.now();
  const group = database.transaction(() => {
    for (let i = 0; i < CLIENTS; i += 1) insert.run(crypto.randomUUID(), document);
  });
  for (let done = 0; done < MESSAGES; done += CLIENTS) group();
  return MESSAGES / ((performance.now() - begin) / 1000);
}

async function createMessages(): Promise<{ perSecond: number; cpu: number }> {
  const cpu = await server.readCpu();
  const begin = performance.now();
  await repeat(MESSAGES, CLIENTS, async (index) => {
    const response = await server.post(`/v1/threads/${threads[index % CLIENTS]}/messages`, body);
    if (response.status !== 200) throw new Error(await response.text());
    await response.text();
  });
  return { perSecond: MESSAGES / ((performance.now() - begin) / 1000), cpu: (await server.readCpu()) - cpu };
}

const ratios: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const raw = insertRaw();
  const { perSecond, cpu } = await createMessages();
  const perCpuSecond = MESSAGES / cpu;
  ratios.push(perCpuSecond / raw);
  console.log(
    `raw ${raw.toFixed(0)} rows/s; HTTP ${perSecond.toFixed(0)} messages/s, ${perCpuSecond.toFixed(0)} a CPU second of the server`,
  );
}
await server.stop();
database.close();
await rm(folder, { recursive: true, force: true });
// Client and server share the two cores here, and the client's own HTTP costs more than half: so what the server spends counts.
report(
  'messages a CPU second over raw rows a second',
  toMedian(ratios).toFixed(2),
  `≥ ${AIM}; see bench/store.ts for the store alone`,
  toMedian(ratios) >= AIM,
);
