/**
 * Finds runs that nobody works on: those of a process that died, and those whose client never answered.
 * Runs at start, and from then on all the time.
 */

import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { ResolvedModel } from '../providers/provider.ts';
import { PAGE_LIMIT_MAX, StoreError, type Versioned } from '../store/store.ts';
import { RunFailure } from './failures.ts';
import { isDeadOwner, LEASE_MS, LEASE_SCOPE, toLeaseDelete } from './leases.ts';
import type { RunEngine } from './run-engine.ts';
import { type LeaseRecord, type RunRecord, toThreadScope } from './run-records.ts';
import { isTerminal } from './run-state.ts';

/** How often a run is begun anew before it is given up. */
export const ATTEMPTS_MAX = 10;
export const SWEEP_MS = 2_000;
/** Between the claim of a run and its start lies one write; a lease without a session is an orphan after this. */
const ORPHAN_MS = 5_000;
/** Pages of leases that one sweep reads: a million runs. */
const PAGES_MAX = 1000;

export type RecoveryDeps = Pick<Ports, 'store' | 'clock' | 'ids' | 'log' | 'router'> & {
  readonly runs: RunEngine;
  readonly isProcessAlive: (pid: number) => boolean;
};

/** Takes up every run that nobody works on. Answers how many. */
export async function sweepRuns(deps: RecoveryDeps): Promise<number> {
  let taken = 0;
  let after: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const leases = await deps.store
      .list<LeaseRecord>('leases', LEASE_SCOPE, {
        limit: PAGE_LIMIT_MAX,
        order: 'asc',
        ...(after === undefined ? {} : { after }),
      })
      .catch(ignoreGoneCursor);
    if (leases === null) break;
    for (const lease of leases.items) {
      if (isAbandoned(deps, lease.record) && (await takeUp(deps, lease))) taken += 1;
    }
    after = leases.items.at(-1)?.record.id;
    if (!leases.hasMore) break;
  }
  return taken;
}

/** The run at which the walk stood has ended meanwhile: the next sweep sees the rest. */
function ignoreGoneCursor(error: unknown): null {
  if (error instanceof StoreError && error.code === 'unknown_cursor') return null;
  throw error;
}

function isAbandoned(deps: RecoveryDeps, lease: LeaseRecord): boolean {
  const now = deps.clock.nowMs();
  if (lease.until_ms <= now) return !deps.runs.isWorkingOn(lease.id);
  if (lease.owner === null) return false;
  if (lease.owner === deps.runs.owner) {
    return !deps.runs.isWorkingOn(lease.id) && now > lease.until_ms - LEASE_MS + ORPHAN_MS;
  }
  return isDeadOwner(lease.owner, deps.runs.owner, deps.isProcessAlive);
}

/** Claims the lease and goes on with the run. False where another process was faster. */
async function takeUp(deps: RecoveryDeps, lease: Versioned<LeaseRecord>): Promise<boolean> {
  const { id, tenant, thread_id: threadId } = lease.record;
  const scope = toThreadScope(tenant, threadId);
  const run = await deps.store.get<RunRecord>('runs', scope, id);
  if (run === null || isTerminal(run.record.status)) {
    await deps.store.write([toLeaseDelete(id)]);
    return false;
  }
  const internal = { ...run.record.internal, attempts: run.record.internal.attempts + 1 };
  const until = deps.clock.nowMs() + LEASE_MS;
  try {
    const [, version] = await deps.store.write([
      {
        kind: 'update',
        collection: 'leases',
        scope: LEASE_SCOPE,
        id,
        change: { owner: deps.runs.owner, until_ms: until },
        ifVersion: lease.version,
      },
      { kind: 'update', collection: 'runs', scope, id, change: { internal }, ifVersion: run.version },
    ]);
    continueRun(deps, tenant, { record: { ...run.record, internal }, version: version ?? run.version + 1 });
    return true;
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'conflict' || error.code === 'not_found'))
      return false;
    throw error;
  }
}

function continueRun(deps: RecoveryDeps, tenant: string, run: Versioned<RunRecord>): void {
  const { id, status, model, internal } = run.record;
  deps.log.info('run taken up', { runId: id, status, attempts: internal.attempts });
  deps.runs.start({
    tenant,
    run,
    resolveModel: () => resolveAgain(deps, model, internal),
    requestId: deps.ids.create('request'),
    headers: {},
    isContinued: true,
    opening: [],
    isStreamed: false,
    ...(status === 'cancelling' ? { interruption: 'cancelled' as const } : {}),
    ...(status === 'requires_action' ? { interruption: 'expired' as const } : {}),
  });
}

function resolveAgain(deps: RecoveryDeps, model: string, internal: RunRecord['internal']): ResolvedModel {
  if (internal.attempts > ATTEMPTS_MAX) {
    throw new RunFailure(
      'server_error',
      `The server stopped ${ATTEMPTS_MAX} times while it worked on this run.`,
    );
  }
  if (internal.credentials_from_request) {
    throw new RunFailure(
      'server_error',
      'The server was restarted while this run was active. Its model key came with the request and is not kept, so the run cannot go on: start it again.',
    );
  }
  return deps.router.resolve(model, {});
}

/** Sweeps until `stop` is called; a sweep that fails is logged and tried again. */
export function startSweeping(deps: RecoveryDeps): { stop(): Promise<void> } {
  let current: Promise<unknown> = Promise.resolve();
  let isSweeping = false;
  const timer = setInterval(() => {
    if (isSweeping) return;
    isSweeping = true;
    current = sweepRuns(deps)
      .catch((error) => deps.log.warn('runs not swept', toLogFields(error)))
      .finally(() => {
        isSweeping = false;
      });
  }, SWEEP_MS);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      await current;
    },
  };
}
