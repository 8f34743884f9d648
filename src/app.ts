/** Composition root: the only place that knows the adapters. */

import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemClock } from './clock.ts';
import { composeRetrieval, type RetrievalSettings } from './compose-retrieval.ts';
import { createIds } from './ids.ts';
import { INGEST_SWEEP_MS, sweepIngests } from './ingest/ingest-recovery.ts';
import { type Log, toLogFields } from './log.ts';
import { createAiSdkProviders } from './providers/ai-sdk/providers.ts';
import { createOpenAiProvider } from './providers/openai/openai-provider.ts';
import { createAddressCheck } from './providers/outbound/address-check.ts';
import { createCircuits } from './providers/outbound/circuit.ts';
import { createUpstream } from './providers/outbound/upstream.ts';
import { createRehearsalProvider } from './providers/rehearsal/rehearsal-provider.ts';
import { type BaseUrlPolicy, toHostRule } from './providers/routing/base-url.ts';
import { findLocalServers, type LocalServer } from './providers/routing/local-servers.ts';
import type { ModelSettings } from './providers/routing/provider-settings.ts';
import { createRouter } from './providers/routing/router.ts';
import { createWatsonxProvider } from './providers/watsonx/watsonx-provider.ts';
import { createHostCheck } from './routes/manners.ts';
import { createValidator } from './routes/validation.ts';
import { toOwner } from './runs/leases.ts';
import { startSweeping, sweepRuns } from './runs/recovery.ts';
import { createRunEngine, type RunEngine } from './runs/run-engine.ts';
import { createFileSearchTool } from './runs/tools/file-search.ts';
import { createServer, type HttpHandler } from './server.ts';
import { createBlobDrafts, type DetachFile, LOOSE_SWEEP_MS } from './services/blob-drafts.ts';
import { finishDeletions } from './services/deletions.ts';
import { EXPIRATION_SWEEP_MS, sweepExpirations } from './services/expirations.ts';
import { readImageFile } from './services/file-images.ts';
import { expireFile } from './services/files.ts';
import { startSweeper } from './services/sweeper.ts';
import { expireUpload } from './services/uploads.ts';
import { detachFile } from './services/vector-store-files.ts';
import { expireVectorStore } from './services/vector-stores.ts';
import { createLazyBlobStore } from './store/lazy-blob-store.ts';
import { BLOB_FILE, createSqliteBlobStore } from './store/sqlite/blob-store.ts';
import { createSqliteStore } from './store/sqlite/sqlite-store.ts';
import type { Store } from './store/store.ts';
import { createLazyVectorIndex } from './vector/lazy-vector-index.ts';
import { createSqliteVectorIndex, INDEX_FILE } from './vector/sqlite/sqlite-vector-index.ts';

