/** Each tenant's records lie in his own database, the server's notes about him too, and nobody reaches another's. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createAstraPorts } from '../../src/astra/astra-ports.ts';
import { createSystemPlaces } from '../../src/astra/system-places.ts';
import type { TenantEngines } from '../../src/astra/tenant-engines.ts';
import { createTenantPorts } from '../../src/astra/tenant-ports.ts';
import { createTenantSessions, type TenantSessions } from '../../src/astra/tenant-sessions.ts';
import { createTenantSweep } from '../../src/astra/tenant-sweeps.ts';
import { SYSTEM_TENANT } from '../../src/store/collections.ts';
import { type Scope, type Store, type StoredRecord, StoreError, type Write } from '../../src/store/store.ts';
import type { OpenedStore } from '../contract/store.ts';
import { describeDocuments } from '../contract/store-documents.ts';
import { describeFilters } from '../contract/store-filters.ts';
import { describeImports } from '../contract/store-imports.ts';
import { describeLifecycle } from '../contract/store-lifecycle.ts';
import { describeLists } from '../contract/store-lists.ts';
import { describeRecords } from '../contract/store-records.ts';
import { openSqliteStore } from '../store/sqlite-directory.ts';
import { createExactVectorIndex } from '../support/exact-vector-index.ts';
import { createCountedOpener, createTestClock, SILENT_LOG, toId, toToken } from './fixture.ts';
import { createMemoryBlobs } from './memory-blobs.ts';

const A = toId(1);
const B = toId(2);
const SYSTEM: Scope = Object.freeze({ tenant: SYSTEM_TENANT });

interface Note extends StoredRecord {
  readonly tenant?: string;
  readonly owner?: string | null;
  readonly until_ms?: number;
}

interface Stage {
  readonly sessions: TenantSessions;
  readonly places: ReturnType<typeof createSystemPlaces>;
  readonly ports: TenantEngines;
  readonly stores: ReadonlyMap<string, OpenedStore>;
  /** The database of a tenant, without any routing. */
  at(tenant: string): Store;
}

async function createStage(): Promise<Stage> {
  const stores = new Map([
    [A, await openSqliteStore()],
    [B, await openSqliteStore()],
  ]);
  const at = (tenant: string): Store => {
    const found = stores.get(tenant)?.store;
    if (found === undefined) throw new Error(`no database ${tenant}`);
    return found;
  };
  const opener = createCountedOpener((tenant) => ({
    store: at(tenant),
    blobs: createMemoryBlobs(),
    index: createExactVectorIndex(),
  }));
  const sessions = createTenantSessions({ opener, clock: createTestClock(), log: SILENT_LOG });
  const places = createSystemPlaces(sessions);
  return { sessions, places, ports: createAstraPorts({ sessions, places }), stores, at };
}

let stage: Stage;
beforeAll(async () => {
  stage = await createStage();
  await stage.sessions.open(toToken('a', A));
  await stage.sessions.open(toToken('b', B));
});
afterAll(async () => {
  await stage.sessions.close();
  for (const { close } of stage.stores.values()) await close();
});

async function catchCode(promise: Promise<unknown>): Promise<string> {
  const error = await promise.catch((thrown: unknown) => thrown);
  if (error instanceof StoreError) return error.code;
  throw new Error(`Not a StoreError: ${String(error)}`);
}

function toLease(id: string, tenant: string, more: Partial<Note> = {}): Write {
  return {
    kind: 'insert',
    collection: 'leases',
    scope: SYSTEM,
    record: { id, tenant, owner: 'me', ...more } as Note,
  };
}

test('records go to the database of their tenant, and are found in no other', async () => {
  const { store } = stage.ports;
  await store.insert('assistants', { tenant: A }, { id: 'asst_1' });
  expect(await stage.at(A).get('assistants', { tenant: A }, 'asst_1')).not.toBeNull();
  expect(await stage.at(B).get('assistants', { tenant: A }, 'asst_1')).toBeNull();
  expect(await store.get('assistants', { tenant: B }, 'asst_1')).toBeNull();
  const page = { limit: 10, order: 'asc' } as const;
  expect((await store.list('assistants', { tenant: A }, page)).items.length).toBe(1);
  expect((await store.list('assistants', { tenant: B }, page)).items).toEqual([]);
  expect((await store.update<Note>('assistants', { tenant: A }, 'asst_1', { owner: 'x' })).version).toBe(2);
  expect(await store.deleteAll('assistants', { tenant: A })).toBe(1);
});

test('bytes and chunks go with them', async () => {
  const { blobs, index } = stage.ports;
  await blobs.putPiece(A, 'blob', 0, new Uint8Array([1]));
  expect(await blobs.getPiece(A, 'blob', 0)).toEqual(new Uint8Array([1]));
  expect(await blobs.getPiece(B, 'blob', 0)).toBeNull();
  await blobs.deleteBlob(A, 'blob');
  expect(await blobs.getPiece(A, 'blob', 0)).toBeNull();
  expect((await index.describe({ tenant: A, store: 'vs' })).chunks).toBe(0);
  expect(await catchCode(blobs.getPiece(toId(9), 'blob', 0))).toBe('unavailable');
  expect(await catchCode(index.describe({ tenant: toId(9), store: 'vs' }))).toBe('unavailable');
});

