/**
 * Astra DB on one machine: databases that a real Cassandra node keeps apart, behind TLS with SNI and client certificates,
 * and the DevOps API that finds and makes them.
 *
 * What differs from the real one: databases that share a node share its keyspace names, so that one which asks for a name
 * that is taken gets it with a number, which `info.keyspace` tells. Astra's limits for CQL are not there, and any data
 * centre is `datacenter1`.
 */

import type { CassandraNode } from '../cassandra/node.ts';
import { createAuthority } from './authority.ts';
import { type AstraDatabase, createDatabase, type DatabaseStatus } from './database.ts';
import { toErrors } from './devops-answers.ts';
import { answerDevops, type DevopsSettings } from './devops-api.ts';
import { createDownloads, type Downloads } from './downloads.ts';
import { createTokens, type TokenOptions } from './tokens.ts';

const HOST = '127.0.0.1';

export interface AstraSettings {
  /** It must ask for passwords: `startCassandra({ authenticator: 'password' })`. It is the caller's to stop. */
  readonly node: CassandraNode;
  /**
   * `per-read`, the default: a database that comes up, wakes or ends takes its next step with each answer that tells its
   * status. `manual`: a test calls `advance`.
   */
  readonly progress?: 'per-read' | 'manual';
  /** Serves the API over TLS, with a certificate of `authority`. */
  readonly isApiTls?: boolean;
}

export interface DatabaseOptions {
  readonly name?: string;
  readonly keyspace?: string;
  readonly region?: string;
  readonly cloudProvider?: string;
  /** Default: `ACTIVE`. */
  readonly status?: DatabaseStatus;
  /** Instead of the one that all share. */
  readonly node?: CassandraNode;
}

export interface ApiCall {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly status: number;
}

export interface Astra {
  /** Without a slash at its end; `/v2/databases` follows. */
  readonly apiUrl: string;
  /** PEM: who signed the API's certificate and those of the databases. */
  readonly authority: string;
  createDatabase(options?: DatabaseOptions): Promise<AstraDatabase>;
  /** All there are, also those made through the API, oldest first. */
  databases(): readonly AstraDatabase[];
  /** Answers its value, `AstraCS:…`. */
  createToken(options?: TokenOptions): string;
  /** The API and new logins refuse it; connections that are open stay. */
  revoke(token: string): void;
  /** Answers of the API, downloads among them, oldest first. */
  calls(): readonly ApiCall[];
  /** For instance `countCalls('POST', /secureBundleURL$/)`. */
  countCalls(method: string, path: RegExp): number;
  /** How long the API waits before it answers. */
  setDelayMs(delayMs: number): void;
  /** The next calls whose path matches get this status. */
  failNext(count: number, options?: { readonly status?: number; readonly path?: RegExp }): void;
  /** Links to bundles that were given out no longer work. */
  expireDownloads(): void;
  stop(): Promise<void>;
}

interface Trouble {
  delayMs: number;
  failures: number;
  status: number;
  path: RegExp;
}

export async function startAstra(settings: AstraSettings): Promise<Astra> {
  const authority = createAuthority('understudy test Astra');
  const tokens = createTokens();
  const databases = new Map<string, AstraDatabase>();
  const downloads = createDownloads();
  const calls: ApiCall[] = [];
  const trouble: Trouble = { delayMs: 0, failures: 0, status: 500, path: /./ };
  const create = async (options: DatabaseOptions): Promise<AstraDatabase> => {
    const node = options.node ?? settings.node;
    const database = await createDatabase({ ...toDatabaseSettings(options), node, tokens, authority });
    if (options.status !== undefined) database.setStatus(options.status);
    databases.set(database.id, database);
    return database;
  };
  const isAdvancing = (): boolean => settings.progress !== 'manual';
  const devops = toDevops({ tokens, databases, downloads, create, isAdvancing });
  const { isApiTls = false } = settings;
  const api = serve(devops, { tls: isApiTls ? toApiTls(authority) : null, trouble, calls });
  return {
    apiUrl: `${isApiTls ? 'https' : 'http'}://${HOST}:${api.port}`,
    authority: authority.certificate,
    createDatabase: (options = {}) => create(options),
    databases: () => [...databases.values()],
    createToken: (options = {}) => tokens.create(options).value,
    revoke: (token) => tokens.revoke(token),
    calls: () => calls,
    countCalls: (method, path) =>
      calls.filter((call) => call.method === method && path.test(call.path)).length,
    setDelayMs(delayMs) {
      trouble.delayMs = delayMs;
    },
    failNext(failures, { status = 500, path = /./ } = {}) {
      Object.assign(trouble, { failures, status, path });
    },
    expireDownloads: () => downloads.expire(),
    async stop() {
      await api.stop(true);
      await Promise.all([...databases.values()].map((database) => database.close()));
    },
  };
}

interface DevopsParts extends Pick<DevopsSettings, 'tokens' | 'databases' | 'isAdvancing'> {
  readonly downloads: Downloads;
  create(options: DatabaseOptions): Promise<AstraDatabase>;
}

function toDevops({ tokens, databases, downloads, create, isAdvancing }: DevopsParts): DevopsSettings {
  return {
    organizationId: crypto.randomUUID(),
    tokens,
    databases,
    isAdvancing,
    sign: ({ id }) => downloads.sign(id),
    findSigned: (url) => databases.get(downloads.find(url) ?? '') ?? null,
    async create(request) {
      const database = await create({ ...request, status: 'PENDING' });
      database.plan(['INITIALIZING', 'ACTIVE']);
      return database;
    },
  };
}

interface ServeOptions {
  readonly tls: { readonly key: string; readonly cert: string } | null;
  readonly trouble: Trouble;
  /** Gets each call as it is answered. */
  readonly calls: ApiCall[];
}

function serve(devops: DevopsSettings, { tls, trouble, calls }: ServeOptions): Bun.Server<undefined> {
  return Bun.serve({
    hostname: HOST,
    port: 0,
    ...(tls === null ? {} : { tls }),
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const path = pathname + search;
      const response = (await getIntoTrouble(trouble, path)) ?? (await answerDevops(devops, request));
      calls.push({ method: request.method, path, status: response.status });
      return response;
    },
  });
}

function toDatabaseSettings({ name, keyspace, region, cloudProvider }: DatabaseOptions) {
  const suffix = crypto.randomUUID().slice(0, 8);
  return {
    name: name ?? `database ${suffix}`,
    keyspace: keyspace ?? `ks_${suffix}`,
    region: region ?? 'us-east1',
    cloudProvider: cloudProvider ?? 'GCP',
  };
}

function toApiTls(authority: ReturnType<typeof createAuthority>): { key: string; cert: string } {
  const alternativeNames = ['DNS:localhost', `IP:${HOST}`];
  const { key, certificate } = authority.issue({ commonName: HOST, usage: 'serverAuth', alternativeNames });
  return { key, cert: certificate };
}

/** null where the call goes well. */
async function getIntoTrouble(trouble: Trouble, path: string): Promise<Response | null> {
  if (trouble.delayMs > 0) await Bun.sleep(trouble.delayMs);
  if (trouble.failures === 0 || !trouble.path.test(path)) return null;
  trouble.failures--;
  return toErrors(trouble.status, 'a failure that the test asked for');
}
