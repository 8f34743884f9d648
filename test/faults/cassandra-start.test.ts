/** What an operator reads who has set a cluster up wrongly: one line that says what to do, soon, and no server. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { define } from '../../src/cassandra/schema.ts';
import { createSession } from '../../src/cassandra/session.ts';
import { StoreError } from '../../src/store/store.ts';
import { createAuthority } from '../support/astra/authority.ts';
import {
  CASSANDRA_START_MS,
  type CassandraNode,
  DATA_CENTRE,
  SUPERUSER,
  startCassandra,
} from '../support/cassandra/node.ts';
import { findFreePorts } from '../support/cassandra/ports.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import type { TestServer } from '../support/server.ts';
import { type CommandEnd, runCommand, startOnCassandra, toStoreFlags } from './cassandra-servers.ts';

/** From the command to its end, on a busy machine. */
const REFUSED_MS = 25_000;
const TEST_MS = 60_000;
const SERVERS = 6;
const PASSWORD = 'UNDERSTUDY_CASSANDRA_PASSWORD';
/** May log in, and nothing else. */
const POOR = { username: 'poor', password: 'of little means' } as const;
/** May read and write in `shown`, but not define. */
const GUEST = { username: 'guest', password: 'of good manners' } as const;

const describeCassandra = cassandraOrSkip('servers that cannot use their cluster', { needsOwnNode: true });

/** One line, exit code 1, in time, and nothing of the program's insides. */
function expectRefusal(end: CommandEnd, ...words: readonly (string | RegExp)[]): void {
  console.error(`${end.ms} ms, code ${end.code}: ${end.stderr.trimEnd()}`);
  const lines = end.stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toStartWith('understudy: ');
  for (const word of words) expect(lines[0]).toMatch(word);
  expect(end.code).toBe(1);
  const said = `${end.stdout}${end.stderr}`;
  expect(said).not.toMatch(/\n\s+at /);
  for (const { password } of [SUPERUSER, POOR, GUEST]) {
    if (password !== SUPERUSER.password) expect(said).not.toContain(password);
  }
  expect(said).not.toContain('wrong-password');
  expect(said).not.toContain('"listening"');
}

async function serve(
  contactPoint: string,
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  keyspace = 'refused',
): Promise<CommandEnd> {
  const store = toStoreFlags({ contactPoint, keyspace });
  return await runCommand(['serve', '--port', '0', ...store, ...flags], { env, withinMs: REFUSED_MS });
}

function toLogin({ username, password }: { readonly username: string; readonly password: string }) {
  return { flags: ['--cassandra-username', username], env: { [PASSWORD]: password } };
}

