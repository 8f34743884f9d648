import { describe, expect, test } from 'bun:test';
import { forEachAbreast } from '../../src/mover/abreast.ts';
import { findOddFields, toCanonicalJson } from '../../src/mover/canonical-json.ts';
import { pairRecords } from '../../src/mover/list-pairs.ts';
import type { AnyRecord } from '../../src/mover/record-lists.ts';
import { createTallies } from '../../src/mover/tallies.ts';

describe('work side by side', () => {
  test('never has more under way than it may, and does everything', async () => {
    let active = 0;
    let most = 0;
    const done: number[] = [];
    await forEachAbreast(
      Array.from({ length: 50 }, (_, at) => at),
      4,
      async (item) => {
        active += 1;
        most = Math.max(most, active);
        await Promise.resolve();
        active -= 1;
        done.push(item);
      },
    );
    expect(most).toBe(4);
    expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, at) => at));
  });

  test('begins nothing after a failure, and fails once all that was begun has ended', async () => {
    const begun: number[] = [];
    let ended = 0;
    const hold = Promise.withResolvers<void>();
    const work = forEachAbreast([0, 1, 2, 3, 4, 5], 3, async (item) => {
      begun.push(item);
      if (item === 1) throw new Error('no');
      await hold.promise;
      ended += 1;
    });
    let isSettled = false;
    const watched = work.then(
      () => undefined,
      (error: unknown) => {
        isSettled = true;
        return error;
      },
    );
    await Bun.sleep(0);
    expect(isSettled).toBe(false);
    hold.resolve();
    expect(await watched).toEqual(new Error('no'));
    expect([begun, ended]).toEqual([[0, 1, 2], 2]);
  });
});

test('records are the same whatever order their fields are in, and differ by everything else', () => {
  const record = { b: [1, { d: null, c: '' }], a: 1 };
  expect(toCanonicalJson({ a: 1, b: [1, { c: '', d: null }] })).toBe(toCanonicalJson(record));
  expect(toCanonicalJson({ a: 1, b: [{ c: '', d: null }, 1] })).not.toBe(toCanonicalJson(record));
  expect(toCanonicalJson(JSON.parse('{"__proto__":1}'))).toBe('{"__proto__":1}');
  expect(findOddFields({ a: 1, b: 2, c: 3 }, { a: 1, b: '2', d: 4 })).toEqual(['b', 'c', 'd']);
});

test('a record with another place, or on one side alone, is paired with nobody', async () => {
  async function* list(
    ...places: readonly (readonly [string, string])[]
  ): AsyncGenerator<AnyRecord, undefined> {
    for (const [sortKey, id] of places) yield { record: { id }, version: 1, sortKey };
  }
  const source = list(['1', 'a'], ['2', 'b'], ['3', 'moved'], ['5', 'x'], ['5', 'y']);
  const destination = list(['0', 'new'], ['1', 'a'], ['4', 'moved'], ['5', 'y'], ['6', 'z']);
  const pairs: (readonly (string | null)[])[] = [];
  for await (const { source: left, destination: right } of pairRecords(source, destination)) {
    pairs.push([left?.record.id ?? null, right?.record.id ?? null]);
  }
  expect(pairs).toEqual([
    [null, 'new'],
    ['a', 'a'],
    ['b', null],
    ['moved', null],
    [null, 'moved'],
    ['x', null],
    ['y', 'y'],
    [null, 'z'],
  ]);
});

test('a digest is the same in whatever order things come, and another where one comes twice', () => {
  const digest = (...texts: readonly string[]): string | undefined => {
    const tallies = createTallies();
    for (const text of texts) tallies.add('source', 'kind', text);
    return tallies.list()[0]?.source.digest;
  };
  expect(digest('a', 'b', 'c')).toBe(digest('c', 'a', 'b'));
  expect(digest('a', 'a', 'b')).not.toBe(digest('a', 'b', 'b'));
  expect(digest('a', 'a')).not.toBe(digest());
});
