/** A server that lets in by keys: who comes in, who does not, and that a key goes nowhere. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { AuthenticationError, PermissionDeniedError } from 'openai';
import { parseKey } from '../../src/access/key-format.ts';
import { waitUntil } from '../support/server.ts';
import { readEverything } from '../support/stored.ts';
import { type KeyServer, makeStrangeKey, startKeyServer } from './key-server.ts';

const MODEL = 'understudy/rehearsal';
/** Within which a key that was revoked stops. */
const REVOKED_MS = 5_000;
const SERVED_MS = 2_000;
const TEST_MS = 60_000;

let server: KeyServer;
/** Of the project alpha, with the scopes of any key. */
let good: string;
let goodId: string;
const keys: string[] = [];

beforeAll(async () => {
  server = await startKeyServer({
    flags: ['--workers', process.platform === 'linux' ? '2' : '1', '--log-level', 'debug'],
  });
  const made = await createKey();
  good = made.key;
  goodId = made.record.id;
}, TEST_MS);
afterAll(() => server?.stop());

async function createKey(given: Parameters<KeyServer['createKey']>[0] = {}) {
  const made = await server.createKey(given);
  keys.push(made.key);
  return made;
}

/** On a connection of its own, so that any worker may get it. */
async function list(key: string): Promise<number> {
  const headers = { authorization: `Bearer ${key}`, connection: 'close' };
  return (await fetch(`${server.url}/v1/assistants`, { headers })).status;
}

/** The answer to a key that is wrong waits; a good one is answered at once. */
async function isServed(key: string): Promise<boolean> {
  const headers = { authorization: `Bearer ${key}`, connection: 'close' };
  const signal = AbortSignal.timeout(SERVED_MS);
  return await fetch(`${server.url}/v1/assistants`, { headers, signal }).then(
    ({ status }) => status === 200,
    () => false,
  );
}

describe('who comes in', () => {
  test('an official client with a key, whose project sees what it made', async () => {
    const client = server.client({ apiKey: good });
    const { id } = await client.beta.assistants.create({ model: MODEL, name: 'A' });
    expect((await client.beta.assistants.retrieve(id)).name).toBe('A');
    const other = await createKey();
    expect((await server.client({ apiKey: other.key }).beta.assistants.retrieve(id)).id).toBe(id);
  });

  test('nobody without a key, in words that say what to do', async () => {
    const { status, json } = await server.call('GET', '/v1/assistants');
    expect(status).toBe(401);
    expect(json.error).toMatchObject({ type: 'invalid_request_error', code: 'invalid_api_key', param: null });
    expect(json.error.message).toStartWith("You didn't provide an API key.");
  });

  test.each([
    ['some word', () => 'correct-horse-battery-staple', 'It is no key of this server.'],
    ['a key of another service', () => 'sk-proj-0123456789abcdefghijklmnopqrstuvwxyz', 'It is no key of'],
    ['a key that looks right and is nobody’s', makeStrangeKey, 'This server does not know it.'],
  ])('nobody with %s; the error shows no more than its ends', async (_, makeKey, reason) => {
    const key = makeKey();
    const error = await server
      .client({ apiKey: key })
      .beta.assistants.list()
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AuthenticationError);
    const { message, code } = error as AuthenticationError;
    expect(code).toBe('invalid_api_key');
    expect(message).toContain('Incorrect API key provided: ');
    expect(message).toContain(reason);
    expect(message).not.toContain(key);
    expect(message).not.toContain(key.slice(8, 20));
  });

  test('everybody, where nothing belongs to anybody', async () => {
    for (const path of ['/health', '/v1/health', '/ready', '/openapi.json']) {
      expect([path, (await server.call('GET', path)).status]).toEqual([path, 200]);
    }
  });

  test('a key ends at its time', async () => {
    const { key } = await createKey({ expiresInMs: 3_000 });
    expect(await list(key)).toBe(200);
    await waitUntil('it has expired', async () => (await list(key)) === 401, 10_000);
    const { json } = await server.callAs(key, 'GET', '/v1/assistants');
    expect(json.error.message).toContain('It has expired.');
  });

  test(
    'a revoked key stops within five seconds on every worker, although it is used all the time',
    async () => {
      const { key, record } = await createKey();
      for (let round = 0; round < 20; round += 1) expect(await list(key)).toBe(200);
      await server.revokeKey(record.id);
      const revokedAtMs = performance.now();
      let lastGoodMs = 0;
      while (performance.now() - revokedAtMs < REVOKED_MS + 1_000) {
        const beganMs = performance.now();
        if (await isServed(key)) lastGoodMs = beganMs - revokedAtMs;
        await Bun.sleep(10);
      }
      expect(lastGoodMs).toBeLessThan(REVOKED_MS);
      const statuses = await Promise.all(Array.from({ length: 20 }, () => list(key)));
      expect(new Set(statuses)).toEqual(new Set([401]));
      const { json } = await server.callAs(key, 'GET', '/v1/assistants');
      expect(json.error.message).toContain('It has been revoked.');
    },
    TEST_MS,
  );
});

