/**
 * Clients that vanish amid streams and uploads, that do not read, that send a letter at a time, and that speak no HTTP. The others
 * are served as before, nothing of the bad ones is left over, and memory stays bounded.
 */

import { afterEach, beforeEach, expect, test } from 'bun:test';
import { openEvents } from '../runs/event-reader.ts';
import { createApi, type Json, type RunApi, toEnvironment, toLastRun } from '../runs/run-fixture.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { countPieces } from '../support/stored.ts';
import * as steps from '../support/upstream-steps.ts';
import { drip, openRaw, type RawClient, toRawRequest } from './raw-client.ts';
import { countDescriptors, isProcessAlive, readResidentMib } from './server-processes.ts';

const VANISHING = 60;
const SLOW_HEADERS = 300;
const SLOW_BODIES = 100;
const DRIP_MS = 250;
/** The server gives a client ten seconds for its headers, whatever comes of them meanwhile. */
const HEADERS_MS = 20_000;
const REQUESTS = 150;
/** A good client's median, in times of what it was; and what a median of a millisecond may wander. */
const SLOWER_MAX = 3;
const SLOWER_MS = 10;
const UNREAD_STREAMS = 3;
/** Far more than one connection and its backlog (8 MiB) hold. */
const UNREAD_MIB = 20;
const UNREAD_ROUNDS = 4;
const WARM_UP_ROUNDS = 3;
/** An event of one word. */
const DELTA_BYTES = 200;
/** Connections of good clients, logs and the like come and go. */
const DESCRIPTORS_SLACK = 12;
const MIB = 1024 * 1024;

let upstream: ScriptedUpstream;
let server: TestServer;
let api: RunApi;

beforeEach(async () => {
  upstream = await startScriptedUpstream({ requestsMax: 1_000 });
  server = await startServer({ env: toEnvironment(upstream) });
  api = createApi(server);
});

afterEach(async () => {
  expect(isProcessAlive(server.workerPid)).toBe(true);
  expect(await server.stop()).toBe(0);
  await upstream.close();
});

async function expectNothingLeft(before: number): Promise<void> {
  await waitUntil(
    'the connections are closed',
    async () => (await countDescriptors(server.workerPid)) <= before + DESCRIPTORS_SLACK,
    20_000,
  );
}

/** The median of a good client's calls, one after the other, in milliseconds. */
async function timeRequests(path: string): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < REQUESTS; count += 1) {
    const startedMs = performance.now();
    expect((await server.call('GET', path)).status).toBe(200);
    times.push(performance.now() - startedMs);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(REQUESTS / 2)] ?? Number.NaN;
}

test(`${VANISHING} clients that vanish amid their streams leave finished runs, and no connection`, async () => {
  const model = upstream.script('vanish', [
    steps.pace(40),
    steps.say('one two three four five six seven eight'),
  ]);
  const before = await countDescriptors(server.workerPid);
  const runs = await Promise.all(
    Array.from({ length: VANISHING }, async () => {
      const reader = await api.openRun(model);
      const run = toLastRun(await reader.readTo('thread.message.delta'));
      reader.leave();
      return run;
    }),
  );
  for (const run of runs) await api.waitFor(run, 'completed');
  const direct = { model, messages: [{ role: 'user', content: 'Hello' }], stream: true };
  const clients = await Promise.all(
    Array.from({ length: VANISHING }, () =>
      openRaw(server.url, toRawRequest('POST', '/v1/chat/completions', direct)),
    ),
  );
  await waitUntil('the model is asked', () => upstream.requestsFor(model).length === 2 * VANISHING);
  for (const client of clients) client.vanish();
  // Nobody waits for what is handed through: the model need not go on.
  await waitUntil('the model is left alone', () => upstream.activeCount === 0);
  await expectNothingLeft(before);
}, 60_000);

test(`${VANISHING} clients that vanish amid their uploads leave no bytes, and no connection`, async () => {
  const before = await countDescriptors(server.workerPid);
  const body = 'x'.repeat(600_000);
  const head =
    'POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 5000000\r\n\r\n';
  const part = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n';
  const clients = await Promise.all(
    Array.from({ length: VANISHING }, () => openRaw(server.url, head + part + body)),
  );
  await waitUntil(
    'bytes are being kept',
    async () => (await countPieces(server.dataDirectory)) > VANISHING / 2,
    20_000,
  );
  for (const client of clients) client.vanish();
  await waitUntil('the bytes are gone', async () => (await countPieces(server.dataDirectory)) === 0, 30_000);
  expect((await server.call('GET', '/v1/files')).json.data).toEqual([]);
  await expectNothingLeft(before);
}, 60_000);

/** Streams that nobody reads, until their runs have ended. The clients stay. */
async function streamToNobody(assistantId: string): Promise<RawClient[]> {
  const streams = Array.from({ length: UNREAD_STREAMS }, async () => {
    const threadId = await api.createThread();
    const path = `/v1/threads/${threadId}/runs`;
    const request = toRawRequest('POST', path, { assistant_id: assistantId, stream: true });
    const client = await openRaw(server.url, request, { reads: false });
    let run: Json = null;
    await waitUntil('the run has begun', async () => {
      [run] = (await api.get(path)).data;
      return run !== undefined;
    });
    expect((await api.waitForRest(run, 60_000)).status).toBe('completed');
    return client;
  });
  return await Promise.all(streams);
}

