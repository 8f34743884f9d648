/** What the engine on Cassandra promises beside the contract: several servers, crashes, bad vectors, nothing left behind. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { CqlSession } from '../../src/cassandra/session.ts';
import { systemClock } from '../../src/clock.ts';
import { createCassandraVectorIndex } from '../../src/vector/cassandra/cassandra-vector-index.ts';
import type { IndexScope, NewChunk, VectorIndex } from '../../src/vector/vector-index.ts';
import {
  expectRefusal,
  publish,
  toChunk,
  toPlaces,
  toQuery,
  toVector,
} from '../contract/vector-index-fixture.ts';
import { CASSANDRA_START_MS } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { openIndexSession } from './cassandra-index.ts';
import { toDyingSession, toForgetfulSession } from './cassandra-session.ts';

const SUITE = 'the vector index on Cassandra beside its contract';
const TABLES = [
  'index_files',
  'index_versions',
  'index_sums',
  'index_chunks',
  'index_postings',
  'index_vectors_3',
];

function toFile(mark: string, count: number): NewChunk[] {
  return Array.from({ length: count }, (_, position) =>
    toChunk(position, `all ${mark} w${position}`, toVector(1, position, 2)),
  );
}

cassandraOrSkip(SUITE)(SUITE, () => {
  let session: CqlSession;
  let index: VectorIndex;
  const open = (over: CqlSession): VectorIndex =>
    createCassandraVectorIndex({ session: over, clock: systemClock });
  const newScope = (): IndexScope => ({ tenant: crypto.randomUUID(), store: 'store' });

  /** Rows of each table that a tenant has. */
  const countRows = async ({ tenant }: IndexScope): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const table of TABLES) {
      const cql = `SELECT tenant FROM ${table} WHERE tenant = ? ALLOW FILTERING`;
      const { length } = await session.read({ cql, values: [tenant] });
      if (length > 0) counts[table] = length;
    }
    return counts;
  };

  beforeAll(async () => {
    session = await openIndexSession();
    index = open(session);
    // The table of these vectors is made.
    await publish(index, newScope(), 'file', toFile('x', 1));
  }, CASSANDRA_START_MS);
  afterAll(async () => {
    await index.close();
    await session.close();
  });

  test('vectors that would keep the server from starting again are refused before anything is sent', async () => {
    const scope = newScope();
    await publish(index, scope, 'kept', toFile('kept', 1));
    const before = session.getStatistics();
    for (const bad of [
      [0, 0, 0],
      [Number.NaN, 0, 1],
      [Number.POSITIVE_INFINITY, 1, 1],
      [1e-30, 0, 0],
    ]) {
      const chunks = [toChunk(0, 'fine', toVector(1, 2, 3)), toChunk(1, 'bad', Float32Array.from(bad))];
      await expectRefusal(index.stageChunks(scope, 'file', 'first', chunks), 'misuse');
      const query = { ...toQuery('fine', null), vector: Float32Array.from(bad) };
      await expectRefusal(index.search(scope, query), 'misuse');
    }
    expect(session.getStatistics()).toEqual(before);
    const wide = [toChunk(0, 'wide', new Float32Array(4097).fill(1))];
    await expectRefusal(index.stageChunks(newScope(), 'file', 'first', wide), 'misuse');
  });

  test('two servers that publish, replace and remove in one store at once lose no count', async () => {
    const scope = newScope();
    const otherSession = await openIndexSession();
    const servers = [index, open(otherSession)];
    const work = servers.flatMap((server, number) =>
      Array.from({ length: 12 }, async (_, at) => {
        const file = `file-${number}-${at}`;
        await publish(server, scope, file, toFile('old', 3), { languages: ['en'] });
        if (at % 3 === 1)
          await publish(server, scope, file, toFile('new', 5), { ingest: 'second', languages: ['de'] });
        if (at % 3 === 2) await server.removeFile(scope, file);
      }),
    );
    await Promise.all(work);
    const chunks = 2 * (4 * 3 + 4 * 5);
    for (const server of servers) {
      expect(await server.describe(scope)).toEqual({ chunks, dimensions: 3, languages: ['de', 'en'] });
      expect(await server.search(scope, toQuery('all', null, { wanted: 100 }))).toHaveLength(chunks);
    }
    const [row] = await session.read({
      cql: 'SELECT DISTINCT tenant, store, vectors FROM index_files WHERE tenant = ? AND store = ?',
      values: [scope.tenant, scope.store],
    });
    expect(String(row?.vectors)).toBe(String(chunks));
    await index.removeStore(scope);
    expect(await countRows(scope)).toEqual({});
    await otherSession.close();
  }, 60_000);

  test('a crash between any two writes leaves the old file or the new one, whole, and the next attempt mends it', async () => {
    const counts = new Set<number>();
    for (let writes = 0; ; writes += 1) {
      const scope = newScope();
      await publish(index, scope, 'file', toFile('old', 4));
      const dying = toDyingSession(session, writes);
      const server = open(dying.session);
      const work = publish(server, scope, 'file', toFile('new', 6), { ingest: 'second' });
      await work.catch(() => undefined);
      const hits = await index.search(scope, toQuery('all', toVector(1, 1, 1), { wanted: 50 }));
      counts.add(hits.length);
      expect([4, 6]).toContain(hits.length);
      expect((await index.describe(scope)).chunks).toBe(hits.length);
      expect(new Set(hits.map(({ chunk }) => chunk.text.split(' ')[1])).size).toBe(1);
      await publish(index, scope, 'file', toFile('new', 6), { ingest: 'second' });
      const now = await index.search(scope, toQuery('all', toVector(1, 1, 1), { wanted: 50 }));
      expect(now.map(({ chunk }) => chunk.text.split(' ')[1])).toEqual(
        Array.from({ length: 6 }, () => 'new'),
      );
      expect((await countRows(scope)).index_chunks).toBe(6);
      await index.removeFile(scope, 'file');
      // What is known of the store remains until that goes.
      expect(await countRows(scope)).toEqual({ index_files: 1 });
      await index.removeStore(scope);
      expect(await countRows(scope)).toEqual({});
      if (!dying.isDead()) break;
    }
    expect(counts).toEqual(new Set([4, 6]));
  }, 120_000);

  test('a crash amid a removal hides the file or the store at once, and the next removal frees the rest', async () => {
    for (const kind of ['file', 'store'] as const) {
      for (let writes = 0; ; writes += 1) {
        const scope = newScope();
        for (const file of ['a', 'b']) await publish(index, scope, file, toFile('x', 3));
        const dying = toDyingSession(session, writes);
        const server = open(dying.session);
        const removal = kind === 'file' ? server.removeFile(scope, 'a') : server.removeStore(scope);
        await removal.catch(() => undefined);
        const found = toPlaces(await index.search(scope, toQuery('all', toVector(1, 1, 1), { wanted: 50 })));
        const left = kind === 'file' ? 3 : 0;
        expect(writes === 0 ? [6] : [left]).toContain(found.length);
        if (kind === 'store') {
          // A store that is filled again while its removal has not come to its end is new.
          await publish(index, scope, 'c', toFile('y', 2));
          const expected = writes === 0 ? 8 : 2;
          expect((await index.describe(scope)).chunks).toBe(expected);
        }
        await index.removeFile(scope, 'a');
        await index.removeStore(scope);
        expect(await countRows(scope)).toEqual({});
        if (!dying.isDead()) break;
      }
    }
  }, 120_000);

  test('a store that another server has removed and filled again is not the one that is remembered', async () => {
    const scope = newScope();
    const otherSession = await openIndexSession();
    const servers = [
      open(otherSession),
      createCassandraVectorIndex({ session: otherSession, clock: { nowMs: () => 1 } }),
    ];
    for (const [number, other] of servers.entries()) {
      await publish(index, scope, 'file', toFile('old', 5), { ingest: `old-${number}` });
      expect(await index.search(scope, toQuery('all', toVector(1, 1, 1)))).toHaveLength(5);
      await other.removeStore(scope);
      await publish(other, scope, 'other', toFile('new', 2));
      const hits = await index.search(scope, toQuery('all', toVector(1, 1, 1)));
      expect(hits.map(({ chunk }) => chunk.text.split(' ')[1])).toEqual(['new', 'new']);
      expect((await index.describe(scope)).chunks).toBe(2);
      await index.removeStore(scope);
    }
    await otherSession.close();
  }, 60_000);

  test('conditional writes whose outcome is not told are made once', async () => {
    const scope = newScope();
    const server = open(toForgetfulSession(session));
    for (const file of ['a', 'b', 'c']) await publish(server, scope, file, toFile('x', 3));
    await publish(server, scope, 'b', toFile('y', 2), { ingest: 'second' });
    await server.setAttributes(scope, 'b', { n: 1 });
    await server.removeFile(scope, 'a');
    expect((await index.describe(scope)).chunks).toBe(5);
    const [row] = await session.read({
      cql: 'SELECT DISTINCT tenant, store, vectors FROM index_files WHERE tenant = ? AND store = ?',
      values: [scope.tenant, scope.store],
    });
    expect(String(row?.vectors)).toBe('5');
    await server.removeStore(scope);
    expect(await countRows(scope)).toEqual({});
  }, 60_000);

  test('a server that goes on with an attempt that another one has dropped leaves nothing behind', async () => {
    const scope = newScope();
    const otherSession = await openIndexSession();
    const other = open(otherSession);
    await index.stageChunks(scope, 'file', 'first', toFile('late', 3));
    const late = Promise.all([
      index.stageChunks(scope, 'file', 'first', toFile('late', 50)),
      other.stageChunks(scope, 'file', 'second', toFile('new', 3)),
    ]);
    await late;
    const winner = (await other.countStaged(scope, 'file', 'second')) > 0 ? 'second' : 'first';
    await publish(other, scope, 'file', toFile('new', 3), { ingest: 'third' });
    expect(['first', 'second']).toContain(winner);
    expect((await countRows(scope)).index_chunks).toBe(3);
    expect((await countRows(scope)).index_vectors_3).toBe(3);
    await otherSession.close();
  }, 60_000);
});
