/**
 * Astra from the token to the record, on the emulation of it: a real Cassandra node behind TLS with client certificates, and the
 * DevOps API.
 */

import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import {
  type AstraDeps,
  type Astra as AstraParts,
  type AstraSettings,
  createAstra,
  createOpener,
  openSingleDatabase,
} from '../../src/astra/astra.ts';
import { createAstraPorts } from '../../src/astra/astra-ports.ts';
import { toCredentials } from '../../src/astra/credentials.ts';
import { createSystemPlaces } from '../../src/astra/system-places.ts';
import type { TenantOpener } from '../../src/astra/tenant-engines.ts';
import { createTenantSessions } from '../../src/astra/tenant-sessions.ts';
import type { TenantSessionSettings } from '../../src/astra/tenant-settings.ts';
import type { CqlSession } from '../../src/cassandra/session.ts';
import { systemClock } from '../../src/clock.ts';
import { createEngines, migrateSession } from '../../src/compose-cassandra.ts';
import { encodeTerms } from '../../src/vector/terms.ts';
import type { NewChunk } from '../../src/vector/vector-index.ts';
import { type Astra, startAstra } from '../support/astra/astra.ts';
import type { AstraDatabase } from '../support/astra/database.ts';
import { CASSANDRA_START_MS, type CassandraNode, startCassandra } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { startAstraServer } from './app-stage.ts';
import { catchError, SILENT_LOG } from './fixture.ts';

const describeAstra = cassandraOrSkip('astra', { needsOwnNode: true });

async function openEngines(session: CqlSession) {
  const options = { clock: systemClock, log: SILENT_LOG, isManaged: true };
  await migrateSession(session, options);
  return createEngines(session, options);
}

const DEPS: AstraDeps = { fetch, clock: systemClock, log: SILENT_LOG, openEngines };

