/** Lets a bounded number of things happen at once; the others wait in their order. */

export interface Gate {
  /** How many wait now. */
  readonly waitingCount: number;
  /** Waits for a place. The answer gives it back; calling it again does nothing. Errors: the signal's reason. */
  enter(signal: AbortSignal): Promise<() => void>;
}

export function createGate(places: number): Gate {
  let free = places;
  const waiting = new Set<() => void>();

  const leave = (): void => {
    const [next] = waiting;
    if (next === undefined) {
      free += 1;
      return;
    }
    // The place is handed on: nobody who comes just now can take it.
    waiting.delete(next);
    next();
  };

  const toPlace = (): (() => void) => {
    let isLeft = false;
    return () => {
      if (isLeft) return;
      isLeft = true;
      leave();
    };
  };

  return {
    get waitingCount() {
      return waiting.size;
    },
    async enter(signal) {
      signal.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return toPlace();
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const onAbort = (): void => {
        // One that has its place already keeps it.
        if (waiting.delete(resolve)) reject(signal.reason);
      };
      waiting.add(resolve);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        await promise;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
      return toPlace();
    },
  };
}
