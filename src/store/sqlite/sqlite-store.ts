/**
 * The store on an embedded SQLite database, whose file lives in a data directory. The database runs on a
 * thread of its own: neither a sync nor the lock of another process stops the event loop.
 */

import { join } from 'node:path';
import { type Clock, systemClock } from '../../clock.ts';
import { toNativeSortKey } from '../../ids.ts';
import {
  checkChange,
  checkPage,
  checkRecord,
  checkScope,
  checkWhere,
  checkWrites,
  toJson,
} from '../checks.ts';
import type { CollectionName } from '../collections.ts';
import { toConditions, toFilterEntries } from '../filters.ts';
import { toSortKey } from '../sort-keys.ts';
import {
  type Scope,
  type Store,
  type StoredRecord,
  StoreError,
  type Versioned,
  type Write,
} from '../store.ts';
import { createCaller, type SqliteStatistics } from './caller.ts';
import { NOTHING_THERE, type Place, type Reply, type Step } from './protocol.ts';

export { PENDING_CALLS_MAX, type SqliteStatistics } from './caller.ts';

export const DATABASE_FILE = 'understudy.db';
/** How long a write may wait for another process that holds the file. */
export const LOCK_WAIT_DEFAULT_MS = 30_000;

export interface SqliteStoreOptions {
  /** Made when it is missing, for its owner only. */
  readonly directory: string;
  readonly clock?: Clock;
  readonly lockWaitMs?: number;
  /** Called once where the database's thread ends by itself: nothing answers from then on. */
  readonly onLost?: (reason: string) => void;
  /** Starts the database's thread; tests keep hold of it. */
  readonly startThread?: () => Worker;
}

export interface SqliteStore extends Store {
  getStatistics(): SqliteStatistics;
}

/** Opens the database. Errors: `unavailable`, saying what is wrong with the directory or the file. */
export async function createSqliteStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  const clock = options.clock ?? systemClock;
  const caller = createCaller((options.startThread ?? startThread)(), options.onLost);
  await caller.open({
    directory: options.directory,
    file: join(options.directory, DATABASE_FILE),
    lockWaitMs: options.lockWaitMs ?? LOCK_WAIT_DEFAULT_MS,
  });

  /** Answers the new version, or what stands for none. */
  const writeOne = async (step: Step): Promise<number> => {
    const reply = await caller.call((call) => ['write', call, [step], 'version'], [step]);
    if (reply[0] !== 'count') throw toProtocolFault(reply);
    return reply[2];
  };

  return {
    engine: 'sqlite',

    async insert(collection, scope, record) {
      await writeOne(toInsertStep(clock, collection, scope, record, undefined));
      return { record, version: 1 };
    },

    async get<T extends StoredRecord>(collection: CollectionName, scope: Scope, id: string) {
      checkScope(collection, scope);
      const place = toPlace(collection, scope, id);
      const reply = await caller.call((call) => ['get', call, place]);
      return toVersioned<T>(reply);
    },

    async list<T extends StoredRecord>(...[collection, scope, page, where]: Parameters<Store['list']>) {
      const spec = checkScope(collection, scope);
      checkPage(page);
      if (where !== undefined) checkWhere(collection, spec, where);
      const conditions = toConditions(where);
      const { tenant, parent = '' } = scope;
      const { limit, order, after = null, before = null } = page;
      const reply = await caller.call((call) => [
        'list',
        call,
        collection,
        tenant,
        parent,
        limit,
        order,
        after,
        before,
        conditions,
      ]);
      if (reply[0] !== 'page') throw toProtocolFault(reply);
      const [, , documents, versions, hasMore, sortKeys] = reply;
      const records = JSON.parse(documents) as T[];
      const items = records.map((record, index) => {
        const sortKey = sortKeys?.[index] ?? null;
        return { record, version: versions[index] ?? 0, ...(sortKey === null ? {} : { sortKey }) };
      });
      return { items, hasMore };
    },

    async update<T extends StoredRecord>(
      ...[collection, scope, id, change, updateOptions]: Parameters<Store['update']>
    ) {
      const step = toUpdateStep(collection, scope, id, change, updateOptions?.ifVersion);
      const reply = await caller.call((call) => ['write', call, [step], 'record'], [step]);
      const updated = toVersioned<T>(reply);
      if (updated === null) throw toProtocolFault(reply);
      return updated;
    },

    async delete(collection, scope, id, deleteOptions) {
      checkScope(collection, scope);
      const place = toPlace(collection, scope, id);
      return (await writeOne(['delete', place, deleteOptions?.ifVersion ?? null])) !== NOTHING_THERE;
    },

    async deleteAll(collection, scope) {
      checkScope(collection, scope);
      const { tenant, parent = '' } = scope;
      const reply = await caller.call((call) => ['deleteAll', call, collection, tenant, parent]);
      if (reply[0] !== 'count') throw toProtocolFault(reply);
      return reply[2];
    },

    async write(writes) {
      checkWrites(writes);
      if (writes.length === 0) return [];
      const steps = writes.map((write, index) => toStep(clock, write, index));
      const reply = await caller.call((call) => ['write', call, steps, 'versions'], steps);
      if (reply[0] !== 'versions') throw toProtocolFault(reply);
      return reply[2].map((version) => Math.max(version, 0));
    },

    async ping() {
      await caller.call((call) => ['ping', call]);
    },

    close: () => caller.close(),
    getStatistics: () => caller.getStatistics(),
  };
}

