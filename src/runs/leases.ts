/**
 * Who works on a run. Every run that has not ended has a lease; a process that dies leaves leases behind that nobody
 * renews, and whoever finds them goes on with the runs.
 */

import type { Ports } from '../ports.ts';
import { SYSTEM_TENANT } from '../store/collections.ts';
import type { DeleteWrite, InsertWrite, Scope, Write } from '../store/store.ts';
import type { KeptHeaders, LeaseRecord, RunRecord } from './run-records.ts';

/** A working process renews its leases well before this. */
export const LEASE_MS = 30_000;

/** As the end of a lease: its owner has let go of it. */
export const RELEASED_MS = 0;

export const LEASE_SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });

export function toLeaseInsert(
  deps: Pick<Ports, 'clock'>,
  tenant: string,
  run: RunRecord,
  owner: string,
  kept: KeptHeaders | null = null,
): InsertWrite {
  const record: LeaseRecord = {
    id: run.id,
    tenant,
    thread_id: run.thread_id,
    owner,
    until_ms: deps.clock.nowMs() + LEASE_MS,
    kept_headers: kept,
  };
  return { kind: 'insert', collection: 'leases', scope: LEASE_SCOPE, record, isFresh: true };
}

/** The run waits for its client until then, and nobody works on it. */
export function toLeaseWait(runId: string, untilMs: number): Write {
  return toLeaseUpdate(runId, { owner: null, until_ms: untilMs });
}

/** This process works on the run now. `kept`, where it is named, takes the place of what was kept of headers. */
export function toLeaseClaim(
  deps: Pick<Ports, 'clock'>,
  runId: string,
  owner: string,
  kept?: KeptHeaders | null,
): Write {
  return toLeaseUpdate(runId, {
    owner,
    until_ms: deps.clock.nowMs() + LEASE_MS,
    ...(kept === undefined ? {} : { kept_headers: kept }),
  });
}

/** Writes nothing; refuses what is behind it unless the run is this process's to work on. */
export function toLeaseCheck(runId: string, owner: string): Write {
  return { kind: 'require', collection: 'leases', scope: LEASE_SCOPE, id: runId, equals: { owner } };
}

/** The owner is still at work. To be written behind `toLeaseCheck`. */
export function toLeaseRenewal(deps: Pick<Ports, 'clock'>, runId: string): Write {
  return toLeaseUpdate(runId, { until_ms: deps.clock.nowMs() + LEASE_MS });
}

/**
 * Nobody works on the run any more, although it has not ended: the next process takes it at once. To be written behind
 * `toLeaseCheck`.
 */
export function toLeaseRelease(runId: string): Write {
  return toLeaseUpdate(runId, { until_ms: RELEASED_MS });
}

export function toLeaseDelete(runId: string): DeleteWrite {
  return { kind: 'delete', collection: 'leases', scope: LEASE_SCOPE, id: runId };
}

function toLeaseUpdate(runId: string, change: Partial<LeaseRecord>): Write {
  return { kind: 'update', collection: 'leases', scope: LEASE_SCOPE, id: runId, change };
}

/**
 * The name of this process in leases. `host` is where its process id means something (`host-identity.ts`); the nonce
 * tells it from every other process that ever has the same.
 */
export function toOwner(host: string, pid: number, nonce: string): string {
  return `${host}/${pid}/${nonce}`;
}

/**
 * Whether the owner is a process of this host that is no more; false where that cannot be known.
 * `isAlive` tells whether a process id is in use.
 */
export function isDeadOwner(owner: string, self: string, isAlive: (pid: number) => boolean): boolean {
  const [host, pid, nonce] = owner.split('/');
  const [selfHost, selfPid, selfNonce] = self.split('/');
  if (host !== selfHost || pid === undefined) return false;
  if (pid === selfPid) return nonce !== selfNonce;
  return !isAlive(Number(pid));
}
