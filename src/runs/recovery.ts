/**
 * Finds runs that nobody works on: those of a process that died, here or on another server, and those whose client
 * never answered. Runs at start, and from then on all the time.
 */

import type { Ports } from '../ports.ts';
import { PAGE_LIMIT_MAX, StoreError, type Versioned, type Write } from '../store/store.ts';
import { createLeaseWatch, type LeaseWatch } from './lease-watch.ts';
import { isDeadOwner, LEASE_MS, LEASE_SCOPE, RELEASED_MS, toLeaseDelete } from './leases.ts';
import type { RunEngine } from './run-engine.ts';
import type { HeaderKeeper } from './run-headers.ts';
import { type LeaseRecord, type RunRecord, toThreadScope } from './run-records.ts';
import { isTerminal } from './run-state.ts';
import { toResumption } from './takeover.ts';
import { settleThread } from './thread-claims.ts';

export const SWEEP_MS = 2_000;
/** Between the claim of a run and its start lies one write; a lease without a session is an orphan after this. */
const ORPHAN_MS = 5_000;
/** Pages of leases that one sweep reads: a million runs. */
const PAGES_MAX = 1000;

export type RecoveryDeps = Pick<Ports, 'store' | 'clock' | 'ids' | 'log' | 'router'> & {
  readonly runs: RunEngine;
  readonly headerKeeper: HeaderKeeper;
  readonly isProcessAlive: (pid: number) => boolean;
};

/**
 * Takes up every run that nobody works on. Answers how many. `watch` is what earlier sweeps have seen: without it, only
 * what is known at once is taken.
 */
export async function sweepRuns(deps: RecoveryDeps, watch = createLeaseWatch()): Promise<number> {
  let taken = 0;
  let after: string | undefined;
  let isComplete = false;
  watch.begin(deps.clock.nowMs());
  for (let page = 0; page < PAGES_MAX && !isComplete; page += 1) {
    const leases = await deps.store
      .list<LeaseRecord>('leases', LEASE_SCOPE, {
        limit: PAGE_LIMIT_MAX,
        order: 'asc',
        ...(after === undefined ? {} : { after }),
      })
      .catch(ignoreGoneCursor);
    if (leases === null) break;
    for (const lease of leases.items) {
      if (isAbandoned(deps, watch, lease) && (await takeUp(deps, lease))) taken += 1;
    }
    after = leases.items.at(-1)?.record.id;
    isComplete = !leases.hasMore;
  }
  watch.end(isComplete);
  return taken;
}

/** The run at which the walk stood has ended meanwhile: the next sweep sees the rest. */
function ignoreGoneCursor(error: unknown): null {
  if (error instanceof StoreError && error.code === 'unknown_cursor') return null;
  throw error;
}

function isAbandoned(
  deps: RecoveryDeps,
  watch: LeaseWatch,
  { record: lease, version }: Versioned<LeaseRecord>,
): boolean {
  const { runs } = deps;
  const now = deps.clock.nowMs();
  if (runs.isWorkingOn(lease.tenant, lease.id)) return false;
  if (lease.owner === null) return lease.until_ms <= now;
  if (lease.until_ms === RELEASED_MS) return true;
  // The end of the lease is by the owner's clock, which may be another: what counts is whether it is renewed.
  const isStale = watch.isStale(lease.id, version);
  if (lease.owner === runs.owner) return isStale || now > lease.until_ms - LEASE_MS + ORPHAN_MS;
  return isStale || isDeadOwner(lease.owner, runs.owner, deps.isProcessAlive);
}

/** Claims the lease and goes on with the run. False where there is nothing to do, or another process was faster. */
async function takeUp(deps: RecoveryDeps, lease: Versioned<LeaseRecord>): Promise<boolean> {
  const { id, tenant, thread_id: threadId, owner } = lease.record;
  const scope = toThreadScope(tenant, threadId);
  const run = await deps.store.get<RunRecord>('runs', scope, id);
  if (run === null || isTerminal(run.record.status)) {
    await clearUp(deps, lease);
    return false;
  }
  const claim = (change: Partial<LeaseRecord>): Write => ({
    kind: 'update',
    collection: 'leases',
    scope: LEASE_SCOPE,
    id,
    change,
    ifVersion: lease.version,
  });
  const waitsUntilMs = (run.record.expires_at ?? 0) * 1000;
  if (run.record.status === 'requires_action' && owner !== null && waitsUntilMs > deps.clock.nowMs()) {
    // Its owner died between two writes of one moment: the run waits for its client, and nobody is to work on it.
    await tryWrite(deps, [claim({ owner: null, until_ms: waitsUntilMs })]);
    return false;
  }
  const internal = { ...run.record.internal, attempts: run.record.internal.attempts + 1 };
  const versions = await tryWrite(deps, [
    claim({ owner: deps.runs.owner, until_ms: deps.clock.nowMs() + LEASE_MS }),
    { kind: 'update', collection: 'runs', scope, id, change: { internal }, ifVersion: run.version },
  ]);
  if (versions === null) return false;
  const record = { ...run.record, internal };
  const { status } = record;
  deps.log.info('run taken up', { runId: id, status, attempts: internal.attempts });
  deps.runs.start(toResumption(deps, lease.record, { record, version: versions[1] ?? run.version + 1 }));
  return true;
}

/**
 * What an end that a crash cut short leaves behind, or a beginning: the thread's claim, and the lease. On a store that several
 * servers share, the write that makes the run may be half done, and its server dead or only slow: writing to the thread, which
 * that write claims, waits for its end. Where the run is there then, it is the next sweep's to take up.
 */
async function clearUp(
  deps: RecoveryDeps,
  { record: lease, version }: Versioned<LeaseRecord>,
): Promise<void> {
  const { id, tenant, thread_id: threadId } = lease;
  await settleThread(deps, tenant, threadId);
  const run = await deps.store.get<RunRecord>('runs', toThreadScope(tenant, threadId), id);
  if (run !== null && !isTerminal(run.record.status)) return;
  const thread = { collection: 'threads', scope: { tenant }, id: threadId } as const;
  const forget: Write = { ...toLeaseDelete(id), ifVersion: version };
  const isFreed = await tryWrite(deps, [
    { kind: 'require', ...thread, equals: { active_run_id: id } },
    { kind: 'update', ...thread, change: { active_run_id: null } },
    forget,
  ]);
  // The thread is free already, or gone. Whoever has taken the lease meanwhile keeps it.
  if (isFreed === null) await tryWrite(deps, [forget]);
}

/** Null where another process was faster. */
async function tryWrite(
  { store }: Pick<RecoveryDeps, 'store'>,
  writes: readonly Write[],
): Promise<readonly number[] | null> {
  try {
    return await store.write(writes);
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'conflict' || error.code === 'not_found')) return null;
    throw error;
  }
}
