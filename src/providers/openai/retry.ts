/** When a call is made again, and after how long. */

import { ProviderError } from '../provider.ts';
import { waitFor } from '../wait.ts';

export interface RetryPolicy {
  /** Calls in all, the first one included. */
  readonly attemptsMax: number;
  /** Wait before the second call; doubled for each further one. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** A server that asks for a longer wait than this is not waited for: the error says how long it asks. */
  readonly retryAfterMaxMs: number;
}

export const RETRY_POLICY: RetryPolicy = Object.freeze({
  attemptsMax: 3,
  backoffMs: 500,
  backoffMaxMs: 8_000,
  retryAfterMaxMs: 30_000,
});

export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly mayRetry: (error: ProviderError) => boolean;
  readonly onRetry?: (error: ProviderError, waitMs: number) => void;
}

/**
 * Calls until it works, fails for good, or the attempts are used up. A provider that is left alone is not waited for. Throws
 * the last error, or the signal's reason.
 */
export async function withRetries<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let made = 1; ; made += 1) {
    try {
      return await attempt();
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof ProviderError) || error.kind === 'unavailable' || !options.mayRetry(error))
        throw error;
      const waitMs = toWaitMs(error, made, options);
      if (made >= options.policy.attemptsMax || waitMs === null) throw error;
      options.onRetry?.(error, waitMs);
      await waitFor(waitMs, options.signal);
    }
  }
}

/** Null: longer than may be waited. */
function toWaitMs(error: ProviderError, made: number, { policy, random }: RetryOptions): number | null {
  if (error.retryAfterMs !== null) {
    return error.retryAfterMs <= policy.retryAfterMaxMs ? error.retryAfterMs : null;
  }
  const backoffMs = Math.min(policy.backoffMs * 2 ** (made - 1), policy.backoffMaxMs);
  // A quarter less at most, so that clients which failed together do not come back together.
  return backoffMs * (1 - random() / 4);
}

/** Our own timeouts are not tried again: who waited ten minutes does not want to wait thirty. */
export function mayTryAgain(error: ProviderError): boolean {
  return error.isRetryable && !(error.kind === 'timeout' && error.status === null);
}
