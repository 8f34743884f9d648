/**
 * Tells which leases nobody renews, without a look at anybody else's clock: a lease that has not changed for as long
 * as it lasts, by the time of whoever watches, has no owner any more.
 */

import { LEASE_MS } from './leases.ts';

/**
 * What one sweep counts for at most. A watcher that was stopped itself, or whose clock was set, has not watched in
 * between: owners that were stopped with it get the chance to renew.
 */
export const WATCH_STEP_MAX_MS = 4_000;

export interface LeaseWatch {
  /** Before the leases are looked at, one after the other. */
  begin(nowMs: number): void;
  /** Whether a lease has been at this version for as long as it lasts. */
  isStale(id: string, version: number): boolean;
  /** `isComplete`: every lease that there is was looked at; the others are forgotten. */
  end(isComplete: boolean): void;
}

interface Sighting {
  readonly version: number;
  /** For how long it has not changed. */
  readonly idleMs: number;
}

/** Of runs, unless others are named. */
export interface LeaseTerms {
  /** How long a lease lasts that nobody renews. */
  readonly leaseMs: number;
  /** As `WATCH_STEP_MAX_MS`, for those who sweep more seldom. */
  readonly stepMaxMs: number;
}

const RUN_TERMS: LeaseTerms = Object.freeze({ leaseMs: LEASE_MS, stepMaxMs: WATCH_STEP_MAX_MS });

export function createLeaseWatch({ leaseMs, stepMaxMs }: LeaseTerms = RUN_TERMS): LeaseWatch {
  let before = new Map<string, Sighting>();
  let now = new Map<string, Sighting>();
  let beganMs: number | null = null;
  let stepMs = 0;
  return {
    begin(nowMs) {
      stepMs = beganMs === null ? 0 : Math.min(Math.max(nowMs - beganMs, 0), stepMaxMs);
      beganMs = nowMs;
      now = new Map();
    },
    isStale(id, version) {
      const last = before.get(id);
      const idleMs = last?.version === version ? last.idleMs + stepMs : 0;
      now.set(id, { version, idleMs });
      return idleMs >= leaseMs;
    },
    end(isComplete) {
      before = isComplete ? now : new Map([...before, ...now]);
    },
  };
}
