/**
 * The disk fills up while messages, runs, files and what is read of them are written. Requests are answered by 503 (or 507) in
 * the envelope, streams end properly, reads go on; nothing that was acknowledged is lost, then or after a restart; and the same
 * process goes on by itself once there is space.
 *
 * The disk is memory, mounted: without the right to do that the suite is skipped, which the last line says.
 */

import { Database } from 'bun:sqlite';
import { afterEach, expect, test } from 'bun:test';
import { Value } from '@sinclair/typebox/value';
import { ErrorResponse } from '../../src/schemas/generated/errors.ts';
import { openEvents, toNames } from '../runs/event-reader.ts';
import { toEnvironment } from '../runs/run-fixture.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { type Answer, startServer, type TestServer, waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';

const DISK_MIB = 24;
const MESSAGE_WRITERS = 4;
const STREAMS = 4;
const FILE_BYTES = 100_000;
/** Written by each kind of client before the disk is full, and refused while it is. */
const WRITES_BEFORE = 10;
const REFUSALS = 5;
/** No answer by then is a hang. */
const ANSWER_MS = 15_000;
const DATABASES = ['understudy.db', 'files.db', 'index.db'];

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function mountDisk(): Promise<SmallDisk> {
  const disk = await mountSmallDisk(DISK_MIB);
  if (disk === null) throw new Error('The disk cannot be mounted.');
  cleanUps.push(() => disk.remove());
  return disk;
}

