/** The server on its port: what listens, and how it ends. */

import { type App, type AppSettings, createApp } from './app.ts';
import type { Sharing } from './cluster/door.ts';
import type { Log } from './log.ts';
import type { LocalServer } from './providers/routing/local-servers.ts';
import { toPath } from './routes/manners.ts';

/** A server that listens. */
export interface RunningApp extends Pick<App, 'changeModels' | 'takeUpNow'> {
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
  /** Where `balanced`, host and port are the primary's, and this process listens for it. */
  readonly sharing: Sharing;
  /** Null: HTTP. */
  readonly tls: TlsSettings | null;
}

/** PEM, all of it. */
export interface TlsSettings {
  readonly certificate: string;
  readonly key: string;
  /** Only clients with a certificate of one of these are served; null: all are. */
  readonly clientAuthorities: string | null;
}

/** A connection on which nothing happens for so long is closed; streams send comments more often. */
const IDLE_SECONDS = 120;
/** These wait for a model, which may take minutes to say anything. */
const SLOW_PATHS =
  /^\/v1\/(chat\/completions|embeddings|completions|moderations|(images|audio|fine_tuning|batches)(\/.*)?)$/;

/** Opens the store and listens. Errors: as `createApp`; where the port cannot be had. */
export async function startApp(
  settings: Omit<AppSettings, 'isSelf' | 'holdOpen' | 'findAddress'> & ListenSettings,
  log: Log,
): Promise<RunningApp> {
  let self: URL | null = null;
  let server: Bun.Server<undefined> | null = null;
  const isSelf = createSelfCheck();
  const app = await createApp(
    {
      ...settings,
      isSelf: (url) => self !== null && isSelf(url, self),
      holdOpen(request) {
        server?.timeout(request, 0);
        return () => server?.timeout(request, IDLE_SECONDS);
      },
      // Behind the primary every client has the primary's address.
      findAddress: (request) =>
        settings.sharing === 'balanced' ? null : (server?.requestIP(request)?.address ?? null),
    },
    log,
  );
  const isBalanced = settings.sharing === 'balanced';
  const listening = Bun.serve({
    hostname: isBalanced ? BEHIND_PRIMARY.host : settings.host,
    port: isBalanced ? BEHIND_PRIMARY.port : settings.port,
    reusePort: settings.sharing === 'shared',
    ...(settings.tls === null ? {} : { tls: toTlsOptions(settings.tls) }),
    idleTimeout: IDLE_SECONDS,
    // Bodies are bounded where they are read, which answers in the envelope.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch(request, server) {
      if (SLOW_PATHS.test(toPath(request))) server.timeout(request, 0);
      return app.handle(request);
    },
  });
  server = listening;
  const url = isBalanced ? toUrl(listening.url.protocol, settings) : listening.url;
  self = url;
  log.info('listening', { url: url.href, pid: process.pid });
  return {
    url: url.href,
    port: listening.port ?? settings.port,
    localServer: app.localServer,
    changeModels: (next) => app.changeModels(next),
    takeUpNow: () => app.takeUpNow(),
    async close(graceMs) {
      // New connections are refused; replies that are under way, streams too, go on.
      const stopped = listening.stop(false);
      await app.close(graceMs);
      await Promise.race([stopped, Bun.sleep(CLOSE_MS)]);
      await listening.stop(true);
    },
  };
}

function toTlsOptions({ certificate, key, clientAuthorities }: TlsSettings): Bun.TLSOptions {
  if (clientAuthorities === null) return { cert: certificate, key };
  return { cert: certificate, key, ca: clientAuthorities, requestCert: true, rejectUnauthorized: true };
}

/** Only the primary comes here, from this machine. */
const BEHIND_PRIMARY = Object.freeze({ host: '127.0.0.1', port: 0 });

function toUrl(protocol: string, { host, port }: Pick<ListenSettings, 'host' | 'port'>): URL {
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return new URL(`${protocol}//${name}:${port}/`);
}

/** Replies that are still being read when the runs behind them have ended. */
const CLOSE_MS = 1_000;

const URLS_MAX = 64;

/** Asked with every request, nearly always of the same URL, which takes longer to read than to route the request. */
function createSelfCheck(): (url: string, self: URL) => boolean {
  const known = new Map<string, boolean>();
  return (url, self) => {
    const found = known.get(url);
    if (found !== undefined) return found;
    if (known.size >= URLS_MAX) known.clear();
    const answer = leadsTo(url, self);
    known.set(url, answer);
    return answer;
  };
}

function leadsTo(url: string, self: URL): boolean {
  const { hostname: name, port } = new URL(url);
  return port === self.port && (name === self.hostname || /^(localhost|127\.[\d.]+|\[::1\])$/.test(name));
}
