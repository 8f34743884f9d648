/**
 * Which of a token's databases is the tenant's, and the way of it to where it can be opened: databases are made, hibernate and
 * wake, which takes from seconds to minutes. Nobody is kept waiting for that: who asks is told when to come back.
 */

import type { Clock } from '../clock.ts';
import { ApiError } from '../errors.ts';
import { type AstraCredentials, DATABASE_HEADER } from './credentials.ts';
import { type AstraDatabase, toUnknownDatabase } from './devops-answers.ts';
import type { DevOpsClient } from './devops-client.ts';

export interface FinderSettings {
  /** The name of a database that is found, or made, without being named. */
  readonly databaseName: string;
  readonly keyspace: string;
  /** Where databases are made for tokens that have none; null: they are not made. */
  readonly create: { readonly cloudProvider: string; readonly region: string } | null;
}

export interface FinderDeps {
  readonly devops: DevOpsClient;
  readonly clock: Clock;
  readonly sleep: (ms: number) => Promise<unknown>;
}

export interface DatabaseFinder {
  /**
   * The id of the database that the credentials mean, which may be created for it. Whether it is awake changes nothing in the
   * choice: a tenant whose database hibernates must not find himself in another one.
   * Errors: `ApiError`; 400 and 404 say what to do.
   */
  choose(credentials: AstraCredentials): Promise<string>;
  /**
   * The database once it is active and has the keyspace, which is made where it is missing.
   * Errors: `ApiError`, among them `service_unavailable` with `retryAfterMs` after `waitMs` at the latest, while it wakes or is made.
   */
  awaitReady(credentials: AstraCredentials, id: string, waitMs?: number): Promise<AstraDatabase>;
  /** Errors: `ApiError` for a token that may not use the database (any more), or a database that is at an end. */
  check(credentials: AstraCredentials, id: string): Promise<AstraDatabase>;
}

/** How long a request is kept until its database is awake: most of those that hibernate take longer. */
export const WAKE_WAIT_MS = 8_000;
const POLL_MS = 1_000;
const WAKE_RETRY_MS = 10_000;
/** A new database takes two minutes or three. */
const CREATE_RETRY_MS = 30_000;

/** No call opens these any more. */
const ENDED: ReadonlySet<string> = new Set(['TERMINATED', 'TERMINATING', 'DELETED']);
const BROKEN: ReadonlySet<string> = new Set(['ERROR', 'DEGRADED', 'UNKNOWN']);
/** Nothing happens to these unless somebody asks for it. */
const SLEEPING: ReadonlySet<string> = new Set(['HIBERNATED', 'PARKED']);
const BEGINNING: ReadonlySet<string> = new Set([
  'PENDING',
  'PREPARING',
  'PREPARED',
  'INITIALIZING',
  'ASSOCIATING',
]);

export function createDatabaseFinder(deps: FinderDeps, settings: FinderSettings): DatabaseFinder {
  const { devops } = deps;
  return {
    async choose({ token, databaseId }) {
      if (databaseId !== null) return databaseId;
      const all = await devops.listDatabases(token);
      const usable = all.filter(({ status }) => !ENDED.has(status));
      const found = chooseAmong(usable, settings);
      if (found !== null) return found.id;
      if (settings.create === null) throw toNothingChosen(usable, settings);
      const { databaseName: name, keyspace } = settings;
      const made = await devops.createDatabase(token, { name, keyspace, ...settings.create });
      // Another server may have done the same at the same moment: all take the oldest then.
      const after = await devops.listDatabases(token);
      return (
        chooseAmong(
          after.filter(({ status }) => !ENDED.has(status)),
          settings,
        )?.id ?? made
      );
    },

    awaitReady: (credentials, id, waitMs = WAKE_WAIT_MS) =>
      awaitReady(deps, settings, credentials, id, waitMs),

    async check({ token }, id) {
      return checkUsable(await devops.getDatabase(token, id));
    },
  };
}

/**
 * By its name; else the one that has our keyspace already; else the only one there is. Databases that were not made for vectors
 * are taken where there is no other, and refused when they are opened, with a reason.
 */
