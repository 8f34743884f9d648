/**
 * A database of the emulation on a real node: its keyspaces, and two roles that reach nothing else. The proxy logs its
 * clients in as one of them, so that the node's own permissions keep databases apart.
 */

import { randomBytes } from 'node:crypto';
import { type Client, errors } from 'cassandra-driver';
import type { CassandraNode } from '../cassandra/node.ts';
import type { Login } from './login-frames.ts';

const ALREADY_EXISTS = 0x2400;
const NAMES_MAX = 100;
const NAME_PATTERN = /^[a-z][a-z0-9_]{0,47}$/i;
const READ = ['SELECT'] as const;
const WRITE = ['SELECT', 'MODIFY', 'CREATE', 'ALTER', 'DROP'] as const;

export interface NodeGrants {
  /** What the driver calls the node in its certificate checks. */
  readonly hostId: string;
  toLogin(access: 'read' | 'write'): Login;
  /** Creates it and grants it. Answers false where another database of the node has the name. */
  addKeyspace(name: string): Promise<boolean>;
  /** The same with a number behind the name, where it is taken. Answers the name. */
  addFreeKeyspace(name: string): Promise<string>;
  close(): Promise<void>;
}

/** The node must ask for passwords. Errors: the driver's. */
export async function createNodeGrants(node: CassandraNode, databaseId: string): Promise<NodeGrants> {
  const client = node.client();
  const prefix = `astra_${databaseId.replaceAll('-', '')}`;
  const logins = { read: toNewLogin(`${prefix}_read`), write: toNewLogin(`${prefix}_write`) };
  const local = await client.execute('SELECT host_id FROM system.local');
  for (const { username, password } of Object.values(logins)) {
    await client.execute(`CREATE ROLE ${username} WITH PASSWORD = '${password}' AND LOGIN = true`);
  }
  const addKeyspace = async (name: string): Promise<boolean> => {
    if (!(await createKeyspace(client, name))) return false;
    await grant(client, name, logins.read.username, READ);
    await grant(client, name, logins.write.username, WRITE);
    return true;
  };
  return {
    hostId: String(local.first().get('host_id')),
    toLogin: (access) => logins[access],
    addKeyspace,
    async addFreeKeyspace(name) {
      for (let number = 1; number <= NAMES_MAX; number++) {
        const candidate = number === 1 ? name : `${name}_${number}`;
        if (await addKeyspace(candidate)) return candidate;
      }
      throw new Error(`the node has ${NAMES_MAX} keyspaces named like ${name}`);
    },
    close: () => client.shutdown(),
  };
}

export function isKeyspaceName(name: string): boolean {
  return NAME_PATTERN.test(name);
}

async function createKeyspace(client: Client, name: string): Promise<boolean> {
  const replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
  try {
    await client.execute(`CREATE KEYSPACE "${name}" WITH replication = ${replication}`);
    return true;
  } catch (error) {
    if (error instanceof errors.ResponseError && error.code === ALREADY_EXISTS) return false;
    throw error;
  }
}

/** On the tables and not on the keyspace, which Astra's tokens can neither alter nor drop by CQL. */
async function grant(
  client: Client,
  keyspace: string,
  role: string,
  permissions: readonly string[],
): Promise<void> {
  for (const permission of permissions) {
    await client.execute(`GRANT ${permission} ON ALL TABLES IN KEYSPACE "${keyspace}" TO ${role}`);
  }
}

function toNewLogin(username: string): Login {
  return { username, password: randomBytes(16).toString('hex') };
}
