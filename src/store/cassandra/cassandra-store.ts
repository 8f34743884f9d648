/** The store on a Cassandra cluster, DSE or Astra DB: any number of servers share it, and none of them keeps anything. */

import { createCallsUnderWay } from '../../cassandra/calls-under-way.ts';
import type { CqlSession } from '../../cassandra/session.ts';
import type { Clock } from '../../clock.ts';
import { toNativeSortKey } from '../../ids.ts';
import { type Log, toLogFields } from '../../log.ts';
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
import type { InsertWrite, Listed, Scope, Store, StoredRecord, Versioned, Write } from '../store.ts';
import { createAliases } from './aliases.ts';
import { toTags } from './filter-tags.ts';
import { createJournal } from './journal.ts';
import { Leftovers } from './leftovers.ts';
import { removeList } from './list-removal.ts';
import { createPageReader, type ListedRecord, type ReadPage } from './pages.ts';
import { toNumbered } from './plan.ts';
import { createRecords, type NewRecord } from './records.ts';
import { createSpans, type ListKey } from './spans.ts';
import { NOTHING_THERE, type Step } from './steps.ts';
import { Transactions } from './transactions.ts';

const SWEEP_MS = 10_000;

export interface CassandraStoreOptions {
  /** Of a keyspace in which the tables of `toStoreMigrations` are. The store closes it. */
  readonly session: CqlSession;
  readonly clock: Clock;
  /** What the engine is called: `cassandra`, `astra`. */
  readonly engine?: string;
  readonly log?: Pick<Log, 'warn'>;
  /** Between two looks for writes that others have left half done. */
  readonly sweepMs?: number;
  /** How long such a write must have been seen to be half done. */
  readonly abandonedMs?: number;
}

export function createCassandraStore(options: CassandraStoreOptions): Store {
  const { session, clock, log, engine = 'cassandra', sweepMs = SWEEP_MS, abandonedMs } = options;
  const spans = createSpans({ session, clock });
  const aliases = createAliases(session);
  const records = createRecords({ session, spans, aliases, clock });
  const readPage: ReadPage = createPageReader({ session, spans, records });
  const journal = createJournal(session);
  const leftovers = new Leftovers({
    records,
    journal,
    ...(log === undefined ? {} : { log }),
    ...(abandonedMs === undefined ? {} : { abandonedMs }),
  });
  const transactions = new Transactions({ records, journal, leftovers });
  /** What was accepted ends before the session is closed. */
  const calls = createCallsUnderWay('The store is closed.');
  const { track } = calls;

  const runOne = async (step: Step): Promise<{ version: number; document: string | null }> =>
    await track(() => transactions.runOne(step));

  let sweeping: Promise<void> = Promise.resolve();
  const sweeper = setInterval(() => {
    sweeping = sweeping
      .then(() => leftovers.sweep())
      .catch((error: unknown) => {
        log?.warn('half-done writes not looked for', toLogFields(error));
      });
  }, sweepMs);
  sweeper.unref();

  return {
    engine,

    async insert(collection, scope, record, insertOptions) {
      const isFresh = insertOptions?.isFresh === true;
      await runOne(toInsertStep({ kind: 'insert', collection, scope, record, isFresh }));
      return { record, version: 1 };
    },

    async get<T extends StoredRecord>(collection: CollectionName, scope: Scope, id: string) {
      checkScope(collection, scope);
      const found = await track(() => records.find(toKey(collection, scope), id));
      return found === null ? null : { record: JSON.parse(found.document) as T, version: found.version };
    },

    async list<T extends StoredRecord>(...[collection, scope, page, where]: Parameters<Store['list']>) {
      const spec = checkScope(collection, scope);
      checkPage(page);
      if (where !== undefined) checkWhere(collection, spec, where);
      const conditions = toConditions(where);
      const { items, hasMore } = await track(() =>
        readPage({ ...page, key: toKey(collection, scope), conditions }),
      );
      return { items: items.map((item) => toListed<T>(item)), hasMore };
    },

    async update<T extends StoredRecord>(
      ...[collection, scope, id, change, given]: Parameters<Store['update']>
    ) {
      const { version, document } = await runOne(
        toUpdateStep(collection, scope, id, change, given?.ifVersion),
      );
      return { record: JSON.parse(document ?? '') as T, version } satisfies Versioned<T>;
    },

    async delete(collection, scope, id, given) {
      checkScope(collection, scope);
      const key = toKey(collection, scope);
      const { version } = await runOne({ kind: 'delete', key, id, ifVersion: given?.ifVersion });
      return version !== NOTHING_THERE;
    },

    async deleteAll(collection, scope) {
      checkScope(collection, scope);
      return await track(() => removeList({ session, spans, aliases }, toKey(collection, scope)));
    },

    async write(writes) {
      checkWrites(writes);
      const steps = writes.map(toStep);
      return await track(() => transactions.run(steps));
    },

    async ping() {
      await track(() => session.read({ cql: 'SELECT key FROM system.local', values: [] }));
    },

    async close() {
      clearInterval(sweeper);
      await Promise.all([calls.close(), sweeping]);
      await session.close();
    },
  };
}

function toKey(collection: CollectionName, scope: Scope): ListKey {
  return { collection, tenant: scope.tenant, parent: scope.parent ?? '' };
}

function toStep(write: Write, index: number): Step {
  try {
    if (write.kind === 'insert') return toInsertStep(write);
    if (write.kind === 'update') {
      return toUpdateStep(write.collection, write.scope, write.id, write.change, write.ifVersion);
    }
    checkScope(write.collection, write.scope);
    const key = toKey(write.collection, write.scope);
    if (write.kind === 'delete') return { kind: 'delete', key, id: write.id, ifVersion: write.ifVersion };
    if (write.equals !== undefined) toJson(write.equals);
    return { kind: 'require', key, id: write.id, equals: write.equals ?? {} };
  } catch (error) {
    throw toNumbered(error, index);
  }
}

function toInsertStep({ collection, scope, record, sortKey, isFresh }: InsertWrite): Step {
  const spec = checkScope(collection, scope);
  checkRecord(record, sortKey);
  const made: NewRecord = {
    key: toKey(collection, scope),
    id: record.id,
    document: toJson(record),
    tags: toTags(toFilterEntries(spec, record)),
    sort: sortKey ?? null,
    isFresh: isFresh === true,
  };
  return { kind: 'insert', key: made.key, id: made.id, made };
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
  return { kind: 'update', key: toKey(collection, scope), id, change: toJson(change), ifVersion };
}

function toListed<T extends StoredRecord>({ record, version, sort, id }: ListedRecord): Listed<T> {
  const versioned = { record: record as T, version };
  return toNativeSortKey(id) === sort ? versioned : { ...versioned, sortKey: sort };
}
