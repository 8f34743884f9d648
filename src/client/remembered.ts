/** A bounded memory of answers that are looked up once. */

export interface Remembered<Value> {
  /** The remembered answer, else that of `lookUp`, which others who ask meanwhile share. A failure is not remembered. */
  find(key: string, lookUp: () => Promise<Value>): Promise<Value>;
  forget(key: string): void;
}

export interface RememberedOptions {
  /** Entries; the one that was looked up first goes first. */
  readonly entriesMax: number;
  /** After which an answer is looked up again. */
  readonly keptMs: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

export function createRemembered<Value>({ entriesMax, keptMs, now }: RememberedOptions): Remembered<Value> {
  const entries = new Map<string, { readonly value: Promise<Value>; readonly untilMs: number }>();
  return {
    find(key, lookUp) {
      const found = entries.get(key);
      if (found !== undefined && now() < found.untilMs) return found.value;
      const entry = { value: lookUp(), untilMs: now() + keptMs };
      entries.delete(key);
      entries.set(key, entry);
      for (const oldest of entries.keys()) {
        if (entries.size <= entriesMax) break;
        entries.delete(oldest);
      }
      // Whoever asked is told of the failure by the promise itself.
      entry.value.catch(() => {
        if (entries.get(key) === entry) entries.delete(key);
      });
      return entry.value;
    },
    forget(key) {
      entries.delete(key);
    },
  };
}
