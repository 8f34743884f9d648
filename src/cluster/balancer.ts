/**
 * The port where workers cannot share it: the primary accepts the connections, and hands the bytes of each to the worker that has
 * the fewest. What is in them (TLS, HTTP) is the worker's affair.
 */

import { createServer, connect as openConnection, type Server, type Socket } from 'node:net';
import { toListenError } from './port.ts';

export interface Balancer {
  readonly port: number;
  /** `serial` names the worker, `port` is where it listens on this machine. */
  addWorker(serial: number, port: number): void;
  /** No further connection goes there; those that are open end with the worker. */
  removeWorker(serial: number): void;
  /** Refuses connections from now on; those that are open go on. */
  stopAccepting(): void;
  /** Ends everything. */
  close(): void;
}

interface Target {
  readonly serial: number;
  readonly port: number;
  connections: number;
  /** Ever: among those that have as few, whoever had the fewest is next. */
  taken: number;
}

const WORKERS_HOST = '127.0.0.1';
const BACKLOG = 4096;
/** How long a connection waits where no worker is there: one that starts again is back before. */
const WAIT_MS = 5_000;

/** Port 0: the system chooses. Errors: what to read where the port cannot be had. */
export async function startBalancer(host: string, wanted: number): Promise<Balancer> {
  const targets = new Map<number, Target>();
  const open = new Set<Socket>();
  /** Those for which no worker is there, with what tries again. */
  const waiting = new Map<Socket, () => void>();
  const wait = (client: Socket): void => {
    const leave = (): void => {
      clearTimeout(timer);
      waiting.delete(client);
    };
    const timer = setTimeout(() => client.destroy(), WAIT_MS);
    client.once('close', leave);
    waiting.set(client, () => {
      leave();
      client.off('close', leave);
      handOver(client, targets, new Set(), wait);
    });
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    open.add(client);
    // What goes wrong with a connection is told by its close.
    client.on('error', ignore);
    client.once('close', () => open.delete(client));
    handOver(client, targets, new Set(), wait);
  });
  const port = await listen(server, host, wanted);
  return {
    port,
    addWorker(serial, at) {
      targets.set(serial, { serial, port: at, connections: 0, taken: toFewestTaken(targets) });
      for (const tryAgain of [...waiting.values()]) tryAgain();
    },
    removeWorker(serial) {
      targets.delete(serial);
    },
    stopAccepting() {
      server.close();
    },
    close() {
      server.close();
      for (const client of open) client.destroy();
    },
  };
}

async function listen(server: Server, host: string, wanted: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', (error) => reject(toListenError(error, host, wanted)));
  server.listen({ host, port: wanted, backlog: BACKLOG, exclusive: true }, () => {
    const address = server.address();
    resolve(typeof address === 'object' && address !== null ? address.port : wanted);
  });
  return await promise;
}

/** Tries one worker after the other: one that has just died refuses. Where none takes it, the connection waits for the next. */
function handOver(
  client: Socket,
  targets: ReadonlyMap<number, Target>,
  tried: Set<number>,
  wait: (client: Socket) => void,
): void {
  const target = findLeastBusy(targets, tried);
  if (target === null) {
    wait(client);
    return;
  }
  tried.add(target.serial);
  target.connections += 1;
  target.taken += 1;
  const worker = openConnection({
    host: WORKERS_HOST,
    port: target.port,
    allowHalfOpen: true,
    noDelay: true,
  });
  let isConnected = false;
  const end = (): void => void worker.destroy();
  worker.once('connect', () => {
    isConnected = true;
    client.pipe(worker);
    worker.pipe(client);
  });
  worker.on('error', ignore);
  worker.once('close', () => {
    target.connections -= 1;
    client.off('close', end);
    if (isConnected || client.destroyed) client.destroy();
    else handOver(client, targets, tried, wait);
  });
  client.once('close', end);
}

function ignore(): void {}

function findLeastBusy(targets: ReadonlyMap<number, Target>, tried: ReadonlySet<number>): Target | null {
  let best: Target | null = null;
  for (const target of targets.values()) {
    if (tried.has(target.serial)) continue;
    if (best === null || isLessBusy(target, best)) best = target;
  }
  return best;
}

function isLessBusy(one: Target, other: Target): boolean {
  if (one.connections !== other.connections) return one.connections < other.connections;
  return one.taken < other.taken;
}

/** A worker that comes later does not have to catch up with the others. */
function toFewestTaken(targets: ReadonlyMap<number, Target>): number {
  return targets.size === 0 ? 0 : Math.min(...[...targets.values()].map(({ taken }) => taken));
}