export interface AppSettings extends RetrievalSettings {
  readonly version: string;
  readonly dataDirectory: string;
  /** Names, besides addresses and `localhost`, under which the server answers. */
  readonly allowedHosts: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly bodyBytesMax: number;
  /** The largest file that comes in one request. */
  readonly fileBytesMax: number;
  /** How long a turn of the model, and each wait for the client, may take. */
  readonly runExpiresMs: number;
  /** Providers and models beside OpenAI's key and base URL. */
  readonly models: ModelSettings;
  readonly openAiApiKey: string | null;
  readonly openAiBaseUrl: string | null;
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
  const { dataDirectory: directory, onStoreLost: onLost } = settings;
  const openBlobs = () => createSqliteBlobStore({ directory, onLost });
  const openIndex = () => createSqliteVectorIndex({ directory, onLost });
  // What is there already is looked at now, so that the start fails where it cannot be used.
  const [store, blobs, index, localServers] = await Promise.all([
    createSqliteStore({ directory, clock, onLost }),
    existsSync(join(directory, BLOB_FILE)) ? openBlobs() : createLazyBlobStore(openBlobs),
    existsSync(join(directory, INDEX_FILE)) ? openIndex() : createLazyVectorIndex('sqlite', openIndex),
    isConfigured ? [] : findLocalServers({ fetch }),
  ]);
  const localServer = localServers[0] ?? null;
  const policy: BaseUrlPolicy = {
    allowedHosts: settings.models.allowedHosts,
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
  const router = createRouter({
    openai: createOpenAiProvider({ upstream, clock, ids, log }),
    protocols: {
      ...createAiSdkProviders({ upstream, clock, ids, log }),
      watsonx: createWatsonxProvider({ upstream, clock, ids, log }),
    },
    rehearsal: createRehearsalProvider({ clock, ids }),
    operator: { apiKey: settings.openAiApiKey, baseUrl: settings.openAiBaseUrl },
    settings: settings.models,
    localServer,
    policy,
    clock,
  });
  const owner = toOwner(hostname(), process.pid, randomUUID());
  const ports = { store, blobs, index, router, clock, ids, log };
  const retrieval = composeRetrieval({ ...ports, owner }, settings);
  const runs = createRunEngine(ports, {
    owner,
    settings: { expiresMs: settings.runExpiresMs },
    serverTools: [createFileSearchTool({ store, clock, search: retrieval.search })],
    readImage: (tenant, fileId, bytesMax) => readImageFile(ports, tenant, fileId, bytesMax),
  });
  const deps = { ...ports, ...retrieval, runs, isProcessAlive };
  await takeUpWhatIsLeft(deps);
  const sweeping = startSweeping(deps);
  const detach: DetachFile = (scope, fileId) => detachFile(deps, scope, fileId);
  const files = { ...ports, detachFile: detach };
  const drafts = createBlobDrafts({ ...files, owner, isProcessAlive });
  const sweepers = [
    startSweeper(log, 'loose bytes not removed', LOOSE_SWEEP_MS, () => drafts.sweep()),
    startSweeper(log, 'what is due not ended', EXPIRATION_SWEEP_MS, () =>
      sweepExpirations(files, {
        file: (tenant, id) => expireFile(files, tenant, id),
        upload: (tenant, id) => expireUpload(files, tenant, id),
        vector_store: (tenant, id) => expireVectorStore(deps, tenant, id),
      }),
    ),
    startSweeper(log, 'files not swept', INGEST_SWEEP_MS, () => sweepIngests(deps)),
  ];
  const handle = createServer({
    ...deps,
    drafts,
    detachFile: detach,
    fileBytesMax: settings.fileBytesMax,
    holdOpen: settings.holdOpen,
    getCircuits: () => circuits.list(),
    validator: createValidator(),
    authenticate: () => ({ tenant: OPEN_TENANT }),
    bodyBytesMax: settings.bodyBytesMax,
    version: settings.version,
    checkHost: createHostCheck(settings.allowedHosts),
    corsOrigins: settings.corsOrigins,
  });
  let closing: Promise<void> | null = null;
  const close = async (graceMs: number): Promise<void> => {
    await sweeping.stop();
    await Promise.all([runs.close(graceMs), drafts.drain(graceMs)]);
    await Promise.all(sweepers.map((sweeper) => sweeper.stop()));
    await retrieval.close();
    await Promise.all([store.close(), blobs.close(), index.close()]);
  };
  return {
    handle,
    store,
    runs,
    localServer,
    close(graceMs) {
      closing ??= close(graceMs);
      return closing;
    },
  };
}

/** What cannot be taken up now is tried again by the sweeper, or at the next start. */
async function takeUpWhatIsLeft(
  deps: Parameters<typeof sweepRuns>[0] &
    Parameters<typeof finishDeletions>[0] &
    Parameters<typeof sweepIngests>[0],
): Promise<void> {
  const { log } = deps;
  try {
    const taken = await sweepRuns(deps);
    const deletions = await finishDeletions(deps);
    const ingests = await sweepIngests(deps);
    if (taken + deletions + ingests > 0)
      log.info('taken up after a restart', { runs: taken, deletions, ingests });
  } catch (error) {
    log.warn('not everything was taken up after a restart', toLogFields(error));
  }
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