describeCassandra('servers that cannot use their cluster', () => {
  describe('where passwords are asked for', () => {
    let node: CassandraNode;

    beforeAll(async () => {
      node = await startCassandra({ authenticator: 'password', commitLogSync: 'periodic' });
      const client = node.client();
      await client.connect();
      for (const { username, password } of [POOR, GUEST]) {
        await client.execute(`CREATE ROLE ${username} WITH PASSWORD = '${password}' AND LOGIN = true`);
      }
      await client.execute(
        `CREATE KEYSPACE shown WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
      );
      for (const right of ['SELECT', 'MODIFY'])
        await client.execute(`GRANT ${right} ON KEYSPACE shown TO guest`);
      await client.shutdown();
    }, CASSANDRA_START_MS);

    afterAll(async () => await node?.stop());

    test(
      'a wrong password is refused',
      async () => {
        const { flags, env } = toLogin({ ...SUPERUSER, password: 'wrong-password' });
        expectRefusal(await serve(node.contactPoint, flags, env), 'refuses the password', `'cassandra'`);
      },
      TEST_MS,
    );

    test(
      'a password is asked for where none is configured',
      async () => {
        expectRefusal(await serve(node.contactPoint), /asks for a user and a password/);
      },
      TEST_MS,
    );

    test(
      'a data centre that is not there is named beside those that are',
      async () => {
        const { flags, env } = toLogin(SUPERUSER);
        const end = await serve(
          node.contactPoint,
          [...flags, '--cassandra-local-datacenter', 'nowhere'],
          env,
        );
        expectRefusal(end, `no data centre 'nowhere'`, `'${DATA_CENTRE}'`);
      },
      TEST_MS,
    );

    test(
      'a copy in a data centre that is not there is refused',
      async () => {
        const { flags, env } = toLogin(SUPERUSER);
        const end = await serve(node.contactPoint, [...flags, '--cassandra-replication', 'nowhere:1'], env);
        expectRefusal(end, 'nowhere');
      },
      TEST_MS,
    );

    test(
      'a keyspace that the role may not make is to be made by somebody else',
      async () => {
        const { flags, env } = toLogin(POOR);
        expectRefusal(await serve(node.contactPoint, flags, env), `'refused'`, 'may not create', `'poor'`);
      },
      TEST_MS,
    );

    test(
      'tables that the role may not make are to be made by somebody else',
      async () => {
        const { flags, env } = toLogin(GUEST);
        expectRefusal(await serve(node.contactPoint, flags, env, 'shown'), 'may not make tables', `'shown'`);
      },
      TEST_MS,
    );

    test(
      'tables that the role may not read are named',
      async () => {
        const { flags, env } = toLogin(SUPERUSER);
        const store = toStoreFlags({ contactPoint: node.contactPoint, keyspace: 'hidden' });
        expect(await runCommand(['migrate', ...store, ...flags], { env, withinMs: TEST_MS })).toMatchObject({
          code: 0,
        });
        const poor = toLogin(POOR);
        expectRefusal(await serve(node.contactPoint, poor.flags, poor.env, 'hidden'), /permission/i);
      },
      2 * TEST_MS,
    );

    test(
      `${SERVERS} servers that start at once on a keyspace that is not there all come up, and its tables are made once`,
      async () => {
        const { flags, env } = toLogin(SUPERUSER);
        const cluster = { contactPoint: node.contactPoint, keyspace: 'crowd' };
        const started = performance.now();
        const starting = Array.from({ length: SERVERS }, () => startOnCassandra(cluster, { flags, env }));
        const settled = await Promise.allSettled(starting);
        console.error(`${SERVERS} servers came up in ${Math.round(performance.now() - started)} ms`);
        const servers = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
        try {
          expect(settled.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []))).toEqual(
            [],
          );
          const makers = servers.filter((server) => server.output().includes('"tables made"'));
          expect(makers).toHaveLength(1);
          await expectShared(servers);
          await expectTablesOnce(node, cluster.keyspace);
        } finally {
          await Promise.all(servers.map((server) => server.stop()));
        }
      },
      3 * TEST_MS,
    );

    test(
      'what a cluster lacks is named where it does not understand a table',
      async () => {
        const client = node.client({ keyspace: 'shown' });
        await client.connect();
        const session = createSession(client, { keyspace: 'shown', consistency: 1, serialConsistency: 9 });
        try {
          for (const statement of [
            // As a cluster without vectors reads `vector<float, 3>`.
            'CREATE TABLE IF NOT EXISTS v (id text PRIMARY KEY, v vectr<float, 3>)',
            `CREATE CUSTOM INDEX IF NOT EXISTS ON schema_migrations (name) USING 'NoSuchIndex'`,
          ]) {
            const refused = await define(session, statement, 'vectors (Cassandra 5.0 has them)').catch(
              (error: unknown) => error,
            );
            expect(refused).toBeInstanceOf(StoreError);
            expect(String(refused)).toMatch(
              /^StoreError: The cluster has no vectors \(Cassandra 5\.0 has them\): /,
            );
            expect(String(refused)).not.toContain('\n');
          }
        } finally {
          await session.close();
        }
      },
      TEST_MS,
    );
  });

  test(
    'nobody listening is told with the address',
    async () => {
      const [port] = await findFreePorts('127.0.0.1', 1);
      expectRefusal(await serve(`127.0.0.1:${port}`), `127.0.0.1:${port}`, /cannot be reached/);
    },
    TEST_MS,
  );

  test(
    'a host that does not exist is told by its name',
    async () => {
      expectRefusal(await serve('no-such-host.invalid'), 'no-such-host.invalid', /cannot be reached/);
    },
    TEST_MS,
  );

  test(
    'a node that hangs is told, and not waited for without an end',
    async () => {
      const node = await startCassandra({ commitLogSync: 'periodic' });
      node.pause();
      try {
        expectRefusal(await serve(node.contactPoint), node.contactPoint, /cannot be reached/);
      } finally {
        node.resume();
        await node.stop();
      }
    },
    CASSANDRA_START_MS,
  );

  describe('where TLS is spoken', () => {
    let node: CassandraNode;
    let folder: string;
    const authority = createAuthority('of the cluster');
    const stranger = createAuthority('of somebody else');

    const toCaFlags = (name: string): string[] => ['--cassandra-ca-file', join(folder, name)];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'understudy-authorities-'));
      await writeFile(join(folder, 'right.pem'), authority.certificate);
      await writeFile(join(folder, 'wrong.pem'), stranger.certificate);
      const server = authority.issue({
        commonName: '127.0.0.1',
        usage: 'serverAuth',
        alternativeNames: ['IP:127.0.0.1', 'DNS:localhost'],
      });
      node = await startCassandra({
        clientTls: server,
        clientSslOptions: { ca: authority.certificate, rejectUnauthorized: true },
        commitLogSync: 'periodic',
      });
    }, CASSANDRA_START_MS);

    afterAll(async () => {
      await node?.stop();
      await rm(folder, { recursive: true, force: true });
    });

    test(
      'a certificate of another authority is refused',
      async () => {
        expectRefusal(await serve(node.contactPoint, toCaFlags('wrong.pem')), /certificate/);
      },
      TEST_MS,
    );

    test(
      'a certificate of no authority that the system trusts is refused',
      async () => {
        expectRefusal(await serve(node.contactPoint, ['--cassandra-tls']), /certificate/);
      },
      TEST_MS,
    );

    test(
      'a server that speaks plainly to a node that wants TLS is told so',
      async () => {
        expectRefusal(await serve(node.contactPoint), /cannot be reached/, /TLS/);
      },
      TEST_MS,
    );

    test(
      'a server that speaks TLS to a node that does not is told so',
      async () => {
        const plain = await startCassandra({ commitLogSync: 'periodic' });
        try {
          expectRefusal(await serve(plain.contactPoint, toCaFlags('right.pem')), /cannot be reached/, /TLS/);
        } finally {
          await plain.stop();
        }
      },
      CASSANDRA_START_MS,
    );

    test(
      'the right authority lets the server in',
      async () => {
        const cluster = { contactPoint: node.contactPoint, keyspace: 'secure' };
        const server = await startOnCassandra(cluster, { flags: toCaFlags('right.pem') });
        try {
          expect(await server.call('GET', '/ready')).toMatchObject({ status: 200 });
        } finally {
          await server.stop();
        }
      },
      TEST_MS,
    );
  });
});

/** What one has written, each reads. */
async function expectShared(servers: readonly TestServer[]): Promise<void> {
  const ids: string[] = [];
  for (const server of servers) {
    const made = await server.call('POST', '/v1/threads', {});
    expect(made.status).toBe(200);
    ids.push(made.json.id);
  }
  for (const server of servers) {
    for (const id of ids)
      expect(await server.call('GET', `/v1/threads/${id}`)).toMatchObject({ status: 200 });
  }
}

async function expectTablesOnce(node: CassandraNode, keyspace: string): Promise<void> {
  const client = node.client();
  try {
    await client.connect();
    const made = await client.execute(`SELECT name FROM ${keyspace}.schema_migrations`);
    const names = made.rows.map((row) => String(row.get('name')));
    expect(names.length).toBeGreaterThan(1);
    expect(new Set(names).size).toBe(names.length);
    // Nobody holds the lease any more.
    expect((await client.execute(`SELECT owner FROM ${keyspace}.schema_lease`)).rows).toEqual([]);
  } finally {
    await client.shutdown();
  }
}
