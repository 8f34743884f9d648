/** Ids: their byte order is the order of creation, whatever the clock does, and nobody guesses the next one. */

import { expect, test } from 'bun:test';
import { createIds, ID_BODY_LENGTH, toNativeSortKey } from '../../src/ids.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function decode(text: string): bigint {
  return [...text].reduce((value, character) => value * 62n + BigInt(BASE62.indexOf(character)), 0n);
}

test('ids of one generator ascend within a millisecond, over its counter, and when the clock goes back', () => {
  let now = 1_764_000_000_000;
  const ids = createIds({ nowMs: () => now });
  let before = '';
  for (let i = 0; i < 60_000; i += 1) {
    if (i % 20_000 === 19_999) now += i % 40_000 === 39_999 ? 1 : -5;
    const id = ids.create('message');
    expect(id > before).toBe(true);
    before = id;
  }
});

test('an id holds its millisecond, from the first to the last that fits', () => {
  for (const ms of [0, 1, 1_764_000_000_123, 2 ** 41 + 7, 2 ** 48 - 1]) {
    const ids = createIds({ nowMs: () => ms });
    for (let i = 0; i < 3000; i += 1) {
      const head = decode(ids.create('run').slice('run_'.length, 'run_'.length + 11));
      expect(head >> 17n).toBe(BigInt(ms));
      expect((head >> 3n) & 0x3fffn).toBe(BigInt(i + (ms === 0 ? 1 : 0)));
    }
  }
});

test('ids are 24 characters after their prefix, and their tails do not repeat', () => {
  const ids = createIds({ nowMs: () => 1 });
  const tails = new Set<string>();
  for (let i = 0; i < 10_000; i += 1) {
    const id = ids.create('thread');
    expect(id).toMatch(/^thread_[0-9A-Za-z]{24}$/);
    tails.add(id.slice(-13));
  }
  expect(tails.size).toBe(10_000);
});

test('the sort key of a native id is its body; foreign ids have none', () => {
  const id = createIds({ nowMs: () => 5 }).create('file');
  expect(toNativeSortKey(id)).toBe(id.slice(-ID_BODY_LENGTH));
  for (const foreign of ['asst_short', 'abc', 'thread_####################xxxx', `x${id}y`]) {
    expect(toNativeSortKey(foreign)).toBeNull();
  }
});
