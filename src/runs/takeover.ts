/** How a run that another process has left goes on: with the headers that were kept for it, or to its end. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { Versioned } from '../store/store.ts';
import { RunFailure } from './failures.ts';
import type { RunStart } from './run-engine.ts';
import type { HeaderKeeper, OpenedHeaders } from './run-headers.ts';
import { type RunModel, resolveModel } from './run-model.ts';
import type { LeaseRecord, RunRecord } from './run-records.ts';

/** How often a run is taken over before it is given up: it may be what brings servers down. */
export const ATTEMPTS_MAX = 10;

export type TakeoverDeps = Pick<Ports, 'ids' | 'router'> & { readonly headerKeeper: HeaderKeeper };

/** Never throws: what is wrong with the run is the run's own failure. */
export function toResumption(
  deps: TakeoverDeps,
  lease: LeaseRecord,
  run: Versioned<RunRecord>,
): Omit<RunStart, 'isStreamed'> & { readonly isStreamed: false } {
  const { tenant, kept_headers: kept = null } = lease;
  const {
    status,
    internal: { key_id: keyId },
  } = run.record;
  const opened = deps.headerKeeper.open(kept, { tenant, runId: run.record.id });
  const { resolve, headers } = tryResolve(deps, run.record, opened);
  return {
    tenant,
    run,
    resolveModel: resolve,
    requestId: deps.ids.create('request'),
    headers,
    ...(keyId === undefined ? {} : { keyId }),
    isContinued: true,
    isTakenOver: true,
    opening: [],
    isStreamed: false,
    ...(status === 'cancelling' ? { interruption: 'cancelled' as const } : {}),
    ...(status === 'requires_action' ? { interruption: 'expired' as const } : {}),
  };
}

function tryResolve(
  deps: TakeoverDeps,
  run: RunRecord,
  opened: OpenedHeaders,
): Pick<RunModel, 'resolve' | 'headers'> {
  const failure = findFailure(run, opened);
  if (failure !== null) return { resolve: () => fail(failure), headers: {} };
  try {
    return resolveModel(deps.router, run.model, opened.headers);
  } catch (error) {
    // What this server takes no more (a host that is not allowed now) is told as a client of its own would be.
    const told = error instanceof ApiError ? new RunFailure('server_error', error.message) : error;
    return { resolve: () => fail(told), headers: {} };
  }
}

function fail(error: unknown): never {
  throw error;
}

function findFailure({ internal }: RunRecord, { missing }: OpenedHeaders): RunFailure | null {
  if (internal.attempts > ATTEMPTS_MAX) {
    return new RunFailure(
      'server_error',
      `The server stopped ${ATTEMPTS_MAX} times while it worked on this run.`,
    );
  }
  if (!internal.credentials_from_request || missing === null) return null;
  return new RunFailure('server_error', `${STOPPED} ${missing === 'not_kept' ? NOT_KEPT : NOT_OPENED}`);
}

const STOPPED =
  'The server was stopped or restarted while it worked on this run, for which a key or an address came with the request.';
const NOT_KEPT =
  'It had no UNDERSTUDY_SECRET to keep them sealed under, so that no other could go on: start the run again.';
const NOT_OPENED =
  'They were sealed under another UNDERSTUDY_SECRET than that of the server which took over: start the run again.';
