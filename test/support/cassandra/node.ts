/** A real Cassandra node on loopback, in a process of its own, with the operations that a test of faults needs. */

import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type ClientOptions, policies } from 'cassandra-driver';
import { fetchCassandra } from './fetch.ts';
import { type GuardedProcess, startGuarded } from './guarded-process.ts';
import { toJavaArguments } from './java-arguments.ts';
import { type ClientTls, type CommitLogSync, writeNodeFiles } from './node-files.ts';
import { findFreePorts } from './ports.ts';
import { waitUntilAnswering } from './readiness.ts';
import { findJava, findMissing } from './requirements.ts';

/** For the timeouts of the hooks that start a node: its own bound, and the fetch before the first one of a machine. */
export const CASSANDRA_START_MS = 180_000;
/** The only data centre there is. */
export const DATA_CENTRE = 'datacenter1';
/** Cassandra's own first user, where passwords are asked for. A superuser. */
export const SUPERUSER = { username: 'cassandra', password: 'cassandra' } as const;

const HOST = '127.0.0.1';
const HEAP_MIB = 512;
/** Somebody else may have taken a port in between. */
const STARTS_MAX = 3;
const LOG_LINES_MAX = 40;
const RECONNECTION_MS = 250;

export interface CassandraOptions {
  /** `password` checks permissions too; the first user is `SUPERUSER`. Default: `none`. */
  readonly authenticator?: 'none' | 'password';
  readonly clientTls?: ClientTls;
  /**
   * What the readiness check, and `client()`, connect with where `clientTls` is given. The driver checks the server's
   * certificate only where this says `rejectUnauthorized: true`.
   */
  readonly clientSslOptions?: ClientOptions['sslOptions'];
  /** Kept after `stop` where it is given. */
  readonly dataDirectory?: string;
  readonly heapMiB?: number;
  /** Default: `batch`, for tests that kill the node. */
  readonly commitLogSync?: CommitLogSync;
}

export interface CassandraNode {
  readonly host: string;
  /** CQL's. The same after a restart. */
  readonly port: number;
  /** `host:port`. */
  readonly contactPoint: string;
  readonly dataDirectory: string;
  /** Another one after a restart. */
  readonly pid: number;
  /** A driver for this node, not connected yet, which the test shuts down. It finds a restarted node quickly. */
  client(options?: ClientOptions): Client;
  /** SIGKILL, and waits for the end. The data stays. */
  kill(): Promise<void>;
  /** Starts it on the same data and ports, and waits until it answers; kills it first where it runs. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay, nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Ends it. The data is removed, unless the test named the folder: then the end is an orderly one, of 7 s. */
  stop(): Promise<void>;
  /** The last lines of the node's log. */
  readLog(): Promise<string>;
}

interface Settings {
  readonly options: CassandraOptions;
  readonly directory: string;
  readonly port: number;
  readonly storagePort: number;
}

/** Errors: what is missing on the machine; a node that ends or does not answer in time, with the end of its log. */
export async function startCassandra(options: CassandraOptions = {}): Promise<CassandraNode> {
  const missing = findMissing();
  if (missing !== null) throw new Error(`Cassandra cannot be started: ${missing}`);
  const directory = options.dataDirectory ?? (await mkdtemp(join(tmpdir(), 'understudy-cassandra-')));
  await mkdir(directory, { recursive: true });
  try {
    for (let starts = 1; ; starts++) {
      const [port = 0, storagePort = 0] = await findFreePorts(HOST, 2);
      const settings = { options, directory, port, storagePort };
      try {
        return toNode(settings, await startProcess(settings));
      } catch (error) {
        if (starts === STARTS_MAX || !/in use/i.test(String(error))) throw error;
      }
    }
  } catch (error) {
    if (options.dataDirectory === undefined) await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function startProcess(settings: Settings): Promise<GuardedProcess> {
  const { options, directory, port, storagePort } = settings;
  const jarFolder = await fetchCassandra();
  const { authenticator = 'none', clientTls, heapMiB = HEAP_MIB, commitLogSync = 'batch' } = options;
  const confFolder = await writeNodeFiles({
    directory,
    host: HOST,
    port,
    storagePort,
    authenticator,
    commitLogSync,
    clientTls,
  });
  const java = findJava() ?? 'java';
  const command = [java, ...toJavaArguments({ jarFolder, confFolder, directory, heapMiB })];
  const disposableDirectory = options.dataDirectory === undefined ? directory : null;
  const child = startGuarded(command, { cwd: directory, logPath: toLogPath(directory), disposableDirectory });
  try {
    await waitUntilAnswering({
      host: HOST,
      port,
      ended: child.ended,
      createClient: () => createClient(settings, {}),
    });
    return child;
  } catch (error) {
    await child.kill();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${reason}\n${await readLastLines(toLogPath(directory))}`);
  }
}

function toNode(settings: Settings, first: GuardedProcess): CassandraNode {
  const { options, directory, port } = settings;
  let child = first;
  return {
    host: HOST,
    port,
    contactPoint: `${HOST}:${port}`,
    dataDirectory: directory,
    get pid() {
      return child.pid;
    },
    client: (given = {}) => createClient(settings, given),
    kill: () => child.kill(),
    async restart() {
      await child.kill();
      child = await startProcess(settings);
    },
    pause: () => child.signal('SIGSTOP'),
    resume: () => child.signal('SIGCONT'),
    async stop() {
      if (options.dataDirectory !== undefined) return await child.terminate();
      await child.kill();
      await rm(directory, { recursive: true, force: true });
    },
    readLog: () => readLastLines(toLogPath(directory)),
  };
}

function createClient({ options, port }: Settings, given: ClientOptions): Client {
  return new Client({
    contactPoints: [`${HOST}:${port}`],
    localDataCenter: DATA_CENTRE,
    ...(options.authenticator === 'password' ? { credentials: SUPERUSER } : {}),
    ...(options.clientSslOptions === undefined ? {} : { sslOptions: options.clientSslOptions }),
    policies: { reconnection: new policies.reconnection.ConstantReconnectionPolicy(RECONNECTION_MS) },
    ...given,
  });
}

function toLogPath(directory: string): string {
  return join(directory, 'node.log');
}

async function readLastLines(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-LOG_LINES_MAX).join('\n');
}
