/**
 * Who works on a run. Every run that has not ended has a lease; a process that dies leaves leases behind whose
 * time runs out, and whoever finds them goes on with the runs.
 */

import type { Ports } from '../ports.ts';
import { SYSTEM_TENANT } from '../store/collections.ts';
import type { Scope, Write } from '../store/store.ts';
import type { LeaseRecord, RunRecord } from './run-records.ts';

/** A working process renews its leases well before this. */
export const LEASE_MS = 30_000;

export const LEASE_SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });

export function toLeaseInsert(
  deps: Pick<Ports, 'clock'>,
  tenant: string,
  run: RunRecord,
  owner: string,
): Write {
  const record: LeaseRecord = {
    id: run.id,
    tenant,
    thread_id: run.thread_id,
    owner,
    until_ms: deps.clock.nowMs() + LEASE_MS,
  };
  return { kind: 'insert', collection: 'leases', scope: LEASE_SCOPE, record };
}

/** The run waits for its client until then, and nobody works on it. */
export function toLeaseWait(runId: string, untilMs: number): Write {
  return toLeaseUpdate(runId, { owner: null, until_ms: untilMs });
}

/** This process works on the run now. */
export function toLeaseClaim(deps: Pick<Ports, 'clock'>, runId: string, owner: string): Write {
  return toLeaseUpdate(runId, { owner, until_ms: deps.clock.nowMs() + LEASE_MS });
}

/** Nobody works on the run any more, although it has not ended: the next process takes it at once. */
export function toLeaseRelease(runId: string): Write {
  return toLeaseUpdate(runId, { until_ms: 0 });
}

export function toLeaseDelete(runId: string): Write {
  return { kind: 'delete', collection: 'leases', scope: LEASE_SCOPE, id: runId };
}

function toLeaseUpdate(runId: string, change: Partial<LeaseRecord>): Write {
  return { kind: 'update', collection: 'leases', scope: LEASE_SCOPE, id: runId, change };
}

/**
 * The name of this process in leases. The host's name is part of it, since process ids mean something on
 * their own host only (in containers that share a volume, every server may be process 7).
 */
export function toOwner(hostname: string, pid: number, nonce: string): string {
  return `${hostname}/${pid}/${nonce}`;
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
