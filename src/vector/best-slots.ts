/** The best of many. */

/** Decides between equals: negative where the first comes before the second. */
export type CompareSlots = (a: number, b: number) => number;

/** The slots with the greatest values, kept in a heap whose root is the least of them. */
export class BestSlots {
  private readonly slots: number[] = [];
  private readonly values: number[] = [];
  private readonly wanted: number;
  private readonly compare: CompareSlots;
  /** The least of the wanted values, once there are so many. */
  bound = Number.NEGATIVE_INFINITY;

  constructor(wanted: number, compare: CompareSlots) {
    this.wanted = wanted;
    this.compare = compare;
  }

  offer(slot: number, value: number): void {
    if (value < this.bound) return;
    if (this.slots.length < this.wanted) {
      this.slots.push(slot);
      this.values.push(value);
      this.rise(this.slots.length - 1);
    } else if (this.isWorse(this.slots[0] ?? 0, this.values[0] ?? 0, slot, value)) {
      this.slots[0] = slot;
      this.values[0] = value;
      this.sink(0);
    }
    if (this.slots.length === this.wanted) this.bound = this.values[0] ?? this.bound;
  }

  /** In no order. */
  toSlots(): readonly number[] {
    return this.slots;
  }

  private isWorse(slot: number, value: number, thanSlot: number, thanValue: number): boolean {
    return value < thanValue || (value === thanValue && this.compare(slot, thanSlot) > 0);
  }

  private isWorseAt(a: number, b: number): boolean {
    return this.isWorse(this.slots[a] ?? 0, this.values[a] ?? 0, this.slots[b] ?? 0, this.values[b] ?? 0);
  }

  private swap(a: number, b: number): void {
    const slot = this.slots[a] ?? 0;
    const value = this.values[a] ?? 0;
    this.slots[a] = this.slots[b] ?? 0;
    this.values[a] = this.values[b] ?? 0;
    this.slots[b] = slot;
    this.values[b] = value;
  }

  private rise(from: number): void {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >>> 1;
      if (!this.isWorseAt(at, parent)) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private sink(from: number): void {
    for (let at = from; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.slots.length && this.isWorseAt(child, least)) least = child;
      }
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }
}
