/**
 * Reads files into vector stores in the background. Every file that is to be read has a note in the store with a
 * lease: a process that dies leaves notes behind, and whoever finds them goes on.
 */

import type { Gate } from '../gate.ts';
import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { Embedders } from '../providers/embeddings/embeddings.ts';
import { ProviderError, type RequestHeaders } from '../providers/provider.ts';
import { waitFor } from '../providers/wait.ts';
import {
  alignAttributes,
  type FileOutcome,
  INGEST_SCOPE,
  type MembershipDeps,
  settleFile,
  tryWrite,
} from '../retrieval/file-membership.ts';
import {
  type FileError,
  type IngestRecord,
  toStoreScope,
  type VectorStoreFileRecord,
  type VectorStoreRecord,
} from '../retrieval/vector-store-records.ts';
import { StoreError } from '../store/store.ts';
import { DocumentError } from './document-reader.ts';
import { PATIENCE, type Patience } from './embed-with-patience.ts';
import { type IngestFileDeps, ingestFile } from './ingest-file.ts';
import { createLanes, type LaneLimits } from './lanes.ts';

/** Owners renew well before this. */
export const INGEST_LEASE_MS = 60_000;
const RENEW_MS = 15_000;
/** Files that one process works on at once: most of the time they wait for an embedding model. */
const LIMITS: LaneLimits = Object.freeze({ activeMax: 64, activePerLaneMax: 8, callsPerLaneMax: 8 });
/** Tries again after the store did not answer. */
const STORE_RETRY_MS = 1_000;
const STORE_RETRIES_MAX = 30;

export type IngestDeps = Pick<Ports, 'store' | 'clock' | 'log' | 'ids'> &
  Pick<MembershipDeps, 'index' | 'serial'> &
  Pick<IngestFileDeps, 'reader' | 'openFile'> & {
    readonly embedders: Embedders;
    readonly owner: string;
    readonly patience?: Patience;
    /** Told of each file whose reading has ended; absent: nobody counts. */
    readonly onEnd?: (outcome: FileOutcome['status'] | 'cancelled', seconds: number) => void;
  };

export interface IngestEngine {
  /** This process, as it is named in leases. */
  readonly owner: string;
  readonly leaseMs: number;
  /** Reads the file when its turn comes. `headers` may hold the embedding model's key; kept in memory only. */
  start(note: IngestRecord, headers: RequestHeaders): void;
  /** Gets ready for files that will come soon. */
  warm(): void;
  isWorkingOn(id: string): boolean;
  /** Stops reading a file, where this process does: it is not wanted any more. Answers once it has stopped. */
  stop(id: string): Promise<void>;
  getLoad(): { readonly waiting: number; readonly active: number };
  /** Stops reading. What is left is taken up by the next process. Idempotent. */
  close(): Promise<void>;
}

interface Job {
  readonly note: IngestRecord;
  readonly headers: RequestHeaders;
  readonly abort: AbortController;
  done: Promise<void> | null;
}

/** Why the reading of a file ends without an outcome. */
class IngestInterruption extends Error {
  override readonly name = 'IngestInterruption';
}

const UNWANTED = 'The file is not wanted any more.';

export function createIngestEngine(deps: IngestDeps): IngestEngine {
  const lanes = createLanes<Job>(LIMITS);
  const jobs = new Map<string, Job>();
  const patience = deps.patience ?? PATIENCE;
  let isClosing = false;

  const pump = (): void => {
    while (!isClosing) {
      const next = lanes.take();
      if (next === null) return;
      const job = next.item;
      job.done = work(job, next.lane.calls).finally(() => {
        next.leave();
        if (jobs.get(job.note.id) === job) jobs.delete(job.note.id);
        pump();
      });
    }
  };

  const work = async (job: Job, calls: Gate): Promise<void> => {
    for (let tries = 0; ; tries += 1) {
      try {
        return await readFile(deps, calls, patience, job);
      } catch (error) {
        if (error instanceof IngestInterruption || job.abort.signal.aborted) return;
        const isPassing = error instanceof StoreError && error.code === 'unavailable';
        if (!isPassing || tries >= STORE_RETRIES_MAX) {
          // Its lease runs out, and somebody tries again.
          deps.log.error('file not read', { ingestId: job.note.id, ...toLogFields(error) });
          return;
        }
        await waitFor(STORE_RETRY_MS, job.abort.signal).catch(() => undefined);
      }
    }
  };

  const renewing = setInterval(() => {
    void renewLeases(deps, [...jobs.values()]);
  }, RENEW_MS);
  renewing.unref();

  return {
    owner: deps.owner,
    leaseMs: INGEST_LEASE_MS,
    start(note, headers) {
      if (isClosing) return;
      const before = jobs.get(note.id);
      // Added anew: the attempt before does not count any more.
      before?.abort.abort(new IngestInterruption(UNWANTED));
      const job: Job = { note, headers, abort: new AbortController(), done: null };
      jobs.set(note.id, job);
      lanes.push(toLaneKey(note, headers), note.store_id, job);
      pump();
    },
    warm: () => deps.reader.warm(),
    isWorkingOn: (id) => jobs.has(id),
    async stop(id) {
      const job = jobs.get(id);
      if (job === undefined) return;
      jobs.delete(id);
      lanes.remove((one) => one === job);
      job.abort.abort(new IngestInterruption(UNWANTED));
      await job.done;
    },
    getLoad: () => ({ waiting: lanes.waiting, active: lanes.active }),
    async close() {
      isClosing = true;
      clearInterval(renewing);
      const left = [...jobs.values()];
      for (const job of left) job.abort.abort(new IngestInterruption('The server is shutting down.'));
      await Promise.all(left.map((job) => job.done));
      await releaseLeases(deps, left);
    },
  };
}

