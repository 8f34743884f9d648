/**
 * The tables, made once. Every engine names its own; `migrate` makes what is missing under a lease, so that many servers that start
 * at once do it one after the other. On real clusters two nodes that create one table at the same moment can disagree about it.
 */

import { errors, types } from 'cassandra-driver';
import type { Clock } from '../clock.ts';
import { StoreError } from '../store/store.ts';
import { describeFailure } from './errors.ts';
import { type CqlSession, UnknownOutcome } from './session.ts';

export interface Migration {
  /** Kept in the cluster: never changed once it was released. */
  readonly name: string;
  /** Each may be made twice (`IF NOT EXISTS`): a server may die between two of them. */
  readonly statements: readonly string[];
  /** What the cluster lacks where it does not understand them. */
  readonly needs?: string;
}

export interface MigrateOptions {
  readonly session: CqlSession;
  readonly migrations: readonly Migration[];
  /** Who holds the lease, for operators to read. */
  readonly owner: string;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly onProgress?: (name: string) => void;
}

const LEASE_SECONDS = 60;
/** A table takes a fifth of a second and an index as long; a slow cluster several. */
const WAIT_MAX_MS = 180_000;
const POLL_MS = 250;

/** Makes every table that is missing. Answers the names of the migrations that it made. Errors: `unavailable`, with what is lacking. */
export async function migrate(options: MigrateOptions): Promise<readonly string[]> {
  const { session, migrations, clock } = options;
  await makeBookkeeping(session);
  const deadline = clock.nowMs() + WAIT_MAX_MS;
  for (;;) {
    const missing = await findMissing(session, migrations);
    if (missing.length === 0) return [];
    if (await takeLease(options)) break;
    if (clock.nowMs() > deadline) {
      throw new StoreError('unavailable', 'Another server has held the lease of the schema for too long.');
    }
    await Bun.sleep(POLL_MS);
  }
  try {
    return await makeMissing(options);
  } finally {
    await dropLease(options);
  }
}

/** Names of migrations that have not been made. */
export async function findMissing(
  session: CqlSession,
  migrations: readonly Migration[],
): Promise<readonly Migration[]> {
  const rows = await session.read({
    cql: 'SELECT name FROM schema_migrations WHERE book = ?',
    values: [BOOK],
  });
  const made = new Set(rows.map((row) => row.name));
  return migrations.filter(({ name }) => !made.has(name));
}

/** All in one partition, so that they are read at once. */
const BOOK = 'understudy';

const BOOKKEEPING = Object.freeze([
  `CREATE TABLE IF NOT EXISTS schema_migrations (book text, name text, made_at timestamp, PRIMARY KEY (book, name))`,
  `CREATE TABLE IF NOT EXISTS schema_lease (book text PRIMARY KEY, owner text)`,
]);

/** Asked for first: most servers start where everything is. */
async function makeBookkeeping(session: CqlSession): Promise<void> {
  if (await hasBookkeeping(session)) return;
  for (const statement of BOOKKEEPING) await define(session, statement, undefined);
}

/** Whether tables are made for it already; where not, nothing else is there either. */
export async function hasBookkeeping(session: CqlSession): Promise<boolean> {
  const rows = await session.read({
    cql: 'SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?',
    values: [session.keyspace],
  });
  const tables = new Set(rows.map((row) => row.table_name));
  return tables.has('schema_migrations') && tables.has('schema_lease');
}

async function takeLease({ session, owner }: MigrateOptions): Promise<boolean> {
  try {
    const { isApplied } = await session.apply({
      cql: `INSERT INTO schema_lease (book, owner) VALUES (?, ?) IF NOT EXISTS USING TTL ${LEASE_SECONDS}`,
      values: [BOOK, owner],
    });
    return isApplied;
  } catch (error) {
    // It runs out by itself if it was written.
    if (error instanceof UnknownOutcome) return false;
    throw error;
  }
}

/** Answers whether the lease was still ours. */
async function renewLease({ session, owner }: MigrateOptions): Promise<boolean> {
  const { isApplied } = await session.apply({
    cql: `UPDATE schema_lease USING TTL ${LEASE_SECONDS} SET owner = ? WHERE book = ? IF owner = ?`,
    values: [owner, BOOK, owner],
  });
  return isApplied;
}

async function dropLease({ session, owner }: MigrateOptions): Promise<void> {
  await session
    .apply({ cql: 'DELETE FROM schema_lease WHERE book = ? IF owner = ?', values: [BOOK, owner] })
    .catch(() => undefined);
}

async function makeMissing(options: MigrateOptions): Promise<readonly string[]> {
  const { session, clock } = options;
  // Another server may have made them before the lease was ours.
  const missing = await findMissing(session, options.migrations);
  const done: string[] = [];
  for (const { name, statements, needs } of missing) {
    options.onProgress?.(name);
    for (const statement of statements) {
      await define(session, statement, needs);
      if (!(await renewLease(options))) {
        throw new StoreError(
          'unavailable',
          'The lease of the schema was lost while tables were made; start again.',
        );
      }
    }
    await session.write({
      cql: 'INSERT INTO schema_migrations (book, name, made_at) VALUES (?, ?, ?)',
      values: [BOOK, name, new Date(clock.nowMs())],
    });
    done.push(name);
  }
  return done;
}

/** Errors: `unavailable` that says what the cluster lacks, or what the role may not do. */
export async function define(
  session: CqlSession,
  statement: string,
  needs: string | undefined,
): Promise<void> {
  try {
    await session.define(statement);
  } catch (error) {
    if (!(error instanceof errors.ResponseError)) throw error;
    const { responseErrorCodes: codes } = types;
    if (error.code === codes.alreadyExists) return;
    if (error.code === codes.unauthorized) {
      throw toUnusable(
        `The role may not make tables in '${session.keyspace}': ${describeFailure(error)}`,
        error,
      );
    }
    const isLack =
      error.code === codes.syntaxError || error.code === codes.invalid || error.code === codes.configError;
    if (isLack && needs !== undefined) {
      throw toUnusable(`The cluster has no ${needs}: ${describeFailure(error)}`, error);
    }
    throw toUnusable(`The cluster refuses a table: ${describeFailure(error)}`, error);
  }
}

function toUnusable(message: string, cause: unknown): StoreError {
  return new StoreError('unavailable', message, { cause });
}
