/**
 * Counts what keys and projects use, for all workers of a server. What a minute allows comes back evenly: a limit of 60 requests is
 * a store of 60, into which one comes back each second. Tokens are charged when they are used, and may be more than there were:
 * then there is nothing until they have come back.
 */

import type { Clock } from '../../clock.ts';
import type { Account, LimitsAnswer, LimitsQuestion, RateState, Rates } from './limits-protocol.ts';

export interface Ledger {
  answer(question: LimitsQuestion, worker: number): LimitsAnswer;
  /** The worker has ended: its runs are not active any more. */
  forgetWorker(worker: number): void;
}

const MINUTE_MS = 60_000;
/** Beyond it, stores that are full are forgotten: a new one is full, too. */
const BUCKETS_MAX = 20_000;
/** Where that frees nothing, the next look is as many buckets later. */
const BUCKETS_STEP = 5_000;

/** What sums of fractions are off by. */
const DUST = 1e-6;

interface Bucket {
  limit: number;
  level: number;
  atMs: number;
}

/** `clock` may count from any moment, and need not go back. */
export function createLedger({ clock }: { readonly clock: Clock }): Ledger {
  const buckets = new Map<string, Bucket>();
  const runs = createRunCounts();
  let sweepAt = BUCKETS_MAX;

  const sweep = (): void => {
    for (const [name, bucket] of buckets) {
      refill(bucket, clock.nowMs());
      if (bucket.level >= bucket.limit) buckets.delete(name);
    }
    sweepAt = Math.max(BUCKETS_MAX, buckets.size + BUCKETS_STEP);
  };

  const open = (name: string, limit: number): Bucket => {
    const nowMs = clock.nowMs();
    const known = buckets.get(name);
    if (known === undefined) {
      if (buckets.size >= sweepAt) sweep();
      const bucket = { limit, level: limit, atMs: nowMs };
      buckets.set(name, bucket);
      return bucket;
    }
    refill(known, nowMs);
    known.limit = limit;
    known.level = Math.min(known.level, limit);
    return known;
  };

  const openAll = (account: Account, kind: 'requests' | 'tokens'): Bucket[] =>
    toNames(account).flatMap(([name, rates]) => {
      const limit = rates[kind];
      return limit === null ? [] : [open(`${kind} ${name}`, limit)];
    });

  /** Of a limit that whoever charges may not know of. */
  const charge = (account: Account, tokens: number): void => {
    for (const [name, rates] of toNames(account)) {
      const known = buckets.get(`tokens ${name}`);
      const limit = rates.tokens ?? known?.limit ?? null;
      if (limit !== null) open(`tokens ${name}`, limit).level -= tokens;
    }
  };

  return {
    answer({ account, requests: wanted, returned, tokens, run, endedRuns }, worker) {
      if (tokens > 0) charge(account, tokens);
      if (endedRuns > 0) runs.change(account, worker, -endedRuns);
      const hasRoom = run !== 'take' || runs.hasRoom(account);
      if (run === 'note' || (run === 'take' && hasRoom)) runs.change(account, worker, 1);
      const stores = openAll(account, 'requests');
      for (const store of stores) store.level = Math.min(store.limit, store.level + returned);
      const granted = Math.max(0, Math.min(wanted, ...stores.map(({ level }) => Math.floor(level + DUST))));
      for (const store of stores) store.level -= granted;
      return {
        granted,
        hasRoom,
        requests: toTighter(stores, 1),
        tokens: toTighter(openAll(account, 'tokens'), 0),
      };
    },
    forgetWorker: (worker) => runs.forget(worker),
  };
}

function toNames({ key, project, keyRates, projectRates }: Account): (readonly [string, Rates])[] {
  return [
    [`key ${key}`, keyRates],
    [`project ${project}`, projectRates],
  ];
}

function refill(bucket: Bucket, nowMs: number): void {
  const elapsedMs = Math.max(0, nowMs - bucket.atMs);
  bucket.level = Math.min(bucket.limit, bucket.level + (elapsedMs * bucket.limit) / MINUTE_MS);
  bucket.atMs = nowMs;
}

/** `needed`: how much there must be for one more. */
function toTighter(buckets: readonly Bucket[], needed: number): RateState | null {
  const [first, second] = buckets.map(({ limit, level }): RateState => {
    const toMs = (amount: number): number => Math.max(0, Math.ceil((amount * MINUTE_MS) / limit));
    return {
      limit,
      remaining: Math.floor(level + DUST),
      resetMs: toMs(limit - level - DUST),
      waitMs: toMs(needed - level - DUST),
    };
  });
  if (first === undefined || second === undefined) return first ?? null;
  if (first.waitMs !== second.waitMs) return first.waitMs > second.waitMs ? first : second;
  return first.remaining <= second.remaining ? first : second;
}

// ——— Runs ———

interface RunCounts {
  hasRoom(account: Account): boolean;
  change(account: Account, worker: number, by: number): void;
  forget(worker: number): void;
}

function createRunCounts(): RunCounts {
  const totals = new Map<string, number>();
  const byWorker = new Map<number, Map<string, number>>();

  const add = (counts: Map<string, number>, name: string, by: number): void => {
    const count = Math.max(0, (counts.get(name) ?? 0) + by);
    if (count === 0) counts.delete(name);
    else counts.set(name, count);
  };

  return {
    hasRoom: (account) =>
      toNames(account).every(([name, { runs }]) => runs === null || (totals.get(name) ?? 0) < runs),
    change(account, worker, by) {
      const own = byWorker.get(worker) ?? new Map<string, number>();
      byWorker.set(worker, own);
      for (const [name] of toNames(account)) {
        // Never more than the worker has: what it says twice counts once.
        const allowed = by < 0 ? -Math.min(-by, own.get(name) ?? 0) : by;
        add(own, name, allowed);
        add(totals, name, allowed);
      }
    },
    forget(worker) {
      for (const [name, count] of byWorker.get(worker) ?? []) add(totals, name, -count);
      byWorker.delete(worker);
    },
  };
}
