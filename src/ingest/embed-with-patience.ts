/** Embedding for files: what passes by itself (a limit, an embedder that is restarted) is waited for within a bound. */

import type { Embedder } from '../providers/embedder.ts';
import { ProviderError } from '../providers/provider.ts';
import { waitFor } from '../providers/wait.ts';

export interface Patience {
  /** From the first failure of a batch until it is given up. */
  readonly patienceMs: number;
  /** Wait before the second try; doubled for each further one. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** How long one call may take. */
  readonly callMs: number;
}

export const PATIENCE: Patience = Object.freeze({
  patienceMs: 600_000,
  backoffMs: 250,
  backoffMaxMs: 30_000,
  callMs: 120_000,
});

/** Answers that break the protocol are tried again so often: a proxy in between may have been at fault. */
const PROTOCOL_FAULTS_MAX = 3;
const TRIES_MAX = 10_000;
const WAIT_MIN_MS = 100;

export interface EmbedOptions {
  readonly signal: AbortSignal;
  readonly requestId: string;
  readonly tenant: string;
  readonly patience: Patience;
  /** Now, in milliseconds. */
  readonly nowMs: () => number;
  readonly onWait: (error: ProviderError, waitMs: number) => void;
}

/** As `Embedder.embed`, but patient. Errors: the last `ProviderError`; the signal's reason. */
export async function embedWithPatience(
  embedder: Embedder,
  texts: readonly string[],
  options: EmbedOptions,
): Promise<readonly Float32Array[]> {
  const { patience, signal } = options;
  let firstFailureMs: number | null = null;
  let protocolFaults = 0;
  for (let made = 0; made < TRIES_MAX; made += 1) {
    try {
      return await embedOnce(embedder, texts, options);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ProviderError)) throw error;
      if (error.kind === 'protocol') protocolFaults += 1;
      const mayPass = error.kind === 'protocol' ? protocolFaults < PROTOCOL_FAULTS_MAX : isPassing(error);
      const nowMs = options.nowMs();
      firstFailureMs ??= nowMs;
      const backoffMs = Math.min(patience.backoffMs * 2 ** made, patience.backoffMaxMs);
      // Whoever says when to come back is believed, but not asked without a pause.
      const waitMs = error.retryAfterMs === null ? backoffMs : Math.max(error.retryAfterMs, WAIT_MIN_MS);
      if (!mayPass || nowMs + waitMs - firstFailureMs > patience.patienceMs) throw error;
      options.onWait(error, waitMs);
      await waitFor(waitMs, signal);
    }
  }
  throw new ProviderError('server', 'The embedding model was asked too often.');
}

function isPassing(error: ProviderError): boolean {
  return error.isRetryable || ['rate_limit', 'server', 'connection', 'timeout'].includes(error.kind);
}

async function embedOnce(
  embedder: Embedder,
  texts: readonly string[],
  { signal, requestId, tenant, patience }: EmbedOptions,
): Promise<readonly Float32Array[]> {
  const overdue = new AbortController();
  const timer = setTimeout(() => overdue.abort(toOverdue(patience.callMs)), patience.callMs);
  try {
    const call = { signal: AbortSignal.any([signal, overdue.signal]), requestId, tenant, keyId: null };
    return await embedder.embed(texts, call);
  } finally {
    clearTimeout(timer);
  }
}

function toOverdue(callMs: number): ProviderError {
  const seconds = Math.round(callMs / 1000);
  return new ProviderError('timeout', `The embedding model did not answer within ${seconds} seconds.`, {
    isRetryable: true,
  });
}
