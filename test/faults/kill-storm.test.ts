/**
 * 1,000 streamed runs on two workers while a worker, by chance, is killed every second; and the same while the primary is
 * killed, so that everything ends and is started again. Nothing is stuck, nothing that was acknowledged is lost, no step is there
 * twice, and every client got its whole stream or can read the finished run afterwards.
 *
 * `UNDERSTUDY_FAULTS_SEED` chooses who is killed, `UNDERSTUDY_FAULTS_SCALE` makes the storms longer.
 */

import { afterEach, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApi, toEnvironment, toFunction, toLastRun } from '../runs/run-fixture.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { readRecords } from '../support/stored.ts';
import * as steps from '../support/upstream-steps.ts';
import { createPersistentClient, type PersistentClient, type Played } from './persistent-client.ts';
import { createRandom, readScale, readSeed } from './seeded-random.ts';
import { isProcessAlive, killProcess, readChildren } from './server-processes.ts';

const scale = readScale();
const RUNS = 1_000 * scale;
const RUNS_OF_PRIMARIES = 200 * scale;
/** A fast machine plays further runs until so much has gone wrong, up to so many times as many. */
const STRIKES_MIN = 4;
const FURTHER_MAX = 10;
const CONCURRENCY = 64;
const KILL_EVERY_MS = 1_000;
/** A primary takes both workers along, and the next one has to start. */
const KILL_PRIMARY_EVERY_MS = 1_500;
const WORKERS = 2;
/** A run lasts for about a second. */
const TOKENS_PER_SECOND = 20;
const PLAIN = Array.from({ length: 12 }, (_, index) => `word${index}`).join(' ');
const WARM = 'it is warm there, and it will stay so';
const TAKEOVERS = 5;
/** From the death of a worker until the model is asked again by another. */
const TAKEOVER_MS = 1_000;
const LISTENING = /"event":"listening".*"pid":(\d+)/g;
const TEST_MS = 240_000 * scale;

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function makePlace(): Promise<{ upstream: ScriptedUpstream; start: () => Promise<TestServer> }> {
  const upstream = await startScriptedUpstream({ requestsMax: 100 });
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-storm-'));
  cleanUps.push(
    () => rm(dataDirectory, { recursive: true, force: true }),
    () => upstream.close(),
  );
  const flags = ['--workers', String(WORKERS), '--drain-seconds', '1'];
  return { upstream, start: () => startServer({ dataDirectory, flags, env: toEnvironment(upstream) }) };
}

interface Storm {
  /** Strikes once. */
  readonly strike: () => Promise<void>;
  readonly everyMs: number;
}

/** Plays so many runs, at least, while the storm goes on. Answers what clients were promised, and how often it struck. */
async function playThrough(
  client: PersistentClient,
  upstream: ScriptedUpstream,
  runs: number,
  storm: Storm,
): Promise<{ played: Played[]; texts: Record<string, string>; strikes: number }> {
  const pace = steps.pace(TOKENS_PER_SECOND);
  const plain = upstream.script('storm plain', [pace, steps.say(PLAIN)]);
  const calls = upstream.script(
    'storm calls',
    [pace, steps.callTool('get_weather', { city: 'Oslo' })],
    [pace, steps.say(WARM)],
  );
  const tools = [toFunction('get_weather')];
  const assistants = [
    await client.post('/v1/assistants', { model: plain, tools }),
    await client.post('/v1/assistants', { model: calls, tools }),
  ];
  const texts = { [assistants[0].id]: PLAIN, [assistants[1].id]: WARM };
  const played: Played[] = [];
  let next = 0;
  let isOver = false;
  let strikes = 0;
  const strikeOn = async (): Promise<void> => {
    while (!isOver) {
      await Bun.sleep(storm.everyMs);
      if (isOver) return;
      await storm.strike();
      strikes += 1;
    }
  };
  const lane = async (): Promise<void> => {
    while (next < runs || (strikes < STRIKES_MIN && next < runs * FURTHER_MAX)) {
      const index = next;
      next += 1;
      const { id } = assistants[index % assistants.length];
      const extra = index % 5 === 0 ? `extra ${index}` : null;
      played.push(await client.play({ assistantId: id, kept: `kept ${index}`, extra }));
    }
  };
  const striking = strikeOn();
  try {
    await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  } finally {
    isOver = true;
    await striking;
  }
  return { played, texts, strikes };
}

