/**
 * A cluster that goes away, or hangs, and comes back: clients are told soon that they may try again, streams end, and the server
 * serves again by itself.
 */

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import type { SeenEvent } from '../runs/event-reader.ts';
import { createApi, type Json, type RunApi, toLastRun, useThread } from '../runs/run-fixture.ts';
import { CASSANDRA_START_MS, type CassandraNode, startCassandra } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { type TestServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { startOnCassandra } from './cassandra-servers.ts';

const toSeconds = (name: string, byDefault: number): number => Number(process.env[name] ?? byDefault);
/** The node is dead for so long, or hangs: longer than in the suite where somebody wants to see it. */
const AWAY_MS = toSeconds('UNDERSTUDY_TEST_OUTAGE_SECONDS', 20) * 1000;
const FROZEN_MS = toSeconds('UNDERSTUDY_TEST_FREEZE_SECONDS', 20) * 1000;
/** How long a client may wait to hear that the store does not answer. */
const REFUSED_MS = 5_000;
/** The driver waits for a node that hangs as long as for one that is slow. */
const FROZEN_REFUSED_MS = 20_000;
/** From the node's first answer to the server's. */
const BACK_MS = 2_000;
const STREAMS = 6;
/** How often each of the requests below is made while the node is away, one after the other. */
const ASK_EVERY_MS = 500;
const TEST_MS = 240_000;

const describeCassandra = cassandraOrSkip('a cluster that goes away and comes back', { needsOwnNode: true });

let node: CassandraNode;
let upstream: ScriptedUpstream;
let server: TestServer;
let api: RunApi;
let names = 0;

interface Asked {
  readonly what: string;
  readonly status: number;
  readonly ms: number;
  readonly retryAfter: string | null;
  readonly json: Json;
}

describeCassandra('a cluster that goes away and comes back', () => {
  beforeAll(async () => {
    node = await startCassandra();
    upstream = await startScriptedUpstream();
  }, CASSANDRA_START_MS);

  beforeEach(async () => {
    server = await startOnCassandra(
      { contactPoint: node.contactPoint, keyspace: 'outage' },
      { env: { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'k' } },
    );
    api = createApi(server);
  }, 60_000);

  afterEach(async () => {
    expect(await server?.stop()).toBe(0);
  }, 60_000);

  afterAll(async () => {
    await upstream?.close();
    await node?.stop();
  });

  test(
    `a node that is dead for ${AWAY_MS / 1000} s`,
    async () => {
      const world = await begin();
      await node.kill();
      const asked = await askWhile(world, Bun.sleep(AWAY_MS));
      expectRefusals(asked, REFUSED_MS);
      await node.restart();
      await expectBack(world, BACK_MS);
    },
    TEST_MS,
  );

  test(
    `a node that hangs for ${FROZEN_MS / 1000} s`,
    async () => {
      const world = await begin();
      node.pause();
      const asked = await askWhile(world, Bun.sleep(FROZEN_MS)).finally(() => node.resume());
      expectRefusals(asked, FROZEN_REFUSED_MS);
      await expectBack(world, BACK_MS);
    },
    TEST_MS,
  );
});

interface World {
  readonly threadId: string;
  readonly assistantId: string;
  readonly runs: readonly Json[];
  /** How each stream ended. */
  readonly endings: Promise<readonly (readonly SeenEvent[])[]>;
}

const TEXT = Array.from({ length: 60 }, (_, index) => `word${index}`).join(' ');

/** Something to ask for, and streams that are running. */
async function begin(): Promise<World> {
  names += 1;
  const model = upstream.script(`outage-${names}`, [steps.pace(10), steps.say(TEXT)]);
  const assistantId = await api.createAssistant(model);
  const threadId = await api.createThread();
  const readers = await Promise.all(Array.from({ length: STREAMS }, () => api.openRun(model)));
  const begun = await Promise.all(readers.map((reader) => reader.readTo('thread.message.delta')));
  return {
    threadId,
    assistantId,
    runs: begun.map(toLastRun),
    endings: Promise.all(readers.map((reader) => reader.rest())),
  };
}

/** Asks for this and that until then, and for whether the server is alive and ready. */
async function askWhile(world: World, until: Promise<void>): Promise<Asked[]> {
  const { threadId, assistantId } = world;
  const message = { role: 'user', content: 'Hello?' };
  const requests: readonly (readonly [string, string, object?])[] = [
    ['GET', `/v1/threads/${threadId}`],
    ['GET', `/v1/threads/${threadId}/messages`],
    ['GET', '/v1/assistants'],
    ['POST', '/v1/threads', {}],
    ['POST', `/v1/threads/${threadId}/messages`, message],
    ['POST', `/v1/threads/${threadId}/runs`, { assistant_id: assistantId }],
    ['POST', `/v1/threads/${threadId}/runs`, { assistant_id: assistantId, stream: true }],
    ['POST', `/v1/assistants/${assistantId}`, { name: 'another' }],
    ['DELETE', `/v1/assistants/${assistantId}-not`],
    ['GET', '/v1/vector_stores'],
    ['GET', '/ready'],
    ['GET', '/health'],
  ];
  const asked: Asked[] = [];
  let isOver = false;
  void until.then(() => {
    isOver = true;
  });
  await Promise.all(
    requests.map(async ([method, path, body]) => {
      while (!isOver) {
        asked.push(await ask(method, path, body));
        await Bun.sleep(ASK_EVERY_MS);
      }
    }),
  );
  return asked;
}

async function ask(method: string, path: string, body?: object): Promise<Asked> {
  const started = performance.now();
  const { status, headers, json } = await server.call(method, path, body);
  const ms = Math.round(performance.now() - started);
  const what = `${method} ${path.replace(/_[A-Za-z0-9]{20,}/g, '_…')}`;
  return { what, status, ms, retryAfter: headers.get('retry-after'), json };
}

function expectRefusals(asked: readonly Asked[], withinMs: number): void {
  const refused = asked.filter(({ what }) => !what.endsWith('/health'));
  const times = refused.map(({ ms }) => ms).sort((a, b) => a - b);
  const slowest = refused.reduce((slow, one) => (one.ms > slow.ms ? one : slow));
  const alive = asked.filter(({ what }) => what.endsWith('/health'));
  console.error(
    JSON.stringify({
      requests: refused.length,
      medianMs: times[Math.floor(times.length / 2)],
      slowestMs: slowest.ms,
      slowest: slowest.what,
      healthMs: Math.max(...alive.map(({ ms }) => ms)),
    }),
  );
  const isFine = ({ status, json, ms, retryAfter }: Asked): boolean =>
    status === 503 &&
    ms <= withinMs &&
    Number(retryAfter) >= 1 &&
    json?.error?.type === 'server_error' &&
    typeof json.error.message === 'string';
  // Each kind once, where several are alike.
  const faults = new Set(
    refused
      .filter((one) => !isFine(one))
      .map(({ what, status, ms, retryAfter, json }) =>
        JSON.stringify({ what, status, isLate: ms > withinMs, retryAfter, json }),
      ),
  );
  expect([...faults]).toEqual([]);
  expect(alive.length).toBeGreaterThan(0);
  for (const { status, ms } of alive) expect([status, ms <= 1_000]).toEqual([200, true]);
}

/** The node answers: soon the server does so as well, and goes on with what was under way. */
async function expectBack({ threadId, runs, endings }: World, withinMs: number): Promise<void> {
  const { workerPid } = server;
  const started = performance.now();
  const since = (): number => Math.round(performance.now() - started);
  await waitUntil('the server is ready', async () => (await ask('GET', '/ready')).status === 200, 30_000);
  const readyMs = since();
  const message = { role: 'user', content: 'Back?' };
  await waitUntil(
    'a message can be added',
    async () => (await ask('POST', `/v1/threads/${threadId}/messages`, message)).status !== 503,
    30_000,
  );
  const writtenMs = since();
  const seen = await endings;
  const ends = seen.map((events) => events.at(-1)?.event);
  for (const run of runs) await api.waitFor(run, 'completed', 60_000);
  console.error(JSON.stringify({ readyMs, writtenMs, runsEndedMs: since(), ends }));
  for (const end of ends) expect(['error', 'thread.run.completed']).toContain(end ?? 'nothing');
  for (const run of runs) {
    const answers = (await api.listMessages(run.thread_id)).filter(({ role }) => role === 'assistant');
    expect(answers.map(({ status, content }) => [status, content[0].text.value])).toEqual([
      ['completed', TEXT],
    ]);
    const made = (await api.listSteps(run)).map(({ type, status }) => `${type} ${status}`);
    expect(made).toEqual(['message_creation completed']);
    await useThread(api, run.thread_id);
  }
  expect(server.workerPid).toBe(workerPid);
  expect(server.output()).not.toContain('worker ended');
  expect([readyMs <= withinMs, writtenMs <= withinMs]).toEqual([true, true]);
}
