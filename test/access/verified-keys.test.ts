import { describe, expect, test } from 'bun:test';
import { createKey } from '../../src/access/key-format.ts';
import {
  type KeyRecord,
  NO_KEY_LIMITS,
  NO_PROJECT_LIMITS,
  type ProjectRecord,
} from '../../src/access/key-records.ts';
import { createVerifiedKeys } from '../../src/access/verified-keys.ts';
import { createIds } from '../../src/ids.ts';
import { createLog } from '../../src/log.ts';
import { type StoredRecord, StoreError, type Versioned } from '../../src/store/store.ts';

const START_MS = 1_764_000_000_000;
const PROJECT: ProjectRecord = {
  id: 'proj_1',
  name: 'alpha',
  tenant: 'proj_1',
  created_at: 0,
  limits: NO_PROJECT_LIMITS,
};

/** A store of one key, whose answers can be held back. */
function openKeys() {
  let nowMs = START_MS;
  const ids = createIds({ nowMs: () => START_MS });
  const id = ids.create('api_key');
  const { key, secretHash } = createKey(id);
  let record: KeyRecord | null = {
    id,
    tenant: PROJECT.tenant,
    project_id: PROJECT.id,
    project: PROJECT.name,
    secret_sha256: secretHash,
    scopes: ['read'],
    created_at: 0,
    expires_at: null,
    revoked_at: null,
    limits: NO_KEY_LIMITS,
  };
  let answer: () => Promise<void> = async () => undefined;
  let looks = 0;
  const store = {
    async get<T extends StoredRecord>(collection: string, _scope: unknown, asked: string) {
      if (collection === 'api_keys') looks += 1;
      await answer();
      const all: readonly (StoredRecord | null)[] = [record, PROJECT];
      const found = all.find((one) => one?.id === asked) ?? null;
      return found === null
        ? null
        : ({ record: found, version: 1 } as Versioned<StoredRecord> as Versioned<T>);
    },
  };
  const log = createLog('silent', () => undefined);
  const keys = createVerifiedKeys(
    { store, clock: { nowMs: () => nowMs }, log },
    { freshMs: 2_000, staleMs: 3_500, graceMs: 60_000, answerMs: 50, keysMax: 3 },
  );
  return {
    key,
    makeKey: () => createKey(ids.create('api_key')).key,
    /** Of the same id, with another secret. */
    makeForgery: () => createKey(id).key,
    check: (text = key) => keys.check(text),
    faultOf: async (text = key) => (await keys.check(text)).fault,
    change: (values: Partial<KeyRecord> | null) => {
      record = values === null || record === null ? null : { ...record, ...values };
    },
    advance: (ms: number) => {
      nowMs += ms;
    },
    answerBy: (next: () => Promise<void>) => {
      answer = next;
    },
    looks: () => looks,
  };
}

/** Lets what is under way in the background come to its end. */
async function settle(): Promise<void> {
  for (let round = 0; round < 20; round += 1) await Promise.resolve();
}

test('a key tells its project and what it may do; the store is asked once for all who come at once', async () => {
  const keys = openKeys();
  const verdicts = await Promise.all(Array.from({ length: 100 }, () => keys.check()));
  for (const { identity } of verdicts) {
    expect(identity).toMatchObject({ tenant: 'proj_1', project: 'alpha' });
    expect([...(identity?.scopes ?? [])]).toEqual(['read']);
  }
  expect(keys.looks()).toBe(1);
  keys.advance(1_999);
  await keys.check();
  expect(keys.looks()).toBe(1);
});

test('a key of a known id with another secret is unknown, whether or not the right one was seen', async () => {
  const keys = openKeys();
  expect(await keys.faultOf(keys.makeForgery())).toBe('unknown');
  expect(await keys.faultOf()).toBeNull();
  expect(await keys.faultOf(keys.makeForgery())).toBe('unknown');
});

describe('a key that is revoked', () => {
  test('is served from memory while it is read anew, and then no more', async () => {
    const keys = openKeys();
    await keys.check();
    keys.change({ revoked_at: 1 });
    keys.advance(2_100);
    expect(await keys.faultOf()).toBeNull();
    await settle();
    expect(await keys.faultOf()).toBe('revoked');
  });

  test('is not served once after a pause, however long nobody asked', async () => {
    const keys = openKeys();
    await keys.check();
    keys.change({ revoked_at: 1 });
    keys.advance(3_500);
    expect(await keys.faultOf()).toBe('revoked');
  });

  test('is not served either where the clock was set back meanwhile', async () => {
    const keys = openKeys();
    await keys.check();
    keys.change({ revoked_at: 1 });
    keys.advance(-3_600_000);
    expect(await keys.faultOf()).toBe('revoked');
  });
});

test('a key ends at its time without the store being asked', async () => {
  const keys = openKeys();
  keys.change({ expires_at: START_MS / 1000 + 1 });
  expect(await keys.faultOf()).toBeNull();
  keys.advance(1_000);
  expect(await keys.faultOf()).toBe('expired');
  expect(keys.looks()).toBe(1);
});

test('what is no key does not reach the store; the same wrong one reaches it once in two seconds', async () => {
  const keys = openKeys();
  expect(await keys.faultOf('sk-nonsense')).toBe('malformed');
  expect(keys.looks()).toBe(0);
  const wrong = keys.makeKey();
  for (let round = 0; round < 5; round += 1) expect(await keys.faultOf(wrong)).toBe('unknown');
  expect(keys.looks()).toBe(1);
});

test('any number of wrong keys does not push out a good one, nor stay in memory', async () => {
  const keys = openKeys();
  await keys.check();
  for (let round = 0; round < 10; round += 1) await keys.check(keys.makeKey());
  const looks = keys.looks();
  await keys.check();
  expect(keys.looks()).toBe(looks);
});

describe('while the store does not answer', () => {
  const fail = async (): Promise<void> => {
    throw new StoreError('unavailable', 'gone');
  };
  const hang = (): Promise<void> => new Promise(() => undefined);

  test.each([
    ['refuses', fail],
    ['hangs', hang],
  ] as const)('and %s, a key that was good goes on for a minute, then gets a 503', async (_, answer) => {
    const keys = openKeys();
    await keys.check();
    keys.answerBy(answer);
    keys.advance(59_000);
    expect(await keys.faultOf()).toBeNull();
    keys.advance(2_000);
    await expect(keys.check()).rejects.toMatchObject({ status: 503, retryAfterMs: 1_000 });
  });

  test('a key that nobody has seen gets a 503, and is served when the store is back', async () => {
    const keys = openKeys();
    keys.answerBy(fail);
    await expect(keys.check()).rejects.toMatchObject({ status: 503 });
    keys.answerBy(async () => undefined);
    expect(await keys.faultOf()).toBeNull();
  });

  test('a key that was refused before stays refused or gets a 503: it is never let in', async () => {
    const keys = openKeys();
    keys.change({ revoked_at: 1 });
    expect(await keys.faultOf()).toBe('revoked');
    keys.answerBy(fail);
    expect(await keys.faultOf()).toBe('revoked');
    keys.advance(2_000);
    await expect(keys.check()).rejects.toMatchObject({ status: 503 });
  });
});
