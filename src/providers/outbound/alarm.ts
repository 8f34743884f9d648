/**
 * Timers for waits that hardly ever last to their end. There are thousands of calls, each with bounds of seconds: a timer of its
 * own for each costs more than the rest of its watch. So all long ones hang on one that ticks; short ones keep their own.
 */

export interface Alarm {
  /** Calls `onDue` once, after `waitMs` or a tick later. Answers what calls it off. */
  set(waitMs: number, onDue: () => void): () => void;
}

/** How late a long wait may be noticed. */
const TICK_MS = 100;
/** Shorter waits are kept to the millisecond. */
const LONG_MS = 1_000;

interface Waiting {
  readonly dueMs: number;
  readonly onDue: () => void;
}

export function createAlarm(): Alarm {
  const waiting = new Set<Waiting>();
  let ticking: ReturnType<typeof setInterval> | null = null;

  const tick = (): void => {
    const nowMs = performance.now();
    for (const one of waiting) {
      if (one.dueMs > nowMs) continue;
      waiting.delete(one);
      one.onDue();
    }
    if (waiting.size > 0 || ticking === null) return;
    clearInterval(ticking);
    ticking = null;
  };

  return {
    set(waitMs, onDue) {
      if (waitMs < LONG_MS) {
        const timer = setTimeout(onDue, waitMs);
        return () => clearTimeout(timer);
      }
      const one = { dueMs: performance.now() + waitMs, onDue };
      waiting.add(one);
      ticking ??= setInterval(tick, TICK_MS);
      return () => void waiting.delete(one);
    },
  };
}
