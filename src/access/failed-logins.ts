/**
 * Slows down whoever tries keys. The answer to a wrong key waits, longer with every one that came from the same address. Many
 * clients may share one (an ingress, an office), so nobody with a good key is ever made to wait: it is found before.
 */

import type { Clock } from '../clock.ts';
import { ApiError } from '../errors.ts';

export interface FailedLogins {
  /** Resolves when the wrong key may be answered. Errors: 429 where too many wait already; `signal`'s end resolves at once. */
  slowDown(address: string, signal: AbortSignal): Promise<void>;
}

export interface FailedLoginSettings {
  readonly delayFirstMs: number;
  readonly delayMs: number;
  /** After so long without another wrong key, an address begins anew. */
  readonly forgetMs: number;
  readonly addressesMax: number;
  /** Answers that wait at once in this process. */
  readonly waitingMax: number;
}

export const FAILED_LOGIN_SETTINGS: FailedLoginSettings = Object.freeze({
  delayFirstMs: 100,
  delayMs: 5_000,
  forgetMs: 60_000,
  addressesMax: 10_000,
  waitingMax: 512,
});

interface Failures {
  count: number;
  lastMs: number;
}

/** Beyond it the delay is the longest anyway. */
const DOUBLINGS_MAX = 20;

export function createFailedLogins(
  deps: { readonly clock: Clock },
  settings: FailedLoginSettings = FAILED_LOGIN_SETTINGS,
): FailedLogins {
  const addresses = new Map<string, Failures>();
  let waiting = 0;

  const note = (address: string): number => {
    const nowMs = deps.clock.nowMs();
    const known = addresses.get(address);
    const isRecent = known !== undefined && nowMs - known.lastMs < settings.forgetMs;
    const count = isRecent ? known.count + 1 : 1;
    // The one that failed last is the last to be forgotten.
    addresses.delete(address);
    addresses.set(address, { count, lastMs: nowMs });
    const oldest = addresses.keys().next();
    if (addresses.size > settings.addressesMax && !oldest.done) addresses.delete(oldest.value);
    return Math.min(settings.delayMs, settings.delayFirstMs * 2 ** Math.min(count - 1, DOUBLINGS_MAX));
  };

  return {
    async slowDown(address, signal) {
      const delayMs = note(address);
      if (waiting >= settings.waitingMax) {
        throw new ApiError(
          'rate_limit_exceeded',
          'Too many requests with a wrong API key. Try again later, with another key.',
          { retryAfterMs: settings.delayMs },
        );
      }
      waiting += 1;
      try {
        await waitFor(delayMs, signal);
      } finally {
        waiting -= 1;
      }
    },
  };
}

async function waitFor(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const onAbort = (): void => resolve();
  const timer = setTimeout(resolve, delayMs);
  signal.addEventListener('abort', onAbort, { once: true });
  await promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', onAbort);
}
