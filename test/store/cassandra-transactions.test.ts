/** Writes of several records on Cassandra: all or none, whoever else writes, and wherever a server dies. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { CqlSession } from '../../src/cassandra/session.ts';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { createCassandraStore } from '../../src/store/cassandra/cassandra-store.ts';
import { type Store, type StoredRecord, StoreError, type Write } from '../../src/store/store.ts';
import { makeKeyspace, type TestKeyspace } from '../support/cassandra/keyspace.ts';
import { CASSANDRA_START_MS } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';
import { waitUntil } from '../support/server.ts';

interface Count extends StoredRecord {
  readonly number: number;
}

const describeCassandra = cassandraOrSkip('transactions on Cassandra');

describeCassandra('transactions on Cassandra', () => {
  const ids = createIds(systemClock);
  let keyspace: TestKeyspace;
  let store: Store;
  let other: Store;
  let tenants = 0;

  beforeAll(async () => {
    keyspace = await makeKeyspace();
    store = createCassandraStore({ session: await keyspace.open(), clock: systemClock });
    other = createCassandraStore({ session: await keyspace.open(), clock: systemClock });
  }, CASSANDRA_START_MS);
  afterAll(async () => {
    await Promise.all([store.close(), other.close()]);
  });

  const newScope = () => {
    tenants += 1;
    return { tenant: `tenant-${tenants}` };
  };
  const makeCounts = async (scope: { tenant: string }, count: number): Promise<string[]> => {
    const made = Array.from({ length: count }, () => ids.create('assistant'));
    for (const id of made)
      await store.insert<Count>('assistants', scope, { id, number: 0 }, { isFresh: true });
    return made;
  };

  /** Raises several counts at once, by versions, until it has won. */
  const raise = async (by: Store, scope: { tenant: string }, counts: readonly string[]): Promise<void> => {
    for (let attempt = 0; attempt < 500; attempt += 1) {
      const found = await Promise.all(counts.map((id) => by.get<Count>('assistants', scope, id)));
      const writes = found.map(
        (one, at): Write => ({
          kind: 'update',
          collection: 'assistants',
          scope,
          id: counts[at] ?? '',
          change: { number: (one?.record.number ?? 0) + 1 },
          ifVersion: one?.version ?? 0,
        }),
      );
      const isWon = await by.write(writes).then(
        () => true,
        (error: unknown) => {
          if (error instanceof StoreError && error.code === 'conflict') return false;
          throw error;
        },
      );
      if (isWon) return;
      await Bun.sleep(Math.random() * 20);
    }
    throw new Error('500 lost races.');
  };

  test('counts that two servers raise together stay equal, and lose no step', async () => {
    const scope = newScope();
    const counts = await makeCounts(scope, 3);
    const work = Array.from({ length: 16 }, (_, at) => {
      const by = at % 2 === 0 ? store : other;
      // In other orders each: no two may wait for each other.
      const order = at % 3 === 0 ? counts : [...counts].reverse();
      return raise(by, scope, order).then(() => raise(by, scope, order));
    });
    await Promise.all(work);
    const found = await Promise.all(counts.map((id) => store.get<Count>('assistants', scope, id)));
    expect(found.map((one) => one?.record.number)).toEqual([32, 32, 32]);
    expect(found.map((one) => one?.version)).toEqual([33, 33, 33]);
  });

  test('a stale version in any place refuses the whole, by its index, and the others can be written at once', async () => {
    const scope = newScope();
    const counts = await makeCounts(scope, 3);
    for (const stale of [0, 1, 2]) {
      const writes = counts.map(
        (id, at): Write => ({
          kind: 'update',
          collection: 'assistants',
          scope,
          id,
          change: { number: 9 },
          ifVersion: at === stale ? 7 : 1,
        }),
      );
      const error = await store.write(writes).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'conflict', index: stale });
    }
    for (const id of counts) {
      expect(await store.get<Count>('assistants', scope, id)).toEqual({
        record: { id, number: 0 },
        version: 1,
      });
      expect(
        (await other.update<Count>('assistants', scope, id, { number: 1 }, { ifVersion: 1 })).version,
      ).toBe(2);
    }
  });

  /** A session that answers so many writes of the cluster, and none after: its server has died. */
  const dieAfter = (inner: CqlSession, writes: number): CqlSession => {
    let left = writes;
    const die = (): void => {
      if (left <= 0) throw new StoreError('unavailable', 'This server is dead.');
      left -= 1;
    };
    const mortal = Object.create(inner) as CqlSession;
    return Object.assign(mortal, {
      async apply(...given: Parameters<CqlSession['apply']>) {
        die();
        return await inner.apply(...given);
      },
      async write(...given: Parameters<CqlSession['write']>) {
        die();
        await inner.write(...given);
      },
    });
  };

  interface Situation {
    readonly scope: { readonly tenant: string };
    readonly a: string;
    readonly b: string;
    readonly gone: string;
    readonly made: string;
    readonly note: string;
  }

  const LISTS: Readonly<Record<string, (given: Situation) => Write[]>> = {
    'one version decides': ({ scope, a, b, gone, made, note }) => [
      { kind: 'require', collection: 'assistants', scope, id: b, equals: { number: 0 } },
      { kind: 'insert', collection: 'deletions', scope, record: { id: note } },
      { kind: 'update', collection: 'assistants', scope, id: a, change: { number: 1 }, ifVersion: 1 },
      { kind: 'update', collection: 'assistants', scope, id: b, change: { number: 1 } },
      { kind: 'delete', collection: 'assistants', scope, id: gone },
      { kind: 'insert', collection: 'threads', scope, record: { id: made }, isFresh: true },
    ],
    'several versions decide': ({ scope, a, b, gone, made, note }) => [
      { kind: 'update', collection: 'assistants', scope, id: a, change: { number: 1 }, ifVersion: 1 },
      { kind: 'update', collection: 'assistants', scope, id: b, change: { number: 1 }, ifVersion: 1 },
      { kind: 'delete', collection: 'assistants', scope, id: gone, ifVersion: 1 },
      { kind: 'insert', collection: 'threads', scope, record: { id: made }, isFresh: true },
      { kind: 'insert', collection: 'deletions', scope, record: { id: note } },
    ],
    'no version decides': ({ scope, a, b, gone, made, note }) => [
      { kind: 'insert', collection: 'deletions', scope, record: { id: note } },
      { kind: 'update', collection: 'assistants', scope, id: a, change: { number: 1 } },
      { kind: 'update', collection: 'assistants', scope, id: b, change: { number: 1 } },
      { kind: 'delete', collection: 'assistants', scope, id: gone },
      { kind: 'insert', collection: 'threads', scope, record: { id: made }, isFresh: true },
    ],
  };

  for (const [name, toWrites] of Object.entries(LISTS)) {
    test(`${name}: a server that dies after any of its writes leaves all or nothing, once another has looked`, async () => {
      let isWhole = false;
      const seen = new Set<boolean>();
      for (let writes = 0; !isWhole && writes < 40; writes += 1) {
        const scope = newScope();
        const [a = '', b = '', gone = ''] = await makeCounts(scope, 3);
        const situation = { scope, a, b, gone, made: ids.create('thread'), note: ids.create('thread') };
        const mortal = createCassandraStore({
          session: dieAfter(await keyspace.open(), writes),
          clock: systemClock,
        });
        isWhole = await mortal.write(toWrites(situation)).then(
          () => true,
          () => false,
        );
        const heir = createCassandraStore({
          session: await keyspace.open(),
          clock: systemClock,
          sweepMs: 20,
          abandonedMs: 50,
        });
        const session = await keyspace.open();
        await waitUntil('nothing is noted any more', async () => {
          const left = await Promise.all(
            ['redo_notes'].flatMap((table) =>
              ['0', '1', '2', '3', '4', '5', '6', '7'].map((bucket) =>
                session.read({ cql: `SELECT id FROM ${table} WHERE bucket = ?`, values: [bucket] }),
              ),
            ),
          );
          return left.flat().length === 0;
        });
        const state: (boolean | undefined)[] = await Promise.all([
          heir.get<Count>('assistants', scope, a).then((one) => one?.record.number === 1),
          heir.get<Count>('assistants', scope, b).then((one) => one?.record.number === 1),
          heir.get('assistants', scope, gone).then((one) => one === null),
          heir.get('threads', scope, situation.made).then((one) => one !== null),
          heir.get('deletions', scope, situation.note).then((one) => one !== null),
        ]);
        expect({ writes, state }).toEqual({ writes, state: state.map(() => state[0]) });
        seen.add(state[0] === true);
        // Nothing is held any more.
        await heir.update<Count>('assistants', scope, a, { number: 5 });
        await Promise.all([mortal.close(), heir.close(), session.close()]);
      }
      expect(isWhole).toBe(true);
      expect(seen).toEqual(new Set([true, false]));
    });
  }

  test('a record whose last write was left half done is written only behind the rest of it', async () => {
    const scope = newScope();
    const [a = '', b = ''] = await makeCounts(scope, 2);
    // The note and the decision are made, and nothing of the rest.
    const mortal = createCassandraStore({ session: dieAfter(await keyspace.open(), 2), clock: systemClock });
    const write = mortal.write([
      { kind: 'update', collection: 'assistants', scope, id: a, change: { number: 1 }, ifVersion: 1 },
      { kind: 'update', collection: 'assistants', scope, id: b, change: { number: 1 } },
    ]);
    expect(await write.catch((error: unknown) => error)).toMatchObject({ code: 'unavailable' });
    expect((await other.get<Count>('assistants', scope, b))?.record.number).toBe(0);
    await other.update<Count>('assistants', scope, a, { number: 2 });
    expect((await other.get<Count>('assistants', scope, b))?.record.number).toBe(1);
    await mortal.close();
  });
});
