/** Vector indexes on the shared Cassandra node, in one keyspace whose tables are made once; tenants of random names keep them apart. */

import { openSession } from '../../src/cassandra/connect.ts';
import { migrate } from '../../src/cassandra/schema.ts';
import type { CqlSession } from '../../src/cassandra/session.ts';
import type { CassandraSettings } from '../../src/cassandra/settings.ts';
import { systemClock } from '../../src/clock.ts';
import {
  type CassandraVectorIndexOptions,
  createCassandraVectorIndex,
  VECTOR_MIGRATIONS,
} from '../../src/vector/cassandra/cassandra-vector-index.ts';
import type { IndexScope, VectorIndex } from '../../src/vector/vector-index.ts';
import { useCassandra } from '../support/cassandra/shared-node.ts';

export type IndexOptions = Partial<Omit<CassandraVectorIndexOptions, 'session'>>;

interface Slot {
  understudyTestIndexKeyspace?: Promise<CassandraSettings>;
}

export function toIndexSettings(contactPoint: string, keyspace: string): CassandraSettings {
  return {
    ...{ contactPoints: [contactPoint], localDataCenter: null, keyspace },
    ...{ username: null, password: null, tls: null, consistency: 'LOCAL_QUORUM', replication: null },
  };
}

/** Makes the tables of the index in a keyspace, which is made too. */
export async function makeIndexTables(settings: CassandraSettings): Promise<void> {
  const session = await openSession(settings);
  await migrate({ session, migrations: VECTOR_MIGRATIONS, owner: 'test', clock: systemClock });
  await session.close();
}

/** Kept with the process, as the node is. */
function findKeyspace(): Promise<CassandraSettings> {
  const slot: typeof globalThis & Slot = globalThis;
  slot.understudyTestIndexKeyspace ??= (async () => {
    const node = await useCassandra();
    const settings = toIndexSettings(node.contactPoint, node.toFreshKeyspace());
    await makeIndexTables(settings);
    return settings;
  })();
  return slot.understudyTestIndexKeyspace;
}

/** A session of the shared keyspace, which the caller closes. */
export async function openIndexSession(): Promise<CqlSession> {
  return await openSession(await findKeyspace());
}

/** For the contract: an index over storage that nobody else has, since its tenants have names of their own. */
export async function openCassandraIndex(options: IndexOptions = {}) {
  const prefix = `${crypto.randomUUID()}-`;
  const sessions: CqlSession[] = [];
  const open = async (): Promise<VectorIndex> => {
    const session = await openIndexSession();
    sessions.push(session);
    return withTenants(prefix, createCassandraVectorIndex({ session, clock: systemClock, ...options }));
  };
  return {
    index: await open(),
    reopen: open,
    /** What the tables call a tenant. */
    toTenant: (tenant: string) => prefix + tenant,
    async close() {
      await Promise.all(sessions.map((session) => session.close()));
    },
  };
}

/** Names that are misuse stay so. */
function withTenants(prefix: string, index: VectorIndex): VectorIndex {
  const toScope = ({ tenant, store }: IndexScope) => ({
    tenant: tenant === '' ? '' : prefix + tenant,
    store,
  });
  return {
    engine: index.engine,
    stageChunks: (scope, ...rest) => index.stageChunks(toScope(scope), ...rest),
    countStaged: (scope, ...rest) => index.countStaged(toScope(scope), ...rest),
    publishFile: (scope, ...rest) => index.publishFile(toScope(scope), ...rest),
    setAttributes: (scope, ...rest) => index.setAttributes(toScope(scope), ...rest),
    removeFile: (scope, ...rest) => index.removeFile(toScope(scope), ...rest),
    removeStore: (scope) => index.removeStore(toScope(scope)),
    readChunks: (scope, ...rest) => index.readChunks(toScope(scope), ...rest),
    describeFile: (scope, ...rest) => index.describeFile(toScope(scope), ...rest),
    exportChunks: (scope, ...rest) => index.exportChunks(toScope(scope), ...rest),
    describe: (scope) => index.describe(toScope(scope)),
    search: (scope, ...rest) => index.search(toScope(scope), ...rest),
    close: () => index.close(),
  };
}
