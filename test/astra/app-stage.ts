/**
 * A server for tenants with databases of their own, put together as `app.ts` does it, without a process around it. A token opens
 * the database with the number in its name (`AstraCS:7:…`); databases are SQLite files, which several servers share.
 */

import OpenAI from 'openai';
import { createAstraAdmission } from '../../src/astra/admission.ts';
import { createAstraPorts } from '../../src/astra/astra-ports.ts';
import { createSystemPlaces } from '../../src/astra/system-places.ts';
import type { TenantEngines, TenantOpener } from '../../src/astra/tenant-engines.ts';
import { createTenantSessions, type TenantSessions } from '../../src/astra/tenant-sessions.ts';
import { createTenantSweep } from '../../src/astra/tenant-sweeps.ts';
import { systemClock } from '../../src/clock.ts';
import { composeRetrieval } from '../../src/compose-retrieval.ts';
import { ApiError, toErrorBody } from '../../src/errors.ts';
import { createIds } from '../../src/ids.ts';
import { sweepIngests } from '../../src/ingest/ingest-recovery.ts';
import { createPlainMetrics } from '../../src/metrics/create-metrics.ts';
import { createMeters } from '../../src/metrics/meters.ts';
import type { Ports } from '../../src/ports.ts';
import { createOpenAiProvider } from '../../src/providers/openai/openai-provider.ts';
import { createUpstream } from '../../src/providers/outbound/upstream.ts';
import { createRehearsalProvider } from '../../src/providers/rehearsal/rehearsal-provider.ts';
import { createRouter } from '../../src/providers/routing/router.ts';
import { createHostCheck } from '../../src/routes/manners.ts';
import { createRequestSpans } from '../../src/routes/request-spans.ts';
import { createValidator } from '../../src/routes/validation.ts';
import { createLeaseWatch } from '../../src/runs/lease-watch.ts';
import { toOwner } from '../../src/runs/leases.ts';
import { sweepRuns } from '../../src/runs/recovery.ts';
import { createRunEngine, type RunEngine } from '../../src/runs/run-engine.ts';
import { createHeaderKeeper } from '../../src/runs/run-headers.ts';
import { createFileSearchTool } from '../../src/runs/tools/file-search.ts';
import { createServer } from '../../src/server.ts';
import { createBlobDrafts } from '../../src/services/blob-drafts.ts';
import { finishDeletions } from '../../src/services/deletions.ts';
import { sweepExpirations } from '../../src/services/expirations.ts';
import { expireFile } from '../../src/services/files.ts';
import { startSweeper } from '../../src/services/sweeper.ts';
import { expireUpload } from '../../src/services/uploads.ts';
import { detachFile } from '../../src/services/vector-store-files.ts';
import { expireVectorStore } from '../../src/services/vector-stores.ts';
import type { Store } from '../../src/store/store.ts';
import { NO_TRACING } from '../../src/tracing/tracing.ts';
import { makeSqliteDirectory, type SqliteDirectory } from '../store/sqlite-directory.ts';
import { createExactVectorIndex } from '../support/exact-vector-index.ts';
import { createCountedOpener, SILENT_LOG, toId } from './fixture.ts';
import { createMemoryBlobs } from './memory-blobs.ts';

const SWEEP_MS = 100;
const MIB = 1024 * 1024;

export interface TenantDatabases {
  /** The engines of a tenant, for one more server. */
  open(tenant: string): Promise<TenantEngines>;
  remove(): Promise<void>;
}

export function createTenantDatabases(): TenantDatabases {
  const databases = new Map<string, Promise<{ directory: SqliteDirectory } & Omit<TenantEngines, 'store'>>>();
  const make = async () => ({
    directory: await makeSqliteDirectory(),
    blobs: createMemoryBlobs(),
    index: createExactVectorIndex(),
  });
  return {
    async open(tenant) {
      const database = databases.get(tenant) ?? make();
      databases.set(tenant, database);
      const { directory, blobs, index } = await database;
      return { store: await directory.open(), blobs, index };
    },
    async remove() {
      for (const database of databases.values()) await (await database).directory.remove();
    },
  };
}

export interface AstraServer {
  readonly url: string;
  readonly sessions: TenantSessions;
  readonly runs: RunEngine;
  /** An official client with the token of the n-th database. */
  client(n: number): OpenAI;
  clientOf(token: string): OpenAI;
  /** `graceMs` 0 leaves runs to others. */
  close(graceMs: number): Promise<void>;
}

/** Tokens like `AstraCS:7:…` open the database with the number. */
export function toNumberedOpener(databases: TenantDatabases): TenantOpener {
  const opener = createCountedOpener(() => {
    throw new Error('opened below');
  });
  opener.choose = async ({ token }) => toId(Number(token.reveal().split(':')[1]));
  opener.open = async (_credentials, tenant) => {
    const engines = await databases.open(tenant);
    const close = () => engines.store.close();
    return { prepare: async () => ({ engines, close }), close };
  };
  return opener;
}

