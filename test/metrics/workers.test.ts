/** Real workers: what a client counted is what the server counted, whichever of them are killed. */

import { afterEach, describe, expect, test } from 'bun:test';
import { request } from 'node:http';
import { isRunning } from '../cluster/cluster.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { say, waitFor } from '../support/upstream-steps.ts';
import { sumSamples } from './prometheus.ts';

const HANDLER = 'handler="/v1/health"';
const LANES = 8;
const TEST_MS = 60_000;

let server: TestServer | null = null;
const upstreams: ScriptedUpstream[] = [];
afterEach(async () => {
  for (const upstream of upstreams.splice(0)) await upstream.close();
  await server?.stop();
  server = null;
});

async function startWorkers(count: number, env: Record<string, string> = {}): Promise<TestServer> {
  server = await startServer({ flags: ['--workers', String(count)], env });
  const { output } = server;
  await waitUntil('all workers listen', () => output().includes('"event":"started"'));
  return server;
}

/** The processes that have listened, oldest first. */
function findWorkers({ output }: Pick<TestServer, 'output'>): number[] {
  return [...output().matchAll(/"event":"listening".*?"pid":(\d+)/g)].map((match) => Number(match[1]));
}

/** One request over a connection of its own, never made again by itself. Whether an answer came. */
function ask(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(`${url}/v1/health`, { agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode === 200));
      response.once('error', () => resolve(false));
    });
    asked.once('error', () => resolve(false));
    asked.end();
  });
}

async function askMany(url: string, count: number): Promise<number> {
  let left = count;
  let answered = 0;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      if (await ask(url)) answered += 1;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return answered;
}

/** A worker that was killed may have had the connection. */
async function readPage(url: string): Promise<string> {
  let page = '';
  await waitUntil('the metrics are answered', async () => {
    const response = await fetch(`${url}/metrics`, { headers: { connection: 'close' } }).catch(() => null);
    if (response?.status !== 200) return false;
    page = await response.text();
    return true;
  });
  return page;
}

const countRequests = async (url: string): Promise<number> =>
  sumSamples(await readPage(url), 'http_requests_total', HANDLER);

describe.skipIf(process.platform !== 'linux')('two workers', () => {
  test(
    'have counted together what the client sent, exactly, and still after one of them was killed',
    async () => {
      const running = await startWorkers(2);
      const { url } = running;
      expect(await askMany(url, 200)).toBe(200);
      expect(await countRequests(url)).toBe(200);
      const before = findWorkers(running);
      expect(before).toHaveLength(2);
      process.kill(before[0] ?? 0, 'SIGKILL');
      await waitUntil('another worker listens', () => findWorkers(running).length === 3);
      await waitUntil('it is counted', async () => {
        return sumSamples(await readPage(url), 'understudy_worker_restarts_total') === 1;
      });
      expect(await countRequests(url)).toBe(200);
      expect(await askMany(url, 100)).toBe(100);
      const page = await readPage(url);
      expect(sumSamples(page, 'http_requests_total', HANDLER)).toBe(300);
      expect(sumSamples(page, 'http_requests_total', HANDLER, 'status="2xx"')).toBe(300);
      expect(sumSamples(page, 'http_request_duration_seconds_count', HANDLER)).toBe(300);
      expect(sumSamples(page, 'understudy_workers')).toBe(2);
    },
    TEST_MS,
  );

  test(
    'have counted, under load and a storm of kills, no less than was answered, no more than was sent, and never less than before',
    async () => {
      const running = await startWorkers(2);
      const { url } = running;
      let sent = 0;
      let answered = 0;
      let isOver = false;
      const lane = async (): Promise<void> => {
        while (!isOver) {
          sent += 1;
          if (await ask(url)) answered += 1;
        }
      };
      const lanes = Array.from({ length: LANES }, lane);
      let last = 0;
      for (let kills = 1; kills <= 4; kills += 1) {
        const known = findWorkers(running);
        const due = answered + 100;
        await waitUntil('there is load', () => answered >= due);
        // In turn the one that is there for longest, and the one that has just come.
        process.kill(known.filter(isRunning).at(kills % 2 === 0 ? 0 : -1) ?? 0, 'SIGKILL');
        await waitUntil('another worker listens', () => findWorkers(running).length > known.length, 30_000);
        const counted = await countRequests(url);
        expect(counted).toBeGreaterThanOrEqual(last);
        last = counted;
      }
      isOver = true;
      await Promise.all(lanes);
      const page = await readPage(url);
      const counted = sumSamples(page, 'http_requests_total', HANDLER);
      expect(counted).toBeGreaterThanOrEqual(answered);
      expect(counted).toBeLessThanOrEqual(sent);
      expect(sumSamples(page, 'understudy_worker_restarts_total')).toBe(4);
    },
    TEST_MS,
  );
});

test(
  'a run whose worker is killed is one run that was started, taken over and ended',
  async () => {
    const upstream = await startScriptedUpstream();
    upstreams.push(upstream);
    const held = Promise.withResolvers<void>();
    const model = upstream.script('held', [say('a'), waitFor(held.promise), say('b')]);
    const env = { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'operator' };
    const running = await startWorkers(1, env);
    const { json: assistant } = await running.call('POST', '/v1/assistants', { model });
    const thread = { messages: [{ role: 'user', content: 'Hello' }] };
    await running.call('POST', '/v1/threads/runs', { assistant_id: assistant.id, thread });
    await upstream.waitForRequest((request) => request.model === model);
    process.kill(running.workerPid, 'SIGKILL');
    held.resolve();
    let page = '';
    await waitUntil(
      'the run has ended',
      async () => {
        page = await readPage(running.url);
        return sumSamples(page, 'understudy_runs_ended_total', 'status="completed"') === 1;
      },
      30_000,
    );
    expect(sumSamples(page, 'understudy_runs_started_total')).toBe(1);
    expect(sumSamples(page, 'understudy_run_takeovers_total')).toBe(1);
    expect(sumSamples(page, 'understudy_runs_ended_total')).toBe(1);
    expect(sumSamples(page, 'understudy_run_duration_seconds_count')).toBe(1);
    await waitUntil('nothing is worked on', async () => {
      return sumSamples(await readPage(running.url), 'understudy_runs_active') === 0;
    });
  },
  TEST_MS,
);

test(
  'ten thousand paths that nobody knows are one series',
  async () => {
    const { url } = await startWorkers(1);
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < 10_000) {
        next += 1;
        await (await fetch(`${url}/v1/unknown-${next}`)).arrayBuffer();
      }
    };
    await Promise.all(Array.from({ length: 32 }, lane));
    const page = await readPage(url);
    const lines = page.split('\n').filter((line) => line.startsWith('http_requests_total{'));
    expect(lines).toEqual(['http_requests_total{handler="none",method="GET",status="4xx"} 10000']);
    expect(page).not.toContain('unknown-');
  },
  TEST_MS,
);
