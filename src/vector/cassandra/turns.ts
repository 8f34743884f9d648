/** What follows each other under one key: work that may be side by side, and work that must be alone. In the order of the calls. */

export interface Turns {
  /** Waits for what is alone and was called before. */
  share<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Waits for all that was called before. */
  alone<T>(key: string, work: () => Promise<T>): Promise<T>;
}

interface Line {
  alone: Promise<unknown>;
  sharing: Set<Promise<unknown>>;
  count: number;
}

export function createTurns(): Turns {
  const lines = new Map<string, Line>();

  const open = (key: string): Line => {
    const line = lines.get(key) ?? { alone: Promise.resolve(), sharing: new Set(), count: 0 };
    lines.set(key, line);
    line.count += 1;
    return line;
  };

  const settle = async <T>(key: string, line: Line, made: Promise<T>): Promise<T> => {
    try {
      return await made;
    } finally {
      line.count -= 1;
      if (line.count === 0) lines.delete(key);
    }
  };

  return {
    share(key, work) {
      const line = open(key);
      const made = line.alone.then(work);
      const { sharing } = line;
      const over: Promise<unknown> = made.catch(() => undefined).then(() => sharing.delete(over));
      sharing.add(over);
      return settle(key, line, made);
    },
    alone(key, work) {
      const line = open(key);
      const made = Promise.all([line.alone, ...line.sharing]).then(work);
      line.alone = made.catch(() => undefined);
      line.sharing = new Set();
      return settle(key, line, made);
    },
  };
}

/** Does the work for all, so many at once. The first error ends it, after what is under way. */
export async function forEachBounded<T>(
  items: Iterable<T>,
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | null = null;
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done && failure === null; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const found = failure as { readonly error: unknown } | null;
  if (found !== null) throw found.error;
}

/** Parts of at most `size`. */
export function toParts<T>(items: readonly T[], size: number): (readonly T[])[] {
  const parts: (readonly T[])[] = [];
  for (let from = 0; from < items.length; from += size) parts.push(items.slice(from, from + size));
  return parts;
}
