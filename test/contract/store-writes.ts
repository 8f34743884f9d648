/** Several writes at once: their order, their conditions, what is left behind where one fails. */

import { describe, expect, test } from 'bun:test';
import { type Scope, StoreError, WRITES_MAX, type Write } from '../../src/store/store.ts';
import { expectRefusal, type Note, type OpenStore, useStore } from './store-fixture.ts';

export function describeWrites(open: OpenStore): void {
  describe('writes', () => {
    const fixture = useStore(open);

    const insert = (scope: Scope, record: Note): Write => ({
      kind: 'insert',
      collection: 'messages',
      scope,
      record,
    });
    const at = (scope: Scope, id: string) => ({ collection: 'messages', scope, id }) as const;

    test('all are done, in their order, and each answers its new version, 0 for delete and require', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const other = fixture.newScope();
      const [a, b, c] = fixture.newNotes(3).map((note) => note.id) as [string, string, string];
      await store.insert<Note>('messages', scope, { id: a, number: 0 });
      await store.insert<Note>('messages', scope, { id: c });
      const versions = await store.write([
        { kind: 'require', ...at(scope, a), equals: { number: 0 } },
        { kind: 'update', ...at(scope, a), change: { number: 1 }, ifVersion: 1 },
        insert(other, { id: b }),
        { kind: 'insert', collection: 'threads', scope: { tenant: scope.tenant }, record: { id: b } },
        { kind: 'delete', ...at(scope, c) },
        { kind: 'update', ...at(scope, a), change: { text: 'x' } },
      ]);
      expect(versions).toEqual([0, 2, 1, 1, 0, 3]);
      expect(await store.get<Note>('messages', scope, a)).toEqual({
        record: { id: a, number: 1, text: 'x' },
        version: 3,
      });
      expect(await store.get('messages', other, b)).not.toBeNull();
      expect(await store.get('threads', { tenant: scope.tenant }, b)).not.toBeNull();
      expect(await store.get('messages', scope, c)).toBeNull();
    });

    test('each write sees those before it', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const [a, b] = fixture.newNotes(2).map((note) => note.id) as [string, string];
      const versions = await store.write([
        insert(scope, { id: a, number: 1 }),
        { kind: 'require', ...at(scope, a), equals: { number: 1 } },
        { kind: 'update', ...at(scope, a), change: { number: 2 }, ifVersion: 1 },
        { kind: 'require', ...at(scope, a), equals: { number: 2 } },
        { kind: 'delete', ...at(scope, a), ifVersion: 2 },
        insert(scope, { id: a, number: 3 }),
        insert(scope, { id: b }),
        { kind: 'delete', ...at(scope, b) },
      ]);
      expect(versions).toEqual([1, 0, 2, 0, 0, 1, 1, 0]);
      expect(await store.get<Note>('messages', scope, a)).toEqual({
        record: { id: a, number: 3 },
        version: 1,
      });
      expect(await store.get('messages', scope, b)).toBeNull();
      const twice = store.write([insert(scope, { id: b }), insert(scope, { id: b })]);
      expect((await expectRefusal(twice, 'conflict')).index).toBe(1);
    });

    test('a delete of what is not there is no error, and nothing is changed by it', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      const gone = fixture.newId();
      expect(await store.write([{ kind: 'delete', ...at(scope, gone) }, insert(scope, { id })])).toEqual([
        0, 1,
      ]);
      expect(await store.write([{ kind: 'delete', ...at(scope, gone), ifVersion: 3 }])).toEqual([0]);
    });

    test('no writes are no error', async () => {
      expect(await fixture.store.write([])).toEqual([]);
    });

    test(`${WRITES_MAX} writes are taken, more are misuse and none of them is done`, async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const notes = fixture.newNotes(WRITES_MAX + 1);
      await expectRefusal(store.write(notes.map((note) => insert(scope, note))), 'misuse');
      expect((await store.list('messages', scope, { limit: 1, order: 'asc' })).items).toEqual([]);
      const versions = await store.write(notes.slice(1).map((note) => insert(scope, note)));
      expect(versions).toEqual(Array.from({ length: WRITES_MAX }, () => 1));
    });

    /** Every way to fail, against records `there` (version 2, number 5) and `gone`. */
    const failures: [
      name: string,
      code: 'conflict' | 'not_found',
      toWrite: (scope: Scope, there: string, gone: string) => Write,
    ][] = [
      ['an insert of an id that exists', 'conflict', (scope, there) => insert(scope, { id: there })],
      [
        'an update of what is not there',
        'not_found',
        (scope, _, gone) => ({ kind: 'update', ...at(scope, gone), change: {} }),
      ],
      [
        'an update with a stale version',
        'conflict',
        (scope, there) => ({ kind: 'update', ...at(scope, there), change: {}, ifVersion: 1 }),
      ],
      [
        'a delete with a stale version',
        'conflict',
        (scope, there) => ({ kind: 'delete', ...at(scope, there), ifVersion: 1 }),
      ],
      [
        'a require of what is not there',
        'not_found',
        (scope, _, gone) => ({ kind: 'require', ...at(scope, gone) }),
      ],
      [
        'a require of another value',
        'conflict',
        (scope, there) => ({ kind: 'require', ...at(scope, there), equals: { number: 6 } }),
      ],
    ];
    for (const [name, code, toWrite] of failures) {
      test(`${name} refuses with ${code} and its index, and nothing behind it is written, at each position`, async () => {
        const { store } = fixture;
        for (let position = 0; position < 4; position += 1) {
          const scope = fixture.newScope();
          const there = fixture.newId();
          await store.insert<Note>('messages', scope, { id: there, number: 4 });
          await store.update<Note>('messages', scope, there, { number: 5 });
          const others = fixture.newNotes(3);
          const writes = others.map((note) => insert(scope, note));
          writes.splice(position, 0, toWrite(scope, there, fixture.newId()));
          const error = await expectRefusal(store.write(writes), code);
          expect(error.index).toBe(position);
          for (const note of others.slice(position))
            expect(await store.get('messages', scope, note.id)).toBeNull();
          const unchanged = { record: { id: there, number: 5 }, version: 2 };
          expect(await store.get<Note>('messages', scope, there)).toEqual(unchanged);
        }
      });
    }

    test('a require compares scalars exactly, and a missing field equals null', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      const record = {
        id,
        text: 'a',
        number: 0,
        yes: true,
        no: false,
        nothing: null,
        deep: { a: 1 },
        list: [],
      };
      await store.insert('messages', scope, record);
      const check = (equals: Record<string, string | number | boolean | null>): Promise<unknown> =>
        store.write([{ kind: 'require', ...at(scope, id), equals }]);
      await check({});
      await check({
        id,
        text: 'a',
        number: 0,
        yes: true,
        no: false,
        nothing: null,
        missing: null,
        toString: null,
      });
      const wrong: Record<string, string | number | boolean | null>[] = [
        { text: 'A' },
        { text: null },
        { number: '0' },
        { number: false },
        { number: null },
        { yes: 'true' },
        { yes: 1 },
        { no: null },
        { no: 0 },
        { nothing: false },
        { nothing: '' },
        { missing: '' },
        { deep: null },
        { deep: '{"a":1}' },
        { list: '' },
        { text: 'a', number: 1 },
      ];
      for (const equals of wrong) await expectRefusal(check(equals), 'conflict');
      expect((await store.get('messages', scope, id))?.version).toBe(1);
    });

    test('of 100 concurrent claims with a condition exactly one is written, with everything that belongs to it', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const id = fixture.newId();
      await store.insert('messages', scope, { id, owner: null } as Note);
      const notes = fixture.newNotes(100);
      const outcomes = await Promise.all(
        notes.map((note) =>
          store
            .write([
              { kind: 'require', ...at(scope, id), equals: { owner: null } },
              { kind: 'update', ...at(scope, id), change: { owner: note.id }, ifVersion: 1 },
              insert(scope, note),
            ])
            .then(
              () => note.id,
              (error: unknown) => (error instanceof StoreError && error.code === 'conflict' ? null : error),
            ),
        ),
      );
      const winners = outcomes.filter((outcome) => outcome !== null);
      expect(winners).toHaveLength(1);
      const found = await store.get<Note & { owner: string }>('messages', scope, id);
      expect(found?.record.owner).toBe(winners[0] as string);
      const written = await Promise.all(notes.map((note) => store.get('messages', scope, note.id)));
      expect(written.flatMap((one) => (one === null ? [] : [one.record.id]))).toEqual(winners as string[]);
    });

    test('a refused write does not harm its neighbours', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const taken = fixture.newId();
      await store.insert('messages', scope, { id: taken });
      const notes = fixture.newNotes(60);
      const outcomes = await Promise.allSettled(
        notes.flatMap((note) => [
          store.write([insert(scope, note)]),
          store.write([insert(scope, { id: taken }), insert(scope, { id: `${note.id}x` })]),
        ]),
      );
      const expected = notes.flatMap(() => ['fulfilled', 'rejected']);
      expect(outcomes.map((outcome) => outcome.status as string)).toEqual(expected);
      for (const note of notes) {
        expect(await store.get('messages', scope, note.id)).not.toBeNull();
        expect(await store.get('messages', scope, `${note.id}x`)).toBeNull();
      }
    });

    test('later writes become visible no sooner than earlier ones', async () => {
      const { store } = fixture;
      const scope = fixture.newScope();
      const [first, last] = [fixture.newId(), fixture.newId()];
      await store.write([insert(scope, { id: first, number: 0 }), insert(scope, { id: last, number: 0 })]);
      let isWriting = true;
      const writing = (async () => {
        for (let number = 1; number <= 100; number += 1) {
          await store.write([
            { kind: 'update', ...at(scope, first), change: { number } },
            { kind: 'update', ...at(scope, last), change: { number } },
          ]);
        }
        isWriting = false;
      })();
      let reads = 0;
      while (isWriting && reads < 100_000) {
        const later = await store.get<Note>('messages', scope, last);
        const earlier = await store.get<Note>('messages', scope, first);
        expect(earlier?.record.number ?? -1).toBeGreaterThanOrEqual(later?.record.number ?? 0);
        reads += 1;
      }
      await writing;
      expect(reads).toBeGreaterThan(0);
    });
  });
}
