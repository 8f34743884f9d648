/**
 * Reads files into vector stores in the background. Every file that is to be read has a note in the store with a
 * lease: a process that dies leaves notes behind, and whoever finds them goes on.
 */

import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { Embedders } from '../providers/embeddings.ts';
import { ProviderError, type RequestHeaders } from '../providers/provider.ts';
import { waitFor } from '../providers/wait.ts';
import {
  type FileOutcome,
  INGEST_SCOPE,
  type MembershipDeps,
  settleFile,
} from '../retrieval/file-membership.ts';
import {
  type FileError,
  type IngestRecord,
  toStoreScope,
  type VectorStoreFileRecord,
  type VectorStoreRecord,
} from '../retrieval/vector-store-records.ts';
import { StoreError } from '../store/store.ts';
import type { Attributes } from '../vector/attribute-filter.ts';
import { DocumentError } from './document-reader.ts';
import { PATIENCE, type Patience } from './embed-with-patience.ts';
import { createFairQueue } from './fair-queue.ts';
import { createGate } from './gate.ts';
import { type IngestFileDeps, ingestFile } from './ingest-file.ts';

/** Owners renew well before this. */
export const INGEST_LEASE_MS = 60_000;
const RENEW_MS = 15_000;
/** Files that one process works on at once: most of the time they wait for the embedding model. */
const ACTIVE_MAX = 8;
/** Calls of embedding models that one process has under way. */
const CALLS_MAX = 8;
/** Tries again after the store did not answer. */
const STORE_RETRY_MS = 1_000;
const STORE_RETRIES_MAX = 30;

export type IngestDeps = Pick<Ports, 'store' | 'clock' | 'log' | 'ids'> &
  Pick<MembershipDeps, 'index' | 'serial'> &
  Pick<IngestFileDeps, 'reader' | 'openFile'> & {
    readonly embedders: Embedders;
    readonly owner: string;
    readonly patience?: Patience;
  };

export interface IngestEngine {
  /** This process, as it is named in leases. */
  readonly owner: string;
  readonly leaseMs: number;
  /** Reads the file when its turn comes. `headers` may hold the embedding model's key; kept in memory only. */
  start(note: IngestRecord, headers: RequestHeaders): void;
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
  const queue = createFairQueue<Job>();
  const jobs = new Map<string, Job>();
  const calls = createGate(CALLS_MAX);
  const patience = deps.patience ?? PATIENCE;
  let active = 0;
  let isClosing = false;

  const pump = (): void => {
    while (!isClosing && active < ACTIVE_MAX) {
      const job = queue.take();
      if (job === undefined) return;
      active += 1;
      job.done = work(job).finally(() => {
        active -= 1;
        if (jobs.get(job.note.id) === job) jobs.delete(job.note.id);
        pump();
      });
    }
  };

  const work = async (job: Job): Promise<void> => {
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
      queue.push(`${note.tenant}/${note.store_id}`, job);
      pump();
    },
    isWorkingOn: (id) => jobs.has(id),
    async stop(id) {
      const job = jobs.get(id);
      if (job === undefined) return;
      jobs.delete(id);
      queue.remove((one) => one === job);
      job.abort.abort(new IngestInterruption(UNWANTED));
      await job.done;
    },
    getLoad: () => ({ waiting: queue.size, active }),
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

async function readFile(
  deps: IngestDeps,
  calls: IngestFileDeps['calls'],
  patience: Patience,
  job: Job,
): Promise<void> {
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
  const settle = (outcome: FileOutcome): Promise<boolean> => settleFile(deps, place, note.ingest, outcome);
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
    if (isSettled) await mendAttributes(deps, note, published.attributes);
    else await dropUnwanted(deps, note);
  } catch (error) {
    if (error instanceof IngestInterruption || signal.aborted) throw error;
    if (error instanceof StoreError && error.code === 'unavailable') throw error;
    await deps.index.removeFile({ tenant: note.tenant, store: note.store_id }, note.file_id);
    await settle(toFailedOutcome(error));
    deps.log.warn('file failed', { ingestId: note.id, requestId, ...toLogFields(error) });
  }
}

function isWanted(member: VectorStoreFileRecord, note: IngestRecord): boolean {
  return member.status === 'in_progress' && member.internal.ingest === note.ingest;
}

/** Attributes may have been changed between the last look at them and the moment in which the file could be found. */
async function mendAttributes(deps: IngestDeps, note: IngestRecord, published: Attributes): Promise<void> {
  const scope = toStoreScope({ tenant: note.tenant }, note.store_id);
  const member = await deps.store.get<VectorStoreFileRecord>('vector_store_files', scope, note.file_id);
  if (member === null || Bun.deepEquals(member.record.attributes, published)) return;
  const { attributes } = member.record;
  await deps.index.setAttributes({ tenant: note.tenant, store: note.store_id }, note.file_id, attributes);
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
  const scope = toStoreScope({ tenant: note.tenant }, note.store_id);
  const member = await deps.store.get<VectorStoreFileRecord>('vector_store_files', scope, note.file_id);
  if (member === null || (member.record.status !== 'in_progress' && member.record.status !== 'completed')) {
    await deps.index.removeFile({ tenant: note.tenant, store: note.store_id }, note.file_id);
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
  return toFailure('server_error', 'The server had an error while it read this file.');
}

export function toFailure(code: FileError['code'], message: string): FileOutcome {
  return { status: 'failed', usageBytes: 0, error: { code, message } };
}

async function renewLeases(deps: IngestDeps, jobs: readonly Job[]): Promise<void> {
  const untilMs = deps.clock.nowMs() + INGEST_LEASE_MS;
  for (const { note } of jobs) {
    try {
      await deps.store.update<IngestRecord>('ingests', INGEST_SCOPE, note.id, { until_ms: untilMs });
    } catch (error) {
      // A note that has just been dropped is gone for a good reason.
      if (error instanceof StoreError && error.code === 'not_found') continue;
      deps.log.warn('lease not renewed', { ingestId: note.id, ...toLogFields(error) });
    }
  }
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
