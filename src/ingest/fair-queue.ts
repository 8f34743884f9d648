/** A queue in which nobody who brings thousands of things holds up somebody who brings one: groups take turns. */

export interface FairQueue<T> {
  readonly size: number;
  push(group: string, item: T): void;
  /** The next one; undefined where there is none. */
  take(): T | undefined;
  /** Removes those that match. */
  remove(matches: (item: T) => boolean): void;
}

export function createFairQueue<T>(): FairQueue<T> {
  // A map keeps the order in which groups came; the one whose turn it was goes to the end.
  const groups = new Map<string, T[]>();
  let size = 0;
  return {
    get size() {
      return size;
    },
    push(group, item) {
      const items = groups.get(group);
      if (items === undefined) groups.set(group, [item]);
      else items.push(item);
      size += 1;
    },
    take() {
      const [first] = groups;
      if (first === undefined) return undefined;
      const [group, items] = first;
      const item = items.shift();
      groups.delete(group);
      if (items.length > 0) groups.set(group, items);
      size -= 1;
      return item;
    },
    remove(matches) {
      for (const [group, items] of groups) {
        const kept = items.filter((item) => !matches(item));
        size -= items.length - kept.length;
        if (kept.length === 0) groups.delete(group);
        else groups.set(group, kept);
      }
    },
  };
}
