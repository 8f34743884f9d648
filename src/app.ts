/** Composition root: the only place that knows the adapters. */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { systemClock } from './clock.ts';
import { createIds } from './ids.ts';
import { type Log, toLogFields } from './log.ts';
import { findLocalServers, type LocalServer } from './providers/local-servers.ts';
import { createOpenAiProvider } from './providers/openai/openai-provider.ts';
import { createRehearsalProvider } from './providers/rehearsal/rehearsal-provider.ts';
import { createRouter } from './providers/router.ts';
import { createUpstream } from './providers/upstream.ts';
import { createHostCheck, toPath } from './routes/manners.ts';
import { createValidator } from './routes/validation.ts';
import { toOwner } from './runs/leases.ts';
import { startSweeping, sweepRuns } from './runs/recovery.ts';
import { createRunEngine, type RunEngine } from './runs/run-engine.ts';
import { createServer, type HttpHandler } from './server.ts';
import { finishDeletions } from './services/threads.ts';
import { createSqliteStore } from './store/sqlite/sqlite-store.ts';
import type { Store } from './store/store.ts';

export interface AppSettings {
  readonly version: string;
  readonly dataDirectory: string;
  /** Names, besides addresses and `localhost`, under which the server answers. */
  readonly allowedHosts: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly bodyBytesMax: number;
  /** How long a turn of the model, and each wait for the client, may take. */
  readonly runExpiresMs: number;
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
  const [store, localServers] = await Promise.all([
    createSqliteStore({ directory: settings.dataDirectory, clock, onLost: settings.onStoreLost }),
    isConfigured ? [] : findLocalServers({ fetch }),
  ]);
  const localServer = localServers[0] ?? null;
  const upstream = createUpstream({
    fetch,
    userAgent: `understudy/${settings.version}`,
    ...(settings.hasProxy ? { probe: null } : {}),
  });
  const router = createRouter({
    openai: createOpenAiProvider({ upstream, clock, ids, log }),
    rehearsal: createRehearsalProvider({ clock, ids }),
    operator: { apiKey: settings.openAiApiKey, baseUrl: settings.openAiBaseUrl },
    localServer,
    policy: {
      allowedHosts: [],
      allowLoopback: settings.allowLoopbackUpstreams,
      isSelf: settings.isSelf,
    },
  });
  const runs = createRunEngine(
    { store, clock, ids, log },
    {
      owner: toOwner(hostname(), process.pid, randomUUID()),
      settings: { expiresMs: settings.runExpiresMs },
      serverTools: [],
    },
  );
  const recovery = { store, clock, ids, log, router, runs, isProcessAlive };
  await takeUpWhatIsLeft(recovery, log);
  const sweeping = startSweeping(recovery);
  const handle = createServer({
    store,
    router,
    clock,
    ids,
    log,
    runs,
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
    await runs.close(graceMs);
    await store.close();
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
async function takeUpWhatIsLeft(deps: Parameters<typeof sweepRuns>[0], log: Log): Promise<void> {
  try {
    const taken = await sweepRuns(deps);
    const deletions = await finishDeletions(deps);
    if (taken + deletions > 0) log.info('taken up after a restart', { runs: taken, deletions });
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

/** A server that listens. */
export interface RunningApp {
  readonly url: string;
  readonly port: number;
  readonly localServer: LocalServer | null;
  /** Stops accepting, lets active runs finish for as long as `graceMs`, and closes the store. */
  close(graceMs: number): Promise<void>;
}

export interface ListenSettings {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Whether other processes listen on the same port. */
  readonly isPortShared: boolean;
}

/** A connection on which nothing happens for so long is closed; streams send comments more often. */
const IDLE_SECONDS = 120;
/** These wait for a model, which may take minutes to say anything. */
const SLOW_PATHS = /^\/v1\/(chat\/completions|embeddings)$/;

/** Opens the store and listens. Errors: as `createApp`; where the port cannot be had. */
export async function startApp(
  settings: Omit<AppSettings, 'isSelf'> & ListenSettings,
  log: Log,
): Promise<RunningApp> {
  let self: URL | null = null;
  const app = await createApp({ ...settings, isSelf: (url) => self !== null && leadsTo(url, self) }, log);
  const server = Bun.serve({
    hostname: settings.host,
    port: settings.port,
    reusePort: settings.isPortShared,
    idleTimeout: IDLE_SECONDS,
    // Bodies are bounded where they are read, which answers in the envelope.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch(request, server) {
      if (SLOW_PATHS.test(toPath(request))) server.timeout(request, 0);
      return app.handle(request);
    },
  });
  self = server.url;
  log.info('listening', { url: server.url.href, pid: process.pid });
  return {
    url: server.url.href,
    port: server.port ?? settings.port,
    localServer: app.localServer,
    async close(graceMs) {
      // New connections are refused; replies that are under way, streams too, go on.
      const stopped = server.stop(false);
      await app.close(graceMs);
      await Promise.race([stopped, Bun.sleep(CLOSE_MS)]);
      await server.stop(true);
    },
  };
}

/** Replies that are still being read when the runs behind them have ended. */
const CLOSE_MS = 1_000;

function leadsTo(url: string, self: URL): boolean {
  const { hostname: name, port } = new URL(url);
  return port === self.port && (name === self.hostname || /^(localhost|127\.[\d.]+|\[::1\])$/.test(name));
}
