/**
 * The machine's clock is set a day forward, and then back to an hour before, while two workers are at work. Nobody's work is
 * taken from him: each model is asked once, each file is read once, an upload goes on. What waits ends when its own times say so.
 * Ids stay unique and in order, and no process begins to spin.
 *
 * The clock is shifted by a library that is loaded before all others: Linux and a C compiler are needed; without them the suite
 * is skipped, which the output says.
 */

import { afterAll, afterEach, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INGEST_SWEEP_MS } from '../../src/ingest/ingest-recovery.ts';
import { SWEEP_MS } from '../../src/runs/recovery.ts';
import { createApi, type Json, type RunApi, toFunction, toLastRun } from '../runs/run-fixture.ts';
import { startScriptedEmbedder } from '../support/scripted-embedder.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { readRecords } from '../support/stored.ts';
import * as steps from '../support/upstream-steps.ts';
import { buildPreload, hasCompiler } from './preload/preload.ts';
import { readChildren } from './server-processes.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const RUNS = 12;
const FILES = 6;
const MESSAGES = 50;
/** Every worker has looked at everybody's leases at least once in this time, on a busy machine too. */
const LOOKED_MS = Math.max(SWEEP_MS, INGEST_SWEEP_MS) * 1.2;
const IDLE_MS = 2_000;
/** Of a core, of a worker that has nothing to do. */
const IDLE_SHARE_MAX = 0.2;
const TICKS_PER_SECOND = 100;

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface ShiftedServer {
  readonly server: TestServer;
  /** Sets the clock so far from the right time. */
  setClock(shiftMs: number): void;
}

const libraries = await mkdtemp(join(tmpdir(), 'understudy-preload-'));
const library = hasCompiler() ? buildPreload('shifted-clock', libraries) : null;
afterAll(() => rm(libraries, { recursive: true, force: true }));
if (library === null) console.log('SKIPPED: clock jumps need Linux and a C compiler.');

async function start(
  env: Readonly<Record<string, string>>,
  flags: readonly string[],
): Promise<ShiftedServer> {
  const directory = await mkdtemp(join(tmpdir(), 'understudy-clock-'));
  const file = join(directory, 'shift');
  const bytes = new BigInt64Array(1);
  writeFileSync(file, bytes);
  const setClock = (shiftMs: number): void => {
    bytes[0] = BigInt(shiftMs);
    // In place: every process has mapped it.
    writeFileSync(file, bytes, { flag: 'r+' });
  };
  const server = await startServer({
    dataDirectory: join(directory, 'data'),
    flags: ['--drain-seconds', '1', ...flags],
    env: { ...env, LD_PRELOAD: library ?? '', UNDERSTUDY_TEST_CLOCK_FILE: file },
  });
  cleanUps.push(
    () => rm(directory, { recursive: true, force: true }),
    () => server.stop(),
  );
  return { server, setClock };
}

/** What a process has of a core while nothing is asked of it. */
async function readIdleShare(pid: number): Promise<number> {
  const read = async (): Promise<number> => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  };
  const before = await read();
  const startedMs = performance.now();
  await Bun.sleep(IDLE_MS);
  return ((await read()) - before) / ((performance.now() - startedMs) / 1000);
}

/** A run that waits for its client; answers it as it was announced last. */
async function openWaitingRun(api: RunApi, model: string): Promise<Json> {
  return toLastRun(await (await api.openRun(model, { tools: [toFunction('get_weather')] })).rest());
}

