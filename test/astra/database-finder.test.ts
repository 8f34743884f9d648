/** A tenant finds himself in the same database whatever its state is, and nobody waits for one that sleeps. */

import { expect, test } from 'bun:test';
import { createDatabaseFinder, type FinderSettings } from '../../src/astra/database-finder.ts';
import type { AstraDatabase } from '../../src/astra/devops-answers.ts';
import type { DevOpsClient, NewDatabase } from '../../src/astra/devops-client.ts';
import { ApiError } from '../../src/errors.ts';
import { catchError, createTestClock, toId, toToken } from './fixture.ts';

const SETTINGS: FinderSettings = { databaseName: 'understudy', keyspace: 'understudy', create: null };
const CREATE = { cloudProvider: 'GCP', region: 'us-east1' };

function toDatabase(n: number, more: Partial<AstraDatabase> = {}): AstraDatabase {
  return {
    id: toId(n),
    name: `db ${n}`,
    status: 'ACTIVE',
    region: 'us-east1',
    keyspaces: ['default_keyspace'],
    isVector: true,
    createdAt: `2026-11-${String(n).padStart(2, '0')}T00:00:00Z`,
    ...more,
  };
}

/** Databases in memory; `steps` are the states that the reads of one tell, one after the other. */
function createStage(databases: AstraDatabase[], settings: Partial<FinderSettings> = {}) {
  const clock = createTestClock();
  const state = {
    databases,
    steps: [] as AstraDatabase[],
    calls: [] as string[],
    refusesKeyspace: null as ApiError | null,
  };
  const read = (id: string): AstraDatabase => {
    const next = state.steps.shift() ?? state.databases.find((database) => database.id === id);
    if (next === undefined) throw new ApiError('not_found', 'no');
    return next;
  };
  const note = (call: string): void => {
    state.calls.push(call);
  };
  const devops: DevOpsClient = {
    async listDatabases() {
      note('list');
      return state.databases;
    },
    async getDatabase(_token, id) {
      note('get');
      return read(id);
    },
    async createDatabase(_token, { name, keyspace }: NewDatabase) {
      note('create');
      const made = toDatabase(20 + state.databases.length, {
        name,
        keyspaces: [keyspace],
        status: 'PENDING',
      });
      state.databases = [...state.databases, made];
      return made.id;
    },
    async createKeyspace(_token, id, keyspace) {
      note('keyspace');
      if (state.refusesKeyspace !== null) throw state.refusesKeyspace;
      state.databases = state.databases.map((database) =>
        database.id === id ? { ...database, keyspaces: [...database.keyspaces, keyspace] } : database,
      );
    },
    async resumeDatabase() {
      note('resume');
    },
    async fetchBundle() {
      return new Uint8Array();
    },
  };
  const sleep = async (ms: number): Promise<void> => clock.advance(ms);
  const finder = createDatabaseFinder({ devops, clock, sleep }, { ...SETTINGS, ...settings });
  return { finder, state, clock };
}

const anybody = toToken('somebody');

test('a database that the request names is taken as it is', async () => {
  const { finder, state } = createStage([toDatabase(1, { name: 'understudy' })]);
  expect(await finder.choose(toToken('x', toId(9)))).toBe(toId(9));
  expect(state.calls).toEqual([]);
});

test('else the one with the configured name, the oldest of several, awake or not', async () => {
  const { finder } = createStage([
    toDatabase(1),
    toDatabase(4, { name: 'understudy' }),
    toDatabase(3, { name: 'understudy', status: 'HIBERNATED' }),
    toDatabase(2, { name: 'understudy', status: 'TERMINATING' }),
    toDatabase(1, { id: toId(8), name: 'understudy', isVector: false }),
  ]);
  expect(await finder.choose(anybody)).toBe(toId(3));
});

test('else the one that has our keyspace, although others came since', async () => {
  const { finder } = createStage(
    [toDatabase(1), toDatabase(2, { keyspaces: ['understudy'] }), toDatabase(3)],
    {
      create: CREATE,
    },
  );
  expect(await finder.choose(anybody)).toBe(toId(2));
});

test('else the only one', async () => {
  const { finder, state } = createStage([toDatabase(5)], { create: CREATE });
  expect(await finder.choose(anybody)).toBe(toId(5));
  expect(state.calls).toEqual(['list']);
});