function chooseAmong(databases: readonly AstraDatabase[], settings: FinderSettings): AstraDatabase | null {
  const vectors = databases.filter(({ isVector }) => isVector);
  const byAge = (vectors.length > 0 ? vectors : databases).toSorted(
    (a, b) => compare(a.createdAt, b.createdAt) || compare(a.id, b.id),
  );
  const named = byAge.find(({ name }) => name === settings.databaseName);
  if (named !== undefined) return named;
  const ours = byAge.filter(({ keyspaces }) => keyspaces.includes(settings.keyspace));
  const candidates = ours.length > 0 ? ours : byAge;
  return candidates.length === 1 ? (candidates[0] ?? null) : null;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function toNothingChosen(databases: readonly AstraDatabase[], { databaseName }: FinderSettings): ApiError {
  if (databases.length === 0) {
    return new ApiError(
      'not_found',
      `The Astra token can use no database. Create a vector database named '${databaseName}' at https://astra.datastax.com, or have the operator configure where this server creates one.`,
      { param: DATABASE_HEADER },
    );
  }
  return ApiError.invalidRequest(
    `The Astra token can use ${databases.length} databases, and none is named '${databaseName}'. Send the id of the one that is meant in the header '${DATABASE_HEADER}'.`,
    DATABASE_HEADER,
  );
}

async function awaitReady(
  deps: FinderDeps,
  settings: FinderSettings,
  credentials: AstraCredentials,
  id: string,
  waitMs: number,
): Promise<AstraDatabase> {
  const { devops, clock, sleep } = deps;
  const { token } = credentials;
  const { keyspace } = settings;
  const deadlineMs = clock.nowMs() + waitMs;
  let isWoken = false;
  let isKeyspaceAsked = false;
  for (;;) {
    const database = checkUsable(await devops.getDatabase(token, id));
    if (database.status === 'ACTIVE') {
      if (database.keyspaces.includes(keyspace)) return database;
      if (!isKeyspaceAsked) {
        isKeyspaceAsked = await askForKeyspace(devops, credentials, id, keyspace);
        // It is often there at once.
        if (isKeyspaceAsked) continue;
      }
    } else if (SLEEPING.has(database.status) && !isWoken) {
      await wake(devops, credentials, database, keyspace);
      isWoken = true;
      continue;
    }
    if (clock.nowMs() + POLL_MS > deadlineMs) throw toWaking(database);
    await sleep(POLL_MS);
  }
}

/** False where the database is busy, and is to be asked again. */
async function askForKeyspace(
  devops: DevOpsClient,
  { token }: AstraCredentials,
  id: string,
  keyspace: string,
): Promise<boolean> {
  try {
    await devops.createKeyspace(token, id, keyspace);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'service_unavailable') return false;
    throw error;
  }
}

/**
 * Asked for a keyspace, the API wakes a database that hibernates, and says that it is not ready yet. `resume` is not in its
 * description, but in what it understands: it is tried where the first way is closed to the token.
 */
async function wake(
  devops: DevOpsClient,
  { token }: AstraCredentials,
  database: AstraDatabase,
  keyspace: string,
): Promise<void> {
  try {
    await devops.createKeyspace(token, database.id, keyspace);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code === 'invalid_api_key') throw error;
    if (error.code === 'rate_limit_exceeded') throw error;
    if (error.code === 'service_unavailable') return;
    await devops.resumeDatabase(token, database.id).catch((second: unknown) => {
      if (second instanceof ApiError && second.code === 'service_unavailable') return;
      throw error;
    });
  }
}

function checkUsable(database: AstraDatabase): AstraDatabase {
  if (ENDED.has(database.status)) throw toUnknownDatabase();
  if (BROKEN.has(database.status)) {
    throw new ApiError(
      'upstream_error',
      `The Astra database is out of order (${database.status}). Look at it at https://astra.datastax.com.`,
    );
  }
  if (!database.isVector) {
    throw ApiError.invalidRequest(
      'The Astra database was not made for vectors. Use a vector database ("Serverless (vector)" in Astra).',
      DATABASE_HEADER,
    );
  }
  return database;
}

/** Where a database sleeps, whoever holds a session to it has to open a new one. */
export function isAsleep({ status }: AstraDatabase): boolean {
  return SLEEPING.has(status);
}

/** Told while a database is not to be had yet. */
export function toWaking({ status }: Pick<AstraDatabase, 'status'>): ApiError {
  const isNew = BEGINNING.has(status);
  const what = isNew ? 'is being created' : status === 'MAINTENANCE' ? 'is in maintenance' : 'is waking up';
  return new ApiError(
    'service_unavailable',
    `The Astra database ${what} (${status}). Try again in a moment.`,
    {
      retryAfterMs: isNew ? CREATE_RETRY_MS : WAKE_RETRY_MS,
    },
  );
}