test.skipIf(library === null)(
  'a clock that jumps takes nobody’s work away and ends nothing before its time',
  async () => {
    const upstream = await startScriptedUpstream();
    const embedder = startScriptedEmbedder({ holds: true });
    cleanUps.push(
      () => upstream.close(),
      () => embedder.close(),
    );
    const env = { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'k' };
    const { server, setClock } = await start(env, ['--workers', '2']);
    const api = createApi(server);
    await waitUntil(
      'both workers listen',
      () => server.output().split('"event":"listening"').length === 3,
      60_000,
    );
    const workers = await readChildren(server.pid);

    const opened = Promise.withResolvers<void>();
    const model = upstream.script('jump', [
      steps.say('Half'),
      steps.waitFor(opened.promise),
      steps.say(' and whole'),
    ]);
    const waits = upstream.script('jump waits', [steps.callTool('get_weather', {})]);
    const begun = await Promise.all(
      Array.from({ length: RUNS }, async () => {
        const reader = await api.openRun(model);
        const run = toLastRun(await reader.readTo('thread.message.delta'));
        return { run, rest: reader.rest() };
      }),
    );
    const waitsBefore = await openWaitingRun(api, waits);
    const headers = { 'embedding-model': 'scripted', 'embedding-param-base-url': embedder.url };
    const store = await server.call('POST', '/v1/vector_stores', {}, headers);
    for (let number = 0; number < FILES; number += 1) {
      const form = new FormData();
      form.append('purpose', 'assistants');
      form.append('file', new File([`Document ${number} says what no other says.`], `${number}.txt`));
      const file = await server.call('POST', '/v1/files', form);
      await server.call(
        'POST',
        `/v1/vector_stores/${store.json.id}/files`,
        { file_id: file.json.id },
        headers,
      );
    }
    await waitUntil('the files are being read', () => embedder.active >= 1);

    setClock(DAY_MS);
    await Bun.sleep(LOOKED_MS);
    await api.waitFor(waitsBefore, 'expired');
    setClock(-HOUR_MS);
    const waitsAfter = await openWaitingRun(api, waits);
    await Bun.sleep(LOOKED_MS);

    opened.resolve();
    embedder.behave({ holds: false });
    for (const { run, rest } of begun) {
      expect(toLastRun(await rest).status).toBe('completed');
      expect((await api.getRun(run)).status).toBe('completed');
      expect(await api.listSteps(run)).toHaveLength(1);
    }
    expect(upstream.requestsFor(model)).toHaveLength(RUNS);
    await waitUntil('the files are read', async () => {
      const { json } = await server.call('GET', `/v1/vector_stores/${store.json.id}`);
      return json.file_counts.completed === FILES;
    });
    const texts = embedder.calls.flatMap(({ inputs }) => inputs);
    expect(texts.toSorted()).toEqual([...new Set(texts)].toSorted());
    expect((await api.getRun(waitsAfter)).status).toBe('requires_action');
    expect(await readChildren(server.pid)).toEqual(workers);
    for (const share of await Promise.all([server.pid, ...workers].map(readIdleShare))) {
      expect(share).toBeLessThan(IDLE_SHARE_MAX);
    }
    const records = await readRecords(server.dataDirectory, 'runs');
    const taken = records.filter(({ document }) => document.internal.attempts > 0);
    // The one that has expired was taken up to be ended.
    expect(taken.map(({ id }) => id)).toEqual([waitsBefore.id]);
  },
  120_000,
);

test.skipIf(library === null)(
  'ids stay unique and in the order of creation while the clock jumps',
  async () => {
    const { server, setClock } = await start({}, []);
    const { id: threadId } = (await server.call('POST', '/v1/threads', {})).json;
    const path = `/v1/threads/${threadId}/messages`;
    const made: string[] = [];
    for (const shiftMs of [0, DAY_MS, -HOUR_MS, 0]) {
      setClock(shiftMs);
      for (let count = 0; count < MESSAGES; count += 1) {
        const { json } = await server.call('POST', path, { role: 'user', content: `${made.length}` });
        made.push(json.id);
      }
    }
    const listed: string[] = [];
    const messages = server.client().beta.threads.messages.list(threadId, { order: 'asc', limit: 100 });
    for await (const { id } of messages) listed.push(id);
    expect(new Set(made).size).toBe(made.length);
    expect(listed).toEqual(made);
  },
  60_000,
);
