/** The door of one database: TLS with client certificates to its node, and the service that tells drivers about it. */

import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { DATA_CENTRE } from '../cassandra/node.ts';
import type { Identity } from './authority.ts';
import { createLoginRewriter, type Login } from './login-frames.ts';

const HOST = '127.0.0.1';
/** Astra answers it for databases that sleep, as drivers report. */
const ASLEEP_STATUS = 401;

export interface DoorSettings {
  readonly identity: Identity;
  /** Clients must show a certificate of it. PEM. */
  readonly clientAuthority: string;
  readonly hostId: string;
  readonly nodePort: number;
  readonly region: string;
  /** 0 leaves the choice to the system. */
  readonly cqlPort: number;
  readonly metadataPort: number;
  isAwake(): boolean;
  /** null refuses the login. */
  rewrite(login: Login): Login | null;
}

export interface Door {
  readonly cqlPort: number;
  readonly metadataPort: number;
  /** Of CQL, past the handshake. */
  openSockets(): number;
  dropConnections(): void;
  close(): Promise<void>;
}

export async function openDoor(settings: DoorSettings): Promise<Door> {
  const { identity, clientAuthority } = settings;
  const tls = {
    key: identity.key,
    cert: identity.certificate,
    ca: clientAuthority,
    requestCert: true,
    rejectUnauthorized: true,
  };
  const cqlSockets = new Set<Socket>();
  const metadataSockets = new Set<Socket>();
  const cql = createTlsServer(tls, (socket) => {
    remember(cqlSockets, socket);
    pass(socket, settings);
  });
  const cqlPort = await listen(cql, settings.cqlPort);
  const metadata = createHttpsServer(tls, (request, response) => {
    const isFound = request.method === 'GET' && request.url === '/metadata';
    const status = !isFound ? 404 : settings.isAwake() ? 200 : ASLEEP_STATUS;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(status === 200 ? toMetadata(settings, cqlPort) : { message: 'not available' }),
    );
  });
  metadata.on('secureConnection', (socket: TLSSocket) => remember(metadataSockets, socket));
  const metadataPort = await listen(metadata, settings.metadataPort);
  const drop = (sockets: Set<Socket>): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    cqlPort,
    metadataPort,
    openSockets: () => cqlSockets.size,
    dropConnections: () => drop(cqlSockets),
    async close() {
      const closed = Promise.all([cql, metadata].map(closeServer));
      drop(cqlSockets);
      drop(metadataSockets);
      await closed;
    },
  };
}

function toMetadata({ hostId, region }: DoorSettings, cqlPort: number): object {
  return {
    version: 1,
    region,
    contact_info: {
      type: 'sni_proxy',
      local_dc: DATA_CENTRE,
      contact_points: [hostId],
      // Drivers resolve a name by DNS alone, which knows no localhost.
      sni_proxy_address: `${HOST}:${cqlPort}`,
    },
  };
}

function pass(client: TLSSocket, settings: DoorSettings): void {
  const { servername } = client as TLSSocket & { readonly servername?: string | false };
  if (!settings.isAwake() || servername !== settings.hostId) {
    client.destroy();
    return;
  }
  const node = connect({ host: HOST, port: settings.nodePort });
  const rewriter = createLoginRewriter({
    rewrite: settings.rewrite,
    answer: (bytes) => void client.write(bytes),
  });
  const end = (): void => {
    client.destroy();
    node.destroy();
  };
  for (const stream of [client, node, rewriter]) stream.on('error', end);
  client.on('close', end);
  node.on('close', end);
  client.pipe(rewriter).pipe(node);
  node.pipe(client);
}

function remember(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => sockets.delete(socket));
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen({ host: HOST, port }, () => done((server.address() as AddressInfo).port));
    // A client that fails the handshake is the client's affair.
    server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy());
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}
