/**
 * SIGTERM while 100 streams are under way on two workers: those that can end within the drain bound come whole, the others end
 * properly and say why, the exit code is 0, and the next start takes up what was left. Completions that are only handed through
 * come whole, too.
 */

import { afterEach, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { joinDeltas, type SeenEvent, toNames } from '../runs/event-reader.ts';
import { createApi, type Json, toEnvironment, toLastRun } from '../runs/run-fixture.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, waitUntil } from '../support/server.ts';
import { readRecords } from '../support/stored.ts';
import * as steps from '../support/upstream-steps.ts';
import { isProcessAlive, readChildren } from './server-processes.ts';

/** Half of them end in time. */
const STREAMS = 100;
const HANDED_THROUGH = 20;
const DRAIN_SECONDS = 4;
/** Beyond the drain bound: closing the store, and the processes' end. */
const END_MS = 6_000;
const TOKENS_PER_SECOND = 20;
/** A second and a half. */
const SHORT = Array.from({ length: 30 }, (_, index) => `word${index}`).join(' ');
const WHOLE = 'and this is the whole of it';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Followed {
  readonly run: Json;
  readonly rest: Promise<SeenEvent[]>;
}

test(`SIGTERM under ${STREAMS} streams cuts none that can end in ${DRAIN_SECONDS} s, and the next start takes up the others`, async () => {
  const upstream = await startScriptedUpstream({ requestsMax: 1_000 });
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-drain-'));
  cleanUps.push(
    () => rm(dataDirectory, { recursive: true, force: true }),
    () => upstream.close(),
  );
  const flags = ['--workers', '2', '--drain-seconds', String(DRAIN_SECONDS)];
  const start = () => startServer({ dataDirectory, flags, env: toEnvironment(upstream) });
  const server = await start();
  cleanUps.push(() => server.stop());
  await waitUntil(
    'both workers listen',
    () => server.output().split('"event":"listening"').length === 3,
    30_000,
  );
  const processes = [server.pid, ...(await readChildren(server.pid))];
  const api = createApi(server);

  const short = upstream.script('drain short', [steps.pace(TOKENS_PER_SECOND), steps.say(SHORT)]);
  let isBack = false;
  const long = upstream.scriptBy('drain long', () => [
    isBack ? [steps.say(WHOLE)] : [steps.say('Half'), steps.hang()],
  ]);
  const open = async (model: string): Promise<Followed> => {
    const reader = await api.openRun(model);
    return { run: toLastRun(await reader.readTo('thread.message.delta')), rest: reader.rest() };
  };
  const half = Array.from({ length: STREAMS / 2 });
  const longs = await Promise.all(half.map(() => open(long)));
  const body = { model: short, messages: [{ role: 'user', content: 'Hello' }], stream: true };
  // All at once, and no later: the signal comes while they are under way.
  const [shorts, handed] = await Promise.all([
    Promise.all(half.map(() => open(short))),
    Promise.all(
      Array.from({ length: HANDED_THROUGH }, () =>
        fetch(`${server.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        }),
      ),
    ),
  ]);
  const stopping = server.stop();
  const startedMs = performance.now();

  for (const { rest } of shorts) {
    const events = await rest;
    expect(toNames(events).at(-1)).toBe('thread.run.completed');
    const text = toLastRun(events) && events.find(({ event }) => event === 'thread.message.completed');
    expect(text?.data.content[0].text.value).toBe(SHORT);
    // The first delta was read before.
    expect(SHORT.endsWith([...joinDeltas(events).values()].join(''))).toBe(true);
  }
  for (const response of handed) expect(await response.text()).toEndWith('data: [DONE]\n\n');
  for (const { rest } of longs) {
    const events = await rest;
    expect(toNames(events).at(-1)).toBe('error');
    expect(events.at(-1)?.data.code).toBe('service_unavailable');
  }
  expect(await stopping).toBe(0);
  const tookMs = performance.now() - startedMs;
  expect(tookMs).toBeLessThan(DRAIN_SECONDS * 1_000 + END_MS);
  expect(processes.filter(isProcessAlive)).toEqual([]);

  isBack = true;
  const next = await start();
  cleanUps.push(() => next.stop());
  const backMs = performance.now();
  const nextApi = createApi(next);
  for (const { run } of longs) await nextApi.waitFor(run, 'completed', 20_000);
  console.log(
    `drain: ended after ${tookMs.toFixed(0)} ms; ${longs.length} runs were taken up and ended ` +
      `${(performance.now() - backMs).toFixed(0)} ms after the next start`,
  );
  for (const { run } of [...shorts, ...longs]) {
    const [, ...answers] = await nextApi.listMessages(run.thread_id);
    const isLong = longs.some((one) => one.run.id === run.id);
    expect(answers.map((answer) => answer.content[0].text.value)).toEqual([isLong ? WHOLE : SHORT]);
    expect(await nextApi.listSteps(run)).toHaveLength(1);
  }
  expect(await readRecords(dataDirectory, 'leases')).toEqual([]);
  expect(await next.stop()).toBe(0);
}, 120_000);
