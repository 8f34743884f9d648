import { expect, test } from 'bun:test';
import {
  countDeaths,
  HEALTHY_MS,
  RESTART_DELAY_MAX_MS,
  toRestartDelayMs,
} from '../../src/cluster/restarts.ts';

test('the delay doubles with each death in a row, up to its bound, however many there are', () => {
  expect([1, 2, 3, 4].map(toRestartDelayMs)).toEqual([100, 200, 400, 800]);
  expect([9, 10, 11, 5_000].map(toRestartDelayMs)).toEqual([25_600, 30_000, 30_000, RESTART_DELAY_MAX_MS]);
});

test('a worker that served for long enough starts the count anew', () => {
  expect(countDeaths(7, HEALTHY_MS - 1)).toBe(8);
  expect(countDeaths(7, HEALTHY_MS)).toBe(1);
});
