/** Opens sessions: how the driver is set up, and what is said where a cluster cannot be reached. */

import { auth, Client, type ClientOptions, errors, policies, types } from 'cassandra-driver';
import { StoreError } from '../store/store.ts';
import { describeFailure, toInnerErrors } from './errors.ts';
import { type CqlSession, createSession } from './session.ts';
import type { CassandraSettings, Consistency } from './settings.ts';

const DEFAULT_PORT = 9042;
const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than the server's own bounds for reads and writes, so that the server's word comes first. */
const READ_TIMEOUT_MS = 12_000;
/** A node that hangs is known as down after two of these. */
const HEARTBEAT_MS = 5_000;
/** The driver's own policy doubles its waits up to ten minutes, and would sleep through a node's return. */
const RECONNECT_MS = 500;
/** The driver answers one page: every query of ours is bounded below it. */
const PAGE_ROWS_MAX = 5_000;

/** How a client is set up, wherever it connects to. */
export function toDriverOptions(consistency: Consistency): ClientOptions {
  return {
    policies: { reconnection: new policies.reconnection.ConstantReconnectionPolicy(RECONNECT_MS) },
    pooling: { heartBeatInterval: HEARTBEAT_MS, warmup: false },
    socketOptions: { connectTimeout: CONNECT_TIMEOUT_MS, readTimeout: READ_TIMEOUT_MS },
    queryOptions: {
      prepare: true,
      consistency: toConsistency(consistency),
      serialConsistency: toSerialConsistency(consistency),
      fetchSize: PAGE_ROWS_MAX,
    },
    // Metadata of every table of a shared cluster is of no use here.
    isMetadataSyncEnabled: false,
    // No statistics are sent to DataStax.
    monitorReporting: { enabled: false },
  } as ClientOptions;
}

/**
 * Connects to the cluster and its keyspace, which is made where it is missing.
 * Errors: `StoreError` (`unavailable`) that says what is wrong: nobody answers, password, data centre, keyspace.
 */
export async function openSession(settings: CassandraSettings): Promise<CqlSession> {
  const found = await probeCluster(settings);
  await makeKeyspace(settings, found);
  return await openKeyspace(settings, found);
}

/** As `openSession`, but makes nothing: null where the keyspace is missing. */
export async function openExistingSession(settings: CassandraSettings): Promise<CqlSession | null> {
  const found = await probeCluster(settings);
  return found.hasKeyspace ? await openKeyspace(settings, found) : null;
}

async function openKeyspace(settings: CassandraSettings, found: FoundCluster): Promise<CqlSession> {
  const client = new Client({
    ...toClientOptions(settings),
    localDataCenter: found.localDataCenter,
    keyspace: settings.keyspace,
  });
  await connectClient(client, settings);
  return createSession(client, {
    keyspace: settings.keyspace,
    consistency: toConsistency(settings.consistency),
    serialConsistency: toSerialConsistency(settings.consistency),
  });
}

interface FoundCluster {
  readonly localDataCenter: string;
  readonly hasKeyspace: boolean;
  /** Nodes of the local data centre. */
  readonly nodes: number;
}

/** A first look, with any host that answers: the driver must be told its data centre before it knows any. */
async function probeCluster(settings: CassandraSettings): Promise<FoundCluster> {
  const base = toClientOptions(settings);
  const client = new Client({
    ...base,
    policies: { ...base.policies, loadBalancing: new policies.loadBalancing.RoundRobinPolicy() },
  });
  try {
    await connectClient(client, settings);
    const local = (await client.execute('SELECT data_center FROM system.local', [], PLAIN)).first();
    const peers = (await client.execute('SELECT data_center FROM system.peers', [], PLAIN)).rows;
    const keyspaces = await client.execute(
      'SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?',
      [settings.keyspace],
      { prepare: true },
    );
    const centres = [
      String(local?.get('data_center')),
      ...peers.map((peer) => String(peer.get('data_center'))),
    ];
    const localDataCenter = settings.localDataCenter ?? centres[0] ?? '';
    if (!centres.includes(localDataCenter)) {
      throw toUnusable(
        `There is no data centre '${localDataCenter}' in the cluster: it has ${[...new Set(centres)].map((name) => `'${name}'`).join(', ')}.`,
      );
    }
    return {
      localDataCenter,
      hasKeyspace: keyspaces.rows.length > 0,
      nodes: centres.filter((name) => name === localDataCenter).length,
    };
  } catch (error) {
    throw toOpenError(error, settings);
  } finally {
    await client.shutdown();
  }
}

const PLAIN = Object.freeze({ prepare: false, isIdempotent: true });
const COPIES_DEFAULT_MAX = 3;