async function expectKept(
  client: PersistentClient,
  dataDirectory: string,
  { played, texts, strikes }: Awaited<ReturnType<typeof playThrough>>,
): Promise<void> {
  const { statistics } = client;
  console.log(`storm: ${played.length} runs, ${strikes} kills, ${JSON.stringify(statistics)}`);
  expect(strikes).toBeGreaterThanOrEqual(STRIKES_MIN);
  expect(played.filter(({ status }) => status !== 'completed')).toEqual([]);
  expect(await client.check(played, texts)).toEqual([]);
  expect(statistics.tornStreams).toBe(0);
  expect(statistics.hangs).toBe(0);
  expect(statistics.brokenAnswers).toEqual({});
  await waitUntil(
    'no run is anybody’s to work on',
    async () => (await readRecords(dataDirectory, 'leases')).length === 0,
  );
}

test(
  `${RUNS} streamed runs come through a kill of a worker every second`,
  async () => {
    const random = createRandom(readSeed());
    const { upstream, start } = await makePlace();
    const server = await start();
    cleanUps.push(() => server.stop());
    const client = createPersistentClient(() => [server]);
    const ready = new Set<number>();
    const strike = async (): Promise<void> => {
      // One that is killed before it serves says nothing of runs, and is not replaced at once.
      for (const [, pid] of server.output().matchAll(LISTENING)) ready.add(Number(pid));
      const workers = (await readChildren(server.pid)).filter((pid) => ready.has(pid));
      if (workers.length > 0) killProcess(random.pick(workers));
    };
    const outcome = await playThrough(client, upstream, RUNS, { strike, everyMs: KILL_EVERY_MS });
    await expectKept(client, server.dataDirectory, outcome);
    expect(await server.stop()).toBe(0);
  },
  TEST_MS,
);

test(
  `${RUNS_OF_PRIMARIES} streamed runs come through kills of the primary, and no worker outlives it for long`,
  async () => {
    const random = createRandom(readSeed());
    const { upstream, start } = await makePlace();
    let server = await start();
    cleanUps.push(() => server.stop());
    const left: number[] = [];
    const client = createPersistentClient(() => [server]);
    const strike = async (): Promise<void> => {
      const workers = await readChildren(server.pid);
      left.push(...workers);
      killProcess(server.pid);
      // A machine that goes down takes all of them; else the workers notice, and end by themselves.
      if (random.chance(0.5)) for (const pid of workers) killProcess(pid);
      server = await start();
    };
    const outcome = await playThrough(client, upstream, RUNS_OF_PRIMARIES, {
      strike,
      everyMs: KILL_PRIMARY_EVERY_MS,
    });
    await expectKept(client, server.dataDirectory, outcome);
    await waitUntil('the workers of dead primaries have ended', () => !left.some(isProcessAlive), 10_000);
    expect(left.length).toBeGreaterThanOrEqual(outcome.strikes);
    expect(await server.stop()).toBe(0);
  },
  TEST_MS,
);

test(`a run whose worker is killed goes on in another within ${TAKEOVER_MS} ms`, async () => {
  const { upstream, start } = await makePlace();
  const server = await start();
  cleanUps.push(() => server.stop());
  const api = createApi(server);
  const times: number[] = [];
  for (let round = 0; round < TAKEOVERS; round += 1) {
    let asked = 0;
    const model = upstream.scriptBy(`takeover ${round}`, () => {
      asked += 1;
      return [asked === 1 ? [steps.say('Half'), steps.hang()] : [steps.say('Half and whole')]];
    });
    const reader = await api.openRun(model);
    const run = toLastRun(await reader.readTo('thread.message.delta'));
    void reader.rest().catch(() => undefined);
    const [lease] = (await readRecords(server.dataDirectory, 'leases')).filter(({ id }) => id === run.id);
    const pid = Number(lease?.document.owner.split('/')[1]);
    expect(await readChildren(server.pid)).toContain(pid);
    const killedMs = performance.now();
    killProcess(pid);
    await waitUntil('the model is asked again', () => asked === 2, 60_000);
    times.push(performance.now() - killedMs);
    await waitUntil('the run has ended', async () => {
      const found = await api.getRun(run).catch(() => null);
      return found?.status === 'completed';
    });
    await waitUntil(
      'both workers are there',
      async () => {
        const listening = server.output().split('"event":"listening"').length - 1;
        return listening === WORKERS + round + 1;
      },
      60_000,
    );
  }
  console.log(`takeover: ${times.map((ms) => ms.toFixed(0)).join(', ')} ms after the kill`);
  for (const ms of times) expect(ms).toBeLessThan(TAKEOVER_MS);
}, 180_000);
