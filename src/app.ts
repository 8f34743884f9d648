/** Composition root: the only place that knows the adapters. */

import { randomUUID } from 'node:crypto';
import { createProjectBytes, RECOUNT_SWEEP_MS } from './access/stored-bytes.ts';
import { systemClock } from './clock.ts';
import { type AccessSettings, composeAdmission, composeLimiter, toTokenMeters } from './compose-access.ts';
import { composeModels, type ModelConfig, type OutboundSettings } from './compose-models.ts';
import { composeRetrieval, type RetrievalSettings } from './compose-retrieval.ts';
import { openEngines, type StoreSettings, type TenantEngines } from './compose-store.ts';
import { startSweeps } from './compose-sweeps.ts';
import { openTracing } from './compose-tracing.ts';
import { createIds } from './ids.ts';
import type { Log } from './log.ts';
import { createMeters } from './metrics/meters.ts';
import { meterPorts, startWorkerGauges } from './metrics/port-metrics.ts';
import type { WorkerMetrics } from './metrics/worker-metrics.ts';
import { findLocalServers, type LocalServer } from './providers/routing/local-servers.ts';
import { createRequestSpans } from './routes/request-spans.ts';
import { createValidator } from './routes/validation.ts';
import { readHostIdentity } from './runs/host-identity.ts';
import { toOwner } from './runs/leases.ts';
import { createRunEngine, type RunEngine } from './runs/run-engine.ts';
import { createHeaderKeeper } from './runs/run-headers.ts';
import { createFileSearchTool } from './runs/tools/file-search.ts';
import { createSealer } from './sealing.ts';
import { createServer, type HttpHandler } from './server.ts';
import { createBlobDrafts, type DetachFile } from './services/blob-drafts.ts';
import { readImageFile } from './services/file-images.ts';
import { startSweeper } from './services/sweeper.ts';
import { detachFile } from './services/vector-store-files.ts';
import type { Store } from './store/store.ts';
import type { OtlpSettings } from './tracing/otlp-tracing.ts';

export interface AppSettings extends RetrievalSettings, ModelConfig, OutboundSettings, AccessSettings {
  readonly version: string;
  readonly store: StoreSettings;
  /** What this process counts into, and where the numbers of all of them are had. */
  readonly counting: Pick<WorkerMetrics, 'metrics' | 'renderPage'>;
  /** Where traces go; null: nowhere. */
  readonly tracing: OtlpSettings | null;
  /** Seals what came with a request and must outlive it; null: such things are not kept. */
  readonly sealingSecret: string | null;
  readonly corsOrigins: readonly string[];
  readonly bodyBytesMax: number;
  /** The largest file that comes in one request. */
  readonly fileBytesMax: number;
  /** How long a turn of the model, and each wait for the client, may take. */
  readonly runExpiresMs: number;
  /** Called where the store is lost for good in this process: only another one can serve. */
  readonly onStoreLost: (reason: string) => void;
  /**
   * Keeps a request's connection open although nothing seems to happen on it, until what it answers is called: the
   * server's timer runs on while bytes come, or go, slowly.
   */
  readonly holdOpen: (request: Request) => () => void;
}

export interface App {
  readonly handle: HttpHandler;
  readonly store: Store;
  readonly runs: RunEngine;
  readonly localServer: LocalServer | null;
  /** For requests that come from now on. */
  changeModels(next: ModelConfig): void;
  /** Another process of this server has ended: takes up what it was at work on. */
  takeUpNow(): void;
  /** Lets active runs finish for as long as `graceMs`, then leaves them to the next process. Idempotent. */
  close(graceMs: number): Promise<void>;
}