test('streams that nobody reads take bounded memory, and their runs end all the same', async () => {
  // Short words: what is kept of the run is small, what is sent of it is large.
  const words = Array.from({ length: (UNREAD_MIB * MIB) / DELTA_BYTES }, () => ' a');
  const assistantId = await api.createAssistant(upstream.script('unread', [steps.say(...words)]));
  // What the work itself takes is there after the first of them.
  const clients: RawClient[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1)
    clients.push(...(await streamToNobody(assistantId)));
  const before = await readResidentMib(server.workerPid);
  for (let round = 0; round < UNREAD_ROUNDS; round += 1) clients.push(...(await streamToNobody(assistantId)));
  const after = await readResidentMib(server.workerPid);
  const unread = UNREAD_ROUNDS * UNREAD_STREAMS * UNREAD_MIB;
  console.log(`unread: ${(after - before).toFixed(0)} MiB more for ${unread} MiB that nobody reads`);
  expect(after - before).toBeLessThan(unread / 2);
  for (const client of clients) client.vanish();
}, 90_000);

test('a file that is sent to a client that does not read takes bounded memory', async () => {
  const form = new FormData();
  form.append('purpose', 'assistants');
  form.append('file', new File([new Uint8Array(UNREAD_MIB * 2 * MIB)], 'large.bin'));
  const { json } = await server.call('POST', '/v1/files', form);
  const before = await readResidentMib(server.workerPid);
  const request = `GET /v1/files/${json.id}/content HTTP/1.1\r\nhost: localhost\r\n\r\n`;
  const clients = await Promise.all(
    Array.from({ length: UNREAD_STREAMS }, () => openRaw(server.url, request, { reads: false })),
  );
  await timeRequests('/v1/files');
  const after = await readResidentMib(server.workerPid);
  expect(after - before).toBeLessThan(UNREAD_MIB * 2);
  for (const client of clients) client.vanish();
}, 60_000);

test(`${SLOW_HEADERS + SLOW_BODIES} clients that send a letter at a time slow nobody down, and the server parts with them`, async () => {
  const threadId = await api.createThread();
  const path = `/v1/threads/${threadId}/messages`;
  await timeRequests(path);
  const aloneMs = await timeRequests(path);
  const before = await countDescriptors(server.workerPid);
  const headers = await Promise.all(
    Array.from({ length: SLOW_HEADERS }, () =>
      openRaw(server.url, 'GET /health HTTP/1.1\r\nhost: localhost\r\nx-slow: '),
    ),
  );
  const bodyHead =
    'POST /v1/threads HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{';
  const bodies = await Promise.all(Array.from({ length: SLOW_BODIES }, () => openRaw(server.url, bodyHead)));
  const drips = [...headers, ...bodies].map((client) => drip(client, ' ', DRIP_MS));
  try {
    const besideMs = await timeRequests(path);
    console.log(`slow clients: a good one waits ${besideMs.toFixed(2)} ms, ${aloneMs.toFixed(2)} ms alone`);
    expect(besideMs).toBeLessThan(aloneMs * SLOWER_MAX + SLOWER_MS);
    await waitUntil(
      'those without headers are gone',
      () => headers.every((client) => client.isClosed()),
      HEADERS_MS,
    );
  } finally {
    for (const one of drips) one.stop();
    for (const client of bodies) client.vanish();
  }
  await expectNothingLeft(before);
}, 90_000);

const NO_HTTP: Readonly<Record<string, string>> = {
  'no HTTP at all': 'hello there\r\n\r\n',
  'another version': 'GET /health HTTP/9.9\r\nhost: localhost\r\n\r\n',
  'no host': 'GET /health HTTP/1.1\r\n\r\n',
  'two lengths':
    'POST /v1/threads HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ',
  'a length and chunks':
    'POST /v1/threads HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'a length that is none': 'POST /v1/threads HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n',
  'chunks that are none':
    'POST /v1/threads HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n',
  'a header without a colon': 'GET /health HTTP/1.1\r\nhost: localhost\r\nnonsense\r\n\r\n',
  'headers of 300 kB': `GET /health HTTP/1.1\r\nhost: localhost\r\nx: ${'h'.repeat(300_000)}\r\n\r\n`,
  'a path of 300 kB': `GET /${'p'.repeat(300_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`,
  'the beginning of TLS': '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
};

test('what is no HTTP is refused or closed, and nobody else notices', async () => {
  const outcomes: Record<string, string> = {};
  for (const [name, text] of Object.entries(NO_HTTP)) {
    const client = await openRaw(server.url, Buffer.from(text, 'latin1'));
    const isAnswered = (): boolean => client.received().includes('\r\n\r\n');
    await waitUntil(`${name} is answered or closed`, () => isAnswered() || client.isClosed(), HEADERS_MS);
    outcomes[name] = isAnswered() ? client.received().slice('HTTP/1.1 '.length).slice(0, 3) : 'closed';
    client.vanish();
    expect((await server.call('GET', '/health')).status).toBe(200);
  }
  console.log(`no HTTP: ${JSON.stringify(outcomes)}`);
  for (const outcome of Object.values(outcomes)) expect(outcome).toMatch(/^(4\d\d|505|closed)$/);
}, 60_000);

test('a reader that comes back after it vanished reads what was said', async () => {
  const model = upstream.script('comes back', [steps.pace(40), steps.say('one two three four')]);
  const assistantId = await api.createAssistant(model);
  const threadId = await api.createThread();
  const body = { assistant_id: assistantId, stream: true };
  const reader = await openEvents({ url: `${server.url}/v1/threads/${threadId}/runs`, body });
  const run = toLastRun(await reader.readTo('thread.message.delta'));
  reader.leave();
  await api.waitFor(run, 'completed');
  const [, answer] = await api.listMessages(threadId);
  expect(answer.content[0].text.value).toBe('one two three four');
}, 30_000);
