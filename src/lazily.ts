/** What costs memory is opened when it is first needed. */

export interface Lazy<T> {
  /** Opens, or waits for whoever opens. One that fails is tried again by the next. Errors: those of the opening. */
  get(): Promise<T>;
  /** Ends what was opened; later calls of `get` fail. */
  close(end: (value: T) => Promise<void>): Promise<void>;
}

/** `toClosed` is what those learn who come too late. */
export function createLazy<T>(open: () => Promise<T>, toClosed: () => Error): Lazy<T> {
  let opening: Promise<T> | null = null;
  let isClosed = false;
  return {
    get() {
      if (isClosed) return Promise.reject(toClosed());
      opening ??= open().catch((error: unknown) => {
        opening = null;
        throw error;
      });
      return opening;
    },
    async close(end) {
      isClosed = true;
      const value = await opening?.catch(() => null);
      if (value !== null && value !== undefined) await end(value);
    },
  };
}
