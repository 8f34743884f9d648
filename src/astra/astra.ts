/** Astra put together: databases of many tenants, found by their tokens, or the one database of a server. */

import { errors, types } from 'cassandra-driver';
import { toInnerErrors } from '../cassandra/errors.ts';
import type { CqlSession } from '../cassandra/session.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { type AstraAdmission, createAstraAdmission } from './admission.ts';
import { createAstraPorts } from './astra-ports.ts';
import { checkWritable, openAstraSession, toPrepareError } from './astra-session.ts';
import type { AstraCredentials } from './credentials.ts';
import { createDatabaseFinder, type DatabaseFinder, isAsleep } from './database-finder.ts';
import { createDevOpsClient, type DevOpsClient, type FetchPort } from './devops-client.ts';
import { createSinglePorts } from './single-ports.ts';
import { createSystemPlaces, type SystemPlaces } from './system-places.ts';
import type { ConnectedTenant, TenantEngines, TenantOpener } from './tenant-engines.ts';
import { createTenantSessions, type TenantSessions } from './tenant-sessions.ts';
import type { TenantSessionSettings } from './tenant-settings.ts';

export interface AstraSettings {
  /** Of the DevOps API, without a slash at its end. */
  readonly apiUrl: string;
  /** The name of databases that no request names by their id. */
  readonly databaseName: string;
  readonly keyspace: string;
  /** Where databases are made for tokens that have none; null: they are not made. */
  readonly create: { readonly cloudProvider: string; readonly region: string } | null;
  readonly sessions?: Partial<TenantSessionSettings>;
}

/** Makes the tables that are missing, and the engines over them, which are closed before their session is. */
export type OpenEngines = (session: CqlSession) => Promise<TenantEngines & { close(): Promise<void> }>;

export interface AstraDeps {
  readonly fetch: FetchPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly openEngines: OpenEngines;
  /** `user-agent`, as `understudy/0.1.0`. */
  readonly userAgent?: string;
}

export interface Astra {
  /** What services, runs and ingest are handed. Closing one closes all sessions. */
  readonly ports: TenantEngines;
  readonly sessions: TenantSessions;
  readonly places: SystemPlaces;
  readonly admission: AstraAdmission;
}

/** Many tenants. Nothing is called before the first request. */
export function createAstra(deps: AstraDeps, settings: AstraSettings): Astra {
  const sessions = createTenantSessions(
    { opener: createOpener(deps, settings), clock: deps.clock, log: deps.log },
    settings.sessions,
  );
  const places = createSystemPlaces(sessions);
  return {
    sessions,
    places,
    ports: createAstraPorts({ sessions, places }),
    admission: createAstraAdmission(sessions),
  };
}

/** A start may wait as long as a new database takes. */
const START_WAIT_MS = 300_000;

export interface SingleAstra {
  readonly databaseId: string;
  readonly ports: TenantEngines;
  readonly sessions: TenantSessions;
  /** Ends behind the calls under way. */
  close(): Promise<void>;
}

/** The one database of a server, opened now. Errors: `ApiError`, in words for the operator. */
export async function openSingleDatabase(
  deps: AstraDeps,
  settings: AstraSettings,
  credentials: AstraCredentials,
  waitMs = START_WAIT_MS,
): Promise<SingleAstra> {
  const { finder } = toParts(deps, settings);
  const databaseId = await finder.choose(credentials);
  // Whatever else the token may come to see, the server stays with this database.
  const named = { ...credentials, databaseId };
  await finder.awaitReady(named, databaseId, waitMs);
  const sessions = createTenantSessions(
    { opener: createOpener(deps, settings), clock: deps.clock, log: deps.log },
    { ...settings.sessions, idleMs: Number.POSITIVE_INFINITY },
  );
  try {
    await sessions.open(named);
  } catch (error) {
    await sessions.close();
    throw error;
  }
  return { databaseId, sessions, ports: createSinglePorts(sessions, named), close: () => sessions.close() };
}

interface Parts {
  readonly devops: DevOpsClient;
  readonly finder: DatabaseFinder;
}

function toParts(deps: AstraDeps, settings: AstraSettings): Parts {
  const { fetch, clock, userAgent } = deps;
  const devops = createDevOpsClient({
    fetch,
    url: settings.apiUrl,
    ...(userAgent === undefined ? {} : { userAgent }),
  });
  return { devops, finder: createDatabaseFinder({ devops, clock, sleep: Bun.sleep }, settings) };
}

/** How the cache reaches databases. */
export function createOpener(deps: AstraDeps, settings: AstraSettings): TenantOpener {
  const { devops, finder } = toParts(deps, settings);
  return {
    choose: (credentials) => finder.choose(credentials),
    async awaitReady(credentials, id) {
      await finder.awaitReady(credentials, id);
    },
    open: (credentials, id) => connectTenant(deps, settings, devops, credentials, id),
    check: async (credentials, id) => !isAsleep(await finder.check(credentials, id)),
    isRefusal,
  };
}

async function connectTenant(
  deps: AstraDeps,
  { keyspace }: AstraSettings,
  devops: DevOpsClient,
  { token }: AstraCredentials,
  databaseId: string,
): Promise<ConnectedTenant> {
  const bundle = await devops.fetchBundle(token, databaseId);
  const session = await openAstraSession({ databaseId, token, bundle, keyspace });
  return {
    async prepare() {
      try {
        const engines = await deps.openEngines(session);
        await checkWritable(session);
        return {
          engines,
          async close() {
            await engines.close();
            await session.close();
          },
        };
      } catch (error) {
        throw toPrepareError(error, keyspace);
      }
    },
    close: () => session.close(),
  };
}

/** New connections of a session log in again, and roles may change under open ones. */
function isRefusal(error: unknown): boolean {
  return [error, ...toInnerErrors(error)].some(
    (cause) =>
      cause instanceof errors.AuthenticationError ||
      (cause instanceof errors.ResponseError &&
        (cause.code === types.responseErrorCodes.unauthorized ||
          cause.code === types.responseErrorCodes.badCredentials)),
  );
}
