/** Composition root: the only place that knows the adapters. */

import { randomUUID } from 'node:crypto';
import { systemClock } from './clock.ts';
import { composeRetrieval, type RetrievalSettings } from './compose-retrieval.ts';
import { openEngines, type StoreSettings, type TenantEngines } from './compose-store.ts';
import { startSweeps } from './compose-sweeps.ts';
import { createIds } from './ids.ts';
import type { Log } from './log.ts';
import { createAiSdkProviders } from './providers/ai-sdk/providers.ts';
import { createOpenAiProvider } from './providers/openai/openai-provider.ts';
import { createAddressCheck } from './providers/outbound/address-check.ts';
import { createCircuits } from './providers/outbound/circuit.ts';
import { createUpstream } from './providers/outbound/upstream.ts';
import type { Router } from './providers/provider.ts';
import { createRehearsalProvider } from './providers/rehearsal/rehearsal-provider.ts';
import { type BaseUrlPolicy, toHostRule } from './providers/routing/base-url.ts';
import { findLocalServers, type LocalServer } from './providers/routing/local-servers.ts';
import type { ModelSettings } from './providers/routing/provider-settings.ts';
import { createReloadableRouter } from './providers/routing/reloadable-router.ts';
import { createRouter } from './providers/routing/router.ts';
import { createWatsonxProvider } from './providers/watsonx/watsonx-provider.ts';
import { createHostCheck } from './routes/manners.ts';
import { createValidator } from './routes/validation.ts';
import { readHostIdentity } from './runs/host-identity.ts';
import { toOwner } from './runs/leases.ts';
import { createRunEngine, type RunEngine } from './runs/run-engine.ts';
import { createHeaderKeeper } from './runs/run-headers.ts';
import { createFileSearchTool } from './runs/tools/file-search.ts';
import { createSealer } from './sealing.ts';
import { createServer, type HttpHandler, type ServerDeps } from './server.ts';
import { createBlobDrafts, type DetachFile } from './services/blob-drafts.ts';
import { readImageFile } from './services/file-images.ts';
import { detachFile } from './services/vector-store-files.ts';
import type { Store } from './store/store.ts';

/** What the operator says of models, which may change while the server runs. */
export interface ModelConfig {
  /** Providers and models beside OpenAI's key and base URL. */
  readonly models: ModelSettings;
  readonly openAiApiKey: string | null;
  readonly openAiBaseUrl: string | null;
}

export interface AppSettings extends RetrievalSettings, ModelConfig {
  readonly version: string;
  readonly store: StoreSettings;
  /** Names, besides addresses and `localhost`, under which the server answers. */
  readonly allowedHosts: readonly string[];
  /** Seals what came with a request and must outlive it; null: such things are not kept. */
  readonly sealingSecret: string | null;
  readonly corsOrigins: readonly string[];
  readonly bodyBytesMax: number;
  /** The largest file that comes in one request. */
  readonly fileBytesMax: number;
  /** How long a turn of the model, and each wait for the client, may take. */
  readonly runExpiresMs: number;
  /** Whether a request may send its run to another server on this machine: not where others than its users can ask. */
  readonly allowLoopbackUpstreams: boolean;
  /** Whether calls to the internet leave by a proxy. */
  readonly hasProxy: boolean;
  /** Called where the store is lost for good in this process: only another one can serve. */
  readonly onStoreLost: (reason: string) => void;
  /** Tells this server's own address: it must not ask itself. */
  readonly isSelf: (baseUrl: string) => boolean;
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

/** The one tenant of a server without authentication. */
const OPEN_TENANT = 'default';

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
  const { store, blobs, index } = engines;
  const localServer = localServers[0] ?? null;
  let allowedHosts = settings.models.allowedHosts;
  const policy: BaseUrlPolicy = {
    get allowedHosts() {
      return allowedHosts;
    },
    allowLoopback: settings.allowLoopbackUpstreams,
    isSelf: settings.isSelf,
  };
  const circuits = createCircuits({
    clock,
    onChange: ({ provider, host, use, state, failures }) =>
      log.warn('provider.circuit', { provider, host, use, state, failures }),
  });
  const upstream = createUpstream({
    fetch,
    userAgent: `understudy/${settings.version}`,
    addressCheck: createAddressCheck({
      policy: { allowLoopback: policy.allowLoopback, isNamed: toHostRule(policy) },
    }),
    circuits,
    isProxied: settings.hasProxy,
  });
  const adapters = {
    openai: createOpenAiProvider({ upstream, clock, ids, log }),
    protocols: {
      ...createAiSdkProviders({ upstream, clock, ids, log }),
      watsonx: createWatsonxProvider({ upstream, clock, ids, log }),
    },
    rehearsal: createRehearsalProvider({ clock, ids }),
  };
  const toRouter = ({ models, openAiApiKey, openAiBaseUrl }: ModelConfig): Router =>
    createRouter({
      ...adapters,
      operator: { apiKey: openAiApiKey, baseUrl: openAiBaseUrl },
      settings: models,
      localServer,
      policy,
      clock,
    });
  const reloadable = createReloadableRouter(toRouter(settings));
  const { router } = reloadable;
  const owner = toOwner(readHostIdentity(), process.pid, randomUUID());
  const ports = { store, blobs, index, router, clock, ids, log };
  const seals = settings.sealingSecret === null ? null : createSealer(settings.sealingSecret);
  const retrieval = composeRetrieval({ ...ports, owner, seals }, settings);
  const runs = createRunEngine(ports, {
    owner,
    settings: { expiresMs: settings.runExpiresMs },
    serverTools: [createFileSearchTool({ store, clock, search: retrieval.search })],
    readImage: (tenant, fileId, bytesMax) => readImageFile(ports, tenant, fileId, bytesMax),
  });
  const headerKeeper = createHeaderKeeper(seals);
  const detach: DetachFile = (scope, fileId) => detachFile(deps, scope, fileId);
  const drafts = createBlobDrafts({ ...ports, owner, isProcessAlive, detachFile: detach });
  const deps = { ...ports, ...retrieval, runs, headerKeeper, isProcessAlive, drafts, detachFile: detach };
  const sweeps = await startSweeps(deps, engines.tenants);
  const handle = createServer({
    ...deps,
    fileBytesMax: settings.fileBytesMax,
    holdOpen: settings.holdOpen,
    getCircuits: () => circuits.list(),
    validator: createValidator(),
    ...(engines.tenants === null
      ? { authenticate: () => ({ tenant: OPEN_TENANT }) }
      : toAdmission(engines.tenants)),
    bodyBytesMax: settings.bodyBytesMax,
    version: settings.version,
    checkHost: createHostCheck(settings.allowedHosts),
    corsOrigins: settings.corsOrigins,
  });
  let closing: Promise<void> | null = null;
  const close = async (graceMs: number): Promise<void> => {
    await sweeps.stopTakingRuns();
    await Promise.all([runs.close(graceMs), drafts.drain(graceMs)]);
    await sweeps.stop();
    await retrieval.close();
    await engines.close();
  };
  return {
    handle,
    store,
    runs,
    localServer,
    changeModels(next) {
      allowedHosts = next.models.allowedHosts;
      reloadable.replace(toRouter(next));
    },
    takeUpNow: () => sweeps.takeUpNow(),
    close(graceMs) {
      closing ??= close(graceMs);
      return closing;
    },
  };
}

/** A request's token opens its tenant's database, and is asked for with every request. */
function toAdmission({ admission }: TenantEngines): Pick<ServerDeps, 'authenticate' | 'admit'> {
  return { authenticate: admission.authenticate, admit: admission.admit };
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
