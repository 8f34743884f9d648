/** What an answer says of limits, as OpenAI's answers do. */

import type { RateState } from './limits-protocol.ts';

export const RATE_HEADERS: readonly string[] = Object.freeze(
  ['requests', 'tokens'].flatMap((kind) =>
    ['limit', 'remaining', 'reset'].map((what) => `x-ratelimit-${what}-${kind}`),
  ),
);

export function setRateHeaders(
  headers: Record<string, string | number | undefined>,
  kind: 'requests' | 'tokens',
  state: RateState | null,
): void {
  if (state === null) return;
  headers[`x-ratelimit-limit-${kind}`] = String(state.limit);
  headers[`x-ratelimit-remaining-${kind}`] = String(Math.max(0, state.remaining));
  headers[`x-ratelimit-reset-${kind}`] = toDuration(state.resetMs);
}

/** `120ms`, `8.64s`, `6m0s`, `1h0m5s` */
export function toDuration(ms: number): string {
  if (ms === 0) return '0s';
  if (ms < 1000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = (ms % 60_000) / 1000;
  const shown = `${seconds}s`;
  if (hours > 0) return `${hours}h${minutes}m${shown}`;
  return minutes > 0 ? `${minutes}m${shown}` : shown;
}