export async function startAstraServer(opener: TenantOpener): Promise<AstraServer> {
  const clock = systemClock;
  const log = SILENT_LOG;
  const ids = createIds(clock);
  const sessions = createTenantSessions({ opener, clock, log });
  const places = createSystemPlaces(sessions);
  const admission = createAstraAdmission(sessions);
  const router = createRouter({
    openai: createOpenAiProvider({ upstream: createUpstream({ fetch }), clock, ids }),
    rehearsal: createRehearsalProvider({ clock, ids }),
    operator: { apiKey: null, baseUrl: null },
    localServer: null,
    policy: { allowedHosts: [], allowLoopback: false, isSelf: () => false },
    clock,
  });
  const ports: Ports = { ...createAstraPorts({ sessions, places }), router, clock, ids, log };
  const owner = toOwner('test', process.pid, crypto.randomUUID());
  const retrieval = composeRetrieval(
    { ...ports, owner, seals: null },
    {
      embeddingModel: 'understudy/rehearsal',
      embeddingDimensions: null,
      rewriteModel: null,
      ingestProcesses: 1,
      ingestMemoryBytes: 1024 * MIB,
      ingestTimeoutMs: 30_000,
    },
  );
  const runs = createRunEngine(ports, {
    owner,
    settings: { expiresMs: 600_000 },
    serverTools: [createFileSearchTool({ store: ports.store, clock, search: retrieval.search })],
    readImage: () => Promise.resolve(null),
  });
  const isProcessAlive = () => true;
  const deps = { ...ports, ...retrieval, runs, headerKeeper: createHeaderKeeper(null), isProcessAlive };
  const detach = (scope: { tenant: string }, fileId: string) => detachFile(deps, scope, fileId);
  const files = { ...ports, detachFile: detach };
  const drafts = createBlobDrafts({ ...files, owner, isProcessAlive });
  const sweepDue = (store: Store): Promise<number> =>
    sweepExpirations(
      { ...files, store },
      {
        file: (tenant, id) => expireFile(files, tenant, id),
        upload: (tenant, id) => expireUpload(files, tenant, id),
        vector_store: (tenant, id) => expireVectorStore(deps, tenant, id),
      },
    );
  const sweepDeps = { sessions, places, log };
  const sweepers = [
    createTenantSweep(sweepDeps, 'runs not swept', ({ store }) => {
      const watch = createLeaseWatch();
      return () => sweepRuns({ ...deps, store }, watch);
    }),
    createTenantSweep(
      sweepDeps,
      'what is due not ended',
      ({ store }) =>
        () =>
          sweepDue(store),
    ),
    createTenantSweep(
      sweepDeps,
      'files not swept',
      ({ store }) =>
        () =>
          sweepIngests({ ...deps, store }),
    ),
    createTenantSweep(
      sweepDeps,
      'deletions not finished',
      ({ store }) =>
        () =>
          finishDeletions({ ...deps, store }),
    ),
  ].map((sweep) => startSweeper(log, 'not swept', SWEEP_MS, sweep));
  const meters = createMeters(createPlainMetrics());
  const handle = createServer({
    ...deps,
    beginCall: meters.beginCall,
    http: meters.http,
    tracing: NO_TRACING,
    spans: createRequestSpans(NO_TRACING),
    renderMetrics: () => Promise.resolve(''),
    checkMetricsAccess: () => undefined,
    drafts,
    detachFile: detach,
    fileBytesMax: 16 * MIB,
    holdOpen: () => () => undefined,
    getCircuits: () => [],
    validator: createValidator(),
    authenticate: admission.authenticate,
    bodyBytesMax: MIB,
    version: 'test',
    checkHost: createHostCheck([]),
    corsOrigins: [],
  });
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      try {
        await admission.admit(request);
      } catch (error) {
        const status = error instanceof ApiError ? error.status : 500;
        return Response.json(toErrorBody(error), { status });
      }
      return await handle(request);
    },
  });
  const clientOf = (token: string): OpenAI =>
    new OpenAI({
      apiKey: 'understudy',
      baseURL: `${server.url.origin}/v1`,
      maxRetries: 0,
      defaultHeaders: { 'astra-api-token': token },
    });
  return {
    url: server.url.origin,
    sessions,
    runs,
    client: (n) => clientOf(`AstraCS:${n}:secret`),
    clientOf,
    async close(graceMs) {
      await runs.close(graceMs);
      await drafts.drain(graceMs);
      await Promise.all(sweepers.map((sweeper) => sweeper.stop()));
      await retrieval.close();
      await ports.store.close();
      await server.stop(true);
    },
  };
}
