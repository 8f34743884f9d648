/** Records whose ids were made elsewhere, with and without a sort key. */

import { describe, expect, test } from 'bun:test';
import { toNativeSortKey } from '../../src/ids.ts';
import type { InsertWrite, Scope, Store } from '../../src/store/store.ts';
import { expectRefusal, type Note, type OpenStore, toRecordIds, useStore, walk } from './store-fixture.ts';

export function describeImports(open: OpenStore): void {
  describe('imported records', () => {
    const fixture = useStore(open);

    const importOne = async (store: Store, scope: Scope, record: Note, sortKey?: string): Promise<void> => {
      const write: InsertWrite = { kind: 'insert', collection: 'messages', scope, record };
      await store.write([sortKey === undefined ? write : { ...write, sortKey }]);
    };
    const listIds = async (store: Store, scope: Scope): Promise<string[]> =>
      toRecordIds(await store.list('messages', scope, { limit: 100, order: 'asc' }));
    const toKey = (id: string): string => toNativeSortKey(id) ?? '';

    test('a sort key puts a record among the native ones', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const [first, between, last] = fixture.newNotes(3).map((note) => note.id);
      await store.insert('messages', scope, { id: first ?? '' });
      await store.insert('messages', scope, { id: last ?? '' });
      await importOne(store, scope, { id: 'foreign' }, toKey(between ?? ''));
      await importOne(store, scope, { id: 'foreign-oldest' }, '0');
      await importOne(store, scope, { id: 'foreign-newest' }, 'zzzzz');
      expect(await listIds(store, scope)).toEqual([
        'foreign-oldest',
        first ?? '',
        'foreign',
        last ?? '',
        'foreign-newest',
      ]);
    });

    test('an id made elsewhere that looks like a native one stands where its sort key says', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const [place, native, later] = fixture.newNotes(3).map((note) => note.id);
      await store.insert('messages', scope, { id: native ?? '' });
      await importOne(store, scope, { id: later ?? '', text: 'imported' }, toKey(place ?? ''));
      expect(await listIds(store, scope)).toEqual([later ?? '', native ?? '']);
      expect((await store.get<Note>('messages', scope, later ?? ''))?.record.text).toBe('imported');
    });

    test('a list tells the sort key of a record whose id does not say it, so that a copy stands in the same place', async () => {
      const { store } = fixture;
      const [scope, copy] = [fixture.newScope(), fixture.newScope()];
      const [first, place, moved] = fixture.newNotes(3).map((note) => note.id);
      await store.insert('messages', scope, { id: first ?? '' });
      await importOne(store, scope, { id: 'foreign' }, toKey(place ?? ''));
      await importOne(store, scope, { id: moved ?? '' }, '0');
      await store.insert('messages', scope, { id: 'unplaced' });
      for (const order of ['asc', 'desc'] as const) {
        const { items } = await store.list('messages', scope, { limit: 10, order });
        const keys = new Map(items.map(({ record, sortKey }) => [record.id, sortKey]));
        expect(keys.get(first ?? '')).toBeUndefined();
        expect(keys.get('foreign')).toBe(toKey(place ?? ''));
        expect(keys.get(moved ?? '')).toBe('0');
        expect(keys.get('unplaced')).toBeString();
      }
      const { items } = await store.list<Note>('messages', scope, { limit: 10, order: 'desc' });
      for (const { record, sortKey } of items) await importOne(store, copy, record, sortKey);
      expect(await listIds(store, copy)).toEqual(await listIds(store, scope));
    });

    test('without a sort key records stand in the order of insertion, between the native ones', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const expected: string[] = [];
      for (let index = 0; index < 40; index += 1) {
        const id = index % 3 === 0 ? fixture.newId() : `foreign-${(index * 37) % 40}`;
        await store.insert('messages', scope, { id });
        expected.push(id);
      }
      expect(await listIds(store, scope)).toEqual(expected);
    });

    test('without a sort key several records of one write keep their order', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const ids = ['c', 'a', 'b', 'z', 'y'];
      await store.write(ids.map((id) => ({ kind: 'insert', collection: 'messages', scope, record: { id } })));
      expect(await listIds(store, scope)).toEqual(ids);
    });

    test('they are read, changed, deleted, filtered and used as cursors like any other', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      for (const id of ['a', 'b', 'c', 'd']) await importOne(store, scope, { id, run_id: 'r' }, `key-${id}`);
      expect(await store.update<Note>('messages', scope, 'b', { text: 'x' }, { ifVersion: 1 })).toEqual({
        record: { id: 'b', run_id: 'r', text: 'x' },
        version: 2,
      });
      const where = { fields: { run_id: 'r' } };
      const page = await store.list('messages', scope, { limit: 1, order: 'desc', after: 'c' }, where);
      expect(toRecordIds(page)).toEqual(['b']);
      expect(page.hasMore).toBe(true);
      expect(await store.delete('messages', scope, 'b')).toBe(true);
      expect(await store.get('messages', scope, 'b')).toBeNull();
      await expectRefusal(
        store.list('messages', scope, { limit: 1, order: 'asc', after: 'b' }),
        'unknown_cursor',
      );
      expect(await listIds(store, scope)).toEqual(['a', 'c', 'd']);
      await importOne(store, scope, { id: 'b' }, 'key-e');
      expect(await listIds(store, scope)).toEqual(['a', 'c', 'd', 'b']);
      expect(await store.deleteAll('messages', scope)).toBe(4);
      await importOne(store, scope, { id: 'c' }, 'key-f');
      expect((await store.get('messages', scope, 'c'))?.version).toBe(1);
    });

    test('an id is there once, whatever its sort key', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const native = fixture.newId();
      await importOne(store, scope, { id: 'a', number: 1 }, 'k1');
      await importOne(store, scope, { id: native, number: 2 }, 'k2');
      await expectRefusal(importOne(store, scope, { id: 'a' }, 'k3'), 'conflict');
      await expectRefusal(importOne(store, scope, { id: 'a' }), 'conflict');
      await expectRefusal(store.insert('messages', scope, { id: native }), 'conflict');
      expect(await listIds(store, scope)).toEqual(['a', native]);
    });

    test('records with one sort key stand in the order of their ids, and a walk sees each once', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const ids = Array.from({ length: 20 }, (_, index) => `id-${String.fromCharCode(97 + index)}`);
      for (const id of [...ids].reverse()) await importOne(store, scope, { id }, 'same');
      expect(await walk(store, scope, 'asc', { limit: 3 })).toEqual(ids);
      expect(await walk(store, scope, 'desc', { limit: 3 })).toEqual([...ids].reverse());
    });
  });
}
