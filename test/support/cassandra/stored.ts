/** `stored.ts` for Cassandra: the tables of the data directory's keyspace, through the driver. */

import { gunzipSync } from 'node:zlib';
import type { types } from 'cassandra-driver';
import { openSession } from '../../../src/cassandra/connect.ts';
import { systemClock } from '../../../src/clock.ts';
import { createCassandraStore } from '../../../src/store/cassandra/cassandra-store.ts';
import { DEAD } from '../../../src/store/cassandra/rows.ts';
import { QUEUE_TABLE, RECORDS_TABLE, SETTLED_ROW } from '../../../src/store/cassandra/schema.ts';
import type { CollectionName } from '../../../src/store/collections.ts';
import type { Store } from '../../../src/store/store.ts';
import type { KeptRecord } from '../stored.ts';
import { toSettings } from './keyspace.ts';
import { listTables, useServerKeyspaces } from './server-keyspaces.ts';

/** Rows of one answer. */
const PAGE_ROWS = 500;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

export async function countPieces(dataDirectory: string): Promise<number> {
  return await countRows(dataDirectory, 'piece', 'blob_pieces');
}

export async function readRecords(
  dataDirectory: string,
  collection: CollectionName,
): Promise<readonly KeptRecord[]> {
  const rows = await readTopRows(dataDirectory, collection);
  return rows.map((row) => ({
    id: String(row.get('id')),
    parent: String(row.get('parent')),
    document: JSON.parse(row.get('body') ?? gunzipSync(row.get('packed')).toString('utf8')),
  }));
}

export async function countFilterValues(dataDirectory: string, collection: CollectionName): Promise<number> {
  const rows = await readTopRows(dataDirectory, collection);
  return rows.reduce((sum, row) => sum + (row.get('filters')?.length ?? 0), 0);
}

export async function countIndexRows(dataDirectory: string): Promise<number> {
  const { client, find } = await useServerKeyspaces();
  const tables = await listTables(client, find(dataDirectory));
  const counts = tables
    .filter((table) => table.startsWith('index_'))
    .map((table) => countRows(dataDirectory, 'store', table));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** Rounds of conditional writes are kept by the node beside the tables: they are stored too. */
export async function readEverything(dataDirectory: string): Promise<string> {
  const { client, find } = await useServerKeyspaces();
  const keyspace = find(dataDirectory);
  const texts: string[] = [];
  for (const table of await listTables(client, keyspace)) {
    for await (const row of await readRows(`SELECT * FROM ${keyspace}.${table}`)) {
      texts.push(...row.values().map(toText));
    }
  }
  if (texts.length === 0) throw new Error(`${keyspace} holds nothing.`);
  const { rows } = await client.execute(
    'SELECT id FROM system_schema.tables WHERE keyspace_name = ?',
    [keyspace],
    { prepare: true },
  );
  const tables = new Set(rows.map((row) => String(row.get('id'))));
  for await (const row of await readRows('SELECT * FROM system.paxos')) {
    if (tables.has(String(row.get('cf_id')))) texts.push(...row.values().map(toText));
  }
  return texts.join('\n');
}

export async function openStore(dataDirectory: string): Promise<Store> {
  const { host, find } = await useServerKeyspaces();
  const login = host.login ?? { username: null, password: null };
  const session = await openSession({ ...toSettings(host.contactPoint, find(dataDirectory)), ...login });
  return createCassandraStore({ session, clock: systemClock });
}

/** The row of each record that tells what it is now. */
async function readTopRows(dataDirectory: string, collection: CollectionName): Promise<types.Row[]> {
  const { find } = await useServerKeyspaces();
  const top = new Map<string, types.Row>();
  for (const table of [RECORDS_TABLE, QUEUE_TABLE]) {
    const cql = `SELECT * FROM ${find(dataDirectory)}.${table} WHERE collection = '${collection}' ALLOW FILTERING`;
    for await (const row of await readRows(cql)) {
      const place = JSON.stringify(['tenant', 'parent', 'sort', 'id'].map((column) => row.get(column)));
      if (!top.has(place) || row.get('kind') === SETTLED_ROW) top.set(place, row);
    }
  }
  return [...top.values()].filter((row) => row.get('version') !== DEAD);
}

async function countRows(dataDirectory: string, column: string, table: string): Promise<number> {
  const { find } = await useServerKeyspaces();
  let count = 0;
  for await (const _ of await readRows(`SELECT ${column} FROM ${find(dataDirectory)}.${table}`)) count += 1;
  return count;
}

async function readRows(cql: string): Promise<AsyncIterable<types.Row>> {
  const { client } = await useServerKeyspaces();
  return await client.execute(cql, [], { fetchSize: PAGE_ROWS });
}

function toText(value: unknown): string {
  if (!Buffer.isBuffer(value)) return Array.isArray(value) ? value.map(toText).join('\n') : String(value);
  const isPacked = value.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC);
  return (isPacked ? Buffer.concat([value, gunzipSync(value)]) : value).toString('latin1');
}
