/** Room for one run that is worked on, where a key or its project may have so many at once. */
export interface RunSlot {
  /** Idempotent. */
  release(): void;
}