/**
 * The compiled executable keeps the entry points beside each other as they were below `src`, and this
 * module inside of the first of them.
 */
function startThread(): Worker {
  const isSource = import.meta.url.endsWith('/sqlite-store.ts');
  return new Worker(new URL(isSource ? './thread.ts' : './store/sqlite/thread.ts', import.meta.url));
}

function toStep(clock: Clock, write: Write, index: number): Step {
  try {
    if (write.kind === 'insert') {
      return toInsertStep(clock, write.collection, write.scope, write.record, write.sortKey);
    }
    if (write.kind === 'update') {
      return toUpdateStep(write.collection, write.scope, write.id, write.change, write.ifVersion);
    }
    checkScope(write.collection, write.scope);
    const place = toPlace(write.collection, write.scope, write.id);
    if (write.kind === 'delete') return ['delete', place, write.ifVersion ?? null];
    return ['require', place, write.equals === undefined ? null : toJson(write.equals)];
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new StoreError(error.code, error.message, { index, cause: error });
  }
}

function toInsertStep(
  clock: Clock,
  collection: CollectionName,
  scope: Scope,
  record: StoredRecord,
  given: string | undefined,
): Step {
  const spec = checkScope(collection, scope);
  checkRecord(record, given);
  const place = toPlace(collection, scope, record.id);
  const native = toNativeSortKey(record.id);
  const sortKey = given ?? native ?? toSortKey(clock.nowMs());
  const origin = given !== undefined ? 'given' : native !== null ? 'native' : 'made';
  return ['insert', place, sortKey, origin, toJson(record), toFilterEntries(spec, record)];
}

function toUpdateStep(
  collection: CollectionName,
  scope: Scope,
  id: string,
  change: Readonly<Record<string, unknown>>,
  ifVersion: number | undefined,
): Step {
  checkScope(collection, scope);
  checkChange(id, change);
  return ['update', toPlace(collection, scope, id), toJson(change), ifVersion ?? null];
}

function toPlace(collection: CollectionName, scope: Scope, id: string): Place {
  return [collection, scope.tenant, scope.parent ?? '', id];
}

function toVersioned<T extends StoredRecord>(reply: Reply): Versioned<T> | null {
  if (reply[0] !== 'record') throw toProtocolFault(reply);
  const [, , document, version] = reply;
  return document === null ? null : { record: JSON.parse(document) as T, version };
}

function toProtocolFault(reply: Reply): Error {
  return new Error(`The database's thread answered '${reply[0]}' out of place.`);
}