describe('what a key may do', () => {
  test.each([
    [['read'], [200, 403, 403]],
    [['write'], [403, 200, 403]],
    [['run'], [403, 403, 200]],
    [['admin'], [200, 200, 200]],
  ] as const)('with %p', async (scopes, statuses) => {
    const { key } = await createKey({ scopes });
    const calls = [
      await server.callAs(key, 'GET', '/v1/assistants'),
      await server.callAs(key, 'POST', '/v1/threads', {}),
      await server.callAs(key, 'POST', '/v1/chat/completions', {
        model: MODEL,
        messages: [{ role: 'user', content: 'Hello' }],
      }),
    ];
    expect(calls.map(({ status }) => status)).toEqual([...statuses]);
    const refused = calls.find(({ status }) => status === 403);
    if (refused === undefined) return;
    expect(refused.json.error).toMatchObject({ type: 'invalid_request_error', code: 'missing_scope' });
    expect(refused.json.error.message).toMatch(/Missing scopes: (read|write|run)\./);
  });

  test('an official client is told so by its own class of error', async () => {
    const { key } = await createKey({ scopes: ['read'] });
    const asked = server.client({ apiKey: key }).beta.threads.create({});
    expect(await asked.catch((error: unknown) => error)).toBeInstanceOf(PermissionDeniedError);
  });

  test('a method that a path does not have is a 405 for every key', async () => {
    const { key } = await createKey({ scopes: ['read'] });
    expect((await server.callAs(key, 'PUT', '/v1/files/file-x/content')).status).toBe(405);
    expect((await server.callAs(key, 'DELETE', '/v1/assistants')).status).toBe(405);
  });
});

describe('a flood of wrong keys', () => {
  /** The longest wait, less what a timer may be early. */
  const LONGEST_MS = 4_990;
  const CLIENTS = 200;

  test(
    'waits, answer by answer, while a good key from the same address is served at once',
    async () => {
      const flood = new AbortController();
      const waits: number[] = [];
      const isFlooding = (): boolean => !flood.signal.aborted;
      // Each of them sends the next one when it has its answer: as many as there are wait at every moment.
      const clients = Array.from({ length: CLIENTS }, async () => {
        while (isFlooding()) {
          const headers = { authorization: `Bearer ${makeStrangeKey()}`, connection: 'close' };
          const beganMs = performance.now();
          const asked = fetch(`${server.url}/v1/assistants`, { headers, signal: flood.signal });
          const status = await asked.then((response) => response.status).catch(() => null);
          if (status !== null) waits.push(performance.now() - beganMs);
          if (isFlooding()) expect(status).toBe(401);
        }
      });
      const settled = Promise.all(clients);
      await waitUntil('some are answered', () => waits.length >= 4);
      const served: number[] = [];
      for (let round = 0; round < 50; round += 1) {
        const beganMs = performance.now();
        expect(await list(good)).toBe(200);
        served.push(performance.now() - beganMs);
      }
      await waitUntil('all have been answered', () => waits.length >= CLIENTS * 1.5, TEST_MS / 2);
      flood.abort();
      await settled;
      // None of the good ones waited as a wrong one does, and the wrong ones did.
      expect(Math.max(...served)).toBeLessThan(LONGEST_MS / 2);
      expect(waits.slice(CLIENTS).every((waitMs) => waitMs >= LONGEST_MS)).toBe(true);
    },
    TEST_MS,
  );
});

test('no secret of any key is in what was printed, what is stored, or what the records show', async () => {
  const run = await server.callAs(good, 'POST', '/v1/threads/runs', {
    assistant_id: (await server.callAs(good, 'POST', '/v1/assistants', { model: MODEL })).json.id,
    thread: { messages: [{ role: 'user', content: 'Hello' }] },
    stream: true,
  });
  expect(run.text).toContain('thread.run.completed');
  const stored = await readEverything(server.dataDirectory);
  expect(stored).toContain(goodId);
  for (const key of keys) {
    const secret = parseKey(key)?.secret ?? '';
    expect(secret).toHaveLength(43);
    for (const text of [stored, server.output(), run.text]) {
      expect(text.includes(secret)).toBe(false);
      expect(text.includes(btoa(secret))).toBe(false);
    }
  }
});
