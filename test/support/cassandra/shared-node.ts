/**
 * The node that all test files of a process share. `UNDERSTUDY_TEST_CASSANDRA=host:port` names one that runs already;
 * else it is started for the first who asks, and ends with the process.
 */

import { describe } from 'bun:test';
import { rmSync } from 'node:fs';
import { Client, type ClientOptions, policies } from 'cassandra-driver';
import { type CassandraNode, DATA_CENTRE, startCassandra } from './node.ts';
import { findMissing } from './requirements.ts';

const VARIABLE = 'UNDERSTUDY_TEST_CASSANDRA';
/** For VARIABLE: what needs Cassandra was not asked for. */
const NONE = 'none';
/** With `1`, they are asked for, and a machine that cannot run them fails them. */
const REQUIRE_VARIABLE = 'REQUIRE_CASSANDRA';
const RECONNECTION_MS = 250;
const RANDOM_LENGTH = 12;

export interface SharedCassandra {
  readonly host: string;
  readonly port: number;
  /** `host:port`. */
  readonly contactPoint: string;
  readonly dataCentre: string;
  /** A name that nobody else has. Nothing is created. Keyspaces are never dropped: that flushes the whole node. */
  toFreshKeyspace(): string;
  /** Creates a keyspace of a fresh name, for one node, and answers the name. */
  createKeyspace(): Promise<string>;
  /** A driver for the node, not connected yet, which the test shuts down. */
  client(options?: ClientOptions): Client;
}

/**
 * `describe`, or its `skip` where the suite was not asked for (`UNDERSTUDY_TEST_CASSANDRA=none`, as `npm test` has it), or where
 * the machine has neither a node nor what it takes to start one: then a line tells what is skipped. `needsOwnNode` is for suites that start and kill nodes, which one that runs already does not help.
 * Errors: with REQUIRE_CASSANDRA=1, what is missing.
 *
 *     const describeCassandra = cassandraOrSkip('the store on Cassandra');
 *     describeCassandra('the store on Cassandra', () => { … });
 */
export function cassandraOrSkip(
  suite: string,
  { needsOwnNode = false } = {},
): typeof describe | typeof describe.skip {
  const isRequired = process.env[REQUIRE_VARIABLE] === '1';
  if (process.env[VARIABLE] === NONE && !isRequired) {
    console.error(
      `understudy tests: LEFT OUT ${suite}: it needs Cassandra; \`npm run test:cassandra\` runs it`,
    );
    return describe.skip;
  }
  const missing = needsOwnNode || readContactPoint() === null ? findMissing() : null;
  if (missing === null) return describe;
  if (isRequired) {
    throw new Error(`${suite} needs Cassandra (${REQUIRE_VARIABLE}=1), but ${missing}`);
  }
  console.error(`understudy tests: SKIPPED ${suite}: ${missing}`);
  return describe.skip;
}

/** Idempotent: all callers of a process get the same node. */
export async function useCassandra(): Promise<SharedCassandra> {
  const named = readContactPoint();
  if (named !== null) return toShared(named.host, named.port);
  const { host, port } = await startOnce();
  return toShared(host, port);
}

interface Slot {
  understudyTestCassandra?: Promise<CassandraNode>;
}

/** Kept with the process: a test runner may evaluate this module once for each test file. */
function startOnce(): Promise<CassandraNode> {
  const slot: typeof globalThis & Slot = globalThis;
  slot.understudyTestCassandra ??= startCassandra({ commitLogSync: 'periodic' }).then((node) => {
    process.once('exit', () => {
      process.kill(node.pid, 'SIGKILL');
      rmSync(node.dataDirectory, { recursive: true, force: true });
    });
    return node;
  });
  return slot.understudyTestCassandra;
}

function readContactPoint(): { host: string; port: number } | null {
  const given = process.env[VARIABLE];
  if (given === undefined || given === '' || given === NONE) return null;
  const match = /^([^:]+):(\d+)$/.exec(given);
  if (match?.[1] === undefined) throw new Error(`${VARIABLE} is not host:port but ${given}`);
  return { host: match[1], port: Number(match[2]) };
}

function toShared(host: string, port: number): SharedCassandra {
  const contactPoint = `${host}:${port}`;
  const client = (options: ClientOptions = {}): Client =>
    new Client({
      contactPoints: [contactPoint],
      localDataCenter: DATA_CENTRE,
      policies: { reconnection: new policies.reconnection.ConstantReconnectionPolicy(RECONNECTION_MS) },
      ...options,
    });
  const toFreshKeyspace = (): string =>
    `test_${crypto.randomUUID().replaceAll('-', '').slice(0, RANDOM_LENGTH)}`;
  return {
    host,
    port,
    contactPoint,
    dataCentre: DATA_CENTRE,
    toFreshKeyspace,
    client,
    async createKeyspace() {
      const name = toFreshKeyspace();
      const creator = client();
      try {
        const replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
        await creator.execute(`CREATE KEYSPACE ${name} WITH replication = ${replication}`);
        return name;
      } finally {
        await creator.shutdown();
      }
    },
  };
}
