/** One database of the emulation: its state, its keyspaces, its door, and the bundle that opens it. */

import { writeFile } from 'node:fs/promises';
import { makeZip } from '../../ingest/zip-maker.ts';
import type { CassandraNode } from '../cassandra/node.ts';
import { findFreePorts } from '../cassandra/ports.ts';
import { type Authority, createAuthority } from './authority.ts';
import { type Door, openDoor } from './cql-proxy.ts';
import type { Login } from './login-frames.ts';
import { createNodeGrants, type NodeGrants } from './node-grants.ts';
import { canUse, type Tokens } from './tokens.ts';

const HOST = '127.0.0.1';

export type DatabaseStatus =
  | 'PENDING'
  | 'INITIALIZING'
  | 'ACTIVE'
  | 'MAINTENANCE'
  | 'HIBERNATED'
  | 'RESUMING'
  | 'ERROR'
  | 'TERMINATING'
  | 'TERMINATED';

export interface AstraDatabase {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly cloudProvider: string;
  readonly createdAt: Date;
  /** The first is the one that it was created with. A database's names may differ from what was asked: see `startAstra`. */
  keyspaces(): readonly string[];
  status(): DatabaseStatus;
  /**
   * At once. Where it is then not awake, connections end, and new ones are closed after the handshake: the driver notices
   * that of a connection that it is just opening only after its `readTimeout`, 12 s by default.
   */
  setStatus(status: DatabaseStatus): void;
  /** Lets it go through these, one at each `advance`. */
  plan(steps: readonly DatabaseStatus[]): void;
  /** To the next status of the plan; none where there is no plan. */
  advance(): void;
  /** The secure connect bundle, a ZIP. */
  bundle(): Uint8Array;
  writeBundle(path: string): Promise<void>;
  /** From now on earlier bundles are refused, and their connections end. */
  renewBundle(): Promise<void>;
  /** CQL connections that are open at this moment. */
  openSockets(): number;
  dropConnections(): void;
  /** Logins that were let through, and those that were refused. */
  logins(): { readonly accepted: number; readonly refused: number };
  /** Answers false where another database of the same node has the name. Idempotent for its own. */
  addKeyspace(name: string): Promise<boolean>;
  close(): Promise<void>;
}

export interface DatabaseSettings {
  readonly node: CassandraNode;
  readonly tokens: Tokens;
  /** Of the doors' own certificates. */
  readonly authority: Authority;
  readonly name: string;
  readonly keyspace: string;
  readonly region: string;
  readonly cloudProvider: string;
}

interface Opening {
  readonly door: Door;
  readonly bundle: Uint8Array;
}

export async function createDatabase(settings: DatabaseSettings): Promise<AstraDatabase> {
  const { node, name, region, cloudProvider } = settings;
  const id = crypto.randomUUID();
  const grants = await createNodeGrants(node, id);
  const keyspaces = [await grants.addFreeKeyspace(settings.keyspace)];
  const life: Life = { status: 'ACTIVE', steps: [] };
  const [cqlPort = 0, metadataPort = 0] = await findFreePorts(HOST, 2);
  const gate = createGate(settings.tokens, id, grants);
  const keyspace = keyspaces[0] ?? settings.keyspace;
  const isAwake = (): boolean => life.status === 'ACTIVE' || life.status === 'MAINTENANCE';
  const open = (): Promise<Opening> =>
    openWithBundle(settings, {
      id,
      keyspace,
      hostId: grants.hostId,
      cqlPort,
      metadataPort,
      rewrite: gate.rewrite,
      isAwake,
    });
  let opening = await open();
  const sleepIfTold = (): void => {
    if (!isAwake()) opening.door.dropConnections();
  };
  return {
    ...{ id, name, region, cloudProvider, createdAt: new Date(), logins: gate.logins },
    keyspaces: () => keyspaces,
    ...toLifeMethods(life, sleepIfTold),
    bundle: () => opening.bundle,
    writeBundle: (path) => writeFile(path, opening.bundle, { mode: 0o600 }),
    async renewBundle() {
      await opening.door.close();
      opening = await open();
    },
    openSockets: () => opening.door.openSockets(),
    dropConnections: () => opening.door.dropConnections(),
    async addKeyspace(added) {
      if (keyspaces.includes(added)) return true;
      const isAdded = await grants.addKeyspace(added);
      if (isAdded) keyspaces.push(added);
      return isAdded;
    },
    async close() {
      await opening.door.close();
      await grants.close();
    },
  };
}

interface Life {
  status: DatabaseStatus;
  steps: DatabaseStatus[];
}

function toLifeMethods(
  life: Life,
  onChange: () => void,
): Pick<AstraDatabase, 'status' | 'setStatus' | 'plan' | 'advance'> {
  const set = (status: DatabaseStatus): void => {
    life.status = status;
    onChange();
  };
  return {
    status: () => life.status,
    setStatus(status) {
      life.steps = [];
      set(status);
    },
    plan(steps) {
      life.steps = [...steps];
    },
    advance() {
      const next = life.steps.shift();
      if (next !== undefined) set(next);
    },
  };
}

interface Gate {
  rewrite(login: Login): Login | null;
  logins(): { readonly accepted: number; readonly refused: number };
}

/** All tokens log in as the user `token`; which role that is on the node depends on the door. */
function createGate(tokens: Tokens, databaseId: string, grants: NodeGrants): Gate {
  const counts = { accepted: 0, refused: 0 };
  return {
    rewrite({ username, password }) {
      const token = username === 'token' ? tokens.find(password) : null;
      const isAllowed = token !== null && canUse(token, databaseId);
      counts[isAllowed ? 'accepted' : 'refused']++;
      return isAllowed ? grants.toLogin(token.access) : null;
    },
    logins: () => ({ ...counts }),
  };
}

interface DoorPlan {
  readonly id: string;
  readonly keyspace: string;
  readonly hostId: string;
  readonly cqlPort: number;
  readonly metadataPort: number;
  rewrite(login: Login): Login | null;
  isAwake(): boolean;
}

/** With an authority of its own for its clients: another database's bundle is refused in the handshake. */
async function openWithBundle(settings: DatabaseSettings, plan: DoorPlan): Promise<Opening> {
  const { node, authority, region } = settings;
  const clients = createAuthority(`clients of ${plan.id}`);
  const identity = authority.issue({
    // The driver compares the common name with the proxy's address, and knows no alternative name that is an address.
    commonName: HOST,
    usage: 'serverAuth',
    alternativeNames: ['DNS:localhost', `IP:${HOST}`],
  });
  const door = await openDoor({
    ...plan,
    identity,
    clientAuthority: clients.certificate,
    nodePort: node.port,
    region,
  });
  const client = clients.issue({ commonName: plan.id, usage: 'clientAuth' });
  const config = {
    host: HOST,
    port: door.metadataPort,
    cql_port: door.cqlPort,
    keyspace: plan.keyspace,
    localDC: region,
    caCertLocation: './ca.crt',
    keyLocation: './key',
    certLocation: './cert',
  };
  const bundle = makeZip([
    { name: 'ca.crt', content: authority.certificate },
    { name: 'cert', content: client.certificate },
    { name: 'key', content: client.key },
    { name: 'config.json', content: JSON.stringify(config, null, 2) },
  ]);
  return { door, bundle };
}
