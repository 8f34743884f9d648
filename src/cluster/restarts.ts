/** When a worker that died is started again. */

const FIRST_DELAY_MS = 100;
export const RESTART_DELAY_MAX_MS = 30_000;
/** A worker that has served for so long has served: its death says nothing of the next one's. */
export const SERVED_MS = 1_000;

/** At once after one that had served; else doubling from 100 ms to half a minute. `deaths` as `countDeaths` counts. */
export function toRestartDelayMs(deaths: number): number {
  if (deaths === 0) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** (deaths - 1), RESTART_DELAY_MAX_MS);
}

/** Deaths in a row without having served, after one more of a worker that had been ready for `servedMs` (0: it never was). */
export function countDeaths(before: number, servedMs: number): number {
  return servedMs >= SERVED_MS ? 0 : before + 1;
}