/** Whose embedding model it is, and where: one that hangs, or limits, is the affair of those who use it. */
function toLaneKey({ tenant, embedding }: IngestRecord, headers: RequestHeaders): string {
  if (embedding === null) return tenant;
  const at = headers['embedding-param-base-url'] ?? headers['base-url'] ?? '';
  return JSON.stringify([tenant, embedding.model, at]);
}

async function readFile(deps: IngestDeps, calls: Gate, patience: Patience, job: Job): Promise<void> {
  const { note } = job;
  const { signal } = job.abort;
  signal.throwIfAborted();
  const scope = { tenant: note.tenant };
  const place = { scope, storeId: note.store_id, fileId: note.file_id };
  const [store, member] = await Promise.all([
    deps.store.get<VectorStoreRecord>('vector_stores', scope, note.store_id),
    deps.store.get<VectorStoreFileRecord>(
      'vector_store_files',
      toStoreScope(scope, note.store_id),
      note.file_id,
    ),
  ]);
  if (store === null || member === null || !isWanted(member.record, note)) return await dropNote(deps, note);
  const begunMs = performance.now();
  const end = (outcome: FileOutcome['status'] | 'cancelled'): void =>
    deps.onEnd?.(outcome, (performance.now() - begunMs) / 1000);
  const settle = async (outcome: FileOutcome): Promise<boolean> => {
    const isSettled = await settleFile(deps, place, note.ingest, outcome);
    end(isSettled ? outcome.status : 'cancelled');
    return isSettled;
  };
  const requestId = deps.ids.create('request');
  await deps.store
    .update<IngestRecord>('ingests', INGEST_SCOPE, note.id, { is_begun: true })
    .catch(ignoreLostRace);
  try {
    const { embedding } = store.record.internal;
    const embedder =
      embedding === null || embedding === undefined ? null : deps.embedders.resolve(embedding, job.headers);
    const published = await ingestFile(
      { ...deps, calls },
      {
        scope: { tenant: note.tenant, store: note.store_id },
        member: member.record,
        embedder,
        options: {
          signal,
          requestId,
          tenant: note.tenant,
          patience,
          nowMs: () => deps.clock.nowMs(),
          onWait(error, waitMs) {
            deps.log.warn('embedding model waited for', {
              ingestId: note.id,
              requestId,
              waitMs,
              kind: error.kind,
            });
          },
        },
        checkWanted: () => checkWanted(deps, note),
      },
    );
    const isSettled = await settle({ status: 'completed', usageBytes: published.bytes, error: null });
    // They may have been changed between the last look at them and the moment in which the file could be found.
    if (isSettled) await alignAttributes(deps, place, published.attributes);
    else await dropUnwanted(deps, note);
  } catch (error) {
    if (error instanceof IngestInterruption || signal.aborted) {
      if (isUnwanted(signal.aborted ? signal.reason : error)) end('cancelled');
      throw error;
    }
    if (error instanceof StoreError && error.code === 'unavailable') throw error;
    // Another process may have read the file anew by now: what that has made of it stays.
    await checkWanted(deps, note);
    await deps.index.removeFile({ tenant: note.tenant, store: note.store_id }, note.file_id);
    await settle(toFailedOutcome(error));
    deps.log.warn('file failed', { ingestId: note.id, requestId, ...toLogFields(error) });
  }
}

