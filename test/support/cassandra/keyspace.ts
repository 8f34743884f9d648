/** Keyspaces with the tables of this project, for tests of the engines on Cassandra. */

import { openSession } from '../../../src/cassandra/connect.ts';
import { migrate } from '../../../src/cassandra/schema.ts';
import type { CqlSession } from '../../../src/cassandra/session.ts';
import type { CassandraSettings } from '../../../src/cassandra/settings.ts';
import { systemClock } from '../../../src/clock.ts';
import { createCassandraBlobStore } from '../../../src/store/cassandra/blob-store.ts';
import { createCassandraStore } from '../../../src/store/cassandra/cassandra-store.ts';
import { toStoreMigrations } from '../../../src/store/cassandra/schema.ts';
import { useCassandra } from './shared-node.ts';

export function toSettings(contactPoint: string, keyspace: string): CassandraSettings {
  return {
    contactPoints: [contactPoint],
    localDataCenter: null,
    keyspace,
    username: null,
    password: null,
    tls: null,
    consistency: 'LOCAL_QUORUM',
    replication: null,
  };
}

export interface TestKeyspace {
  readonly settings: CassandraSettings;
  /** A session of its own each time, which the caller closes. */
  open(): Promise<CqlSession>;
}

/** A keyspace that nobody else has, on the shared node, with the tables of records and bytes. It is never dropped. */
export async function makeKeyspace(): Promise<TestKeyspace> {
  const node = await useCassandra();
  const settings = toSettings(node.contactPoint, node.toFreshKeyspace());
  const open = () => openSession(settings);
  const session = await open();
  await migrate({ session, migrations: toStoreMigrations(false), owner: 'test', clock: systemClock });
  await session.close();
  return { settings, open };
}

/** For the contract: a store over a new keyspace. */
export async function openCassandraStore() {
  const keyspace = await makeKeyspace();
  const open = async () => createCassandraStore({ session: await keyspace.open(), clock: systemClock });
  const stores = [await open()];
  const [store] = stores;
  if (store === undefined) throw new Error('No store.');
  return {
    store,
    async reopen() {
      const again = await open();
      stores.push(again);
      return again;
    },
    async close() {
      await Promise.all(stores.map((one) => one.close()));
    },
  };
}

/** For the contract: a store of bytes over a new keyspace. */
export async function openCassandraBlobStore() {
  const keyspace = await makeKeyspace();
  const sessions: CqlSession[] = [];
  const open = async () => {
    const session = await keyspace.open();
    sessions.push(session);
    return createCassandraBlobStore({ session });
  };
  return {
    blobs: await open(),
    reopen: open,
    async close() {
      await Promise.all(sessions.map((session) => session.close()));
    },
  };
}
