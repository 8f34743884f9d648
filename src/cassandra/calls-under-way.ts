/** Calls that were accepted before a close, which waits for them. */

import { StoreError } from '../store/store.ts';

export interface CallsUnderWay {
  /** Makes a call. Errors: its own; `unavailable` after `close`. */
  track<T>(work: () => Promise<T>): Promise<T>;
  /** Accepts no more, and resolves behind those that were accepted. Idempotent. */
  close(): Promise<void>;
}

/** `closed`: what later calls are told. */
export function createCallsUnderWay(closed: string): CallsUnderWay {
  const pending = new Set<Promise<unknown>>();
  let isClosed = false;
  return {
    async track(work) {
      if (isClosed) throw new StoreError('unavailable', closed);
      const made = work();
      pending.add(made);
      try {
        return await made;
      } finally {
        pending.delete(made);
      }
    },
    async close() {
      isClosed = true;
      await Promise.allSettled([...pending]);
    },
  };
}
