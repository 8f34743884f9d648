/** One session for each token and database: opened once, closed when nobody needs it, and gone when its token is. */

import { afterEach, expect, test } from 'bun:test';
import { inspect } from 'node:util';
import type { TenantEngines } from '../../src/astra/tenant-engines.ts';
import { createTenantSessions, type TenantSessions } from '../../src/astra/tenant-sessions.ts';
import type { TenantSessionSettings } from '../../src/astra/tenant-settings.ts';
import { ApiError } from '../../src/errors.ts';
import { StoreError } from '../../src/store/store.ts';
import { catchError, createCountedOpener, createTestClock, SILENT_LOG, toId, toToken } from './fixture.ts';

/** Engines that nothing is asked of. */
const NO_ENGINES = Object.freeze({}) as unknown as TenantEngines;

let opened: TenantSessions | null = null;
afterEach(async () => {
  await opened?.close();
  opened = null;
});

function createStage(settings: Partial<TenantSessionSettings> = {}) {
  const clock = createTestClock();
  const opener = createCountedOpener(() => NO_ENGINES);
  const sessions = createTenantSessions({ opener, clock, log: SILENT_LOG }, settings);
  opened = sessions;
  return { clock, opener, sessions };
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Lets everything happen that waits for nothing. */
async function settle(): Promise<void> {
  await Bun.sleep(1);
}

test('fifty requests at once that bring a token for the first time open one session', async () => {
  const { opener, sessions } = createStage();
  const gate = Promise.withResolvers<void>();
  opener.opening = gate.promise;
  const all = Array.from({ length: 50 }, () => sessions.open(toToken('a')));
  await settle();
  gate.resolve();
  expect(new Set(await Promise.all(all))).toEqual(new Set([toId(1)]));
  expect(opener.counts).toMatchObject({ chooses: 1, opens: 1 });
  expect(await sessions.open(toToken('a'))).toBe(toId(1));
  expect(opener.counts).toMatchObject({ chooses: 1, opens: 1, checks: 0 });
});

test('with and without the id of the same database it is one session', async () => {
  const { opener, sessions } = createStage();
  await Promise.all([sessions.open(toToken('a')), sessions.open(toToken('a', toId(1)))]);
  await sessions.open(toToken('a', toId(1)));
  expect(opener.counts.opens).toBe(1);
});

test('two tokens of one database are one tenant with a session each; one token of two databases, two tenants', async () => {
  const { opener, sessions } = createStage();
  expect(await sessions.open(toToken('a', toId(1)))).toBe(toId(1));
  expect(await sessions.open(toToken('b', toId(1)))).toBe(toId(1));
  expect(await sessions.open(toToken('a', toId(2)))).toBe(toId(2));
  expect(opener.counts.opens).toBe(3);
  expect(sessions.tenants().toSorted()).toEqual([toId(1), toId(2)]);
});

test('one that fails is answered from memory for two seconds, then tried again', async () => {
  const { clock, opener, sessions } = createStage();
  opener.revoked.add('AstraCS:a');
  for (let i = 0; i < 20; i += 1) {
    expect((await catchError(sessions.open(toToken('a')))).code).toBe('invalid_api_key');
  }
  expect(opener.counts.chooses).toBe(1);
  clock.advance(2 * SECOND);
  opener.revoked.clear();
  expect(await sessions.open(toToken('a'))).toBe(toId(1));
  expect(sessions.getStatistics()).toMatchObject({ open: 1, opened: 1, failed: 1 });
});

test('who waits too long for his database is told to come back, and finds it open then', async () => {
  const { opener, sessions } = createStage({ answerMs: 50 });
  const gate = Promise.withResolvers<void>();
  opener.opening = gate.promise;
  const error = await catchError(sessions.open(toToken('a')));
  expect(error.code).toBe('service_unavailable');
  expect(error.retryAfterMs).toBeGreaterThan(0);
  gate.resolve();
  await settle();
  expect(await sessions.open(toToken('a'))).toBe(toId(1));
  expect(opener.counts.opens).toBe(1);
});

test('no more than eight connect at once; one database that hangs keeps no other waiting', async () => {
  const { opener, sessions } = createStage({ answerMs: 100 });
  let now = 0;
  let most = 0;
  const { open } = opener;
  opener.open = async (credentials, id) => {
    now += 1;
    most = Math.max(most, now);
    if (id === toId(99)) await Bun.sleep(300);
    await Bun.sleep(2);
    now -= 1;
    return await open(credentials, id);
  };
  const hanging = catchError(sessions.open(toToken('hanging', toId(99))));
  const all = Array.from({ length: 40 }, (_, n) => sessions.open(toToken(`t${n}`, toId(n))));
  await Promise.all(all);
  expect(most).toBe(8);
  expect((await hanging).code).toBe('service_unavailable');
});

test('what cannot be prepared is closed', async () => {
  const { opener, sessions } = createStage();
  const { open } = opener;
  opener.open = async (credentials, id) => ({
    ...(await open(credentials, id)),
    prepare: () => Promise.reject(new ApiError('permission_denied', 'no')),
  });
  expect((await catchError(sessions.open(toToken('a')))).code).toBe('permission_denied');
  expect(opener.counts).toMatchObject({ opens: 1, closes: 1 });
  expect(sessions.getStatistics()).toMatchObject({ open: 0, opened: 0 });
});

test('two hundred tenants one after the other leave no more sessions open than there may be', async () => {
  const { clock, opener, sessions } = createStage({ sessionsMax: 20 });
  for (let n = 0; n < 200; n += 1) {
    await sessions.open(toToken(`t${n}`, toId(n)));
    clock.advance(SECOND);
  }
  await settle();
  expect(opener.openNow).toBe(20);
  expect(opener.counts.openMax).toBeLessThanOrEqual(21);
  expect(sessions.getStatistics()).toMatchObject({ open: 20, closing: 0, opened: 200 });
  expect(sessions.getStatistics().retired.full).toBe(180);
});

test('sessions that work at this moment are not closed for others, who are told so', async () => {
  const { clock, opener, sessions } = createStage({ sessionsMax: 2 });
  await sessions.open(toToken('a', toId(1)));
  await sessions.open(toToken('b', toId(2)));
  const error = await catchError(sessions.open(toToken('c', toId(3))));
  expect(error).toMatchObject({ code: 'service_unavailable', retryAfterMs: 15 * SECOND });
  clock.advance(10 * SECOND);
  await sessions.use(toId(1), async () => undefined);
  clock.advance(10 * SECOND);
  expect(await sessions.open(toToken('c', toId(3)))).toBe(toId(3));
  // The one that was used less than fifteen seconds ago is still there.
  expect(sessions.tenants().toSorted()).toEqual([toId(1), toId(3)]);
  await settle();
  expect(opener.openNow).toBe(2);
});

test('no session is closed under a call', async () => {
  const { clock, opener, sessions } = createStage({ sessionsMax: 1 });
  await sessions.open(toToken('a', toId(1)));
  const work = Promise.withResolvers<string>();
  const call = sessions.use(toId(1), () => work.promise);
  clock.advance(20 * MINUTE);
  sessions.sweep();
  expect((await catchError(sessions.open(toToken('b', toId(2))))).code).toBe('service_unavailable');
  opener.revoked.add('AstraCS:a');
  expect((await catchError(sessions.open(toToken('a', toId(1))))).code).toBe('invalid_api_key');
  expect(sessions.getStatistics()).toMatchObject({ open: 0, closing: 1 });
  expect(opener.counts.closes).toBe(0);
  work.resolve('done');
  expect(await call).toBe('done');
  await settle();
  expect(opener.counts.closes).toBe(1);
  expect(sessions.getStatistics()).toMatchObject({ open: 0, closing: 0 });
});

test('what nobody uses for ten minutes is closed; looking for work is no use', async () => {
  const { clock, opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  await sessions.open(toToken('b', toId(2)));
  for (let minute = 0; minute < 10; minute += 1) {
    clock.advance(MINUTE);
    await sessions.use(toId(1), async () => undefined, { isQuiet: true });
    await sessions.use(toId(2), async () => undefined);
    sessions.sweep();
    await settle();
  }
  expect(sessions.tenants()).toEqual([toId(2)]);
  expect(opener.openNow).toBe(1);
  const error = await sessions.use(toId(1), async () => undefined).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StoreError);
  expect(error).toMatchObject({ code: 'unavailable' });
});

test('a revoked token stops working within a minute, and other tokens of the database go on', async () => {
  const { clock, opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  await sessions.open(toToken('b', toId(1)));
  opener.revoked.add('AstraCS:a');
  let refusedAfterMs = 0;
  for (let ms = 0; ms <= 2 * MINUTE && refusedAfterMs === 0; ms += SECOND) {
    clock.advance(SECOND);
    await sessions.open(toToken('b', toId(1)));
    const error = await sessions.open(toToken('a', toId(1))).catch((thrown: unknown) => thrown);
    if (error instanceof ApiError && error.code === 'invalid_api_key') refusedAfterMs = ms;
  }
  expect(refusedAfterMs).toBeGreaterThan(0);
  expect(refusedAfterMs).toBeLessThanOrEqual(MINUTE);
  expect(await sessions.open(toToken('b', toId(1)))).toBe(toId(1));
  await settle();
  expect(opener.openNow).toBe(1);
});

test('a token that is used after a quiet time is checked before it serves', async () => {
  const { clock, opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  opener.revoked.add('AstraCS:a');
  clock.advance(5 * MINUTE);
  expect((await catchError(sessions.open(toToken('a', toId(1))))).code).toBe('invalid_api_key');
});

test('who asks all the time never waits for a check', async () => {
  const { clock, opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  clock.advance(40 * SECOND);
  opener.checking = new Promise(() => undefined);
  expect(await sessions.open(toToken('a', toId(1)))).toBe(toId(1));
  expect(opener.counts.checks).toBe(1);
});

test('fifty requests of one token behind its time are one check', async () => {
  const { clock, opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  clock.advance(5 * MINUTE);
  await Promise.all(Array.from({ length: 50 }, () => sessions.open(toToken('a', toId(1)))));
  expect(opener.counts.checks).toBe(1);
});

test('tokens of background work are checked, too', async () => {
  const { clock, opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  opener.revoked.add('AstraCS:a');
  for (let second = 0; second < 60; second += 5) {
    clock.advance(5 * SECOND);
    await sessions.use(toId(1), async () => undefined).catch(() => undefined);
    sessions.sweep();
    await settle();
  }
  expect(sessions.tenants()).toEqual([]);
  expect(sessions.getStatistics().retired.refused).toBe(1);
});

test('where Astra cannot be asked, sessions serve for five minutes more', async () => {
  const { clock, opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  opener.checkFailure = new ApiError('service_unavailable', 'no answer', { retryAfterMs: 1 });
  let servedMs = 0;
  for (let ms = 0; ms < 10 * MINUTE; ms += SECOND) {
    clock.advance(SECOND);
    const tenant = await sessions.open(toToken('a', toId(1))).catch(() => null);
    if (tenant !== null) servedMs = ms;
  }
  expect(servedMs).toBeGreaterThan(5 * MINUTE);
  expect(servedMs).toBeLessThanOrEqual(6 * MINUTE);
  // Every five seconds at the most.
  expect(opener.counts.checks).toBeLessThan(125);
  opener.checkFailure = null;
  clock.advance(10 * SECOND);
  expect(await sessions.open(toToken('a', toId(1)))).toBe(toId(1));
});

test('a database that has gone to sleep is woken: 503, then a new session', async () => {
  const { clock, opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  opener.asleep.add(toId(1));
  clock.advance(5 * MINUTE);
  const error = await catchError(sessions.open(toToken('a', toId(1))));
  expect(error).toMatchObject({ code: 'service_unavailable', retryAfterMs: 10_000 });
  opener.asleep.clear();
  clock.advance(10 * SECOND);
  expect(await sessions.open(toToken('a', toId(1)))).toBe(toId(1));
  await settle();
  expect(opener.counts).toMatchObject({ opens: 2, closes: 1 });
});

test('a token that the database itself refuses is checked at once', async () => {
  const { opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  opener.revoked.add('AstraCS:a');
  const call = sessions.use(toId(1), () => Promise.reject(new Error('refused by the database')));
  expect(await call.catch((thrown: unknown) => thrown)).toMatchObject({ code: 'unavailable' });
  await settle();
  expect((await catchError(sessions.open(toToken('a', toId(1))))).code).toBe('invalid_api_key');
});

test('a session that fails for half a minute is given up, and the next request opens another', async () => {
  const { clock, opener, sessions } = createStage();
  await sessions.open(toToken('a', toId(1)));
  const fail = () => Promise.reject(new StoreError('unavailable', 'no answer'));
  const use = (call: () => Promise<unknown>) => sessions.use(toId(1), call).catch(() => undefined);
  for (let second = 0; second < 25; second += 1) {
    await use(fail);
    clock.advance(SECOND);
  }
  await use(async () => 'well');
  for (let second = 0; second < 29; second += 1) {
    await use(fail);
    clock.advance(SECOND);
  }
  expect(sessions.tenants()).toEqual([toId(1)]);
  clock.advance(SECOND);
  await use(fail);
  expect(sessions.tenants()).toEqual([]);
  expect(sessions.getStatistics().retired.broken).toBe(1);
  // Astra was asked whether it sleeps, but not with every failure.
  expect(opener.counts.checks).toBeLessThan(15);
  expect(await sessions.open(toToken('a', toId(1)))).toBe(toId(1));
  expect(opener.counts.opens).toBe(2);
});

test('nothing of the cache shows a token', async () => {
  const { opener, sessions } = createStage();
  await sessions.open(toToken('very-secret', toId(1)));
  opener.openFailure = new ApiError('service_unavailable', 'no');
  await catchError(sessions.open(toToken('very-secret', toId(2))));
  expect(inspect(sessions, { depth: 12, showHidden: true })).not.toContain('very-secret');
  expect(JSON.stringify(sessions.getStatistics())).not.toContain('very-secret');
});

test('closing waits for what is being opened, and closes it', async () => {
  const { opener, sessions } = createStage();
  const gate = Promise.withResolvers<void>();
  opener.opening = gate.promise;
  const opening = sessions.open(toToken('a', toId(1))).catch(() => null);
  await settle();
  const closing = sessions.close();
  gate.resolve();
  await Promise.all([closing, opening]);
  expect(opener.openNow).toBe(0);
  expect((await catchError(sessions.open(toToken('b')))).code).toBe('service_unavailable');
});
