import { expect, test } from 'bun:test';
import {
  countDeaths,
  RESTART_DELAY_MAX_MS,
  SERVED_MS,
  toRestartDelayMs,
} from '../../src/cluster/restarts.ts';

test('a worker that cannot serve is started again later each time, up to a bound', () => {
  expect([1, 2, 3, 4].map(toRestartDelayMs)).toEqual([100, 200, 400, 800]);
  expect([9, 10, 11, 5_000].map(toRestartDelayMs)).toEqual([25_600, 30_000, 30_000, RESTART_DELAY_MAX_MS]);
});

test('a worker that had served is replaced at once, however many died before it', () => {
  expect(countDeaths(7, SERVED_MS - 1)).toBe(8);
  expect(toRestartDelayMs(countDeaths(7, SERVED_MS))).toBe(0);
});
