/**
 * A disk that keeps its writers waiting: another process holds the databases' locks for seconds, and each sync takes long. What
 * only reads goes on, streams go on, `/health` answers at once, and a write is answered by 200, or by 503 after a bound.
 *
 * Slow syncs need Linux and a C compiler: without them that test is skipped, which the output says. With
 * `UNDERSTUDY_FAULTS_SCALE` of 2 and more, a lock is held for longer than any write waits.
 */

import { Database } from 'bun:sqlite';
import { afterAll, afterEach, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LOCK_WAIT_DEFAULT_MS } from '../../src/store/sqlite/sqlite-store.ts';
import { openEvents, type SeenEvent, toNames } from '../runs/event-reader.ts';
import { toEnvironment } from '../runs/run-fixture.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { type Answer, startServer, type TestServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { buildPreload, hasCompiler } from './preload/preload.ts';
import { readScale } from './seeded-random.ts';

const DATABASES = ['understudy.db', 'files.db', 'index.db'];
const HOLD_MS = 1_500;
const HOLDS = 2;
const STREAMS = 8;
const WRITERS = 8;
const TOKENS_PER_SECOND = 20;
/** Four seconds of a stream. */
const TEXT = Array.from({ length: 80 }, (_, index) => `word${index}`).join(' ');
const PROBE_EVERY_MS = 25;
/** What a machine that runs other tests beside may make of «at once». */
const AT_ONCE_MS = 500;
const SYNC_MS = 100;

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Place {
  readonly server: TestServer;
  readonly upstream: ScriptedUpstream;
  readonly threadId: string;
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<Place> {
  const upstream = await startScriptedUpstream({ requestsMax: 0 });
  const dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-slow-'));
  const server = await startServer({ dataDirectory, env: { ...toEnvironment(upstream), ...env } });
  cleanUps.push(
    () => rm(dataDirectory, { recursive: true, force: true }),
    () => upstream.close(),
    () => server.stop(),
  );
  const thread = await server.call('POST', '/v1/threads', { messages: [{ role: 'user', content: 'Hello' }] });
  // The index and the files' database are opened when they are first needed.
  const form = new FormData();
  form.append('purpose', 'assistants');
  form.append('file', new File(['some bytes'], 'a.txt'));
  const file = await server.call('POST', '/v1/files', form);
  const store = await server.call('POST', '/v1/vector_stores', { file_ids: [file.json.id] });
  await waitUntil('the file is read', async () => {
    const { json } = await server.call('GET', `/v1/vector_stores/${store.json.id}`);
    return json.file_counts.completed === 1;
  });
  return { server, upstream, threadId: thread.json.id };
}

interface Probing {
  /** Milliseconds that the slowest answer took. */
  stop(): Promise<number>;
}

/** Calls again and again, one call after the other. Errors: an answer that is no 200. */
function probe(call: () => Promise<Answer>): Probing {
  let isOver = false;
  let slowestMs = 0;
  const work = (async () => {
    while (!isOver) {
      const startedMs = performance.now();
      const { status, text } = await call();
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      if (status !== 200) throw new Error(`a probe was answered ${status}: ${text}`);
      await Bun.sleep(PROBE_EVERY_MS);
    }
  })();
  // It is awaited in the end.
  work.catch(() => undefined);
  return {
    async stop() {
      isOver = true;
      await work;
      return slowestMs;
    },
  };
}

interface StreamView {
  readonly events: SeenEvent[];
  /** The longest time in which nothing came of a text that comes evenly. */
  longestGapMs: number;
}

async function readStream(server: TestServer, assistantId: string): Promise<StreamView> {
  const body = {
    assistant_id: assistantId,
    thread: { messages: [{ role: 'user', content: 'Hello' }] },
    stream: true,
  };
  const reader = await openEvents({ url: `${server.url}/v1/threads/runs`, body });
  const view: StreamView = { events: [], longestGapMs: 0 };
  let lastMs: number | null = null;
  for await (const event of reader.events) {
    view.events.push(event);
    if (event.event !== 'thread.message.delta') continue;
    const nowMs = performance.now();
    if (lastMs !== null) view.longestGapMs = Math.max(view.longestGapMs, nowMs - lastMs);
    lastMs = nowMs;
  }
  return view;
}

/** Adds messages until it is told to stop. Answers their statuses, and how long the slowest took. */
function write({ server, threadId }: Place): { stop(): Promise<{ statuses: number[]; slowestMs: number }> } {
  let isOver = false;
  const statuses: number[] = [];
  let slowestMs = 0;
  const work = (async () => {
    while (!isOver) {
      const startedMs = performance.now();
      const answer = await server.call('POST', `/v1/threads/${threadId}/messages`, {
        role: 'user',
        content: 'kept',
      });
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      statuses.push(answer.status);
    }
  })();
  work.catch(() => undefined);
  return {
    async stop() {
      isOver = true;
      await work;
      return { statuses, slowestMs };
    },
  };
}

/** Takes every database's lock for so long, as a process that writes does. */
async function holdLocks(dataDirectory: string, ms: number): Promise<void> {
  const databases = DATABASES.map(
    (name) => new Database(join(dataDirectory, name), { readwrite: true, create: false }),
  );
  try {
    for (const database of databases) {
      database.run('PRAGMA busy_timeout = 5000');
      database.run('BEGIN IMMEDIATE');
    }
    await Bun.sleep(ms);
    for (const database of databases) database.run('ROLLBACK');
  } finally {
    for (const database of databases) database.close();
  }
}

function expectWhole(views: readonly StreamView[]): void {
  for (const view of views) {
    expect(toNames(view.events).at(-1)).toBe('thread.run.completed');
    expect(view.longestGapMs).toBeLessThan(AT_ONCE_MS);
  }
}

async function createAssistant({ server, upstream }: Place): Promise<string> {
  const model = upstream.script('slow', [steps.pace(TOKENS_PER_SECOND), steps.say(TEXT)]);
  return (await server.call('POST', '/v1/assistants', { model })).json.id;
}

test(`while another process holds the locks for ${HOLD_MS} ms, reads and streams go on and writes wait`, async () => {
  const place = await start();
  const { server, threadId } = place;
  const assistantId = await createAssistant(place);
  const streams = Array.from({ length: STREAMS }, () => readStream(server, assistantId));
  await Bun.sleep(HOLD_MS / 4);
  const health = probe(() => server.call('GET', '/health'));
  const reads = probe(() => server.call('GET', `/v1/threads/${threadId}/messages?limit=20`));
  const writers = Array.from({ length: WRITERS }, () => write(place));
  for (let hold = 0; hold < HOLDS; hold += 1) await holdLocks(server.dataDirectory, HOLD_MS);
  const written = await Promise.all(writers.map((writer) => writer.stop()));
  const [healthMs, readMs] = [await health.stop(), await reads.stop()];
  const views = await Promise.all(streams);
  const slowestMs = Math.max(...written.map((one) => one.slowestMs));
  const longestGapMs = Math.max(...views.map((view) => view.longestGapMs));
  console.log(
    `locked: health ≤ ${healthMs.toFixed(0)} ms, reads ≤ ${readMs.toFixed(0)} ms, writes ≤ ${slowestMs.toFixed(0)} ms, ` +
      `gaps in streams ≤ ${longestGapMs.toFixed(0)} ms`,
  );
  expect(new Set(written.flatMap(({ statuses }) => statuses))).toEqual(new Set([200]));
  expect(slowestMs).toBeGreaterThan(HOLD_MS / 2);
  expect(slowestMs).toBeLessThan(HOLDS * HOLD_MS + 2_000);
  expect(healthMs).toBeLessThan(AT_ONCE_MS);
  expect(readMs).toBeLessThan(AT_ONCE_MS);
  expectWhole(views);
}, 60_000);

test.skipIf(readScale() < 2)(
  'a lock that is held for longer than a write waits is a 503 in time, and forgotten when it is free',
  async () => {
    const { server, threadId } = await start();
    const path = `/v1/threads/${threadId}/messages`;
    const holding = holdLocks(server.dataDirectory, LOCK_WAIT_DEFAULT_MS + 3_000);
    const startedMs = performance.now();
    const refused = await server.call('POST', path, { role: 'user', content: 'refused' });
    const tookMs = performance.now() - startedMs;
    expect([refused.status, refused.json.error.type]).toEqual([503, 'server_error']);
    expect(tookMs).toBeLessThan(LOCK_WAIT_DEFAULT_MS + 1_500);
    await holding;
    expect((await server.call('POST', path, { role: 'user', content: 'taken' })).status).toBe(200);
    const { data } = (await server.call('GET', path)).json;
    expect(data).toHaveLength(2);
  },
  LOCK_WAIT_DEFAULT_MS * 2,
);

const libraries = await mkdtemp(join(tmpdir(), 'understudy-preload-'));
const library = hasCompiler() ? buildPreload('slow-sync', libraries) : null;
afterAll(() => rm(libraries, { recursive: true, force: true }));
if (library === null) console.log('SKIPPED: slow syncs need Linux and a C compiler.');

test.skipIf(library === null)(
  `while each sync takes ${SYNC_MS} ms, clients share them and nobody waits for long`,
  async () => {
    const place = await start({ LD_PRELOAD: library ?? '', UNDERSTUDY_TEST_SYNC_MS: String(SYNC_MS) });
    const { server, threadId } = place;
    const assistantId = await createAssistant(place);
    const streams = Array.from({ length: STREAMS }, () => readStream(server, assistantId));
    const health = probe(() => server.call('GET', '/health'));
    const reads = probe(() => server.call('GET', `/v1/threads/${threadId}/messages?limit=20`));
    const writers = Array.from({ length: WRITERS }, () => write(place));
    const views = await Promise.all(streams);
    const written = await Promise.all(writers.map((writer) => writer.stop()));
    const [healthMs, readMs] = [await health.stop(), await reads.stop()];
    const statuses = written.flatMap((one) => one.statuses);
    const slowestMs = Math.max(...written.map((one) => one.slowestMs));
    console.log(
      `slow syncs: health ≤ ${healthMs.toFixed(0)} ms, reads ≤ ${readMs.toFixed(0)} ms, ${statuses.length} writes ≤ ` +
        `${slowestMs.toFixed(0)} ms, gaps in streams ≤ ${Math.max(...views.map((view) => view.longestGapMs)).toFixed(0)} ms`,
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    // The machine's own syncs take their time, too; the library must have been there at all.
    expect(slowestMs).toBeGreaterThan(SYNC_MS);
    expect(slowestMs).toBeLessThan(SYNC_MS * 10);
    expect(healthMs).toBeLessThan(AT_ONCE_MS);
    // The thread that syncs is the one that reads.
    expect(readMs).toBeLessThan(SYNC_MS * 5);
    expectWhole(views);
  },
  60_000,
);