/** Opens the store and puts the server together. Errors: `StoreError` where the store cannot be opened. */
export async function createApp(settings: AppSettings, log: Log): Promise<App> {
  const clock = systemClock;
  const ids = createIds(clock);
  const isConfigured = settings.openAiApiKey !== null || settings.openAiBaseUrl !== null;
  const [engines, localServers] = await Promise.all([
    openEngines(settings.store, {
      clock,
      log,
      version: settings.version,
      onLost: settings.onStoreLost,
    }),
    isConfigured ? [] : findLocalServers({ fetch }),
  ]);
  const limiter = composeLimiter(settings.keys, log);
  const meters = createMeters(settings.counting.metrics, toTokenMeters(limiter));
  const tracing = await openTracing(settings.tracing, { version: settings.version, log });
  const { store, blobs, index } = meterPorts(engines, meters);
  const localServer = localServers[0] ?? null;
  const { version } = settings;
  const models = composeModels(settings, { version, clock, ids, log, meters, localServer });
  const { router, circuits } = models;
  const owner = toOwner(readHostIdentity(), process.pid, randomUUID());
  const ports = { store, blobs, index, router, clock, ids, log };
  const seals = settings.sealingSecret === null ? null : createSealer(settings.sealingSecret);
  const retrieval = composeRetrieval({ ...ports, owner, seals, meters }, settings);
  const runs = createRunEngine(ports, {
    owner,
    settings: { expiresMs: settings.runExpiresMs },
    serverTools: [createFileSearchTool({ store, clock, search: retrieval.search })],
    readImage: (tenant, fileId, bytesMax) => readImageFile(ports, tenant, fileId, bytesMax),
    meter: meters.runs,
    meterStream: meters.meterRunStream,
    beginCall: meters.beginCall,
    tracing,
    ...(limiter === null ? {} : { noteRun: limiter.noteRun }),
  });
  const headerKeeper = createHeaderKeeper(seals);
  const detach: DetachFile = (scope, fileId) => detachFile(deps, scope, fileId);
  const drafts = createBlobDrafts({ ...ports, owner, isProcessAlive, detachFile: detach });
  const storedBytes = settings.keys === null ? null : createProjectBytes({ ...ports, owner, isProcessAlive });
  const deps = {
    ...ports,
    ...retrieval,
    runs,
    headerKeeper,
    isProcessAlive,
    drafts,
    detachFile: detach,
    ...(storedBytes === null ? {} : { storedBytes }),
  };
  const sweeps = await startSweeps(deps, engines.tenants);
  const recounts =
    storedBytes === null
      ? null
      : startSweeper(log, 'stored bytes not counted', RECOUNT_SWEEP_MS, () => storedBytes.recount());
  const gauges = startWorkerGauges(meters, {
    getCircuits: () => circuits.list(),
    getIngestLoad: () => retrieval.ingests.getLoad(),
    countSessions: toSessionCount(engines.tenants),
  });
  const handle = createServer({
    ...deps,
    beginCall: meters.beginCall,
    http: meters.http,
    tracing,
    spans: createRequestSpans(tracing),
    renderMetrics: settings.counting.renderPage,
    fileBytesMax: settings.fileBytesMax,
    holdOpen: settings.holdOpen,
    getCircuits: () => circuits.list(),
    validator: createValidator(),
    ...composeAdmission(ports, settings, limiter, engines.tenants),
    bodyBytesMax: settings.bodyBytesMax,
    version: settings.version,
    corsOrigins: settings.corsOrigins,
  });
  let closing: Promise<void> | null = null;
  const close = async (graceMs: number): Promise<void> => {
    await sweeps.stopTakingRuns();
    await Promise.all([runs.close(graceMs), drafts.drain(graceMs)]);
    await Promise.all([sweeps.stop(), recounts?.stop()]);
    await retrieval.close();
    await engines.close();
    gauges.stop();
    await tracing.close();
  };
  return {
    handle,
    store,
    runs,
    localServer,
    changeModels: (next) => models.change(next),
    takeUpNow: () => sweeps.takeUpNow(),
    close(graceMs) {
      closing ??= close(graceMs);
      return closing;
    },
  };
}

/** Null where no tenant has a database of its own. */
function toSessionCount(tenants: TenantEngines | null): (() => number) | null {
  return tenants === null ? null : () => tenants.sessions.getStatistics().open;
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process: alive, but not ours to signal.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
