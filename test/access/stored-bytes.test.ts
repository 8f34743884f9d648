/** What the files of a project may have in all. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { ACCESS_SCOPE } from '../../src/access/key-records.ts';
import { limitProject } from '../../src/access/keys.ts';
import { createProjectBytes, type UsageRecord } from '../../src/access/stored-bytes.ts';
import { createIds } from '../../src/ids.ts';
import { createLog } from '../../src/log.ts';
import type { Store } from '../../src/store/store.ts';
import { catchError } from '../services/file-fixture.ts';
import { openSqliteStore } from '../store/sqlite-directory.ts';
import { waitUntil } from '../support/server.ts';
import { readRecords } from '../support/stored.ts';
import { type KeyServer, startKeyServer } from './key-server.ts';

const MIB = 1024 * 1024;
const KIB = 1024;
const HOUR_MS = 60 * 60_000;

function toStream(pieces: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

describe('the count', () => {
  let opened: Awaited<ReturnType<typeof openSqliteStore>>;
  let store: Store;
  let nowMs: number;
  let tenant: string;
  const deadPids = new Set<number>();
  const clock = { nowMs: () => nowMs };

  beforeEach(async () => {
    nowMs = 1_764_000_000_000;
    deadPids.clear();
    opened = await openSqliteStore();
    store = opened.store;
    tenant = (await limitProject({ store, clock }, 'alpha', { stored_bytes: 1_000 })).tenant;
  });
  afterEach(() => opened.close());

  const openProcess = (pid: number, host = 'host') =>
    createProjectBytes({
      store,
      clock,
      log: createLog('silent', () => undefined),
      owner: `${host}/${pid}/nonce-${pid}`,
      isProcessAlive: (asked) => !deadPids.has(asked),
    });
  const readUsage = async () =>
    (await store.get<UsageRecord>('usages', ACCESS_SCOPE, tenant))?.record ?? null;
  const insertFile = (bytes: number) =>
    store.insert('files', { tenant }, {
      id: createIds(clock).create('file'),
      bytes,
    } as { id: string });

  test('room is taken before bytes come, and only what came stays taken', async () => {
    const process = openProcess(1);
    const change = await process.begin(tenant, 800);
    expect(await catchError(process.begin(tenant, 300))).toMatchObject({
      status: 429,
      wireCode: 'insufficient_quota',
    });
    await change.end(500);
    await change.end(500);
    expect(await readUsage()).toMatchObject({ bytes: 500, holds: {} });
    const second = await process.begin(tenant, 500);
    await second.end(0);
    expect(await readUsage()).toMatchObject({ bytes: 500, holds: {} });
    const removal = await process.begin(tenant, 0);
    await removal.end(-200);
    expect(await readUsage()).toMatchObject({ bytes: 300 });
  });

  test('what comes without a word of its length has room as far as there is any', async () => {
    const process = openProcess(1);
    const change = await process.begin(tenant, 0);
    await change.ensure(900);
    await change.ensure(1_000);
    expect(await catchError(change.ensure(1_001))).toMatchObject({ status: 429 });
    await change.end(0);
    expect(await readUsage()).toMatchObject({ bytes: 0, holds: {} });
  });

  test('of many that come at once, by several processes, as many have room as there is', async () => {
    const processes = [openProcess(1), openProcess(2), openProcess(3)];
    const taken = await Promise.allSettled(
      Array.from({ length: 30 }, (_, index) => processes[index % 3]?.begin(tenant, 100)),
    );
    const changes = taken.flatMap((one) => (one.status === 'fulfilled' && one.value ? [one.value] : []));
    expect(changes).toHaveLength(10);
    await Promise.all(changes.map((change) => change.end(100)));
    expect(await readUsage()).toMatchObject({ bytes: 1_000, holds: {} });
  });

  test('begins with the files that are there', async () => {
    await insertFile(700);
    const process = openProcess(1);
    expect(await catchError(process.begin(tenant, 400))).toMatchObject({ status: 429 });
    await (await process.begin(tenant, 300)).end(0);
  });

  test('a process that dies leaves no room taken, and what it wrote or removed is counted from the files', async () => {
    const dead = openProcess(7);
    await dead.begin(tenant, 900);
    await insertFile(50);
    deadPids.add(7);
    const other = openProcess(8);
    // Its room is free at once.
    await (await other.begin(tenant, 900)).end(0);
    expect(await readUsage()).toMatchObject({ bytes: 0 });
    await other.recount();
    expect(await readUsage()).toMatchObject({ bytes: 50, holds: {} });
  });

  test('nothing is counted anew while others are at work, on whatever host', async () => {
    const change = await openProcess(1, 'another-host').begin(tenant, 100);
    await insertFile(100);
    nowMs += HOUR_MS;
    const process = openProcess(8);
    await process.recount();
    await change.end(100);
    expect(await readUsage()).toMatchObject({ bytes: 100 });
    await process.recount();
    expect(await readUsage()).toMatchObject({ bytes: 100, counted_ms: nowMs });
  });

  test('a process that starts counts once, unless another one just did', async () => {
    await (await openProcess(1).begin(tenant, 0)).end(0);
    await insertFile(100);
    const process = openProcess(8);
    await process.recount();
    expect(await readUsage()).toMatchObject({ bytes: 0 });
    nowMs += HOUR_MS;
    const later = openProcess(9);
    await later.recount();
    expect(await readUsage()).toMatchObject({ bytes: 100 });
    await insertFile(100);
    nowMs += HOUR_MS;
    await later.recount();
    expect(await readUsage()).toMatchObject({ bytes: 100 });
  });
});

describe('a server', () => {
  let server: KeyServer;
  let key: string;
  let tenant: string;

  beforeAll(async () => {
    server = await startKeyServer({ flags: ['--drain-seconds', '1'] });
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    const project = `p${crypto.randomUUID()}`;
    const made = await server.createKey({ project });
    ({ key } = made);
    ({ tenant } = made.record);
    await server.limitProject(project, { stored_bytes: MIB });
  });

  const upload = (bytes: number) => {
    const form = new FormData();
    form.append('purpose', 'assistants');
    form.append('file', new File([new Uint8Array(bytes)], 'a.txt'));
    return server.callAs(key, 'POST', '/v1/files', form);
  };
  const readBytes = async (): Promise<number | null> => {
    const usages = await readRecords(server.dataDirectory, 'usages');
    const found = usages.find(({ id }) => id === tenant)?.document ?? null;
    if (found === null) return null;
    expect(found.holds).toEqual({});
    return found.bytes;
  };

  test('takes files as long as there is room, says so where there is none, and takes more when some are deleted', async () => {
    const first = await upload(600 * KIB);
    expect(first.status).toBe(200);
    const refused = await upload(600 * KIB);
    expect(refused.status).toBe(429);
    expect(refused.json.error).toMatchObject({ type: 'insufficient_quota', code: 'insufficient_quota' });
    expect(refused.json.error.message).toContain(`may have ${MIB} bytes in all, ${600 * KIB} are in use`);
    expect((await upload(400 * KIB)).status).toBe(200);
    expect(await readBytes()).toBe(1_000 * KIB);
    await server.callAs(key, 'DELETE', `/v1/files/${first.json.id}`);
    expect(await readBytes()).toBe(400 * KIB);
    expect((await upload(600 * KIB)).status).toBe(200);
    expect((await server.callAs(key, 'GET', '/v1/files')).json.data).toHaveLength(2);
  });

  test('takes as many of those that come at once as there is room for', async () => {
    const sent = await Promise.all(Array.from({ length: 12 }, () => upload(200 * KIB)));
    expect(sent.filter(({ status }) => status === 200)).toHaveLength(5);
    expect(sent.filter(({ status }) => status === 429)).toHaveLength(7);
    expect(await readBytes()).toBe(1_000 * KIB);
  });

  test('takes no more of a body of unknown length than there is room for', async () => {
    const boundary = 'a-boundary';
    const head = [
      `--${boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nassistants\r\n`,
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n`,
    ].join('');
    const send = async (pieces: number) => {
      async function* toBody(): AsyncGenerator<Uint8Array> {
        yield Buffer.from(head);
        for (let piece = 0; piece < pieces; piece += 1) yield new Uint8Array(100 * KIB);
        yield Buffer.from(`\r\n--${boundary}--\r\n`);
      }
      const response = await fetch(`${server.url}/v1/files`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': `multipart/form-data; boundary=${boundary}`,
        },
        body: toStream(toBody()),
      });
      await response.arrayBuffer();
      return response.status;
    };
    expect(await send(20)).toBe(429);
    expect(await readBytes()).toBe(0);
    expect(await send(10)).toBe(200);
    expect(await readBytes()).toBe(1_000 * KIB);
  });

  test('counts the parts of an upload from when they come, until it is cancelled, and what is left out of the file', async () => {
    const post = (path: string, body?: unknown) => server.callAs(key, 'POST', `/v1/uploads${path}`, body);
    const makeUpload = async () =>
      (
        await post('', {
          filename: 'a.txt',
          purpose: 'assistants',
          bytes: 300 * KIB,
          mime_type: 'text/plain',
        })
      ).json.id;
    const addPart = (id: string) => {
      const form = new FormData();
      form.append('data', new File([new Uint8Array(300 * KIB)], 'blob'));
      return post(`/${id}/parts`, form);
    };
    const cancelled = await makeUpload();
    for (let part = 0; part < 3; part += 1) expect((await addPart(cancelled)).status).toBe(200);
    expect((await addPart(cancelled)).status).toBe(429);
    expect(await readBytes()).toBe(900 * KIB);
    await post(`/${cancelled}/cancel`);
    expect(await readBytes()).toBe(0);

    const completed = await makeUpload();
    const { json: kept } = await addPart(completed);
    await addPart(completed);
    const ended = await post(`/${completed}/complete`, { part_ids: [kept.id] });
    expect(ended.status).toBe(200);
    expect(await readBytes()).toBe(300 * KIB);
    await server.callAs(key, 'DELETE', `/v1/files/${ended.json.file.id}`);
    expect(await readBytes()).toBe(0);
  });

  test('gives back what failed', async () => {
    const form = new FormData();
    form.append('purpose', 'nonsense');
    form.append('file', new File([new Uint8Array(500 * KIB)], 'a.txt'));
    expect((await server.callAs(key, 'POST', '/v1/files', form)).status).toBe(400);
    expect(await readBytes()).toBe(0);
  });

  test('counts what was there after it was killed amid an upload', async () => {
    expect((await upload(300 * KIB)).status).toBe(200);
    const { dataDirectory } = server;
    const pending = new AbortController();
    const cut = fetch(`${server.url}/v1/files`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'multipart/form-data; boundary=x',
        'content-length': String(500 * KIB),
      },
      body: toStream(
        (async function* () {
          yield Buffer.from('--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc');
          await new Promise((resolve) => pending.signal.addEventListener('abort', resolve));
        })(),
      ),
      signal: pending.signal,
    }).catch(() => null);
    await waitUntil('it has begun', async () => {
      const usages = await readRecords(dataDirectory, 'usages');
      const found = usages.find(({ id }) => id === tenant);
      return Object.keys(found?.document.holds ?? {}).length > 0;
    });
    await server.kill();
    pending.abort();
    await cut;
    server = await startKeyServer({ dataDirectory, flags: ['--drain-seconds', '1'] });
    await waitUntil('it is counted', async () => {
      const usages = await readRecords(dataDirectory, 'usages');
      const found = usages.find(({ id }) => id === tenant);
      return Object.keys(found?.document.holds ?? {}).length === 0;
    });
    expect(await readBytes()).toBe(300 * KIB);
  });
});