test('a tenant whose database is not open is told so, and nobody else is asked', async () => {
  const { store } = stage.ports;
  const scope = { tenant: toId(9) };
  expect(await catchCode(store.get('assistants', scope, 'x'))).toBe('unavailable');
  expect(await catchCode(store.insert('assistants', scope, { id: 'x' }))).toBe('unavailable');
  expect(await catchCode(store.write([toLease('run_9', toId(9))]))).toBe('unavailable');
});

describe("the system's records", () => {
  test('lie beside what they are about', async () => {
    const { store } = stage.ports;
    const thread: Write = {
      kind: 'insert',
      collection: 'threads',
      scope: { tenant: B },
      record: { id: 'thread_1' },
    };
    await store.write([toLease('run_1', B), thread]);
    expect(await stage.at(B).get('leases', SYSTEM, 'run_1')).not.toBeNull();
    expect(await stage.at(A).get('leases', SYSTEM, 'run_1')).toBeNull();
  });

  test('are found by their ids: renewals and releases name no tenant', async () => {
    const { store } = stage.ports;
    const place = { collection: 'leases', scope: SYSTEM, id: 'run_2' } as const;
    await store.write([toLease('run_2', A)]);
    const check: Write = { kind: 'require', ...place, equals: { owner: 'me' } };
    const renewal: Write = { kind: 'update', ...place, change: { until_ms: 7 } };
    expect(await store.write([check, renewal])).toEqual([0, 2]);
    expect((await store.get<Note>('leases', SYSTEM, 'run_2'))?.record.until_ms).toBe(7);
    expect(await stage.at(B).get('leases', SYSTEM, 'run_2')).toBeNull();
    expect(await store.write([{ kind: 'delete', ...place }])).toEqual([0]);
    expect(await store.get('leases', SYSTEM, 'run_2')).toBeNull();
  });

  test('of another process are found, too', async () => {
    const { store } = stage.ports;
    await stage.at(B).insert<Note>('leases', SYSTEM, { id: 'run_3', tenant: B, owner: 'other' });
    expect((await store.get<Note>('leases', SYSTEM, 'run_3'))?.record.owner).toBe('other');
    expect((await store.update<Note>('leases', SYSTEM, 'run_3', { owner: 'me' })).version).toBe(2);
    expect(await store.delete('leases', SYSTEM, 'run_3')).toBeTrue();
  });

  test('that are nowhere are not there', async () => {
    const { store } = stage.ports;
    const place = { collection: 'leases', scope: SYSTEM, id: 'run_none' } as const;
    expect(await store.get('leases', SYSTEM, 'run_none')).toBeNull();
    expect(await store.delete('leases', SYSTEM, 'run_none')).toBeFalse();
    expect(await store.write([{ kind: 'delete', ...place }])).toEqual([0]);
    expect(await catchCode(store.update<Note>('leases', SYSTEM, 'run_none', { owner: null }))).toBe(
      'not_found',
    );
    const error = await store
      .write([
        { kind: 'delete', ...place },
        { kind: 'require', ...place },
      ])
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'not_found', index: 1 });
  });

  test('under one id in two databases are touched only by who names the tenant', async () => {
    const { store } = stage.ports;
    for (const tenant of [A, B]) {
      await stage.at(tenant).insert<Note>('expirations', SYSTEM, { id: 'vs_copied', tenant, owner: 'kept' });
    }
    const deletion: Write = { kind: 'delete', collection: 'expirations', scope: SYSTEM, id: 'vs_copied' };
    expect(await catchCode(store.write([deletion]))).toBe('unavailable');
    expect(await catchCode(store.delete('expirations', SYSTEM, 'vs_copied'))).toBe('unavailable');
    // By what is written together with it.
    await store.write([
      { kind: 'insert', collection: 'vector_stores', scope: { tenant: A }, record: { id: 'vs_other' } },
      deletion,
    ]);
    expect(await stage.at(A).get('expirations', SYSTEM, 'vs_copied')).toBeNull();
    // By the scope.
    const named: Scope & { of: string } = { ...SYSTEM, of: B };
    expect(await store.get('expirations', named, 'vs_copied')).not.toBeNull();
    expect(await store.delete('expirations', named, 'vs_copied')).toBeTrue();
  });

  test('are listed by nobody who names no tenant', async () => {
    const { store } = stage.ports;
    const page = { limit: 10, order: 'asc' } as const;
    expect(await catchCode(store.list('leases', SYSTEM, page))).toBe('misuse');
    expect(await catchCode(store.deleteAll('leases', SYSTEM))).toBe('misuse');
    const named: Scope & { of: string } = { ...SYSTEM, of: B };
    expect((await store.list('leases', named, page)).items.map(({ record }) => record.id)).toEqual(['run_1']);
  });
});

