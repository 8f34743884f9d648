/** The executable: from its start to the first 200, and what it holds when idle. `bun bench/start.ts`, after `npm run build`. */

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  atMost,
  createAssistant,
  isQuick,
  openResults,
  repeat,
  startRun,
  startServer,
  startUpstream,
  toMedian,
  toPercentiles,
} from './harness.ts';

const BINARY = resolve(import.meta.dir, '../dist/understudy');
const ROUNDS = isQuick ? 5 : 20;
const PORT = 8719;
const START_AIM_MS = 300;
const MEMORY_AIM_MIB = 120;
const IDLE_MS = 3_000;

if (!existsSync(BINARY)) throw new Error('There is no dist/understudy: npm run build makes it.');

async function timeStart(): Promise<number> {
  const data = await mkdtemp(join(tmpdir(), 'understudy-bench-start-'));
  const begin = performance.now();
  const child = Bun.spawn([BINARY, 'serve', '--port', String(PORT), '--data', data], {
    stdout: 'ignore',
    stderr: 'ignore',
  });
  for (let isUp = false; !isUp; ) {
    isUp = await fetch(`http://127.0.0.1:${PORT}/health`).then(
      (response) => response.ok,
      () => Bun.sleep(1).then(() => false),
    );
  }
  const ms = performance.now() - begin;
  child.kill();
  await child.exited;
  await rm(data, { recursive: true, force: true });
  return ms;
}

const times: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) times.push(await timeStart());
const results = openResults('start');
results.report({
  id: 'first-answer',
  what: 'the executable, from its start to the first 200, p50',
  value: toMedian(times),
  unit: 'ms',
  aim: atMost(START_AIM_MS),
  distribution: toPercentiles(times),
});

const upstream = await startUpstream();
const server = await startServer({ command: [BINARY], upstreamUrl: upstream.url });
await Bun.sleep(IDLE_MS);
const idle = await server.readMemory();
const assistantId = await createAssistant(server, 'paced:20@0');
await repeat(500, 16, async () => (await startRun(server, assistantId, true)).text());
await Bun.sleep(IDLE_MS);
const used = await server.readMemory();
await server.stop();
await upstream.stop();
const toMib = (kib: number) => kib / 1024;
results.report({
  id: 'idle-memory',
  what: 'memory of all its processes, idle: RSS',
  value: toMib(idle.rss),
  unit: 'MiB',
  aim: atMost(MEMORY_AIM_MIB),
  beside: [
    { name: 'PSS', value: toMib(idle.pss) },
    { name: 'PSS after 500 runs', value: toMib(used.pss) },
  ],
});
