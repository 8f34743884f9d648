/** What every process looks for in the background, put together: in one store that all tenants share, or in each tenant's own. */

import type { SystemPlaces } from './astra/system-places.ts';
import type { TenantPorts } from './astra/tenant-ports.ts';
import type { TenantSessions } from './astra/tenant-sessions.ts';
import { createTenantSweep } from './astra/tenant-sweeps.ts';
import {
  createIngestWatch,
  INGEST_SWEEP_MS,
  type IngestRecoveryDeps,
  sweepIngests,
} from './ingest/ingest-recovery.ts';
import { toLogFields } from './log.ts';
import { createLeaseWatch } from './runs/lease-watch.ts';
import { type RecoveryDeps, SWEEP_MS, sweepRuns } from './runs/recovery.ts';
import { type BlobDrafts, LOOSE_SWEEP_MS } from './services/blob-drafts.ts';
import { type DeletionDeps, finishDeletions } from './services/deletions.ts';
import { EXPIRATION_SWEEP_MS, sweepExpirations } from './services/expirations.ts';
import { type DeleteDeps, expireFile } from './services/files.ts';
import { type Sweeper, startSweeper } from './services/sweeper.ts';
import { expireUpload } from './services/uploads.ts';
import type { VectorStoreDeps } from './services/vector-store-access.ts';
import { expireVectorStore } from './services/vector-stores.ts';
import type { Store } from './store/store.ts';

/** Databases of tenants, where each has its own. */
export interface TenantDatabases {
  readonly sessions: TenantSessions;
  readonly places: SystemPlaces;
}

export type SweepsDeps = RecoveryDeps &
  DeletionDeps &
  IngestRecoveryDeps &
  DeleteDeps &
  VectorStoreDeps & { readonly drafts: BlobDrafts };

export interface Sweeps {
  /** Another process of this server has ended: its runs and files are looked for at once. */
  takeUpNow(): void;
  /** No run is taken up from here on. */
  stopTakingRuns(): Promise<void>;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

/** A deletion that its own request brings to an end is not looked for. */
const DELETION_SWEEP_MS = 60_000;

/** Takes up what earlier processes left behind, and goes on looking. */
export async function startSweeps(deps: SweepsDeps, tenants: TenantDatabases | null): Promise<Sweeps> {
  if (tenants !== null) return startTenantSweeps(deps, tenants);
  const { log } = deps;
  await takeUpWhatIsLeft(deps);
  const watch = createLeaseWatch();
  const runs = startSweeper(log, 'runs not swept', SWEEP_MS, () => sweepRuns(deps, watch));
  const ingestWatch = createIngestWatch();
  const files = startSweeper(log, 'files not swept', INGEST_SWEEP_MS, () => sweepIngests(deps, ingestWatch));
  return toSweeps(runs, files, [
    startSweeper(log, 'loose bytes not removed', LOOSE_SWEEP_MS, () => deps.drafts.sweep()),
    startSweeper(log, 'what is due not ended', EXPIRATION_SWEEP_MS, () => sweepDue(deps, deps.store)),
    startSweeper(log, 'deletions not finished', DELETION_SWEEP_MS, () => finishDeletions(deps)),
  ]);
}

function toSweeps(runs: Sweeper, files: Sweeper, others: readonly Sweeper[]): Sweeps {
  return {
    takeUpNow() {
      runs.sweepNow();
      files.sweepNow();
    },
    stopTakingRuns: () => runs.stop(),
    async stop() {
      await Promise.all([files, ...others].map((sweeper) => sweeper.stop()));
    },
  };
}

/** Each tenant's database is looked through by itself, as long as it is open. */
function startTenantSweeps(deps: SweepsDeps, tenants: TenantDatabases): Sweeps {
  const { log } = deps;
  const start = (failed: string, everyMs: number, prepare: (ports: TenantPorts) => () => Promise<unknown>) =>
    startSweeper(log, failed, everyMs, createTenantSweep({ ...tenants, log }, failed, prepare));
  const runs = start('runs not swept', SWEEP_MS, ({ store }) => {
    const watch = createLeaseWatch();
    return () => sweepRuns({ ...deps, store }, watch);
  });
  const files = start('files not swept', INGEST_SWEEP_MS, ({ store }) => {
    const watch = createIngestWatch();
    return () => sweepIngests({ ...deps, store }, watch);
  });
  return toSweeps(runs, files, [
    start(
      'loose bytes not removed',
      LOOSE_SWEEP_MS,
      ({ store }) =>
        () =>
          deps.drafts.sweep(store),
    ),
    start(
      'what is due not ended',
      EXPIRATION_SWEEP_MS,
      ({ store }) =>
        () =>
          sweepDue(deps, store),
    ),
    start(
      'deletions not finished',
      DELETION_SWEEP_MS,
      ({ store }) =>
        () =>
          finishDeletions({ ...deps, store }),
    ),
  ]);
}

function sweepDue(deps: SweepsDeps, store: Store): Promise<number> {
  return sweepExpirations(
    { ...deps, store },
    {
      file: (tenant, id) => expireFile(deps, tenant, id),
      upload: (tenant, id) => expireUpload(deps, tenant, id),
      vector_store: (tenant, id) => expireVectorStore(deps, tenant, id),
    },
  );
}

/** What cannot be taken up now is tried again by the sweepers. */
async function takeUpWhatIsLeft(deps: SweepsDeps): Promise<void> {
  const { log } = deps;
  try {
    const taken = await sweepRuns(deps);
    const deletions = await finishDeletions(deps);
    const ingests = await sweepIngests(deps);
    if (taken + deletions + ingests > 0) {
      log.info('taken up after a restart', { runs: taken, deletions, ingests });
    }
  } catch (error) {
    log.warn('not everything was taken up after a restart', toLogFields(error));
  }
}
