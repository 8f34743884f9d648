/** What the settings say of Astra, with the token of the environment. */

import { Secret } from '../secret.ts';
import { type Environment, readVariable } from './config-sources.ts';
import { ASTRA_DATABASE_VARIABLE, ASTRA_TOKEN_VARIABLE, type Settings } from './settings.ts';

export interface AstraConfig {
  readonly apiUrl: string;
  readonly databaseName: string;
  readonly keyspace: string;
  readonly create: { readonly cloudProvider: string; readonly region: string } | null;
  readonly sessionsMax: number;
  /** Of a server with one database; null: every request brings its own. */
  readonly token: Secret | null;
  readonly databaseId: string | null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Null where another store is chosen. What is wrong is added to `problems`. */
export function readAstraConfig(
  settings: Settings,
  env: Environment,
  problems: string[],
): AstraConfig | null {
  const { store, auth } = settings;
  if (auth === 'astra' && store !== 'astra') problems.push('--auth astra goes with --store astra only.');
  if (store !== 'astra') return null;
  const isByRequest = auth === 'astra';
  // A token of the operator's must not open the door to strangers.
  const token = isByRequest ? null : readVariable(env, ASTRA_TOKEN_VARIABLE);
  if (!isByRequest && token === null) {
    problems.push(
      `--store astra needs a token in ${ASTRA_TOKEN_VARIABLE}, or --auth astra, with which every request brings its own.`,
    );
  }
  const databaseId = isByRequest ? null : readVariable(env, ASTRA_DATABASE_VARIABLE);
  if (databaseId !== null && !UUID.test(databaseId)) {
    problems.push(
      `${ASTRA_DATABASE_VARIABLE} must be the id of a database, like 01234567-89ab-cdef-0123-456789abcdef.`,
    );
  }
  const [cloudProvider = '', region = ''] = settings.astraCreate.split(':');
  return {
    apiUrl: settings.astraApiUrl,
    databaseName: settings.astraDatabase,
    keyspace: settings.astraKeyspace,
    create: region === '' ? null : { cloudProvider: cloudProvider.toUpperCase(), region },
    sessionsMax: settings.astraSessions,
    token: token === null ? null : new Secret(token),
    databaseId: databaseId?.toLowerCase() ?? null,
  };
}
