/** Work on the same thing one after the other, within this process: fewer lost races at the store. */

export interface Serial {
  /** Runs `work` once everything asked for before under the same key has ended. Answers or throws what it does. */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export function createSerial(): Serial {
  const tails = new Map<string, Promise<unknown>>();
  return {
    async run(key, work) {
      const before = tails.get(key) ?? Promise.resolve();
      // What went wrong before is the affair of whoever asked for it.
      const current = before.then(work, work);
      const tail = current.catch(() => undefined);
      tails.set(key, tail);
      try {
        return await current;
      } finally {
        if (tails.get(key) === tail) tails.delete(key);
      }
    },
  };
}
