/**
 * A keyspace for each data directory of the tests' servers, on the shared node or in a database of the emulated Astra.
 *
 * The tables of a keyspace take seconds to make, and dropping them flushes the whole node: a keyspace whose servers have
 * ended and whose data directory is gone is emptied, and used again.
 */

import { existsSync } from 'node:fs';
import { type Client, concurrent, types } from 'cassandra-driver';
import { openAstraHost } from '../astra/server-databases.ts';
import { readTestEngine } from '../test-engine.ts';
import { useCassandra } from './shared-node.ts';

/** What servers note about the tables themselves. */
const KEPT_TABLES = ['schema_migrations', 'schema_lease'];
const DELETES_AT_ONCE = 64;
/** A row may carry a time that is a little ahead of the one of its deletion. */
const ROUNDS_MAX = 10;

/** How a server comes to its keyspace. */
export interface KeyspacePlace {
  readonly keyspace: string;
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Where keyspaces are: a cluster, or Astra in front of one. */
export interface KeyspaceHost {
  readonly contactPoint: string;
  /** Of a user who may do everything; null where nobody is asked. */
  readonly login: { readonly username: string; readonly password: string } | null;
  /** Connected. */
  readonly client: Client;
  make(): Promise<KeyspacePlace>;
}

export interface ServerKeyspaces {
  readonly host: KeyspaceHost;
  /** Connected. */
  readonly client: Client;
  /** The keyspace of a data directory, which a server is about to use. */
  join(dataDirectory: string): Promise<KeyspacePlace>;
  /** Called once for each `join`, when the server has ended. */
  leave(dataDirectory: string): void;
  /** Errors: where no server has used the data directory. */
  find(dataDirectory: string): string;
}

interface Slot {
  understudyTestKeyspaces?: Promise<ServerKeyspaces>;
}

/** One for the process: a test runner may evaluate this module once for each test file. */
export function useServerKeyspaces(): Promise<ServerKeyspaces> {
  const slot: typeof globalThis & Slot = globalThis;
  slot.understudyTestKeyspaces ??= createServerKeyspaces();
  return slot.understudyTestKeyspaces;
}

interface Use {
  /** Resolves when nothing of an earlier use is left. */
  readonly ready: Promise<KeyspacePlace>;
  place: KeyspacePlace | null;
  servers: number;
}

async function openHost(): Promise<KeyspaceHost> {
  if (readTestEngine() === 'astra') return await openAstraHost();
  const node = await useCassandra();
  const client = node.client();
  await client.connect();
  return {
    contactPoint: node.contactPoint,
    login: null,
    client,
    async make() {
      const keyspace = node.toFreshKeyspace();
      const flags = ['--store', 'cassandra', '--cassandra-contact-points', node.contactPoint];
      return { keyspace, flags: [...flags, '--cassandra-keyspace', keyspace], env: {} };
    },
  };
}

async function createServerKeyspaces(): Promise<ServerKeyspaces> {
  const host = await openHost();
  const { client } = host;
  const uses = new Map<string, Use>();

  const takeOver = (): KeyspacePlace | null => {
    for (const [directory, { place, servers }] of uses) {
      if (servers > 0 || place === null || existsSync(directory)) continue;
      uses.delete(directory);
      return place;
    }
    return null;
  };

  const prepare = async (old: KeyspacePlace | null): Promise<KeyspacePlace> => {
    if (old === null) return await host.make();
    await emptyKeyspace(client, old.keyspace);
    return old;
  };

  const begin = (dataDirectory: string): Use => {
    const use: Use = { ready: prepare(takeOver()), place: null, servers: 0 };
    uses.set(dataDirectory, use);
    return use;
  };

  return {
    host,
    client,
    async join(dataDirectory) {
      const use = uses.get(dataDirectory) ?? begin(dataDirectory);
      use.servers += 1;
      use.place = await use.ready;
      return use.place;
    },
    leave(dataDirectory) {
      const use = uses.get(dataDirectory);
      if (use !== undefined) use.servers -= 1;
    },
    find(dataDirectory) {
      const use = uses.get(dataDirectory);
      if (use?.place == null) throw new Error(`No server of this process has used ${dataDirectory}.`);
      return use.place.keyspace;
    },
  };
}

/** The names of a keyspace's tables. */
export async function listTables(client: Client, keyspace: string): Promise<string[]> {
  const { rows } = await client.execute(
    'SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?',
    [keyspace],
    { prepare: true },
  );
  return rows.map((row) => String(row.get('table_name')));
}

async function emptyKeyspace(client: Client, keyspace: string): Promise<void> {
  const tables = (await listTables(client, keyspace)).filter((table) => !KEPT_TABLES.includes(table));
  await Promise.all(tables.map((table) => emptyTable(client, keyspace, table)));
}

async function emptyTable(client: Client, keyspace: string, table: string): Promise<void> {
  const columns = await listPartitionColumns(client, keyspace, table);
  const place = columns.map((column) => `${column} = ?`).join(' AND ');
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    const keys: unknown[][] = [];
    const found = await client.execute(`SELECT DISTINCT ${columns.join(', ')} FROM ${keyspace}.${table}`);
    for await (const row of found) keys.push(columns.map((column) => row.get(column)));
    if (keys.length === 0) return;
    await concurrent.executeConcurrent(client, `DELETE FROM ${keyspace}.${table} WHERE ${place}`, keys, {
      concurrencyLevel: DELETES_AT_ONCE,
    });
  }
  throw new Error(`${keyspace}.${table} cannot be emptied`);
}

async function listPartitionColumns(client: Client, keyspace: string, table: string): Promise<string[]> {
  const { rows } = await client.execute(
    'SELECT column_name, kind, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?',
    [keyspace, table],
    { prepare: true, consistency: types.consistencies.one },
  );
  return rows
    .filter((row) => row.get('kind') === 'partition_key')
    .sort((a, b) => Number(a.get('position')) - Number(b.get('position')))
    .map((row) => String(row.get('column_name')));
}