test('else one is made where that is configured', async () => {
  const { finder, state } = createStage([toDatabase(1), toDatabase(2)], { create: CREATE });
  expect(await finder.choose(anybody)).toBe(toId(22));
  expect(state.calls).toEqual(['list', 'create', 'list']);
  const error = await catchError(finder.awaitReady(anybody, toId(22)));
  expect(error).toMatchObject({ code: 'service_unavailable', retryAfterMs: 30_000 });
  expect(error.message).toContain('is being created');
});

test('two servers that make one at the same moment agree on one', async () => {
  const { finder, state } = createStage([], { create: CREATE });
  const first = finder.choose(anybody);
  const second = finder.choose(anybody);
  expect(await first).toBe(await second);
  expect(state.databases.length).toBe(2);
});

test('else the answer says what to do', async () => {
  const none = await catchError(createStage([]).finder.choose(anybody));
  expect(none.status).toBe(404);
  expect(none.message).toContain("named 'understudy'");
  const many = await catchError(createStage([toDatabase(1), toDatabase(2)]).finder.choose(anybody));
  expect(many).toMatchObject({ status: 400, param: 'astra-db-id' });
  expect(many.message).toContain('2 databases');
});

test('an active database with its keyspace needs one call', async () => {
  const { finder, state } = createStage([toDatabase(1, { keyspaces: ['understudy'] })]);
  expect((await finder.awaitReady(anybody, toId(1))).id).toBe(toId(1));
  expect(state.calls).toEqual(['get']);
});

test('a missing keyspace is made through the API', async () => {
  const { finder, state } = createStage([toDatabase(1)]);
  expect((await finder.awaitReady(anybody, toId(1))).keyspaces).toContain('understudy');
  expect(state.calls).toEqual(['get', 'keyspace', 'get']);
});

test('a keyspace that is refused for the role of the token is told', async () => {
  const { finder, state } = createStage([toDatabase(1)]);
  state.refusesKeyspace = new ApiError('permission_denied', 'no');
  expect((await catchError(finder.awaitReady(anybody, toId(1)))).code).toBe('permission_denied');
});

test('a sleeping database is woken once, and who waits is told when to come back, within the bound', async () => {
  const { finder, state, clock } = createStage([
    toDatabase(1, { status: 'HIBERNATED', keyspaces: ['understudy'] }),
  ]);
  state.refusesKeyspace = new ApiError('service_unavailable', 'waking');
  const began = clock.nowMs();
  const error = await catchError(finder.awaitReady(anybody, toId(1)));
  expect(error).toMatchObject({ code: 'service_unavailable', retryAfterMs: 10_000 });
  expect(error.message).toContain('waking up');
  expect(clock.nowMs() - began).toBeLessThanOrEqual(8_000);
  expect(state.calls.filter((call) => call === 'keyspace').length).toBe(1);
});

test('one that wakes in time is waited for', async () => {
  const { finder, state } = createStage([toDatabase(1, { keyspaces: ['understudy'] })]);
  state.steps = [toDatabase(1, { status: 'HIBERNATED' }), toDatabase(1, { status: 'RESUMING' })];
  expect((await finder.awaitReady(anybody, toId(1))).status).toBe('ACTIVE');
});

test('where the token may make no keyspace, a sleeping database is asked to resume', async () => {
  const { finder, state } = createStage([toDatabase(1, { keyspaces: ['understudy'] })]);
  state.steps = [toDatabase(1, { status: 'HIBERNATED' })];
  state.refusesKeyspace = new ApiError('permission_denied', 'no');
  await finder.awaitReady(anybody, toId(1));
  expect(state.calls).toEqual(['get', 'keyspace', 'resume', 'get']);
});

test('a token that is refused while its database is woken is refused at once', async () => {
  const { finder, state } = createStage([toDatabase(1, { status: 'HIBERNATED' })]);
  state.refusesKeyspace = new ApiError('invalid_api_key', 'no');
  expect((await catchError(finder.awaitReady(anybody, toId(1)))).code).toBe('invalid_api_key');
  expect(state.calls).not.toContain('resume');
});

test('databases that are at an end, out of order or not for vectors are told apart', async () => {
  const told = async (more: Partial<AstraDatabase>) =>
    (await catchError(createStage([toDatabase(1, more)]).finder.awaitReady(anybody, toId(1)))).status;
  expect(await told({ status: 'TERMINATED' })).toBe(404);
  expect(await told({ status: 'ERROR' })).toBe(502);
  expect(await told({ isVector: false })).toBe(400);
  expect((await catchError(createStage([]).finder.awaitReady(anybody, toId(1)))).status).toBe(404);
});
