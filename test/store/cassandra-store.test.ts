/** The store on Cassandra: what its contract does not tell, namely what things cost, and what is left where an answer is lost. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type CqlSession, type CqlStatement, UnknownOutcome } from '../../src/cassandra/session.ts';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { createCassandraStore } from '../../src/store/cassandra/cassandra-store.ts';
import { createSpans } from '../../src/store/cassandra/spans.ts';
import type { Store, StoredRecord } from '../../src/store/store.ts';
import { makeKeyspace, type TestKeyspace } from '../support/cassandra/keyspace.ts';
import { CASSANDRA_START_MS } from '../support/cassandra/node.ts';
import { cassandraOrSkip } from '../support/cassandra/shared-node.ts';

interface Note extends StoredRecord {
  readonly text?: string;
  readonly run_id?: string | null;
}

const describeCassandra = cassandraOrSkip('the store on Cassandra');

describeCassandra('the store on Cassandra', () => {
  const ids = createIds(systemClock);
  let keyspace: TestKeyspace;
  let session: CqlSession;
  let store: Store;
  let scopes = 0;

  beforeAll(async () => {
    keyspace = await makeKeyspace();
    session = await keyspace.open();
    store = createCassandraStore({ session, clock: systemClock });
  }, CASSANDRA_START_MS);
  afterAll(() => store.close());

  const newScope = () => {
    scopes += 1;
    return { tenant: `tenant-${scopes}`, parent: ids.create('thread') };
  };
  const newId = () => ids.create('message');

  /** What `work` costs, in calls of the cluster. */
  const count = async (work: () => Promise<unknown>) => {
    const before = session.getStatistics();
    await work();
    const after = session.getStatistics();
    return {
      reads: after.reads - before.reads,
      writes: after.writes - before.writes,
      conditional: after.conditional - before.conditional,
    };
  };

  describe('records that seldom change', () => {
    test('a fresh one is one plain write; a page has it; a change and a removal go by conditions', async () => {
      const scope = newScope();
      const notes = Array.from({ length: 7 }, (_, index) => ({
        id: newId(),
        run_id: index % 2 === 0 ? 'a' : 'b',
      }));
      for (const note of notes) {
        const cost = await count(() => store.insert<Note>('messages', scope, note, { isFresh: true }));
        expect(cost).toEqual({ reads: 0, writes: 1, conditional: 0 });
      }
      const [first, second, third] = notes;
      if (first === undefined || second === undefined || third === undefined) throw new Error('Too few.');
      expect(await store.update<Note>('messages', scope, first.id, { text: 'x' }, { ifVersion: 1 })).toEqual({
        record: { ...first, text: 'x' },
        version: 2,
      });
      expect(await store.update<Note>('messages', scope, first.id, { run_id: 'b' })).toEqual({
        record: { ...first, text: 'x', run_id: 'b' },
        version: 3,
      });
      expect(await store.delete('messages', scope, second.id)).toBe(true);
      expect(await store.delete('messages', scope, second.id)).toBe(false);
      expect(await store.get('messages', scope, second.id)).toBeNull();
      const expected = [first, ...notes.slice(2)].map((note) => note.id);
      for (const limit of [1, 2, 3, 10]) {
        const seen: string[] = [];
        for (let after: string | undefined, more = true; more; ) {
          const page = await store.list<Note>('messages', scope, {
            limit,
            order: 'asc',
            ...(after === undefined ? {} : { after }),
          });
          seen.push(...page.items.map((item) => item.record.id));
          after = seen.at(-1);
          more = page.hasMore;
        }
        expect(seen).toEqual(expected);
      }
      // The first row of `first` still says `a`.
      const inA = await store.list<Note>(
        'messages',
        scope,
        { limit: 10, order: 'asc' },
        { fields: { run_id: 'a' } },
      );
      expect(inA.items.map((item) => item.record.id)).toEqual([
        third.id,
        notes[4]?.id ?? '',
        notes[6]?.id ?? '',
      ]);
      const inB = await store.list<Note>(
        'messages',
        scope,
        { limit: 10, order: 'asc' },
        { fields: { run_id: 'b' } },
      );
      expect(inB.items.map((item) => item.record.id)).toEqual([
        first.id,
        notes[3]?.id ?? '',
        notes[5]?.id ?? '',
      ]);
      expect(await store.delete('messages', scope, first.id)).toBe(true);
      expect(await store.get('messages', scope, first.id)).toBeNull();
      expect(await store.deleteAll('messages', scope)).toBe(5);
      expect(await store.deleteAll('messages', scope)).toBe(0);
    });

    test('of 30 concurrent removals and changes of a fresh one, either one removal wins or nothing is lost', async () => {
      for (let round = 0; round < 10; round += 1) {
        const scope = newScope();
        const note = { id: newId() };
        await store.insert<Note>('messages', scope, note, { isFresh: true });
        const removals = Array.from({ length: 10 }, () => store.delete('messages', scope, note.id));
        const changes = Array.from({ length: 20 }, (_, index) =>
          store.update<Note>('messages', scope, note.id, { text: String(index) }).then(
            () => 'done',
            () => 'refused',
          ),
        );
        expect((await Promise.all(removals)).filter(Boolean)).toHaveLength(1);
        await Promise.all(changes);
        expect(await store.get('messages', scope, note.id)).toBeNull();
      }
    });
  });

  describe('calls of the cluster', () => {
    test('many records of one tenant that are wanted at once are read together, each as it is', async () => {
      const scope = { tenant: newScope().tenant };
      const known = Array.from({ length: 40 }, () => ({ id: ids.create('thread'), text: 'old' }));
      for (const record of known) await store.insert<Note>('threads', scope, record, { isFresh: true });
      const gone = known.slice(0, 5);
      await Promise.all(gone.map(({ id }) => store.delete('threads', scope, id)));
      const changed = known.slice(5, 10);
      await Promise.all(changed.map(({ id }) => store.update<Note>('threads', scope, id, { text: 'new' })));
      const foreign = { tenant: newScope().tenant };
      const found = new Map<string, string | null>();
      const cost = await count(() =>
        Promise.all(
          Array.from({ length: 8 }, () => known)
            .flat()
            .map(async ({ id }) => {
              const record = (await store.get<Note>('threads', scope, id))?.record;
              expect(record?.id ?? id).toBe(id);
              found.set(id, record?.text ?? null);
              expect(await store.get('threads', foreign, id)).toBeNull();
            }),
        ),
      );
      const expected = known.map((record) => [
        record.id,
        gone.includes(record) ? null : changed.includes(record) ? 'new' : 'old',
      ]);
      expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
      // 640 reads of rows and 360 of aliases, which lie in partitions of their own.
      expect(cost.reads).toBeLessThan(360 + 640 / 8);
    });

    test('a read is one, a page is one at any depth, a message with its condition two', async () => {
      const scope = newScope();
      const thread = { id: ids.create('thread'), active_run_id: null };
      const tenant = { tenant: scope.tenant };
      await store.insert('threads', tenant, thread, { isFresh: true });
      const notes = Array.from({ length: 60 }, () => ({ id: newId() }));
      for (const note of notes) await store.insert('messages', scope, note, { isFresh: true });
      const one = { reads: 1, writes: 0, conditional: 0 };
      expect(await count(() => store.get('messages', scope, notes[30]?.id ?? ''))).toEqual(one);
      expect(await count(() => store.get('threads', tenant, thread.id))).toEqual(one);
      expect(await count(() => store.list('messages', scope, { limit: 20, order: 'desc' }))).toEqual(one);
      for (const order of ['asc', 'desc'] as const) {
        for (const side of ['after', 'before'] as const) {
          const page = { limit: 20, order, [side]: notes[30]?.id ?? '' };
          expect(await count(() => store.list('messages', scope, page))).toEqual(one);
        }
      }
      const create = await count(() =>
        store.write([
          {
            kind: 'require',
            collection: 'threads',
            scope: tenant,
            id: thread.id,
            equals: { active_run_id: null },
          },
          { kind: 'insert', collection: 'messages', scope, record: { id: newId() }, isFresh: true },
        ]),
      );
      expect(create).toEqual({ reads: 1, writes: 1, conditional: 0 });
    });

    test('a claim reads what it changes once', async () => {
      const scope = newScope();
      const tenant = { tenant: scope.tenant };
      const id = ids.create('thread');
      await store.insert<Note>('threads', tenant, { id }, { isFresh: true });
      const cost = await count(() =>
        store.write([
          { kind: 'require', collection: 'threads', scope: tenant, id, equals: { active_run_id: null } },
          {
            kind: 'update',
            collection: 'threads',
            scope: tenant,
            id,
            change: { active_run_id: 'r' },
            ifVersion: 1,
          },
          { kind: 'insert', collection: 'runs', scope, record: { id: ids.create('run') }, isFresh: true },
        ]),
      );
      // The note of what follows, and its removal.
      expect(cost).toEqual({ reads: 1, writes: 2, conditional: 2 });
    });
  });

  describe('lists of a tenant that are cut', () => {
    test('are walked across their cuts in both directions, with conditions and cursors', async () => {
      let now = Date.now() - 10 * 24 * 3_600_000;
      const clock = { ...systemClock, nowMs: () => now };
      const own = createCassandraStore({ session: await keyspace.open(), clock });
      const spans = createSpans({ session, clock, spanRecordsMax: 10, checkEvery: 1 });
      const local = createIds(clock);
      const tenant = { tenant: newScope().tenant };
      const expected: string[] = [];
      for (let index = 0; index < 60; index += 1) {
        const id = local.create('thread');
        await own.insert(
          'threads',
          tenant,
          { id, metadata: { side: index % 2 === 0 ? 'even' : 'odd' } } as StoredRecord,
          {
            isFresh: true,
          },
        );
        expected.push(id);
        await spans.noteInsert({ collection: 'threads', tenant: tenant.tenant, parent: '' });
        now += 60_000;
      }
      const cuts = await session.read({
        cql: 'SELECT start FROM record_spans WHERE tenant = ? AND collection = ?',
        values: [tenant.tenant, 'threads'],
      });
      expect(cuts.length).toBeGreaterThan(2);
      const lengths = await Promise.all(
        ['', ...cuts.map((row) => String(row.start))].map(async (start) => {
          const rows = await session.read({
            cql: 'SELECT id FROM records WHERE tenant = ? AND collection = ? AND parent = ? AND span = ?',
            values: [tenant.tenant, 'threads', '', start],
          });
          return rows.length;
        }),
      );
      expect(lengths.reduce((sum, rows) => sum + rows, 0)).toBe(60);
      expect(Math.max(...lengths)).toBeLessThan(30);
      const fresh = createCassandraStore({ session: await keyspace.open(), clock: systemClock });
      for (const order of ['asc', 'desc'] as const) {
        for (const where of [undefined, { metadata: { side: 'odd' } }]) {
          const seen: string[] = [];
          for (let after: string | undefined, more = true; more; ) {
            const page = await fresh.list(
              'threads',
              tenant,
              { limit: 7, order, ...(after === undefined ? {} : { after }) },
              where,
            );
            seen.push(...page.items.map((item) => item.record.id));
            after = seen.at(-1);
            more = page.hasMore;
          }
          const all = where === undefined ? expected : expected.filter((_, index) => index % 2 === 1);
          expect(seen).toEqual(order === 'asc' ? all : [...all].reverse());
        }
      }
      const middle = expected[30] ?? '';
      const before = await fresh.list('threads', tenant, { limit: 25, order: 'asc', before: middle });
      expect(before.items.map((item) => item.record.id)).toEqual(expected.slice(5, 30));
      for (const id of expected) expect(await fresh.get('threads', tenant, id)).not.toBeNull();
      expect(await fresh.deleteAll('threads', tenant)).toBe(60);
      await Promise.all([own.close(), fresh.close()]);
    });
  });

  describe('answers that are lost', () => {
    /** A session that loses the answer of every third conditional write: half of them were made, half were not. */
    const loseAnswers = (inner: CqlSession): CqlSession => {
      let calls = 0;
      const lossy = Object.create(inner) as CqlSession;
      return Object.assign(lossy, {
        async apply(statement: CqlStatement) {
          calls += 1;
          if (calls % 6 === 2) {
            await inner.apply(statement);
            throw new UnknownOutcome(new Error('The answer was lost.'));
          }
          if (calls % 6 === 5) throw new UnknownOutcome(new Error('The question was lost.'));
          return await inner.apply(statement);
        },
      });
    };

    test('every write is found to have been made once, or is made again', async () => {
      const lossy = createCassandraStore({ session: loseAnswers(await keyspace.open()), clock: systemClock });
      const scope = newScope();
      for (let round = 0; round < 12; round += 1) {
        const id = ids.create('run');
        await lossy.insert<Note>('runs', scope, { id, text: '0' }, { isFresh: true });
        for (let version = 1; version <= 3; version += 1) {
          const updated = await lossy.update<Note>(
            'runs',
            scope,
            id,
            { text: String(version) },
            { ifVersion: version },
          );
          expect(updated.version).toBe(version + 1);
        }
        expect((await store.get<Note>('runs', scope, id))?.record.text).toBe('3');
        expect(await lossy.delete('runs', scope, id)).toBe(true);
        expect(await store.get('runs', scope, id)).toBeNull();
      }
      await lossy.close();
    });
  });
});
