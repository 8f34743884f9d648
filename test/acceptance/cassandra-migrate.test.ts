/** `understudy migrate` makes the tables of a cluster, says which, and says so where there is nothing to make. */

import { beforeAll, expect, test } from 'bun:test';
import { runCommand, startOnCassandra, toStoreFlags } from '../faults/cassandra-servers.ts';
import { CASSANDRA_START_MS } from '../support/cassandra/node.ts';
import { cassandraOrSkip, type SharedCassandra, useCassandra } from '../support/cassandra/shared-node.ts';

const TEST_MS = 120_000;

const describeCassandra = cassandraOrSkip('understudy migrate');

let cassandra: SharedCassandra;

describeCassandra('understudy migrate', () => {
  beforeAll(async () => {
    cassandra = await useCassandra();
  }, CASSANDRA_START_MS);

  test(
    'makes what is missing once, and a server then finds everything',
    async () => {
      const cluster = { contactPoint: cassandra.contactPoint, keyspace: cassandra.toFreshKeyspace() };
      const migrate = () => runCommand(['migrate', ...toStoreFlags(cluster)], { withinMs: TEST_MS });
      const check = () =>
        runCommand(['check', '--port', '0', ...toStoreFlags(cluster)], { withinMs: TEST_MS });
      expect(await check()).toMatchObject({ code: 0, stdout: expect.stringContaining('is not there yet') });
      // And it is not there after having been looked for.
      expect(await check()).toMatchObject({ code: 0, stdout: expect.stringContaining('is not there yet') });
      const first = await migrate();
      expect(first.code).toBe(0);
      expect(first.stdout).toMatch(/^Made: [a-z0-9-]+(, [a-z0-9-]+)*\.\n$/);
      const made = first.stdout.slice('Made: '.length, -'.\n'.length).split(', ');
      expect(first.stderr).toBe(made.map((name) => `understudy: making ${name}\n`).join(''));
      expect(await readMigrations(cluster.keyspace)).toEqual(made.toSorted());
      const second = await migrate();
      expect(second).toMatchObject({ code: 0, stdout: 'Everything is there.\n', stderr: '' });
      expect(await check()).toMatchObject({ code: 0, stdout: expect.stringContaining('has all tables') });
      const server = await startOnCassandra(cluster);
      expect(server.output()).not.toContain('tables made');
      expect(await server.call('GET', '/ready')).toMatchObject({ status: 200, json: { store: 'cassandra' } });
      expect(await server.stop()).toBe(0);
    },
    TEST_MS,
  );
});

async function readMigrations(keyspace: string): Promise<string[]> {
  const client = cassandra.client();
  try {
    await client.connect();
    const { rows } = await client.execute(`SELECT name FROM ${keyspace}.schema_migrations`);
    return rows.map((row) => String(row.get('name'))).toSorted();
  } finally {
    await client.shutdown();
  }
}
