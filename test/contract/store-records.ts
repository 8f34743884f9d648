/** Single records: insert, get, update, delete, and whose they are. */

import { describe, expect, test } from 'bun:test';
import { type Scope, StoreError } from '../../src/store/store.ts';
import { expectRefusal, type Note, type OpenStore, toRecordIds, useStore } from './store-fixture.ts';

export function describeRecords(open: OpenStore): void {
  describe('records', () => {
    const fixture = useStore(open);

    test('an inserted record is read back at version 1', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const note: Note = { id: fixture.newId(), text: 'hello', number: 3, run_id: null };
      expect(await store.insert('messages', scope, note)).toEqual({ record: note, version: 1 });
      expect(await store.get<Note>('messages', scope, note.id)).toEqual({ record: note, version: 1 });
    });

    test('a record that is not there is null', async () => {
      expect(await fixture.store.get('messages', fixture.newScope(), fixture.newId())).toBeNull();
      expect(await fixture.store.get('messages', fixture.newScope(), 'no-id-of-ours')).toBeNull();
    });

    test('an id is inserted once: the second insert is a conflict and changes nothing', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, text: 'first' });
      await store.update<Note>('messages', scope, id, { number: 1 });
      const error = await expectRefusal(
        store.insert<Note>('messages', scope, { id, text: 'second' }),
        'conflict',
      );
      expect(error.index).toBeUndefined();
      const found = await store.get<Note>('messages', scope, id);
      expect(found).toEqual({ record: { id, text: 'first', number: 1 }, version: 2 });
    });

    test('of 100 concurrent inserts of one id exactly one is acknowledged, and its record stays', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      const attempts = Array.from({ length: 100 }, (_, number) =>
        store.insert<Note>('messages', scope, { id, number }).then(
          () => number,
          (error: unknown) => (error instanceof StoreError && error.code === 'conflict' ? null : error),
        ),
      );
      const winners = (await Promise.all(attempts)).filter((outcome) => outcome !== null);
      expect(winners).toHaveLength(1);
      expect((await store.get<Note>('messages', scope, id))?.record.number).toBe(winners[0] as number);
    });

    test('a read sees what was acknowledged before it', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, number: 0 });
      for (let number = 1; number <= 50; number += 1) {
        await store.update<Note>('messages', scope, id, { number });
        const [got, listed] = await Promise.all([
          store.get<Note>('messages', scope, id),
          store.list<Note>('messages', scope, { limit: 1, order: 'asc' }),
        ]);
        expect(got?.record.number).toBe(number);
        expect(listed.items[0]?.record.number).toBe(number);
      }
    });

    test('what is stored is the record as it was when the call was made', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const note = { id: fixture.newId(), text: 'before' };
      const inserted = store.insert('messages', scope, note);
      note.text = 'after';
      await inserted;
      expect((await store.get<Note>('messages', scope, note.id))?.record.text).toBe('before');
    });

    test('a record that was read belongs to the reader: changing it changes nothing that is stored', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, metadata: { a: '1' } });
      const first = await store.get<{ id: string; metadata: Record<string, string> }>('messages', scope, id);
      if (first !== null) first.record.metadata.a = 'changed';
      expect((await store.get<Note>('messages', scope, id))?.record.metadata).toEqual({ a: '1' });
    });
  });

  describe('updates', () => {
    const fixture = useStore(open);

    test('an update replaces the named top-level fields, keeps the others, and answers the new record', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, text: 'a', number: 1, metadata: { k: 'v', l: 'w' } });
      const answer = await store.update<Note>('messages', scope, id, { number: 2, metadata: { k: 'x' } });
      expect(answer).toEqual({ record: { id, text: 'a', number: 2, metadata: { k: 'x' } }, version: 2 });
      expect(await store.get<Note>('messages', scope, id)).toEqual(answer);
    });

    test('null is a value of a field, undefined is none', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, text: 'kept', run_id: 'r' });
      const change = { run_id: null, text: undefined } as unknown as Partial<Note>;
      const { record } = await store.update<Note>('messages', scope, id, change);
      expect(record).toEqual({ id, text: 'kept', run_id: null });
    });

    test('every update raises the version by one, an empty one too', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id });
      expect((await store.update<Note>('messages', scope, id, { number: 1 })).version).toBe(2);
      expect((await store.update<Note>('messages', scope, id, {})).version).toBe(3);
      expect((await store.get('messages', scope, id))?.version).toBe(3);
    });

    test('an update of what is not there is not_found, with and without a version', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await expectRefusal(store.update<Note>('messages', scope, id, { number: 1 }), 'not_found');
      await expectRefusal(
        store.update<Note>('messages', scope, id, { number: 1 }, { ifVersion: 1 }),
        'not_found',
      );
      expect(await store.get('messages', scope, id)).toBeNull();
    });

    test('a stale version is a conflict and changes nothing; the true one passes', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, number: 0 });
      await store.update<Note>('messages', scope, id, { number: 1 }, { ifVersion: 1 });
      for (const ifVersion of [1, 3, 0]) {
        await expectRefusal(
          store.update<Note>('messages', scope, id, { number: 9 }, { ifVersion }),
          'conflict',
        );
      }
      expect(await store.get<Note>('messages', scope, id)).toEqual({ record: { id, number: 1 }, version: 2 });
    });

    test('of 100 concurrent updates that hold one version exactly one wins, for each version', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, number: -1 });
      for (let ifVersion = 1; ifVersion <= 5; ifVersion += 1) {
        const attempts = Array.from({ length: 100 }, (_, number) =>
          store.update<Note>('messages', scope, id, { number }, { ifVersion }).then(
            () => number,
            (error: unknown) => (error instanceof StoreError && error.code === 'conflict' ? null : error),
          ),
        );
        const winners = (await Promise.all(attempts)).filter((outcome) => outcome !== null);
        expect(winners).toHaveLength(1);
        const found = await store.get<Note>('messages', scope, id);
        expect(found).toEqual({ record: { id, number: winners[0] as number }, version: ifVersion + 1 });
      }
    });

    test('a counter that 20 callers raise by compare-and-set loses no step', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, number: 0 });
      const raise = async (): Promise<void> => {
        for (let attempts = 0; attempts < 1000; attempts += 1) {
          const found = await store.get<Note>('messages', scope, id);
          const number = (found?.record.number ?? 0) + 1;
          const isWon = await store
            .update<Note>('messages', scope, id, { number }, { ifVersion: found?.version ?? 0 })
            .then(
              () => true,
              () => false,
            );
          if (isWon) return;
        }
        throw new Error('1000 lost races.');
      };
      await Promise.all(Array.from({ length: 20 }, () => raise().then(raise)));
      expect(await store.get<Note>('messages', scope, id)).toEqual({
        record: { id, number: 40 },
        version: 41,
      });
    });
  });

  describe('deletes', () => {
    const fixture = useStore(open);

    test('a delete answers whether there was a record, and removes it from reads and lists', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id });
      expect(await store.delete('messages', scope, id)).toBe(true);
      expect(await store.delete('messages', scope, id)).toBe(false);
      expect(await store.get('messages', scope, id)).toBeNull();
      expect(toRecordIds(await store.list('messages', scope, { limit: 5, order: 'asc' }))).toEqual([]);
    });

    test('a delete with a stale version is a conflict and leaves the record; with the true one it removes it', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id });
      await store.update<Note>('messages', scope, id, { number: 1 });
      await expectRefusal(store.delete('messages', scope, id, { ifVersion: 1 }), 'conflict');
      expect((await store.get('messages', scope, id))?.version).toBe(2);
      expect(await store.delete('messages', scope, id, { ifVersion: 2 })).toBe(true);
      expect(await store.delete('messages', scope, id, { ifVersion: 2 })).toBe(false);
    });

    test('of 50 concurrent deletes of one record exactly one answers true', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id });
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => store.delete('messages', scope, id)),
      );
      expect(answers.filter(Boolean)).toHaveLength(1);
    });

    test('an id that was deleted can be inserted again and begins at version 1', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, number: 1 });
      await store.update<Note>('messages', scope, id, { number: 2 });
      await store.delete('messages', scope, id);
      await store.insert<Note>('messages', scope, { id, text: 'again' });
      expect(await store.get<Note>('messages', scope, id)).toEqual({
        record: { id, text: 'again' },
        version: 1,
      });
    });
  });

  describe('scopes', () => {
    const fixture = useStore(open);

    test('one id in several scopes is several records, none of which knows of the others', async () => {
      const { store } = fixture;
      const id = fixture.newId();
      const tenant = fixture.newTenant();
      const scopes: Scope[] = [
        { tenant, parent: 'p' },
        { tenant, parent: 'q' },
        { tenant: `${tenant}2`, parent: 'p' },
        // The same letters, divided otherwise.
        { tenant: `${tenant}p`, parent: 'q' },
        { tenant, parent: 'pq' },
      ];
      for (const [number, scope] of scopes.entries())
        await store.insert<Note>('messages', scope, { id, number });
      const [changed, deleted, ...others] = scopes;
      if (changed === undefined || deleted === undefined) throw new Error('Too few scopes.');
      await store.update<Note>('messages', changed, id, { text: 'changed' });
      await store.delete('messages', deleted, id);
      expect((await store.get('messages', changed, id))?.version).toBe(2);
      expect(await store.get('messages', deleted, id)).toBeNull();
      for (const [index, scope] of others.entries()) {
        const own = { record: { id, number: index + 2 }, version: 1 };
        expect(await store.get<Note>('messages', scope, id)).toEqual(own);
        const page = await store.list<Note>('messages', scope, { limit: 10, order: 'asc' });
        expect(page).toEqual({ items: [own], hasMore: false });
      }
    });

    test('one id in two collections is two records', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert<Note>('messages', scope, { id, text: 'message' });
      expect(await store.get('runs', scope, id)).toBeNull();
      await store.insert<Note>('runs', scope, { id, text: 'run' });
      await store.delete('messages', scope, id);
      expect((await store.get<Note>('runs', scope, id))?.record.text).toBe('run');
    });

    test('an empty parent and none are the same scope', async () => {
      const { store } = fixture;
      const tenant = fixture.newTenant();
      const id = fixture.newId();
      await store.insert('assistants', { tenant }, { id });
      expect((await store.get('assistants', { tenant, parent: '' }, id))?.version).toBe(1);
    });
  });
}
