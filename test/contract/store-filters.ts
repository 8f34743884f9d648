/** Lists with conditions, and records that were made elsewhere. */

import { describe, expect, test } from 'bun:test';
import type { Scope, Store, Where } from '../../src/store/store.ts';
import {
  expectRefusal,
  insertAll,
  type Note,
  type OpenStore,
  toRecordIds,
  useStore,
  walk,
} from './store-fixture.ts';

export function describeFilters(open: OpenStore): void {
  describe('conditions on fields', () => {
    const fixture = useStore(open);

    const list = async (store: Store, scope: Scope, run: string): Promise<string[]> =>
      toRecordIds(
        await store.list('messages', scope, { limit: 100, order: 'asc' }, { fields: { run_id: run } }),
      );

    test('a list with a condition holds exactly the records whose field has the value', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = ['a', 'b', null, 'a', 'A', '', 'a '].map((run_id) => ({ id: fixture.newId(), run_id }));
      await insertAll(store, scope, notes);
      for (const run of ['a', 'b', 'A', '', 'a ', 'c', 'null']) {
        const expected = notes.filter((note) => note.run_id === run).map((note) => note.id);
        expect(await list(store, scope, run)).toEqual(expected);
      }
    });

    test('only texts are compared: a number, a boolean, an object never match', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      for (const run_id of [1, true, { a: 1 }, ['1']]) {
        await store.insert('messages', scope, { id: fixture.newId(), run_id } as unknown as Note);
      }
      for (const run of ['1', 'true', '{"a":1}', '["1"]', '[object Object]']) {
        expect(await list(store, scope, run)).toEqual([]);
      }
    });

    test('a condition sees no record of another scope', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const [own] = fixture.newNotes(1, { run_id: 'r' });
      await insertAll(store, scope, own === undefined ? [] : [own]);
      await insertAll(store, { tenant: scope.tenant, parent: 'other' }, fixture.newNotes(2, { run_id: 'r' }));
      await insertAll(store, fixture.newScope(), fixture.newNotes(2, { run_id: 'r' }));
      expect(await list(store, scope, 'r')).toEqual([own?.id ?? '']);
    });

    test('conditions follow updates and deletes', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = fixture.newNotes(4, { run_id: 'r' });
      await insertAll(store, scope, notes);
      const [first, second, third, fourth] = notes.map((note) => note.id);
      await store.update<Note>('messages', scope, first ?? '', { run_id: 's' });
      await store.update<Note>('messages', scope, second ?? '', { run_id: null });
      await store.update<Note>('messages', scope, third ?? '', { text: 'the field is not named' });
      expect(await list(store, scope, 'r')).toEqual([third ?? '', fourth ?? '']);
      expect(await list(store, scope, 's')).toEqual([first ?? '']);
      await store.delete('messages', scope, fourth ?? '');
      expect(await list(store, scope, 'r')).toEqual([third ?? '']);
      await store.insert<Note>('messages', scope, { id: fourth ?? '', run_id: 's' });
      expect(await list(store, scope, 's')).toEqual([first ?? '', fourth ?? '']);
    });

    test('conditions follow several updates of one record in one write', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      const place = { collection: 'messages', scope, id } as const;
      await store.write([
        { kind: 'insert', collection: 'messages', scope, record: { id, run_id: 'a' } as Note },
        { kind: 'update', ...place, change: { run_id: 'b' } },
        { kind: 'update', ...place, change: { run_id: 'c' } },
      ]);
      expect(await Promise.all(['a', 'b', 'c'].map((run) => list(store, scope, run)))).toEqual([
        [],
        [],
        [id],
      ]);
      await store.write([
        { kind: 'update', ...place, change: { run_id: 'd' } },
        { kind: 'delete', ...place },
        { kind: 'insert', collection: 'messages', scope, record: { id, run_id: 'e' } as Note },
      ]);
      expect(await Promise.all(['c', 'd', 'e'].map((run) => list(store, scope, run)))).toEqual([
        [],
        [],
        [id],
      ]);
    });

    test('a list with a condition is walked by cursor in both directions, and hasMore counts matches only', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = Array.from({ length: 60 }, (_, index) => ({
        id: fixture.newId(),
        run_id: index % 3 === 0 ? 'r' : 's',
      }));
      await Promise.all(notes.map((note) => store.insert('messages', scope, note)));
      const where: Where = { fields: { run_id: 'r' } };
      const expected = notes.filter((note) => note.run_id === 'r').map((note) => note.id);
      expect(await walk(store, scope, 'asc', { where, limit: 6 })).toEqual(expected);
      expect(await walk(store, scope, 'desc', { where, limit: 6 })).toEqual([...expected].reverse());
      const exact = await store.list('messages', scope, { limit: 20, order: 'asc' }, where);
      expect(exact.hasMore).toBe(false);
      const before = await store.list(
        'messages',
        scope,
        { limit: 2, order: 'asc', before: expected[5] ?? '' },
        where,
      );
      expect(toRecordIds(before)).toEqual(expected.slice(3, 5));
      expect(before.hasMore).toBe(true);
    });

    test('a cursor marks its place although the condition does not hold for it', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = ['r', 's', 'r'].map((run_id) => ({ id: fixture.newId(), run_id }));
      await insertAll(store, scope, notes);
      const page = { limit: 5, order: 'asc', after: notes[1]?.id ?? '' } as const;
      const found = await store.list('messages', scope, page, { fields: { run_id: 'r' } });
      expect(toRecordIds(found)).toEqual([notes[2]?.id ?? '']);
    });
  });

  describe('conditions on metadata', () => {
    const fixture = useStore(open);

    const list = async (store: Store, tenant: string, metadata: Record<string, string>): Promise<string[]> =>
      toRecordIds(await store.list('threads', { tenant }, { limit: 100, order: 'asc' }, { metadata }));

    test('all named keys must have their values', async () => {
      const { store } = fixture;
      const tenant = fixture.newTenant();
      const of: Record<string, string>[] = [
        { user: 'u', tier: 'a' },
        { user: 'u', tier: 'b' },
        { user: 'v', tier: 'a' },
        {},
      ];
      const notes = of.map((metadata) => ({ id: fixture.newId(), metadata }));
      for (const note of notes) await store.insert('threads', { tenant }, note);
      const [first, second, third] = notes.map((note) => note.id);
      expect(await list(store, tenant, { user: 'u' })).toEqual([first ?? '', second ?? '']);
      expect(await list(store, tenant, { tier: 'a' })).toEqual([first ?? '', third ?? '']);
      expect(await list(store, tenant, { tier: 'a', user: 'u' })).toEqual([first ?? '']);
      expect(await list(store, tenant, { user: 'u', tier: 'a', missing: '' })).toEqual([]);
      expect(await list(store, tenant, {})).toHaveLength(4);
    });

    test('keys and values of all sorts are told apart', async () => {
      const { store } = fixture;
      const tenant = fixture.newTenant();
      const pairs: [string, string][] = [
        ['a.b', 'c'],
        ['a', 'b.c'],
        ['', ''],
        ['"', "'"],
        ['__proto__x', '%'],
        ['é', 'é'],
        ['e\u0301', 'x'],
        ['run_id', 'r'],
        ['k', 'v'.repeat(512)],
        ['😀', '\u0000'],
      ];
      const ids = pairs.map(() => fixture.newId());
      for (const [index, [key, value]] of pairs.entries()) {
        await store.insert('threads', { tenant }, {
          id: ids[index] ?? '',
          metadata: { [key]: value },
        } as Note);
      }
      for (const [index, [key, value]] of pairs.entries()) {
        expect(await list(store, tenant, { [key]: value })).toEqual([ids[index] ?? '']);
      }
    });

    test('a condition of 16 keys finds its one record among many that hold 15', async () => {
      const { store } = fixture;
      const tenant = fixture.newTenant();
      const metadata = Object.fromEntries(Array.from({ length: 16 }, (_, key) => [`key${key}`, 'same']));
      const all = { id: fixture.newId(), metadata };
      for (const note of fixture.newNotes(20, { metadata: { ...metadata, key7: 'other' } })) {
        await store.insert('threads', { tenant }, note);
      }
      await store.insert('threads', { tenant }, all);
      expect(await list(store, tenant, metadata)).toEqual([all.id]);
    });

    test('metadata that is replaced or removed is forgotten', async () => {
      const { store } = fixture;
      const tenant = fixture.newTenant();
      const id = fixture.newId();
      await store.insert<Note>('threads', { tenant }, { id, metadata: { a: '1', b: '2' } });
      await store.update<Note>('threads', { tenant }, id, { metadata: { b: '2', c: '3' } });
      expect(await list(store, tenant, { a: '1' })).toEqual([]);
      expect(await list(store, tenant, { b: '2', c: '3' })).toEqual([id]);
      await store.update('threads', { tenant }, id, { metadata: null } as object);
      expect(await list(store, tenant, { b: '2' })).toEqual([]);
    });
  });

  describe('misuse of lists', () => {
    const fixture = useStore(open);

    test('a limit out of bounds or an order that is none is misuse', async () => {
      const scope = fixture.newScope();
      for (const limit of [0, -1, 1001, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        await expectRefusal(fixture.store.list('messages', scope, { limit, order: 'asc' }), 'misuse');
      }
      const order = 'newest' as 'asc';
      await expectRefusal(fixture.store.list('messages', scope, { limit: 1, order }), 'misuse');
    });

    test('a condition on what is not declared is misuse, and so is one that is no text', async () => {
      const scope = fixture.newScope();
      const page = { limit: 1, order: 'asc' } as const;
      const wheres: Where[] = [
        { fields: { text: 'a' } },
        { fields: { 'metadata.a': 'a' } },
        { metadata: { a: 'b' } },
        { fields: { run_id: 1 as unknown as string } },
        { fields: { run_id: null as unknown as string } },
      ];
      for (const where of wheres)
        await expectRefusal(fixture.store.list('messages', scope, page, where), 'misuse');
    });
  });
}
