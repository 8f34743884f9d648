/** What stands in the tables of a keyspace, read without a server. */

import type { CassandraNode } from '../support/cassandra/node.ts';

/** Leases, or with null the notes of writes that have not ended. */
export async function countRows(
  node: CassandraNode,
  keyspace: string,
  what: 'leases' | null,
): Promise<number> {
  const queries =
    what === 'leases'
      ? [`SELECT id FROM ${keyspace}.queue_records WHERE collection = 'leases' ALLOW FILTERING`]
      : [`SELECT id FROM ${keyspace}.redo_notes`];
  return await withClient(node, async (execute) => {
    let count = 0;
    for (const query of queries) count += (await execute(query)).length;
    return count;
  });
}

/** Ids of threads that a run holds. */
export async function findActiveThreads(node: CassandraNode, keyspace: string): Promise<string[]> {
  const rows = await withClient(
    node,
    async (execute) =>
      await execute(
        `SELECT id, kind, body FROM ${keyspace}.records WHERE collection = 'threads' ALLOW FILTERING`,
      ),
  );
  // The settled row is the record where there are two.
  const tops = new Map<string, { kind: number; body: string }>();
  for (const { id, kind, body } of rows) {
    const top = tops.get(String(id));
    if (top === undefined || top.kind < Number(kind))
      tops.set(String(id), { kind: Number(kind), body: String(body) });
  }
  return [...tops]
    .filter(([, { body }]) => body !== 'null' && JSON.parse(body).active_run_id !== null)
    .map(([id]) => id);
}

type Row = Readonly<Record<string, unknown>>;

async function withClient<T>(
  node: CassandraNode,
  use: (execute: (query: string) => Promise<readonly Row[]>) => Promise<T>,
): Promise<T> {
  const client = node.client();
  try {
    await client.connect();
    return await use(async (query) => {
      const { rows } = await client.execute(query, [], { fetchSize: 5_000 });
      return rows as unknown as Row[];
    });
  } finally {
    await client.shutdown();
  }
}