/** What clients were told. */
interface Told {
  readonly messages: { id: string; threadId: string; text: string }[];
  readonly files: { id: string; text: string }[];
  readonly members: string[];
  readonly runs: { id: string; threadId: string }[];
  readonly accepted: Record<string, number>;
  readonly refused: Record<string, number>;
  /** Answers that are neither yes nor a proper «no space». */
  readonly faults: string[];
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** The answer's document where it was taken; null where it was refused properly. */
async function ask(told: Told, kind: string, call: Promise<Answer>): Promise<Answer['json'] | null> {
  const startedMs = performance.now();
  const answer = await call;
  const ms = performance.now() - startedMs;
  if (ms > ANSWER_MS) told.faults.push(`${kind}: answered after ${ms.toFixed(0)} ms`);
  if (answer.status === 200) {
    count(told.accepted, kind);
    return answer.json;
  }
  count(told.refused, kind);
  const isProper =
    [503, 507].includes(answer.status) &&
    Value.Check(ErrorResponse, answer.json) &&
    /\S/.test(answer.json.error.message) &&
    answer.headers.get('retry-after') !== null;
  if (!isProper) told.faults.push(`${kind}: ${answer.status} ${answer.text}`);
  return null;
}

interface Clients {
  /** Lets each one finish what it is doing, and waits for that. */
  stop(): Promise<void>;
}

function startClients(server: TestServer, told: Told, assistantId: string, storeId: string): Clients {
  let isOver = false;
  const again = async (work: (round: number) => Promise<void>): Promise<void> => {
    for (let round = 0; !isOver; round += 1) {
      await work(round);
      await Bun.sleep(5);
    }
  };
  const writeMessages = async (threadId: string): Promise<void> =>
    await again(async (round) => {
      const text = `message ${round} ${'of some length '.repeat(20)}`;
      const call = server.call('POST', `/v1/threads/${threadId}/messages`, { role: 'user', content: text });
      const message = await ask(told, 'message', call);
      if (message !== null) told.messages.push({ id: message.id, threadId, text });
    });
  const writeFiles = async (): Promise<void> =>
    await again(async (round) => {
      // So many that the disk is filled by the ballast, and not by them.
      if (told.files.length >= WRITES_BEFORE && round % 20 !== 0) return void (await Bun.sleep(20));
      const text = `file ${round} ${'x'.repeat(FILE_BYTES)}`;
      const form = new FormData();
      form.append('purpose', 'assistants');
      form.append('file', new File([text], `file ${round}.txt`));
      const file = await ask(told, 'file', server.call('POST', '/v1/files', form));
      if (file === null) return;
      told.files.push({ id: file.id, text });
      const path = `/v1/vector_stores/${storeId}/files`;
      const member = await ask(told, 'vector store file', server.call('POST', path, { file_id: file.id }));
      if (member !== null) told.members.push(file.id);
    });
  const stream = async (): Promise<void> =>
    await again(async () => {
      const body = { assistant_id: assistantId, thread: { messages: [{ role: 'user', content: 'Hello' }] } };
      let reader: Awaited<ReturnType<typeof openEvents>>;
      try {
        reader = await openEvents({ url: `${server.url}/v1/threads/runs`, body: { ...body, stream: true } });
      } catch (error) {
        count(told.refused, 'stream');
        if (!/no stream, but 50[37]/.test(String(error))) told.faults.push(`stream: ${error}`);
        return;
      }
      // It throws where the stream does not end by `done`.
      const events = await reader.rest().catch((error: unknown) => {
        told.faults.push(`stream: ${error}`);
        return [];
      });
      const run = events.find(({ event }) => event === 'thread.run.created')?.data;
      if (run !== undefined) told.runs.push({ id: run.id, threadId: run.thread_id });
      const last = toNames(events).at(-1) ?? 'nothing';
      count(told.accepted, last === 'thread.run.completed' ? 'stream' : `stream ended by ${last}`);
      if (!['thread.run.completed', 'thread.run.failed', 'error'].includes(last))
        told.faults.push(`stream: ended by ${last}`);
    });
  const working = (async () => {
    const threads = await Promise.all(
      Array.from(
        { length: MESSAGE_WRITERS },
        async () => (await server.call('POST', '/v1/threads', {})).json.id,
      ),
    );
    await Promise.all([
      ...threads.map(writeMessages),
      writeFiles(),
      ...Array.from({ length: STREAMS }, stream),
    ]);
  })();
  return {
    async stop() {
      isOver = true;
      await working;
    },
  };
}

async function expectKept(server: TestServer, told: Told, storeId: string): Promise<void> {
  const client = server.client();
  const byThread = Map.groupBy(told.messages, ({ threadId }) => threadId);
  for (const [threadId, messages] of byThread) {
    const stored = new Map<string, string>();
    for await (const message of client.beta.threads.messages.list(threadId, { limit: 100 })) {
      const [part] = message.content;
      stored.set(message.id, part?.type === 'text' ? part.text.value : '');
    }
    expect(messages.filter(({ id, text }) => stored.get(id) !== text)).toEqual([]);
  }
  for (const { id, text } of told.files) {
    expect(await (await client.files.content(id)).text()).toBe(text);
  }
  for (const { id, threadId } of told.runs) {
    await waitUntil(
      `run ${id} has ended`,
      async () => {
        const run = await client.beta.threads.runs.retrieve(id, { thread_id: threadId });
        return ['completed', 'failed'].includes(run.status);
      },
      30_000,
    );
  }
  for (const id of told.members) {
    await waitUntil(
      `file ${id} is read`,
      async () => {
        const file = await client.vectorStores.files.retrieve(id, { vector_store_id: storeId });
        if (file.status === 'failed') throw new Error(`the file ${id} failed: ${file.last_error?.message}`);
        return file.status === 'completed';
      },
      60_000,
    );
  }
}

function checkDatabases({ directory }: SmallDisk): void {
  for (const name of DATABASES) {
    const database = new Database(`${directory}/${name}`, { readonly: true });
    const found = database.query<{ integrity_check: string }, []>('PRAGMA integrity_check').all();
    expect([name, found]).toEqual([name, [{ integrity_check: 'ok' }]]);
    database.close();
  }
}

const probe = await mountSmallDisk(1);
await probe?.remove();
const canMount = probe !== null;
if (!canMount) console.log('SKIPPED: disk-full needs the right to mount.');

test.skipIf(!canMount)(
  'a full disk refuses, loses nothing, and is forgotten when there is space',
  async () => {
    const disk = await mountDisk();
    const upstream = await startScriptedUpstream({ requestsMax: 0 });
    cleanUps.push(() => upstream.close());
    const model = upstream.script('full', [
      steps.pace(50),
      steps.say('one two three four five six seven eight'),
    ]);
    const start = () => startServer({ dataDirectory: disk.directory, env: toEnvironment(upstream) });
    let server = await start();
    cleanUps.push(() => server.stop());
    const assistant = (await server.call('POST', '/v1/assistants', { model })).json;
    const store = (await server.call('POST', '/v1/vector_stores', {})).json;
    const told: Told = {
      messages: [],
      files: [],
      members: [],
      runs: [],
      accepted: {},
      refused: {},
      faults: [],
    };
    const clients = startClients(server, told, assistant.id, store.id);
    const has = (counts: Record<string, number>, least: number) =>
      ['message', 'file', 'stream'].every((kind) => (counts[kind] ?? 0) >= least);
    await waitUntil('each kind of client has written', () => has(told.accepted, WRITES_BEFORE), 30_000);

    disk.fill();
    // What commits make room for themselves is taken, too.
    const filling = setInterval(() => disk.fill(), 50);
    await waitUntil('each kind of client was refused', () => has(told.refused, REFUSALS), 30_000);
    const whileFull = { ...told.refused };
    const health = await server.call('GET', '/health');
    const read = await server.call('GET', `/v1/threads/${told.messages[0]?.threadId}/messages?limit=100`);
    const kept = await server.call('GET', `/v1/files/${told.files[0]?.id}/content`);
    clearInterval(filling);
    expect([health.status, read.status, kept.status]).toEqual([200, 200, 200]);

    disk.clear();
    const before = { ...told.accepted };
    await waitUntil(
      'each kind of client writes again',
      () =>
        ['message', 'file', 'stream'].every((kind) => (told.accepted[kind] ?? 0) > (before[kind] ?? 0) + 2),
      30_000,
    );
    await clients.stop();
    console.log(
      `disk full: accepted ${JSON.stringify(told.accepted)}, refused while full ${JSON.stringify(whileFull)}`,
    );
    expect(told.faults).toEqual([]);
    expect(server.output()).not.toContain('worker ended');
    await expectKept(server, told, store.id);
    expect(await server.stop()).toBe(0);
    server = await start();
    await expectKept(server, told, store.id);
    expect(await server.stop()).toBe(0);
    checkDatabases(disk);
  },
  180_000,
);

test.skipIf(!canMount)(
  'a server that was killed on a full disk starts on it, reads, and says no to writes',
  async () => {
    const full = await mountDisk();
    const start = () => startServer({ dataDirectory: full.directory });
    let server = await start();
    cleanUps.push(() => server.stop());
    const path = `/v1/threads/${(await server.call('POST', '/v1/threads', {})).json.id}/messages`;
    const write = () => server.call('POST', path, { role: 'user', content: 'x'.repeat(10_000) });
    let written = 0;
    full.fill();
    await waitUntil('a message is refused', async () => {
      const { status } = await write();
      if (status === 200) written += 1;
      full.fill();
      return status === 503;
    });
    await server.kill();
    full.fill();
    server = await start();
    const listed = await server.call('GET', `${path}?limit=100`);
    expect([listed.status, listed.json.data.length]).toEqual([200, written]);
    await waitUntil('a message is refused', async () => {
      const { status } = await write();
      if (status === 200) written += 1;
      full.fill();
      return status === 503;
    });
    full.clear();
    await waitUntil('a message is taken', async () => (await write()).status === 200);
    expect((await server.call('GET', `${path}?limit=100`)).json.data).toHaveLength(written + 1);
    expect(await server.stop()).toBe(0);
  },
  60_000,
);
