/**
 * 10,000 idle keep-alive connections on one worker: it holds less than 200 MB in all, serves others as before, and every one of
 * the connections is answered again.
 *
 * Where a process may not have so many files open (`ulimit -n`), as many as it may are held, which the output says.
 */

import { afterEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { countDescriptors, readResidentMib } from './server-processes.ts';

const WANTED = 10_000;
/** Of a process, beside the connections. */
const OTHER_FILES = 500;
const MEMORY_MAX_MIB = 200_000_000 / (1024 * 1024);
const REQUESTS = 200;
const SLOWER_MAX = 3;
const SLOWER_MS = 10;

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Crowd {
  readonly open: number;
  /** Has one request answered on each connection. Answers on how many it was. */
  ask(): Promise<number>;
  leave(): Promise<void>;
}

async function openCrowd(url: string, count: number): Promise<Crowd> {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, 'idle-connections.ts'), url, String(count)],
    {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'inherit',
    },
  );
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  const readLine = async (): Promise<Record<string, number>> => {
    let text = '';
    while (!text.includes('\n')) {
      const { value, done } = await reader.read();
      if (done) throw new Error('The clients have ended.');
      text += decoder.decode(value, { stream: true });
    }
    return JSON.parse(text);
  };
  const { open = 0 } = await readLine();
  return {
    open,
    async ask() {
      child.stdin.write('again\n');
      child.stdin.flush();
      return (await readLine()).answered ?? 0;
    },
    async leave() {
      child.stdin.end();
      await child.exited;
    },
  };
}

function readFilesMax(): number {
  const { stdout } = Bun.spawnSync(['sh', '-c', 'ulimit -Hn']);
  const text = stdout.toString().trim();
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}

async function timeRequests(server: TestServer): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < REQUESTS; count += 1) {
    const startedMs = performance.now();
    expect((await server.call('GET', '/v1/threads?limit=20')).status).toBe(200);
    times.push(performance.now() - startedMs);
  }
  return times.toSorted((a, b) => a - b)[REQUESTS / 2] ?? Number.NaN;
}

test.skipIf(process.platform !== 'linux')(
  `${WANTED} idle connections are held, in less than 200 MB`,
  async () => {
    const count = Math.min(WANTED, readFilesMax() - OTHER_FILES);
    if (count < WANTED) console.log(`many connections: only ${count}, since ulimit -n allows no more`);
    const server = await startServer();
    cleanUps.push(() => server.stop());
    for (let made = 0; made < 20; made += 1) await server.call('POST', '/v1/threads', {});
    await timeRequests(server);
    const aloneMs = await timeRequests(server);
    const emptyMib = await readResidentMib(server.workerPid);
    const crowd = await openCrowd(server.url, count);
    cleanUps.push(() => crowd.leave());
    expect(crowd.open).toBe(count);
    expect(await countDescriptors(server.workerPid)).toBeGreaterThanOrEqual(count);
    const besideMs = await timeRequests(server);
    const heldMib = await readResidentMib(server.workerPid);
    const answered = await crowd.ask();
    const askedMib = await readResidentMib(server.workerPid);
    console.log(
      `many connections: ${count} held in ${heldMib.toFixed(0)} MiB (${askedMib.toFixed(0)} after one more request on each, ` +
        `${emptyMib.toFixed(0)} without them); a request takes ${besideMs.toFixed(2)} ms, ${aloneMs.toFixed(2)} ms without them`,
    );
    expect(answered).toBe(count);
    expect(Math.max(heldMib, askedMib)).toBeLessThan(MEMORY_MAX_MIB);
    expect(besideMs).toBeLessThan(aloneMs * SLOWER_MAX + SLOWER_MS);
    await crowd.leave();
    await waitUntil(
      'they are gone',
      async () => (await countDescriptors(server.workerPid)) < count / 10,
      20_000,
    );
    expect(await server.stop()).toBe(0);
  },
  120_000,
);
