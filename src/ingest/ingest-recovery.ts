/**
 * Finds files that nobody reads: those of a process that died. Runs at start, and from then on all the time.
 * Batches whose files were still being added go on, too.
 */

import type { Ports } from '../ports.ts';
import type { RequestHeaders } from '../providers/provider.ts';
import { addFiles, StoreUnusable } from '../retrieval/file-additions.ts';
import { INGEST_SCOPE, type MembershipDeps, settleFile, tryWrite } from '../retrieval/file-membership.ts';
import type { HeaderSealer } from '../retrieval/header-sealer.ts';
import { type FileBatchRecord, type IngestRecord, toStoreScope } from '../retrieval/vector-store-records.ts';
import { createLeaseWatch, type LeaseWatch } from '../runs/lease-watch.ts';
import { isDeadOwner, RELEASED_MS } from '../runs/leases.ts';
import { PAGE_LIMIT_MAX, StoreError, type Versioned } from '../store/store.ts';
import { INGEST_LEASE_MS, type IngestEngine, toFailure } from './ingest-engine.ts';

/** How often a file is begun anew before it is given up: it may be what brings the server down. */
export const INGEST_ATTEMPTS_MAX = 5;
export const INGEST_SWEEP_MS = 5_000;
/** Between a file's addition and its start lies one write; a note without work is an orphan after this. */
const ORPHAN_MS = 10_000;
const PAGES_MAX = 1000;
/** What one sweep counts for at most, whatever the clock says. */
const WATCH_STEP_MAX_MS = 2 * INGEST_SWEEP_MS;

export type IngestRecoveryDeps = Pick<Ports, 'store' | 'clock' | 'log'> &
  MembershipDeps & {
    readonly ingests: IngestEngine;
    readonly sealer: HeaderSealer;
    readonly isProcessAlive: (pid: number) => boolean;
  };

/** What is to be kept between two sweeps. */
export function createIngestWatch(): LeaseWatch {
  return createLeaseWatch({ leaseMs: INGEST_LEASE_MS, stepMaxMs: WATCH_STEP_MAX_MS });
}

/**
 * Takes up everything that nobody reads. Answers how many. `watch` is what earlier sweeps have seen: without it, only what is
 * known at once is taken.
 */
export async function sweepIngests(deps: IngestRecoveryDeps, watch = createIngestWatch()): Promise<number> {
  let taken = 0;
  let after: string | undefined;
  let isComplete = false;
  watch.begin(deps.clock.nowMs());
  for (let page = 0; page < PAGES_MAX && !isComplete; page += 1) {
    const notes = await deps.store
      .list<IngestRecord>('ingests', INGEST_SCOPE, {
        limit: PAGE_LIMIT_MAX,
        order: 'asc',
        ...(after === undefined ? {} : { after }),
      })
      .catch(ignoreGoneCursor);
    if (notes === null) break;
    for (const note of notes.items) {
      if (isAbandoned(deps, watch, note) && (await takeUp(deps, note))) taken += 1;
    }
    after = notes.items.at(-1)?.record.id;
    isComplete = !notes.hasMore;
  }
  watch.end(isComplete);
  return taken;
}

function ignoreGoneCursor(error: unknown): null {
  if (error instanceof StoreError && error.code === 'unknown_cursor') return null;
  throw error;
}

function isAbandoned(
  deps: IngestRecoveryDeps,
  watch: LeaseWatch,
  { record: note, version }: Versioned<IngestRecord>,
): boolean {
  const { ingests } = deps;
  if (ingests.isWorkingOn(note.id)) return false;
  if (note.until_ms === RELEASED_MS) return true;
  // The end of the lease is by a clock that may have been set since: what counts is whether it is renewed.
  if (watch.isStale(note.id, version)) return true;
  if (note.owner === ingests.owner) {
    // Adding thousands of files takes its time.
    const orphanedMs = note.until_ms - ingests.leaseMs + ORPHAN_MS;
    return note.batch_id === undefined && deps.clock.nowMs() > orphanedMs;
  }
  return isDeadOwner(note.owner, ingests.owner, deps.isProcessAlive);
}