/** Not so where the next process goes on with it. */
function isUnwanted(reason: unknown): boolean {
  return reason instanceof IngestInterruption && reason.message === UNWANTED;
}

function isWanted(member: VectorStoreFileRecord, note: IngestRecord): boolean {
  return member.status === 'in_progress' && member.internal.ingest === note.ingest;
}

/** Notices what other processes do to the file; answers its entry as it is now. */
async function checkWanted(deps: IngestDeps, note: IngestRecord): Promise<VectorStoreFileRecord> {
  const scope = toStoreScope({ tenant: note.tenant }, note.store_id);
  const member = await deps.store.get<VectorStoreFileRecord>('vector_store_files', scope, note.file_id);
  if (member !== null && isWanted(member.record, note)) return member.record;
  await dropUnwanted(deps, note);
  throw new IngestInterruption(UNWANTED);
}

/** What was kept for an attempt that does not count goes, unless the file is being read anew. */
async function dropUnwanted(deps: IngestDeps, note: IngestRecord): Promise<void> {
  const { tenant, store_id: store, file_id: file } = note;
  const found = await deps.store.get('vector_stores', { tenant }, store);
  // Chunks that came in after the store's removal have made it anew in the index.
  if (found === null) return await deps.index.removeStore({ tenant, store });
  const scope = toStoreScope({ tenant }, store);
  const member = await deps.store.get<VectorStoreFileRecord>('vector_store_files', scope, file);
  if (member === null || (member.record.status !== 'in_progress' && member.record.status !== 'completed')) {
    await deps.index.removeFile({ tenant, store }, file);
  }
}

async function dropNote(deps: IngestDeps, note: IngestRecord): Promise<void> {
  const found = await deps.store.get<IngestRecord>('ingests', INGEST_SCOPE, note.id);
  if (found === null || found.record.ingest !== note.ingest) return;
  await deps.store
    .delete('ingests', INGEST_SCOPE, note.id, { ifVersion: found.version })
    .catch(ignoreLostRace);
}

function ignoreLostRace(error: unknown): void {
  if (!(error instanceof StoreError) || (error.code !== 'conflict' && error.code !== 'not_found'))
    throw error;
}

function toFailedOutcome(error: unknown): FileOutcome {
  if (error instanceof DocumentError) return toFailure(error.code, error.message);
  if (error instanceof ProviderError) {
    return toFailure('server_error', `The embedding model could not be used: ${error.message}`);
  }
  // Most likely vectors of other dimensions than the store has.
  if (error instanceof StoreError && error.code === 'misuse') {
    return toFailure('server_error', `What was read could not be kept: ${error.message}`);
  }
  return toFailure('server_error', 'The server had an error while it read this file.');
}

export function toFailure(code: FileError['code'], message: string): FileOutcome {
  return { status: 'failed', usageBytes: 0, error: { code, message } };
}

/** Notices, too, what other processes do to files whose reading waits for the embedding model: it must not go on. */
async function renewLeases(deps: IngestDeps, jobs: readonly Job[]): Promise<void> {
  const untilMs = deps.clock.nowMs() + INGEST_LEASE_MS;
  for (const job of jobs) {
    const { note } = job;
    try {
      const place = { collection: 'ingests', scope: INGEST_SCOPE, id: note.id } as const;
      const isOurs = await tryWrite(deps, [
        { kind: 'require', ...place, equals: { ingest: note.ingest } },
        { kind: 'update', ...place, change: { until_ms: untilMs } },
      ]);
      if (!isOurs) await giveUp(deps, job);
    } catch (error) {
      deps.log.warn('lease not renewed', { ingestId: note.id, ...toLogFields(error) });
    }
  }
}

/** A job without a note: it has just ended, or its file was cancelled, removed or added anew by another process. */
async function giveUp(deps: IngestDeps, job: Job): Promise<void> {
  job.abort.abort(new IngestInterruption(UNWANTED));
  if (job.done === null) return;
  await job.done;
  await dropUnwanted(deps, job.note);
}

/** The next process takes them at once. */
async function releaseLeases(deps: IngestDeps, jobs: readonly Job[]): Promise<void> {
  for (const { note } of jobs) {
    try {
      await deps.store.update<IngestRecord>('ingests', INGEST_SCOPE, note.id, { until_ms: 0 });
    } catch (error) {
      if (error instanceof StoreError && error.code === 'not_found') continue;
      deps.log.warn('lease not released', { ingestId: note.id, ...toLogFields(error) });
    }
  }
}
