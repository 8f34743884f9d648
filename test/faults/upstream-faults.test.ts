/**
 * A model's server of whose answers three in ten go wrong, in every way that it knows: cut before and amid an answer, silent,
 * limited, overloaded, no JSON, another server's page, endless frames. Every run ends, every stream ends properly and says how,
 * those whose answers were right are completed, and neither connections nor memory are left over.
 *
 * `UNDERSTUDY_FAULTS_SEED` chooses which answers go wrong, `UNDERSTUDY_FAULTS_SCALE` makes it longer.
 */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { toNames } from '../runs/event-reader.ts';
import { createApi, type Json, type RunApi, toEnvironment, toLastRun } from '../runs/run-fixture.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { createRandom, readScale, readSeed } from './seeded-random.ts';
import { countDescriptors, readResidentMib } from './server-processes.ts';

const seed = readSeed();
const RUNS = 600 * readScale();
const CONCURRENCY = 40;
const WRONG_SHARE = 0.3;
/** A model that says nothing has so long. */
const RUN_EXPIRES_SECONDS = 3;
const TEXT = 'one two three four five six';
const DESCRIPTORS_SLACK = 12;
const GROWTH_MAX_MIB = 64;
const ENDS = ['completed', 'failed', 'incomplete', 'expired'];
/** What a run says that was not let through since the ones before it failed. */
const LEFT_ALONE = /in a row and is left alone/;

const WRONG: Readonly<Record<string, readonly steps.Step[]>> = {
  'cut before it answers': [steps.reset()],
  'cut amid the answer': [steps.say('one two'), steps.reset()],
  'ended without an end': [steps.say('one two'), steps.end()],
  silent: [steps.hang()],
  'silent amid the answer': [steps.say('one'), steps.hang()],
  'limited, then well': [steps.fail(429, { times: 1, retryAfter: '0' }), steps.say(TEXT)],
  limited: [steps.fail(429, { code: 'rate_limit_exceeded' })],
  'out of quota': [steps.fail(429, { code: 'insufficient_quota', type: 'insufficient_quota' })],
  overloaded: [steps.fail(503)],
  broken: [steps.fail(500)],
  'a wrong key': [steps.fail(401, { code: 'invalid_api_key' })],
  'another page': [steps.answer(200, '<html>It works!</html>', { 'content-type': 'text/html' })],
  'an empty answer': [steps.answer(200, '')],
  'no JSON': [steps.raw('data: {"id": broken\n\n'), steps.noDone(), steps.end()],
  'half a frame': [steps.say('one'), steps.raw('data: {"choices":[{"delta":{"cont'), steps.reset()],
  'frames of no use': [steps.raw('data: []\n\ndata: 5\n\ndata: {"choices":7}\n\n'), steps.say(TEXT)],
  'a redirect to itself': [steps.redirect('/v1/chat/completions')],
  'an error amid the answer': [
    steps.say('one'),
    steps.chunk({ error: { message: 'gone', type: 'server_error' } }),
    steps.end(),
  ],
};

let upstream: ScriptedUpstream;
let server: TestServer;
let api: RunApi;

beforeAll(async () => {
  upstream = await startScriptedUpstream({ requestsMax: 0 });
  server = await startServer({
    env: toEnvironment(upstream),
    flags: ['--run-expires-seconds', String(RUN_EXPIRES_SECONDS)],
  });
  api = createApi(server);
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
  await upstream.close();
});

/** The run when it rests; streamed or polled. */
async function play(assistantId: string, isStreamed: boolean): Promise<Json> {
  const body = { assistant_id: assistantId, thread: { messages: [{ role: 'user', content: 'Hello' }] } };
  if (!isStreamed) return await api.waitForRest(await api.post('/v1/threads/runs', body), 30_000);
  const events = await (await api.open('/v1/threads/runs', body)).rest();
  const run = toLastRun(events);
  expect(toNames(events).at(-1)).toBe(`thread.run.${run.status}`);
  return run;
}

test(`${RUNS} runs end although ${WRONG_SHARE * 100} % of the model's answers go wrong, and nothing is left over`, async () => {
  console.log(`upstream faults: seed ${seed}`);
  const random = createRandom(seed);
  const wrong: string[] = [];
  for (const [name, list] of Object.entries(WRONG)) {
    // A step that fails once is remembered by itself: each assistant has its own.
    wrong.push(await api.createAssistant(upstream.script(`wrong: ${name}`, [...list])));
  }
  const right = await api.createAssistant(upstream.script('right', [steps.pace(200), steps.say(TEXT)]));
  for (let warm = 0; warm < CONCURRENCY; warm += 1) await play(right, warm % 2 === 0);
  const before = {
    files: await countDescriptors(server.workerPid),
    mib: await readResidentMib(server.workerPid),
  };
  const plan = Array.from({ length: RUNS }, () => ({
    assistantId: random.chance(WRONG_SHARE) ? random.pick(wrong) : right,
    isStreamed: random.chance(0.5),
  }));
  const counts: Record<string, number> = {};
  const spoilt: Json[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let one = plan[next++]; one !== undefined; one = plan[next++]) {
      const run = await play(one.assistantId, one.isStreamed);
      const name = `${one.assistantId === right ? 'right' : 'wrong'} ${run.status}`;
      counts[name] = (counts[name] ?? 0) + 1;
      expect(ENDS).toContain(run.status);
      if (run.status === 'failed') expect(run.last_error.message).toMatch(/\S/);
      const isLeftAlone = LEFT_ALONE.test(run.last_error?.message ?? '');
      if (one.assistantId === right && run.status !== 'completed' && !isLeftAlone) spoilt.push(run);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  console.log(`upstream faults: ${JSON.stringify(counts)}, connections ${upstream.connections.total}`);
  expect(spoilt.map(({ status, last_error: error }) => [status, error])).toEqual([]);
  expect(counts['right completed']).toBeGreaterThan(RUNS * (1 - WRONG_SHARE) * 0.5);
  expect(counts['wrong failed']).toBeGreaterThan(RUNS * WRONG_SHARE * 0.3);
  await waitUntil('the model is left alone', () => upstream.activeCount === 0);
  await waitUntil(
    'its connections are closed',
    async () => (await countDescriptors(server.workerPid)) <= before.files + CONCURRENCY + DESCRIPTORS_SLACK,
    20_000,
  );
  expect((await readResidentMib(server.workerPid)) - before.mib).toBeLessThan(GROWTH_MAX_MIB);
}, 180_000);
