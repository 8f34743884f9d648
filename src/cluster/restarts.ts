/** When a worker that died is started again. */

const FIRST_DELAY_MS = 100;
export const RESTART_DELAY_MAX_MS = 30_000;
/** A worker that has served for so long died of something new. */
export const HEALTHY_MS = 30_000;

/** Doubles with each death in a row, from 100 ms to half a minute. `deaths` counts from 1. */
export function toRestartDelayMs(deaths: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** (Math.max(1, deaths) - 1), RESTART_DELAY_MAX_MS);
}

/** Deaths in a row, after one more of a worker that had been ready for `servedMs` (0: it never was). */
export function countDeaths(before: number, servedMs: number): number {
  return servedMs >= HEALTHY_MS ? 1 : before + 1;
}
