/** Lists: order, cursors, `hasMore`, and walks while others write. */

import { describe, expect, test } from 'bun:test';
import { PAGE_LIMIT_MAX, type PageRequest } from '../../src/store/store.ts';
import {
  expectRefusal,
  insertAll,
  type Note,
  type OpenStore,
  toRecordIds,
  useStore,
  walk,
} from './store-fixture.ts';

/** Says in arrays what a page is; the port's words, made to run. */
function toExpectedPage(ids: readonly string[], page: PageRequest): { ids: string[]; hasMore: boolean } {
  const ordered = page.order === 'asc' ? [...ids] : [...ids].reverse();
  const from = page.after === undefined ? 0 : ordered.indexOf(page.after) + 1;
  const to = page.before === undefined ? ordered.length : ordered.indexOf(page.before);
  const range = ordered.slice(from, Math.max(from, to));
  const taken = page.before === undefined ? range.slice(0, page.limit) : range.slice(-page.limit);
  return { ids: taken, hasMore: range.length > page.limit };
}

export function describeLists(open: OpenStore): void {
  describe('lists', () => {
    const fixture = useStore(open);

    test('a list that nothing is in is an empty page', async () => {
      for (const order of ['asc', 'desc'] as const) {
        const page = await fixture.store.list('messages', fixture.newScope(), { limit: 20, order });
        expect(page).toEqual({ items: [], hasMore: false });
      }
    });

    test('records stand in the order of their creation, not of their insertion', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = fixture.newNotes(20);
      const shuffled = notes.map((note, index) => notes[(index * 7) % 20] ?? note);
      await insertAll(store, scope, shuffled);
      const ids = notes.map((note) => note.id);
      expect(toRecordIds(await store.list('messages', scope, { limit: 50, order: 'asc' }))).toEqual(ids);
      expect(toRecordIds(await store.list('messages', scope, { limit: 50, order: 'desc' }))).toEqual(
        ids.reverse(),
      );
    });

    test('pages hold records and versions as a single read does', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = fixture.newNotes(3, { text: 't' });
      await insertAll(store, scope, notes);
      await store.update<Note>('messages', scope, notes[1]?.id ?? '', { number: 7 });
      const { items } = await store.list<Note>('messages', scope, { limit: 3, order: 'asc' });
      expect(items.map((item) => item.version)).toEqual([1, 2, 1]);
      for (const item of items) {
        expect(await store.get<Note>('messages', scope, item.record.id)).toEqual(item);
      }
    });

    test('an update does not move a record', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = fixture.newNotes(5);
      await insertAll(store, scope, notes);
      await store.update<Note>('messages', scope, notes[0]?.id ?? '', { number: 99 });
      const page = await store.list('messages', scope, { limit: 5, order: 'asc' });
      expect(toRecordIds(page)).toEqual(notes.map((note) => note.id));
    });

    for (const size of [0, 1, 2, 5]) {
      test(`every page of a list of ${size}: all limits, orders, cursors, and hasMore`, async () => {
        const { store } = fixture;
        const scope = fixture.newScope();
        const notes = fixture.newNotes(size);
        await insertAll(store, scope, notes);
        const ids = notes.map((note) => note.id);
        for (const order of ['asc', 'desc'] as const) {
          for (let limit = 1; limit <= size + 1; limit += 1) {
            for (const after of [undefined, ...ids]) {
              for (const before of [undefined, ...ids]) {
                const request: PageRequest = {
                  limit,
                  order,
                  ...(after === undefined ? {} : { after }),
                  ...(before === undefined ? {} : { before }),
                };
                const page = await store.list('messages', scope, request);
                expect({ request, ids: toRecordIds(page), hasMore: page.hasMore }).toEqual({
                  request,
                  ...toExpectedPage(ids, request),
                });
              }
            }
          }
        }
      });
    }

    test(`a page holds up to ${PAGE_LIMIT_MAX} records`, async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = fixture.newNotes(PAGE_LIMIT_MAX + 1);
      await Promise.all(notes.map((note) => store.insert('messages', scope, note)));
      const page = await store.list('messages', scope, { limit: PAGE_LIMIT_MAX, order: 'asc' });
      expect(toRecordIds(page)).toEqual(notes.slice(0, PAGE_LIMIT_MAX).map((note) => note.id));
      expect(page.hasMore).toBe(true);
    });

    test('a cursor that names no record of the list is unknown_cursor: never made, deleted, of another scope', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = fixture.newNotes(3);
      await insertAll(store, scope, notes);
      const deleted = notes[1]?.id ?? '';
      await store.delete('messages', scope, deleted);
      const elsewhere = fixture.newId();
      await store.insert(
        'messages',
        { tenant: fixture.newTenant(), parent: scope.parent ?? '' },
        { id: elsewhere },
      );
      const sibling = fixture.newId();
      await store.insert('messages', { tenant: scope.tenant, parent: 'sibling' }, { id: sibling });
      const run = fixture.newId();
      await store.insert('runs', scope, { id: run });
      for (const cursor of [fixture.newId(), 'nonsense', deleted, elsewhere, sibling, run]) {
        for (const side of ['after', 'before'] as const) {
          for (const order of ['asc', 'desc'] as const) {
            await expectRefusal(
              store.list('messages', scope, { limit: 2, order, [side]: cursor }),
              'unknown_cursor',
            );
          }
        }
      }
    });
  });

  describe('walks', () => {
    const fixture = useStore(open);

    for (const order of ['asc', 'desc'] as const) {
      test(`a walk ${order} by after over 150 records sees each once while others are inserted and deleted`, async () => {
        const { store } = fixture;
        const scope = fixture.newScope();
        const notes = fixture.newNotes(160);
        // One of sixteen comes and goes during the walk; the others are there throughout.
        const comers = notes.filter((note) => (note.number ?? 0) % 16 === 3);
        const residents = notes.filter((note) => !comers.includes(note));
        await Promise.all(residents.map((note) => store.insert('messages', scope, note)));
        const stay = residents.map((note) => note.id);
        const seen = await walk(store, scope, order, {
          onPage: async () => {
            const next = comers.pop();
            if (next !== undefined) await store.insert('messages', scope, next);
            await Promise.all(fixture.newNotes(2).map((note) => store.insert('messages', scope, note)));
          },
          pagesMax: 100,
        });
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen.filter((id) => stay.includes(id))).toEqual(order === 'asc' ? stay : stay.reverse());
      });
    }

    for (const order of ['asc', 'desc'] as const) {
      test(`a walk ${order} by before over 150 records sees each once while others are inserted`, async () => {
        const { store } = fixture;
        const scope = fixture.newScope();
        const notes = fixture.newNotes(151);
        await Promise.all(notes.map((note) => store.insert('messages', scope, note)));
        const ids = notes.map((note) => note.id);
        if (order === 'desc') ids.reverse();
        let before = ids.at(-1) ?? '';
        const seen: string[] = [];
        for (let pages = 0; pages < 50; pages += 1) {
          const page = await store.list('messages', scope, { limit: 7, order, before });
          seen.unshift(...toRecordIds(page));
          before = toRecordIds(page)[0] ?? '';
          await Promise.all(fixture.newNotes(2).map((note) => store.insert('messages', scope, note)));
          if (!page.hasMore) break;
        }
        expect(new Set(seen).size).toBe(seen.length);
        const residents = new Set(ids);
        expect(seen.filter((id) => residents.has(id))).toEqual(ids.slice(0, -1));
      });
    }

    test('a walk goes on behind a record that was deleted after its page was read', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = fixture.newNotes(30);
      await insertAll(store, scope, notes);
      const seen = await walk(store, scope, 'asc', {
        limit: 5,
        onPage: async (ids) => {
          await store.delete('messages', scope, ids[0] ?? '');
        },
      });
      expect(seen).toEqual(notes.map((note) => note.id));
    });
  });
}
