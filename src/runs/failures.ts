/** What a client is told when a run fails. */

import { ProviderError, type ProviderErrorKind } from '../providers/provider.ts';
import { StoreError } from '../store/store.ts';
import type { LastError } from './run-records.ts';

/** `last_error` has three codes only; what is not named here is `server_error`. */
const CODES: Readonly<Partial<Record<ProviderErrorKind, LastError['code']>>> = Object.freeze({
  rate_limit: 'rate_limit_exceeded',
  insufficient_quota: 'rate_limit_exceeded',
  invalid_request: 'invalid_prompt',
  content_filter: 'invalid_prompt',
});

const MESSAGE_LENGTH_MAX = 2000;

/** A failure that is worded by the run engine itself; its message is shown to the client. */
export class RunFailure extends Error {
  override readonly name = 'RunFailure';

  constructor(
    readonly code: LastError['code'],
    message: string,
  ) {
    super(message);
  }
}

export function toLastError(error: unknown): LastError {
  if (error instanceof RunFailure) return { code: error.code, message: error.message };
  if (error instanceof ProviderError) {
    return { code: CODES[error.kind] ?? 'server_error', message: error.message.slice(0, MESSAGE_LENGTH_MAX) };
  }
  if (error instanceof StoreError) {
    return { code: 'server_error', message: 'The store could not keep what the run made.' };
  }
  return { code: 'server_error', message: 'Sorry, something went wrong.' };
}

/** Whether the upstream says that the prompt is longer than the model can take. */
export function isContextOverflow(error: unknown): boolean {
  if (!(error instanceof ProviderError) || error.kind !== 'invalid_request') return false;
  return (
    error.code === 'context_length_exceeded' ||
    /context[ _](length|window|size)|maximum context|too many tokens|prompt is too long/i.test(error.message)
  );
}
