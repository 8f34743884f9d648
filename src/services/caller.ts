import type { RequestHeaders } from '../providers/provider.ts';
import type { RunSlot } from '../runs/run-slot.ts';
import type { Scope } from '../store/store.ts';
import type { TraceContext } from '../tracing/trace-context.ts';

/** The key of the server's own that a request came with, where the server has keys. */
export interface CallerKey {
  readonly id: string;
  /** Errors: 429 where as many runs are worked on as may be. */
  takeRunSlot(): Promise<RunSlot>;
}

/** Who asks, and with what: the model's key may be in the headers. */
export interface Caller {
  readonly scope: Scope;
  readonly headers: RequestHeaders;
  readonly requestId: string;
  /** Where the request stands in a trace; absent where nobody traces. */
  readonly trace?: TraceContext;
  /** Absent where the server has no keys. */
  readonly key?: CallerKey;
}

/**
 * Takes room for a run before anything of it is made: the run gives it back when nobody works on it any more, and where there is none
 * in the end it is given back at once. Errors: 429; those of `make`.
 */
export async function withRunSlot<T>(
  { key }: Caller,
  make: (held: { readonly keyId?: string; readonly slot?: RunSlot }) => Promise<T>,
): Promise<T> {
  if (key === undefined) return await make({});
  const slot = await key.takeRunSlot();
  try {
    return await make({ keyId: key.id, slot });
  } catch (error) {
    slot.release();
    throw error;
  }
}
