/** Opens the engines on a Cassandra cluster, whose tables are made where they are missing. */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { openExistingSession, openSession } from './cassandra/connect.ts';
import { findMissing, hasBookkeeping, type Migration, migrate } from './cassandra/schema.ts';
import type { CqlSession } from './cassandra/session.ts';
import type { CassandraSettings } from './cassandra/settings.ts';
import { type Clock, systemClock } from './clock.ts';
import type { EngineDeps, Engines } from './compose-store.ts';
import type { Log } from './log.ts';
import { createCassandraBlobStore } from './store/cassandra/blob-store.ts';
import { createCassandraStore } from './store/cassandra/cassandra-store.ts';
import { toStoreMigrations } from './store/cassandra/schema.ts';
import { createCassandraVectorIndex } from './vector/cassandra/cassandra-vector-index.ts';
import { VECTOR_MIGRATIONS } from './vector/cassandra/schema.ts';

function toMigrations(isManaged: boolean): readonly Migration[] {
  return [...toStoreMigrations(isManaged), ...VECTOR_MIGRATIONS];
}

/** Errors: `StoreError` (`unavailable`) that says what is wrong with the cluster. */
export async function openCassandra(settings: CassandraSettings, deps: EngineDeps): Promise<Engines> {
  const session = await openSession(settings);
  try {
    const made = await migrateSession(session, { clock: deps.clock, isManaged: false });
    if (made.length > 0) {
      deps.log.info('tables made', { keyspace: session.keyspace, migrations: made.join(', ') });
    }
    return createEngines(session, { clock: deps.clock, log: deps.log, isManaged: false });
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Answers the names of what was made. Errors: as `openCassandra`. */
export async function makeCassandraTables(
  settings: CassandraSettings,
  onProgress: (name: string) => void,
): Promise<readonly string[]> {
  const session = await openSession(settings);
  try {
    return await migrateSession(session, { clock: systemClock, isManaged: false, onProgress });
  } finally {
    await session.close();
  }
}

/** What a start would find. */
export interface CassandraFacts {
  readonly hasKeyspace: boolean;
  /** Names of what a start, or `migrate`, makes. */
  readonly missing: readonly string[];
}

/** Makes nothing. Errors: as `openCassandra`. */
export async function inspectCassandra(settings: CassandraSettings): Promise<CassandraFacts> {
  const migrations = toMigrations(false);
  const all = migrations.map(({ name }) => name);
  const session = await openExistingSession(settings);
  if (session === null) return { hasKeyspace: false, missing: all };
  try {
    if (!(await hasBookkeeping(session))) return { hasKeyspace: true, missing: all };
    const missing = await findMissing(session, migrations);
    return { hasKeyspace: true, missing: missing.map(({ name }) => name) };
  } finally {
    await session.close();
  }
}

export interface SchemaOptions {
  readonly clock: Clock;
  /** A service that has its own mind about the options of tables (Astra). */
  readonly isManaged: boolean;
  readonly onProgress?: (name: string) => void;
}

/** Makes the tables that are missing in the session's keyspace. */
export function migrateSession(session: CqlSession, options: SchemaOptions): Promise<readonly string[]> {
  const { isManaged, ...rest } = options;
  const owner = `${hostname()}/${process.pid}/${randomUUID()}`;
  return migrate({ ...rest, session, migrations: toMigrations(isManaged), owner });
}

export interface EngineSettings {
  readonly clock: Clock;
  readonly log: Log;
  /** As in `SchemaOptions`. */
  readonly isManaged: boolean;
  /** What the store is called. */
  readonly engine?: string;
  /** What the index may keep of postings. */
  readonly postingsBytesMax?: number;
}

/** The engines on a session whose tables are there. */
export function createEngines(
  session: CqlSession,
  settings: EngineSettings,
): Engines & { readonly tenants: null } {
  const { clock, log, isManaged, engine, postingsBytesMax } = settings;
  const store = createCassandraStore({ session, clock, log, ...(engine === undefined ? {} : { engine }) });
  const blobs = createCassandraBlobStore({ session });
  const index = createCassandraVectorIndex({
    session,
    clock,
    isManaged,
    ...(postingsBytesMax === undefined ? {} : { postingsBytesMax }),
  });
  return {
    store,
    blobs,
    index,
    tenants: null,
    async close() {
      // The session is the records' to close, behind what the others have accepted.
      await Promise.all([blobs.close(), index.close()]);
      await store.close();
    },
  };
}
