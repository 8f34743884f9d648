/** How connections reach the workers: one worker has the port, several share it, or the primary hands connections on. */

import { startBalancer } from './balancer.ts';
import type { WorkerName } from './fleet.ts';
import { claimSharedPort } from './port.ts';

/** `alone`: the only worker listens on the port. `shared`: all do. `balanced`: the primary does, and each worker on one of its own. */
export type Sharing = 'alone' | 'shared' | 'balanced';

/** What the operator wants; `auto` is the system's own way where there is one. */
export type Balance = 'auto' | 'kernel' | 'primary';

export interface Door {
  /** Where clients come in; 0 as long as the system has not chosen. */
  readonly port: number;
  /** The worker listens on this port. */
  onReady(worker: WorkerName, port: number): void;
  onEnded(worker: WorkerName): void;
  stopAccepting(): void;
  close(): void;
}

export interface DoorOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly sharing: Sharing;
}

/** Only Linux lets processes share a port such that each gets a part of the connections. */
export function toSharing(
  workers: number,
  balance: Balance,
  platform: NodeJS.Platform = process.platform,
): Sharing {
  if (workers === 1) return 'alone';
  if (balance === 'auto') return platform === 'linux' ? 'shared' : 'balanced';
  return balance === 'kernel' ? 'shared' : 'balanced';
}

/** Errors: what to read where the port cannot be had. */
export async function openDoor({ host, port, sharing }: DoorOptions): Promise<Door> {
  if (sharing === 'balanced') {
    const balancer = await startBalancer(host, port);
    return {
      port: balancer.port,
      onReady: ({ serial }, at) => balancer.addWorker(serial, at),
      onEnded: ({ serial }) => balancer.removeWorker(serial),
      stopAccepting: () => balancer.stopAccepting(),
      close: () => balancer.close(),
    };
  }
  if (sharing === 'shared') {
    const claimed = claimSharedPort(host, port);
    return { ...NO_DUTIES, port: claimed.port, close: () => claimed.release() };
  }
  let known = port;
  return {
    ...NO_DUTIES,
    get port() {
      return known;
    },
    // Where the system chose the port, a worker that comes later takes the same.
    onReady(_, at) {
      known = at;
    },
  };
}

/** The kernel hands connections to whoever listens, and knows who is gone. */
const NO_DUTIES: Omit<Door, 'port'> = Object.freeze({
  onReady: () => undefined,
  onEnded: () => undefined,
  stopAccepting: () => undefined,
  close: () => undefined,
});