async function makeKeyspace(settings: CassandraSettings, found: FoundCluster): Promise<void> {
  if (found.hasKeyspace) return;
  const base = toClientOptions(settings);
  const client = new Client({ ...base, localDataCenter: found.localDataCenter });
  const replication = settings.replication ?? {
    [found.localDataCenter]: Math.min(COPIES_DEFAULT_MAX, found.nodes),
  };
  const copies = Object.entries(replication).map(
    ([name, count]) => `, '${name.replaceAll("'", "''")}': ${count}`,
  );
  try {
    await client.execute(
      `CREATE KEYSPACE IF NOT EXISTS ${settings.keyspace} WITH replication = {'class': 'NetworkTopologyStrategy'${copies.join('')}}`,
      [],
      PLAIN,
    );
  } catch (error) {
    if (error instanceof errors.ResponseError && error.code === types.responseErrorCodes.unauthorized) {
      throw toUnusable(
        `The keyspace '${settings.keyspace}' does not exist, and the role '${settings.username ?? 'anonymous'}' may not create it. Create it, or grant CREATE ON ALL KEYSPACES.`,
        error,
      );
    }
    throw toOpenError(error, settings);
  } finally {
    await client.shutdown();
  }
}

async function connectClient(client: Client, settings: CassandraSettings): Promise<void> {
  try {
    await client.connect();
  } catch (error) {
    await client.shutdown().catch(() => undefined);
    throw toOpenError(error, settings);
  }
}

function toClientOptions(settings: CassandraSettings): ClientOptions {
  const { username, password, tls } = settings;
  return {
    ...toDriverOptions(settings.consistency),
    contactPoints: settings.contactPoints.map(toContactPoint),
    ...(username === null || password === null
      ? {}
      : { authProvider: new auth.PlainTextAuthProvider(username, password) }),
    ...(tls === null
      ? {}
      : {
          sslOptions: {
            rejectUnauthorized: true,
            ...(tls.ca === null ? {} : { ca: [tls.ca] }),
            ...(tls.certificate === null ? {} : { cert: tls.certificate }),
            ...(tls.key === null ? {} : { key: tls.key }),
          },
        }),
  };
}

/** With its port: the driver takes one port for all points that name none. */
function toContactPoint(text: string): string {
  const isBracketed = /^\[[^\]]+\]$/.test(text);
  const hasPort = /^(\[[^\]]+\]|[^:]+):\d+$/.test(text);
  if (hasPort) return text;
  // An IPv6 address without brackets is all colons.
  return isBracketed || !text.includes(':') ? `${text}:${DEFAULT_PORT}` : `[${text}]:${DEFAULT_PORT}`;
}

export function toConsistency(name: Consistency): number {
  const { consistencies } = types;
  const byName: Readonly<Record<Consistency, number>> = {
    ONE: consistencies.one,
    LOCAL_ONE: consistencies.localOne,
    TWO: consistencies.two,
    QUORUM: consistencies.quorum,
    LOCAL_QUORUM: consistencies.localQuorum,
    EACH_QUORUM: consistencies.eachQuorum,
    ALL: consistencies.all,
  };
  return byName[name];
}

/** Where writes are to hold in every data centre, so must what they are compared with. */
export function toSerialConsistency(name: Consistency): number {
  const isLocal = name.startsWith('LOCAL_') || name === 'ONE' || name === 'TWO';
  return isLocal ? types.consistencies.localSerial : types.consistencies.serial;
}

function toOpenError(error: unknown, settings: CassandraSettings): StoreError {
  if (error instanceof StoreError) return error;
  const where = settings.contactPoints.join(', ');
  const causes = [error, ...toInnerErrors(error)];
  if (causes.some((cause) => cause instanceof errors.AuthenticationError)) {
    return settings.username === null
      ? toUnusable(`Cassandra at ${where} asks for a user and a password, and none is configured.`, error)
      : toUnusable(`Cassandra at ${where} refuses the password of '${settings.username}'.`, error);
  }
  const reason = describeFailure(error);
  const refusal = causes.find((cause) => cause instanceof errors.ResponseError);
  if (refusal !== undefined) return toUnusable(`Cassandra at ${where} refuses it: ${reason}`, error);
  return toUnusable(
    `Cassandra at ${where} cannot be reached: ${reason}${toTlsHint(reason, settings)}`,
    error,
  );
}

/** One side that speaks TLS and one that does not tell it in words that nobody understands. */
function toTlsHint(reason: string, { tls }: CassandraSettings): string {
  if (tls === null && /ECONNRESET|socket (was )?closed|hang up|parse/i.test(reason)) {
    return '. If its clients must speak TLS, give --cassandra-tls or --cassandra-ca-file.';
  }
  if (tls !== null && /WRONG_VERSION_NUMBER|packet length/i.test(reason)) {
    return '. It does not speak TLS: leave --cassandra-tls and the files out.';
  }
  return '';
}

function toUnusable(message: string, cause?: unknown): StoreError {
  return new StoreError('unavailable', message, cause === undefined ? {} : { cause });
}
