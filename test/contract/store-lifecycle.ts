/** `deleteAll`, misuse, and the end of a store. */

import { describe, expect, test } from 'bun:test';
import { DOCUMENT_CHARACTERS_MAX } from '../../src/store/checks.ts';
import type { CollectionName } from '../../src/store/collections.ts';
import type { Scope, Store, StoredRecord, Write } from '../../src/store/store.ts';
import {
  expectRefusal,
  insertAll,
  type Note,
  type OpenStore,
  toRecordIds,
  useStore,
} from './store-fixture.ts';

export function describeLifecycle(open: OpenStore): void {
  describe('deleteAll', () => {
    const fixture = useStore(open);

    test('it removes every record of one collection in one scope, answers how many, and leaves the neighbours', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const neighbours: [CollectionName, Scope][] = [
        ['messages', { tenant: scope.tenant, parent: `${scope.parent}x` }],
        ['messages', { tenant: scope.tenant, parent: 'a' }],
        ['messages', { tenant: `${scope.tenant}x`, parent: scope.parent ?? '' }],
        ['runs', scope],
      ];
      for (const [collection, place] of neighbours)
        await store.insert(collection, place, { id: 'neighbour', run_id: 'r' } as Note);
      const notes = fixture.newNotes(700, { run_id: 'r' });
      await Promise.all(notes.map((note) => store.insert('messages', scope, note)));
      expect(await store.deleteAll('messages', scope)).toBe(700);
      expect(await store.deleteAll('messages', scope)).toBe(0);
      expect(toRecordIds(await store.list('messages', scope, { limit: 5, order: 'asc' }))).toEqual([]);
      const where = { fields: { run_id: 'r' } };
      expect(toRecordIds(await store.list('messages', scope, { limit: 5, order: 'asc' }, where))).toEqual([]);
      for (const [collection, place] of neighbours) {
        expect(toRecordIds(await store.list(collection, place, { limit: 5, order: 'asc' }))).toEqual([
          'neighbour',
        ]);
      }
    });

    test('records that it removed can be inserted again', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = fixture.newNotes(3);
      await insertAll(store, scope, notes);
      await store.deleteAll('messages', scope);
      await insertAll(store, scope, notes);
      const page = await store.list('messages', scope, { limit: 5, order: 'asc' });
      expect(toRecordIds(page)).toEqual(notes.map((note) => note.id));
    });

    test('others write and read while it is at work', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      await Promise.all(fixture.newNotes(1500).map((note) => store.insert('messages', scope, note)));
      const deleting = store.deleteAll('messages', scope);
      const other = fixture.newScope();
      for (const note of fixture.newNotes(5)) {
        await store.insert('messages', other, note);
        expect(await store.get('messages', other, note.id)).not.toBeNull();
      }
      expect(await deleting).toBe(1500);
      expect((await store.list('messages', other, { limit: 10, order: 'asc' })).items).toHaveLength(5);
    });
  });

  describe('misuse', () => {
    const fixture = useStore(open);

    const calls = (store: Store, collection: CollectionName, scope: Scope): Promise<unknown>[] => [
      store.insert(collection, scope, { id: 'a' }),
      store.get(collection, scope, 'a'),
      store.list(collection, scope, { limit: 1, order: 'asc' }),
      store.update(collection, scope, 'a', {}),
      store.delete(collection, scope, 'a'),
      store.deleteAll(collection, scope),
      store.write([{ kind: 'require', collection, scope, id: 'a' }]),
    ];

    test('a scope that does not fit the collection is misuse in every call: no parent, a parent too many, no tenant', async () => {
      const misfits: [CollectionName, Scope][] = [
        ['messages', { tenant: 't' }],
        ['messages', { tenant: 't', parent: '' }],
        ['assistants', { tenant: 't', parent: 'p' }],
        ['assistants', { tenant: '' }],
        ['nonsense' as CollectionName, { tenant: 't' }],
        ['toString' as CollectionName, { tenant: 't' }],
      ];
      for (const [collection, scope] of misfits) {
        for (const call of calls(fixture.store, collection, scope)) await expectRefusal(call, 'misuse');
      }
    });

    test('a record without an id, and a value that is not JSON, are misuse', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const cycle: { id: string; self?: unknown } = { id: 'cycle' };
      cycle.self = cycle;
      const records: unknown[] = [
        {},
        { id: '' },
        { id: 7 },
        null,
        'text',
        { id: 'x'.repeat(10_000) },
        cycle,
        { id: 'bigint', value: 1n },
        { id: 'huge', value: 'x'.repeat(DOCUMENT_CHARACTERS_MAX) },
      ];
      for (const record of records) {
        await expectRefusal(store.insert('messages', scope, record as StoredRecord), 'misuse');
      }
      expect(toRecordIds(await store.list('messages', scope, { limit: 5, order: 'asc' }))).toEqual([]);
    });

    test('a change of the id, and a change that is no object, are misuse', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert('messages', scope, { id });
      for (const change of [{ id: 'other' }, null, [], 'text']) {
        await expectRefusal(store.update('messages', scope, id, change as object), 'misuse');
      }
      expect((await store.update<Note>('messages', scope, id, { id, number: 1 })).version).toBe(2);
    });

    test('misuse in one of several writes names it, and nothing is written', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      const bad: Write[] = [
        { kind: 'insert', collection: 'messages', scope, record: { id: '' } },
        { kind: 'insert', collection: 'messages', scope: { tenant: 't' }, record: { id } },
        { kind: 'insert', collection: 'messages', scope, record: { id: 'a' }, sortKey: '' },
        { kind: 'update', collection: 'messages', scope, id, change: { id: 'b' } },
      ];
      for (const write of bad) {
        const call = store.write([{ kind: 'insert', collection: 'messages', scope, record: { id } }, write]);
        expect((await expectRefusal(call, 'misuse')).index).toBe(1);
        expect(await store.get('messages', scope, id)).toBeNull();
      }
    });
  });

  describe('open and closed', () => {
    test('an open store answers a ping and says what it is', async () => {
      const opened = await open();
      try {
        await opened.store.ping();
        expect(opened.store.engine).toMatch(/^[a-z]+$/);
      } finally {
        await opened.close();
      }
    });

    test('close writes what was accepted before it, refuses what comes later, and may be called again', async () => {
      const opened = await open();
      try {
        const { store } = opened;
        const scope: Scope = { tenant: 't', parent: 'p' };
        const writes = Array.from({ length: 50 }, (_, number) =>
          store.insert<Note>('messages', scope, { id: `note-${number}`, number }),
        );
        const closing = store.close();
        const late = store.insert('messages', scope, { id: 'late' });
        await expectRefusal(late, 'unavailable');
        await Promise.all([...writes, closing, store.close()]);
        await store.close();
        const refused: Promise<unknown>[] = [
          store.ping(),
          store.get('messages', scope, 'note-1'),
          store.list('messages', scope, { limit: 1, order: 'asc' }),
          store.update('messages', scope, 'note-1', {}),
          store.delete('messages', scope, 'note-1'),
          store.deleteAll('messages', scope),
          store.write([{ kind: 'delete', collection: 'messages', scope, id: 'note-1' }]),
        ];
        for (const call of refused) await expectRefusal(call, 'unavailable');
        const again = await opened.reopen();
        const page = await again.list<Note>('messages', scope, { limit: 100, order: 'asc' });
        expect(page.items.map((item) => item.record.number)).toEqual(
          Array.from({ length: 50 }, (_, number) => number),
        );
        expect(await again.get('messages', scope, 'late')).toBeNull();
      } finally {
        await opened.close();
      }
    });

    test('everything is there after closing and opening again: records, versions, order, conditions', async () => {
      const opened = await open();
      try {
        const scope: Scope = { tenant: 't', parent: 'p' };
        for (const id of ['a', 'b', 'c'])
          await opened.store.insert<Note>('messages', scope, { id, run_id: id });
        await opened.store.update<Note>('messages', scope, 'b', { text: 'changed' });
        await opened.store.delete('messages', scope, 'a');
        await opened.store.close();
        const again = await opened.reopen();
        const page = await again.list<Note>('messages', scope, { limit: 10, order: 'desc' });
        expect(page.items.map(({ record, version }) => ({ record, version }))).toEqual([
          { record: { id: 'c', run_id: 'c' }, version: 1 },
          { record: { id: 'b', run_id: 'b', text: 'changed' }, version: 2 },
        ]);
        const where = { fields: { run_id: 'b' } };
        expect(toRecordIds(await again.list('messages', scope, { limit: 10, order: 'asc' }, where))).toEqual([
          'b',
        ]);
        await expectRefusal(again.insert('messages', scope, { id: 'b' }), 'conflict');
      } finally {
        await opened.close();
      }
    });
  });
}
