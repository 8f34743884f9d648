import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'cassandra-driver';
import { type Astra, startAstra } from '../support/astra/astra.ts';
import type { AstraDatabase } from '../support/astra/database.ts';
import { CASSANDRA_START_MS, type CassandraNode, startCassandra } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { waitUntil } from '../support/server.ts';

const SUITE = 'the emulation of Astra DB';
const describeCassandra = cassandraOrSkip(SUITE, { needsOwnNode: true });
const TIMEOUT_MS = 2 * CASSANDRA_START_MS;
const NEW_DATABASE = {
  name: 'made',
  cloudProvider: 'GCP',
  tier: 'serverless',
  capacityUnits: 1,
  region: 'us-east1',
};

describeCassandra(SUITE, () => {
  let node: CassandraNode;
  let astra: Astra;
  let folder: string;
  let first: AstraDatabase;
  let second: AstraDatabase;
  beforeAll(async () => {
    node = await startCassandra({ authenticator: 'password' });
    folder = await mkdtemp(join(tmpdir(), 'understudy-bundles-'));
    astra = await startAstra({ node });
    first = await astra.createDatabase({ name: 'first' });
    second = await astra.createDatabase({ name: 'second' });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await astra?.stop();
    await node?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  /** Connects as a program does: with a bundle's file and a token. */
  async function withClient<T>(
    bundle: Uint8Array,
    token: string,
    act: (client: Client) => Promise<T>,
  ): Promise<T> {
    const path = join(folder, `${crypto.randomUUID()}.zip`);
    await writeFile(path, bundle);
    const client = new Client({
      cloud: { secureConnectBundle: path },
      credentials: { username: 'token', password: token },
    });
    try {
      await client.connect();
      return await act(client);
    } finally {
      await client.shutdown();
    }
  }

  function call(method: string, path: string, token: string, body?: object): Promise<Response> {
    return fetch(`${astra.apiUrl}/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape.
  async function callForJson(method: string, path: string, token: string): Promise<any> {
    return await (await call(method, path, token)).json();
  }

  test('lets a token of a database make tables there, and counts the connections', async () => {
    const token = astra.createToken({ databases: [first.id] });
    const [keyspace] = first.keyspaces();
    await withClient(first.bundle(), token, async (client) => {
      await client.execute(`CREATE TABLE ${keyspace}.words (id int PRIMARY KEY, word text)`);
      await client.execute(`CREATE INDEX ON ${keyspace}.words (word) USING 'sai'`);
      await client.execute(`INSERT INTO ${keyspace}.words (id, word) VALUES (1, 'here')`);
      const found = await client.execute(`SELECT word FROM ${keyspace}.words WHERE word = 'here'`);
      expect(found.first().get('word')).toBe('here');
      expect(first.openSockets()).toBeGreaterThan(0);
      const another = "KEYSPACE mine WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}";
      await expect(client.execute(`CREATE ${another}`)).rejects.toThrow(/permission/i);
      await expect(client.execute(`DROP KEYSPACE ${keyspace}`)).rejects.toThrow(/permission/i);
    });
    await waitUntil('the connections are gone', () => first.openSockets() === 0);
  });

  test("refuses a token of another database, one that was taken back, and the node's own user", async () => {
    const foreign = astra.createToken({ databases: [second.id] });
    const revoked = astra.createToken();
    astra.revoke(revoked);
    for (const token of [foreign, revoked, 'cassandra']) {
      const error = await withClient(first.bundle(), token, async () => null).catch(
        (reason: unknown) => reason,
      );
      expect(toInnerText(error)).toContain('AuthenticationError');
    }
    expect(first.logins().refused).toBeGreaterThanOrEqual(3);
  });

  test('keeps each database to its own keyspace, whatever the token may use', async () => {
    const token = astra.createToken();
    const [foreign] = second.keyspaces();
    await withClient(second.bundle(), token, async (client) => {
      await client.execute(`CREATE TABLE ${foreign}.secrets (id int PRIMARY KEY)`);
    });
    await withClient(first.bundle(), token, async (client) => {
      await expect(client.execute(`SELECT * FROM ${foreign}.secrets`)).rejects.toThrow(/permission/i);
    });
  });

  test('lets a reading token read only', async () => {
    const token = astra.createToken({ databases: [second.id], access: 'read' });
    const [keyspace] = second.keyspaces();
    await withClient(second.bundle(), token, async (client) => {
      await client.execute(`SELECT * FROM ${keyspace}.secrets`);
      await expect(client.execute(`INSERT INTO ${keyspace}.secrets (id) VALUES (1)`)).rejects.toThrow(
        /permission/i,
      );
    });
  });

  test('refuses a bundle that has been renewed, and takes the new one', async () => {
    const token = astra.createToken();
    const old = second.bundle();
    await second.renewBundle();
    await expect(withClient(old, token, async () => null)).rejects.toThrow();
    await withClient(second.bundle(), token, (client) => client.execute('SELECT key FROM system.local'));
  });

  test('makes a database through the API, which comes up step by step', async () => {
    const token = astra.createToken();
    const made = await call('POST', '/databases', token, {
      ...NEW_DATABASE,
      keyspace: 'chosen',
      dbType: 'vector',
    });
    expect(made.status).toBe(201);
    const id = made.headers.get('location') ?? '';
    expect((await call('POST', `/databases/${id}/secureBundleURL`, token)).status).toBe(409);
    const statuses: string[] = [];
    for (let reads = 0; reads < 3; reads++) {
      const { status, info } = await callForJson('GET', `/databases/${id}`, token);
      expect(info).toMatchObject({ name: 'made', keyspace: 'chosen', region: 'us-east1', dbType: 'vector' });
      statuses.push(status);
    }
    expect(statuses).toEqual(['PENDING', 'INITIALIZING', 'ACTIVE']);
    const { downloadURL } = await callForJson('POST', `/databases/${id}/secureBundleURL`, token);
    const bundle = new Uint8Array(await (await fetch(downloadURL)).arrayBuffer());
    expect((await call('POST', `/databases/${id}/keyspaces/more`, token)).status).toBe(201);
    await withClient(bundle, token, (client) =>
      client.execute('CREATE TABLE more.words (id int PRIMARY KEY)'),
    );
    astra.expireDownloads();
    expect((await fetch(downloadURL)).status).toBe(403);
  });

  test('lists what the token may see, in pages', async () => {
    const token = astra.createToken({ databases: [first.id, second.id] });
    const page = await callForJson('GET', '/databases?limit=1', token);
    expect(page.map(({ id }: { id: string }) => id)).toEqual([first.id]);
    const rest = await callForJson('GET', `/databases?limit=5&starting_after=${first.id}`, token);
    expect(rest.map(({ id }: { id: string }) => id)).toEqual([second.id]);
    expect((await call('POST', '/databases', token, NEW_DATABASE)).status).toBe(401);
  });

  test('ends the connections of a database that falls asleep, and wakes it when it is asked to', async () => {
    const token = astra.createToken();
    await withClient(first.bundle(), token, async () => {
      first.setStatus('HIBERNATED');
      await waitUntil('the connections are gone', () => first.openSockets() === 0);
    });
    const error = await withClient(first.bundle(), token, async () => null).catch(
      (reason: unknown) => reason,
    );
    expect(toInnerText(error)).toContain('401');
    expect((await call('POST', `/databases/${first.id}/resume`, token)).status).toBe(202);
    expect((await callForJson('GET', `/databases/${first.id}`, token)).status).toBe('RESUMING');
    expect((await callForJson('GET', `/databases/${first.id}`, token)).status).toBe('ACTIVE');
    await withClient(first.bundle(), token, (client) => client.execute('SELECT key FROM system.local'));
  });

  test('answers as the real API where a token is unknown or a call goes wrong, and tells of the calls', async () => {
    const token = astra.createToken();
    astra.failNext(1, { status: 503, path: /limit=7/ });
    expect((await call('GET', '/databases?limit=7', token)).status).toBe(503);
    expect((await call('GET', '/databases?limit=7', token)).status).toBe(200);
    expect(astra.countCalls('GET', /limit=7/)).toBe(2);
    astra.revoke(token);
    const refused = await call('GET', '/databases', token);
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({
      errors: [{ ID: 340018, message: expect.stringContaining('token') }],
    });
  });
});

/** The driver tells the cause in a record by host. */
function toInnerText(error: unknown): string {
  const inner = error instanceof Error && 'innerErrors' in error ? error.innerErrors : null;
  return inner instanceof Object ? Object.values(inner).map(String).join('; ') : String(error);
}
