/** Opens Astra: the one database of the server's own token, or the databases of all tenants that bring theirs. */

import { type AstraDeps, createAstra, openSingleDatabase } from './astra/astra.ts';
import { toCredentials } from './astra/credentials.ts';
import { createDatabaseFinder } from './astra/database-finder.ts';
import { createDevOpsClient } from './astra/devops-client.ts';
import { systemClock } from './clock.ts';
import { createEngines, migrateSession } from './compose-cassandra.ts';
import type { EngineDeps, Engines, StoreSettings } from './compose-store.ts';
import { ApiError } from './errors.ts';
import type { Log } from './log.ts';
import { StoreError } from './store/store.ts';

type AstraStore = Extract<StoreSettings, { engine: 'astra' }>;

const MIB = 1024 * 1024;
/** What the indices of all open databases may keep of postings together. */
const POSTINGS_BYTES_MAX = 256 * MIB;
/** Each has to be worth something. */
const POSTINGS_BYTES_MIN = 2 * MIB;

/** Errors: `StoreError` (`unavailable`), in words for the operator. */
export async function openAstra(settings: AstraStore, deps: EngineDeps): Promise<Engines> {
  const { token, databaseId, astra } = settings;
  if (token === null) {
    const { ports, sessions, places, admission } = createAstra(toDeps(settings, deps), astra);
    return { ...ports, tenants: { sessions, places, admission }, close: () => sessions.close() };
  }
  try {
    const single = await openSingleDatabase(toDeps(settings, deps), astra, toCredentials(token, databaseId));
    return { ...single.ports, tenants: null, close: () => single.close() };
  } catch (error) {
    throw toStartError(error);
  }
}

/** Makes the tables of the server's own database, and answers their names. Errors: as `openAstra`. */
export async function makeAstraTables(
  settings: AstraStore,
  options: { readonly onProgress: (name: string) => void; readonly log: Log; readonly version: string },
): Promise<readonly string[]> {
  if (settings.token === null) {
    throw new StoreError('unavailable', 'Tables of tenants are made when a request brings their token.');
  }
  const made: string[] = [];
  const engines = await openAstra(settings, {
    ...options,
    clock: systemClock,
    onProgress: (name) => {
      made.push(name);
      options.onProgress(name);
    },
    onLost: () => undefined,
  });
  await engines.close();
  return made;
}

/** Makes and wakes nothing. Answers what was found, as text. Errors: in words for the operator. */
export async function inspectAstra(settings: AstraStore, version: string): Promise<string> {
  const { token, databaseId, astra } = settings;
  const at = `astra by ${astra.apiUrl}`;
  if (token === null) return `${at}: every request brings the token of its own database`;
  const devops = createDevOpsClient({ fetch, url: astra.apiUrl, userAgent: `understudy/${version}` });
  const finder = createDatabaseFinder(
    { devops, clock: systemClock, sleep: Bun.sleep },
    { ...astra, create: null },
  );
  const credentials = toCredentials(token, databaseId);
  try {
    const id = await finder.choose(credentials);
    const { name, status } = await finder.check(credentials, id);
    return `${at}: database ${name} (${id}) is ${status}; its tables are looked at when it is opened`;
  } catch (error) {
    throw toStartError(error);
  }
}

function toDeps({ token, astra }: AstraStore, { clock, log, version, onProgress }: EngineDeps): AstraDeps {
  const databases = token === null ? (astra.sessions?.sessionsMax ?? 1) : 1;
  const postingsBytesMax = Math.max(POSTINGS_BYTES_MIN, Math.floor(POSTINGS_BYTES_MAX / databases));
  return {
    fetch,
    clock,
    log,
    userAgent: `understudy/${version}`,
    async openEngines(session) {
      await migrateSession(session, {
        clock,
        isManaged: true,
        ...(onProgress === undefined ? {} : { onProgress }),
      });
      return createEngines(session, { clock, log, isManaged: true, engine: 'astra', postingsBytesMax });
    },
  };
}

/** What a request would be told, as the reason why the server does not start. */
function toStartError(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  return new StoreError('unavailable', error.message, { cause: error });
}