describeAstra('on the emulation of Astra', () => {
  let node: CassandraNode;
  let astra: Astra;
  let database: AstraDatabase;
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    node = await startCassandra({ authenticator: 'password', commitLogSync: 'periodic' });
    astra = await startAstra({ node, progress: 'manual' });
    database = await astra.createDatabase({ name: 'understudy' });
  }, CASSANDRA_START_MS);

  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
    astra.setDelayMs(0);
    astra.failNext(0);
    database.setStatus('ACTIVE');
  });

  afterAll(async () => {
    await astra?.stop();
    await node?.kill();
  }, CASSANDRA_START_MS);

  function toSettings(more: Partial<AstraSettings> = {}): AstraSettings {
    const [keyspace = ''] = database.keyspaces();
    return { apiUrl: astra.apiUrl, databaseName: 'understudy', keyspace, create: null, ...more };
  }

  function open(
    sessions: Partial<TenantSessionSettings> = {},
    more: Partial<AstraSettings> = {},
  ): AstraParts {
    const parts = createAstra(DEPS, toSettings({ sessions, ...more }));
    closing.push(() => parts.sessions.close());
    return parts;
  }

  /** Databases of one node share its names of keyspaces, so each has one of its own here. */
  function openMany(sessions: Partial<TenantSessionSettings> = {}) {
    const openers = new Map<string, TenantOpener>();
    const at = (id: string): TenantOpener => {
      const keyspace =
        astra
          .databases()
          .find((other) => other.id === id)
          ?.keyspaces()[0] ?? 'none';
      const opener = openers.get(id) ?? createOpener(DEPS, toSettings({ keyspace }));
      openers.set(id, opener);
      return opener;
    };
    const opener: TenantOpener = {
      choose: (credentials) => at('').choose(credentials),
      awaitReady: (credentials, id) => at(id).awaitReady(credentials, id),
      open: (credentials, id) => at(id).open(credentials, id),
      check: (credentials, id) => at(id).check(credentials, id),
      isRefusal: (error) => at('').isRefusal(error),
    };
    const cache = createTenantSessions({ opener, clock: systemClock, log: SILENT_LOG }, sessions);
    closing.push(() => cache.close());
    return {
      sessions: cache,
      ports: createAstraPorts({ sessions: cache, places: createSystemPlaces(cache) }),
    };
  }

  function toChunk(text: string): NewChunk {
    const vector = new Float32Array([1, 0, 0, 0]);
    const terms = encodeTerms({ length: 1, counts: new Map([['secret', 1]]) });
    return {
      position: 0,
      text,
      start: 0,
      end: text.length,
      page: null,
      context: '',
      terms,
      tokens: 4,
      vector,
    };
  }

  function countBundles(): number {
    return astra.countCalls('POST', /secureBundleURL$/);
  }

  test('fifty first requests at once make one session, and its records are there', async () => {
    const { ports, sessions } = open();
    const token = toCredentials(astra.createToken(), null);
    const [logins, bundles] = [database.logins().accepted, countBundles()];
    const began = performance.now();
    const tenants = await Promise.all(Array.from({ length: 50 }, () => sessions.open(token)));
    console.error(`first request of 50: ${Math.round(performance.now() - began)} ms (tables are made)`);
    expect(new Set(tenants)).toEqual(new Set([database.id]));
    expect(countBundles() - bundles).toBe(1);
    // One for control, one for calls.
    expect(database.logins().accepted - logins).toBeLessThanOrEqual(3);
    const scope = { tenant: database.id };
    await ports.store.insert('assistants', scope, { id: 'asst_1' });
    expect((await ports.store.list('assistants', scope, { limit: 10, order: 'asc' })).items.length).toBe(1);
    await ports.blobs.putPiece(database.id, 'blob', 0, new Uint8Array([1, 2]));
    expect([...((await ports.blobs.getPiece(database.id, 'blob', 0)) ?? [])]).toEqual([1, 2]);
    await sessions.close();
    await Bun.sleep(200);
    expect(database.openSockets()).toBe(0);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('understudy-astra-'))).toEqual([]);
    const again = open();
    const second = performance.now();
    await again.sessions.open(token);
    console.error(`first request on tables that are there: ${Math.round(performance.now() - second)} ms`);
    expect(
      (await again.ports.store.list('assistants', scope, { limit: 10, order: 'asc' })).items.length,
    ).toBe(1);
  }, 60_000);

  test('a hibernated database is 503 with retry-after within the bound, and works once it is awake', async () => {
    const { sessions } = open();
    const token = toCredentials(astra.createToken(), null);
    database.setStatus('HIBERNATED');
    const began = performance.now();
    const error = await catchError(sessions.open(token));
    const tookMs = performance.now() - began;
    console.error(`hibernated: told after ${Math.round(tookMs)} ms`);
    expect(tookMs).toBeLessThan(10_000);
    expect(error).toMatchObject({ status: 503, retryAfterMs: 10_000 });
    expect(error.message).toContain('waking up');
    expect(database.status()).toBe('RESUMING');
    database.advance();
    await Bun.sleep(2_000);
    expect(await sessions.open(token)).toBe(database.id);
  }, 60_000);

  test('one that goes to sleep under an open session is woken by the next request behind its check', async () => {
    const { sessions, ports } = open({ revalidateMs: 500, failureMs: 100 });
    const token = toCredentials(astra.createToken(), null);
    await sessions.open(token);
    database.setStatus('HIBERNATED');
    await Bun.sleep(600);
    const opening = catchError(sessions.open(token));
    expect((await opening).status).toBe(503);
    database.setStatus('ACTIVE');
    await Bun.sleep(200);
    await sessions.open(token);
    const scope = { tenant: database.id };
    expect(await ports.store.get('assistants', scope, 'none')).toBeNull();
  }, 60_000);

  test('a revoked token stops working within its bound', async () => {
    const { sessions } = open({ revalidateMs: 2_000 });
    const value = astra.createToken();
    const token = toCredentials(value, null);
    await sessions.open(token);
    astra.revoke(value);
    const began = performance.now();
    let refusedMs = 0;
    while (refusedMs === 0 && performance.now() - began < 10_000) {
      const error = await sessions.open(token).catch((thrown: unknown) => thrown);
      if (typeof error !== 'string') refusedMs = performance.now() - began;
      await Bun.sleep(50);
    }
    console.error(`revoked: refused after ${Math.round(refusedMs)} ms of 2000`);
    expect(refusedMs).toBeGreaterThan(0);
    expect(refusedMs).toBeLessThan(2_500);
    expect(await catchError(sessions.open(token))).toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect(sessions.tenants()).toEqual([]);
  }, 60_000);

  test('an unknown token, an unknown database and a foreign one are told apart from nothing else', async () => {
    const { sessions } = open();
    const unknown = toCredentials('AstraCS:unknown:secret', null);
    expect((await catchError(sessions.open(unknown))).status).toBe(401);
    const nowhere = toCredentials(astra.createToken(), crypto.randomUUID());
    expect((await catchError(sessions.open(nowhere))).status).toBe(404);
    const other = await astra.createDatabase();
    const limited = astra.createToken({ databases: [other.id] });
    const foreign = await catchError(sessions.open(toCredentials(limited, database.id)));
    expect(foreign).toMatchObject({ status: 404, param: 'astra-db-id' });
    expect(sessions.getStatistics()).toMatchObject({ open: 0, opened: 0 });
  }, 60_000);

  test('a token that may only read gets no session', async () => {
    const { sessions } = open();
    await sessions.open(toCredentials(astra.createToken(), null));
    const reader = toCredentials(astra.createToken({ access: 'read' }), null);
    const error = await catchError(sessions.open(reader));
    expect(error).toMatchObject({ status: 403, code: 'permission_denied' });
    expect(sessions.getStatistics().open).toBe(1);
  }, 60_000);

  test('two tenants: nothing of one is reached with the token of the other', async () => {
    const { sessions, ports } = openMany();
    const other = await astra.createDatabase();
    const tokens = [database, other].map(({ id }) => astra.createToken({ databases: [id] }));
    const [mine = '', theirs = ''] = tokens;
    expect(await sessions.open(toCredentials(mine, database.id))).toBe(database.id);
    expect(await sessions.open(toCredentials(theirs, other.id))).toBe(other.id);
    await ports.store.insert('threads', { tenant: database.id }, { id: 'thread_secret' });
    expect(await ports.store.get('threads', { tenant: other.id }, 'thread_secret')).toBeNull();
    expect(await ports.store.get('threads', { tenant: database.id }, 'thread_secret')).not.toBeNull();
    expect((await catchError(sessions.open(toCredentials(theirs, database.id)))).status).toBe(404);
    const at = (tenant: string) => ({ tenant, store: 'vs_1' });
    await ports.index.stageChunks(at(database.id), 'file_1', 'first', [toChunk('a word of a secret')]);
    const entry = { file: 'file_1', attributes: {}, languages: ['en'] };
    expect((await ports.index.publishFile(at(database.id), entry, 'first')).chunks).toBe(1);
    expect((await ports.index.describe(at(database.id))).chunks).toBe(1);
    expect((await ports.index.describe(at(other.id))).chunks).toBe(0);
  }, 60_000);

  test('the whole server, from an assistant to a search of its files', async () => {
    const server = await startAstraServer(createOpener(DEPS, toSettings()));
    closing.push(() => server.close(1_000));
    const client = server.clientOf(astra.createToken());
    const store = await client.vectorStores.create({});
    const text = 'Guests may check in from 3 pm. Breakfast is at seven.';
    const file = await client.vectorStores.files.uploadAndPoll(store.id, new File([text], 'house-rules.md'), {
      pollIntervalMs: 50,
    });
    expect(file.status).toBe('completed');
    const assistant = await client.beta.assistants.create({
      model: 'understudy/rehearsal',
      tools: [{ type: 'file_search' }],
      tool_resources: { file_search: { vector_store_ids: [store.id] } },
    });
    const run = await client.beta.threads.createAndRunPoll(
      {
        assistant_id: assistant.id,
        thread: { messages: [{ role: 'user', content: 'When may guests check in?' }] },
      },
      { pollIntervalMs: 50 },
    );
    expect(run.status).toBe('completed');
    const messages = await client.beta.threads.messages.list(run.thread_id);
    expect(JSON.stringify(messages.data)).toContain('3 pm');
    expect(JSON.stringify(messages.data)).toContain('file_citation');
    await client.files.delete(file.id);
    await client.vectorStores.delete(store.id);
    await client.beta.threads.delete(run.thread_id);
    expect((await client.files.list()).data).toEqual([]);
  }, 60_000);

  test('two hundred tokens one after the other leave the sockets flat', async () => {
    const { sessions } = open({ sessionsMax: 5, protectMs: 0 });
    let most = 0;
    const began = performance.now();
    for (let n = 0; n < 200; n += 1) {
      await sessions.open(toCredentials(astra.createToken(), database.id));
      most = Math.max(most, database.openSockets());
    }
    console.error(
      `200 tokens: ${Math.round((performance.now() - began) / 200)} ms each, ${most} sockets at most`,
    );
    expect(sessions.getStatistics()).toMatchObject({ open: 5, opened: 200 });
    // Two for each session, and those of one that is being closed.
    expect(most).toBeLessThanOrEqual(14);
    await sessions.close();
    await Bun.sleep(300);
    expect(database.openSockets()).toBe(0);
  }, 120_000);

  test('failures of the DevOps API on the way are 503 or 429, and the next try works', async () => {
    const { sessions } = open({ failureMs: 0 });
    const token = toCredentials(astra.createToken(), null);
    for (const [status, path] of [
      [500, /databases\?/],
      [429, /databases\/[^/]+$/],
      [502, /secureBundleURL/],
      [403, /secure-bundles/],
    ] as const) {
      astra.failNext(1, { status, path });
      const error = await catchError(sessions.open(token));
      expect(error.status).toBe(status === 429 ? 429 : 503);
      expect(error.retryAfterMs).toBeGreaterThan(0);
    }
    expect(await sessions.open(token)).toBe(database.id);
  }, 60_000);

  test('a DevOps API that hangs keeps nobody longer than the bound', async () => {
    const { sessions } = open({ answerMs: 1_000 });
    astra.setDelayMs(5_000);
    const began = performance.now();
    const error = await catchError(sessions.open(toCredentials(astra.createToken(), null)));
    expect(error.status).toBe(503);
    expect(performance.now() - began).toBeLessThan(2_000);
    astra.setDelayMs(0);
  }, 60_000);

  test('a bundle whose certificates were replaced is fetched anew once the session is given up', async () => {
    const { sessions, ports } = open({ brokenMs: 500, failureMs: 0 });
    const token = toCredentials(astra.createToken(), null);
    const tenant = await sessions.open(token);
    await database.renewBundle();
    const read = () => ports.store.get('assistants', { tenant }, 'none');
    const began = performance.now();
    let isBack = false;
    while (!isBack && performance.now() - began < 20_000) {
      isBack = await sessions
        .open(token)
        .then(read)
        .then(
          () => true,
          () => false,
        );
      await Bun.sleep(100);
    }
    console.error(`new certificates: back after ${Math.round(performance.now() - began)} ms`);
    expect(isBack).toBeTrue();
  }, 60_000);

  test('a server of its own gets over a database that goes to sleep, and over new certificates', async () => {
    const settings = toSettings({ sessions: { revalidateMs: 500, brokenMs: 500, failureMs: 100 } });
    const single = await openSingleDatabase(DEPS, settings, toCredentials(astra.createToken(), null));
    closing.push(() => single.close());
    const read = () => single.ports.store.get('assistants', { tenant: 'default' }, 'none');
    expect(await read()).toBeNull();
    const readAgain = async (): Promise<boolean> => {
      for (const began = performance.now(); performance.now() - began < 25_000; await Bun.sleep(100)) {
        if (database.status() === 'RESUMING') database.advance();
        if ((await read().catch(() => 'failed')) === null) return true;
      }
      return false;
    };
    database.setStatus('HIBERNATED');
    expect(await readAgain()).toBeTrue();
    expect(database.status()).toBe('ACTIVE');
    await database.renewBundle();
    expect(await readAgain()).toBeTrue();
  }, 60_000);

  test('a missing keyspace is made through the DevOps API', async () => {
    const keyspace = `made_${crypto.randomUUID().slice(0, 8)}`;
    const { sessions, ports } = open({}, { keyspace });
    const tenant = await sessions.open(toCredentials(astra.createToken(), database.id));
    expect(database.keyspaces()).toContain(keyspace);
    await ports.store.insert('assistants', { tenant }, { id: 'asst_new' });
  }, 60_000);

  test('a database is made where that is configured, and a server of its own waits for it', async () => {
    const name = `made-${crypto.randomUUID().slice(0, 8)}`;
    const keyspace = `made_${crypto.randomUUID().slice(0, 8)}`;
    const settings = toSettings({
      databaseName: name,
      keyspace,
      create: { cloudProvider: 'GCP', region: 'us-east1' },
    });
    const parts = createAstra(DEPS, settings);
    closing.push(() => parts.sessions.close());
    const token = toCredentials(astra.createToken(), null);
    const error = await catchError(parts.sessions.open(token));
    expect(error).toMatchObject({ status: 503, retryAfterMs: 30_000 });
    const made = astra.databases().filter((each) => each.name === name);
    expect(made.length).toBe(1);
    const waiting = openSingleDatabase(DEPS, settings, token, 20_000);
    await Bun.sleep(1_500);
    made[0]?.setStatus('ACTIVE');
    const single = await waiting;
    expect(single.databaseId).toBe(made[0]?.id ?? '');
    closing.push(() => single.close());
    await single.ports.store.insert('assistants', { tenant: 'default' }, { id: 'asst_1' });
    await single.ports.store.ping();
  }, 60_000);
});
