import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createAuthority } from '../support/astra/authority.ts';
import { CASSANDRA_START_MS, type CassandraNode, startCassandra } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';

const SUITE = 'a Cassandra node of the tests';
const describeCassandra = cassandraOrSkip(SUITE, { needsOwnNode: true });
const TIMEOUT_MS = 2 * CASSANDRA_START_MS;
const READ_TIMEOUT_MS = 500;

describeCassandra(SUITE, () => {
  let node: CassandraNode;
  beforeAll(async () => {
    node = await startCassandra({ authenticator: 'password' });
  }, TIMEOUT_MS);
  afterAll(async () => await node?.stop(), TIMEOUT_MS);

  test(
    'has after a kill what it had before it, on the same port',
    async () => {
      const client = node.client();
      const { pid } = node;
      try {
        await client.execute(
          "CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        );
        await client.execute('CREATE TABLE kept.words (id int PRIMARY KEY, word text)');
        await client.execute('INSERT INTO kept.words (id, word) VALUES (1, ?)', ['still here'], {
          prepare: true,
        });
        await node.kill();
        await expect(client.execute('SELECT word FROM kept.words WHERE id = 1')).rejects.toThrow();
        await node.restart();
        expect(node.pid).not.toBe(pid);
      } finally {
        await client.shutdown();
      }
      const later = node.client();
      try {
        const found = await later.execute('SELECT word FROM kept.words WHERE id = 1');
        expect(found.first().get('word')).toBe('still here');
      } finally {
        await later.shutdown();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'refuses a wrong password',
    async () => {
      const client = node.client({ credentials: { username: 'cassandra', password: 'guessed' } });
      try {
        const error = await client.connect().catch((reason: unknown) => reason);
        expect(JSON.stringify(Object.values(toInner(error)).map(String))).toContain('AuthenticationError');
      } finally {
        await client.shutdown();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'says nothing while it is paused, and answers again afterwards',
    async () => {
      const client = node.client({ socketOptions: { readTimeout: READ_TIMEOUT_MS } });
      try {
        await client.connect();
        node.pause();
        await expect(client.execute('SELECT release_version FROM system.local')).rejects.toThrow();
        node.resume();
        const answer = await client.execute('SELECT release_version FROM system.local');
        expect(answer.first().get('release_version')).toMatch(/^5\.0\./);
      } finally {
        node.resume();
        await client.shutdown();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'asks for a certificate where it is told to',
    async () => {
      const authority = createAuthority('of the test');
      const server = authority.issue({
        commonName: '127.0.0.1',
        usage: 'serverAuth',
        alternativeNames: ['IP:127.0.0.1'],
      });
      const { certificate, key } = authority.issue({ commonName: 'client', usage: 'clientAuth' });
      const stranger = createAuthority('of somebody else').issue({
        commonName: 'client',
        usage: 'clientAuth',
      });
      const trusting = { ca: authority.certificate, rejectUnauthorized: true };
      const secure = await startCassandra({
        clientTls: { ...server, clientAuthority: authority.certificate },
        clientSslOptions: { ...trusting, cert: certificate, key },
      });
      const refused = secure.client({
        sslOptions: { ...trusting, cert: stranger.certificate, key: stranger.key },
      });
      try {
        await expect(refused.connect()).rejects.toThrow();
      } finally {
        await refused.shutdown();
        await secure.stop();
      }
    },
    TIMEOUT_MS,
  );
});

function toInner(error: unknown): object {
  const hasInner = error instanceof Error && 'innerErrors' in error && error.innerErrors instanceof Object;
  return hasInner && error.innerErrors instanceof Object ? error.innerErrors : {};
}
