/**
 * A keyspace for each data directory of the tests' servers, on the shared node.
 *
 * The tables of a keyspace take seconds to make, and dropping them flushes the whole node: a keyspace whose servers have
 * ended and whose data directory is gone is emptied, and used again.
 */

import { existsSync } from 'node:fs';
import { type Client, concurrent, types } from 'cassandra-driver';
import { type SharedCassandra, useCassandra } from './shared-node.ts';

/** What servers note about the tables themselves. */
const KEPT_TABLES = ['schema_migrations', 'schema_lease'];
const DELETES_AT_ONCE = 64;
/** A row may carry a time that is a little ahead of the one of its deletion. */
const ROUNDS_MAX = 10;

export interface ServerKeyspaces {
  readonly node: SharedCassandra;
  /** Connected. */
  readonly client: Client;
  /** The keyspace of a data directory, which a server is about to use. */
  join(dataDirectory: string): Promise<string>;
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
  readonly keyspace: string;
  /** Resolves when nothing of an earlier use is left. */
  readonly ready: Promise<void>;
  servers: number;
}

async function createServerKeyspaces(): Promise<ServerKeyspaces> {
  const node = await useCassandra();
  const client = node.client();
  await client.connect();
  const uses = new Map<string, Use>();

  const takeOver = (): string | null => {
    for (const [directory, { keyspace, servers }] of uses) {
      if (servers > 0 || existsSync(directory)) continue;
      uses.delete(directory);
      return keyspace;
    }
    return null;
  };

  const begin = (dataDirectory: string): Use => {
    const old = takeOver();
    const use = {
      keyspace: old ?? node.toFreshKeyspace(),
      ready: old === null ? Promise.resolve() : emptyKeyspace(client, old),
      servers: 0,
    };
    uses.set(dataDirectory, use);
    return use;
  };

  return {
    node,
    client,
    async join(dataDirectory) {
      const use = uses.get(dataDirectory) ?? begin(dataDirectory);
      use.servers += 1;
      await use.ready;
      return use.keyspace;
    },
    leave(dataDirectory) {
      const use = uses.get(dataDirectory);
      if (use !== undefined) use.servers -= 1;
    },
    find(dataDirectory) {
      const use = uses.get(dataDirectory);
      if (use === undefined) throw new Error(`No server of this process has used ${dataDirectory}.`);
      return use.keyspace;
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
