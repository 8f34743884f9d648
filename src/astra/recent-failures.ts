/** What failed a moment ago is answered without another try: clients that try again at once must not become a storm. */

import type { Clock } from '../clock.ts';

export interface RecentFailures {
  remember(key: string, error: unknown): void;
  /** Throws what failed for this key a moment ago. */
  rethrow(key: string): void;
}

const FAILURES_MAX = 1_000;

export function createRecentFailures(clock: Clock, keptMs: number): RecentFailures {
  const failures = new Map<string, { readonly error: unknown; readonly untilMs: number }>();
  return {
    remember(key, error) {
      const [oldest] = failures.keys();
      if (failures.size >= FAILURES_MAX && oldest !== undefined) failures.delete(oldest);
      failures.delete(key);
      failures.set(key, { error, untilMs: clock.nowMs() + keptMs });
    },
    rethrow(key) {
      const failure = failures.get(key);
      if (failure === undefined) return;
      const leftMs = failure.untilMs - clock.nowMs();
      // More than it was kept for: the clock has been put back.
      if (leftMs > 0 && leftMs <= keptMs) throw failure.error;
      failures.delete(key);
    },
  };
}