test('writes of two tenants do not go together', async () => {
  const { store } = stage.ports;
  const insert = (tenant: string): Write => ({
    kind: 'insert',
    collection: 'threads',
    scope: { tenant },
    record: { id: 'thread_x' },
  });
  expect(await catchCode(store.write([insert(A), insert(B)]))).toBe('misuse');
  expect(await catchCode(store.write([insert(A), toLease('run_x', B)]))).toBe('misuse');
  expect(await store.get('threads', { tenant: A }, 'thread_x')).toBeNull();
});

describe('what goes through the tenants one by one', () => {
  test('sees the notes of each, in their order', async () => {
    const at = (tenant: string) => createTenantPorts(stage, tenant).store;
    await stage.ports.store.write([toLease('run_4', A)]);
    const page = { limit: 10, order: 'asc' } as const;
    const list = async (tenant: string) =>
      (await at(tenant).list('leases', SYSTEM, page)).items.map(({ record }) => record.id);
    expect(await list(A)).toContain('run_4');
    expect(await list(B)).not.toContain('run_4');
  });

  test('is not led to another tenant by a note that names him: its owner can write there what he likes', async () => {
    await stage.at(A).insert<Note>('deletions', SYSTEM, { id: 'forged', tenant: B });
    const { store } = createTenantPorts(stage, A);
    const page = { limit: 10, order: 'asc' } as const;
    expect((await store.list<Note>('deletions', SYSTEM, page)).items[0]?.record.tenant).toBe(A);
    expect((await store.get<Note>('deletions', SYSTEM, 'forged'))?.record.tenant).toBe(A);
    expect((await store.update<Note>('deletions', SYSTEM, 'forged', { owner: 'x' })).record.tenant).toBe(A);
    expect(await catchCode(store.get('threads', { tenant: B }, 'thread_1'))).toBe('misuse');
    expect(await catchCode(store.write([toLease('run_5', B)]))).toBe('misuse');
    expect(await catchCode(store.insert('leases', SYSTEM, { id: 'run_5' }))).toBe('misuse');
  });

  test('what it takes up is found by the others afterwards', async () => {
    await stage.at(A).insert<Note>('leases', SYSTEM, { id: 'run_6', tenant: A, owner: 'dead' });
    const { store } = createTenantPorts(stage, A);
    await store.write([
      {
        kind: 'update',
        collection: 'leases',
        scope: SYSTEM,
        id: 'run_6',
        change: { owner: 'me' },
        ifVersion: 1,
      },
    ]);
    const place = { collection: 'leases', scope: SYSTEM, id: 'run_6' } as const;
    expect(await stage.ports.store.write([{ kind: 'update', ...place, change: { until_ms: 1 } }])).toEqual([
      3,
    ]);
  });

  test('goes on past a tenant who fails, and past one who hangs', async () => {
    const swept: string[] = [];
    let prepared = 0;
    const hanging = Promise.withResolvers<void>();
    const sweep = createTenantSweep({ ...stage, log: SILENT_LOG }, 'not swept', ({ tenant }) => {
      prepared += 1;
      return async () => {
        swept.push(tenant);
        if (tenant === A) await hanging.promise;
        else throw new Error('as asked');
      };
    });
    const began = performance.now();
    await sweep();
    expect(performance.now() - began).toBeLessThan(3_000);
    await sweep();
    expect(swept.toSorted()).toEqual([A, B, B]);
    hanging.resolve();
    await Bun.sleep(1);
    await sweep();
    expect(swept.toSorted()).toEqual([A, A, B, B, B]);
    expect(prepared).toBe(2);
  });
});

/** All tenants in one database: the routing in between must change nothing of what a store is. */
async function openRouted(): Promise<OpenedStore> {
  const opened = await openSqliteStore();
  const route = (store: Store): Store => {
    const engines = { store, blobs: createMemoryBlobs(), index: createExactVectorIndex() };
    const sessions: TenantSessions = {
      open: async () => A,
      use: (_tenant, call) => call(engines),
      tenants: () => [A],
      sweep: () => undefined,
      getStatistics: () => ({ ...stage.sessions.getStatistics() }),
      close: () => store.close(),
    };
    return createAstraPorts({ sessions, places: createSystemPlaces(sessions) }).store;
  };
  return {
    store: route(opened.store),
    reopen: async () => route(await opened.reopen()),
    close: () => opened.close(),
  };
}

// Without the cases of writes: some of them write for two tenants at once.
describe('store contract: astra, routed to one database', () => {
  describeRecords(openRouted);
  describeDocuments(openRouted);
  describeLists(openRouted);
  describeFilters(openRouted);
  describeImports(openRouted);
  describeLifecycle(openRouted);
});
