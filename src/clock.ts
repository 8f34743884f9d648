/** The time, as a port: tests hand in their own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
}

export const systemClock: Clock = Object.freeze({ nowMs: () => Date.now() });

/** Whole seconds since the epoch, the unit of every timestamp on the wire. */
export function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