/** Claims the note and goes on. False where another process was faster. */
async function takeUp(deps: IngestRecoveryDeps, found: Versioned<IngestRecord>): Promise<boolean> {
  const note: IngestRecord = {
    ...found.record,
    owner: deps.ingests.owner,
    until_ms: deps.clock.nowMs() + deps.ingests.leaseMs,
    // One that was let go on purpose was no failure.
    attempts: found.record.attempts + (found.record.is_begun && found.record.until_ms > 0 ? 1 : 0),
    is_begun: false,
  };
  const { owner, until_ms, attempts, is_begun } = note;
  const isClaimed = await tryWrite(deps, [
    {
      kind: 'update',
      collection: 'ingests',
      scope: INGEST_SCOPE,
      id: note.id,
      change: { owner, until_ms, attempts, is_begun },
      ifVersion: found.version,
    },
  ]);
  if (!isClaimed) return false;
  const headers = readHeaders(deps, note);
  const problem = findProblem(note, headers);
  if (note.batch_id !== undefined) await goOnWithBatch(deps, note, note.batch_id, headers ?? {});
  else if (problem !== null) await fail(deps, note, problem);
  else deps.ingests.start(note, headers ?? {});
  return true;
}

function readHeaders(deps: IngestRecoveryDeps, note: IngestRecord): RequestHeaders | null {
  if (!note.credentials_from_request) return {};
  return note.sealed_headers === null ? null : deps.sealer.unseal(note.sealed_headers);
}

function findProblem(note: IngestRecord, headers: RequestHeaders | null): string | null {
  if (headers === null) {
    return 'The server was restarted while it read this file. What the request said of the embedding model, its key for one, is not kept (the server has no UNDERSTUDY_SECRET, or another one), so add the file again.';
  }
  if (note.attempts <= INGEST_ATTEMPTS_MAX) return null;
  return `The server stopped ${INGEST_ATTEMPTS_MAX} times while it read this file.`;
}

async function fail(deps: IngestRecoveryDeps, note: IngestRecord, problem: string): Promise<void> {
  const scope = { tenant: note.tenant };
  const place = { scope, storeId: note.store_id, fileId: note.file_id };
  await deps.index.removeFile({ tenant: note.tenant, store: note.store_id }, note.file_id);
  const isSettled = await settleFile(deps, place, note.ingest, toFailure('server_error', problem));
  if (!isSettled) await deps.store.delete('ingests', INGEST_SCOPE, note.id);
}

/** Adds the files of a batch that a crash has kept from being added, and reads them. */
async function goOnWithBatch(
  deps: IngestRecoveryDeps,
  note: IngestRecord,
  batchId: string,
  headers: RequestHeaders,
): Promise<void> {
  const scope = { tenant: note.tenant };
  const batch = await deps.store.get<FileBatchRecord>(
    'file_batches',
    toStoreScope(scope, note.store_id),
    batchId,
  );
  if (batch !== null && batch.record.internal.additions.length > 0) {
    const { additions, added: begin } = batch.record.internal;
    const terms = {
      owner: deps.ingests.owner,
      leaseMs: deps.ingests.leaseMs,
      embedding: note.embedding,
      credentialsFromRequest: note.credentials_from_request,
      sealedHeaders: note.sealed_headers,
    };
    try {
      await addFiles(deps, scope, note.store_id, additions, terms, { id: batchId, begin }, (ingest) =>
        deps.ingests.start(ingest, headers),
      );
    } catch (error) {
      // Without its store the batch is nothing.
      if (!(error instanceof StoreUnusable)) throw error;
    }
  }
  await deps.store.delete('ingests', INGEST_SCOPE, note.id);
}
