/** The services of files over real databases, with a clock that tests set. */

import { createIds } from '../../src/ids.ts';
import { createLog } from '../../src/log.ts';
import { type BlobDrafts, createBlobDrafts } from '../../src/services/blob-drafts.ts';
import { type ExpirationHandlers, sweepExpirations } from '../../src/services/expirations.ts';
import type { FileRecord } from '../../src/services/file-records.ts';
import { createFile, expireFile } from '../../src/services/files.ts';
import { addPart, expireUpload } from '../../src/services/uploads.ts';
import type { BlobStore } from '../../src/store/blob-store.ts';
import type { Scope } from '../../src/store/store.ts';
import { openSqliteBlobStore } from '../store/blob-directory.ts';
import { openSqliteStore } from '../store/sqlite-directory.ts';

export const SYSTEM: Scope = { tenant: '$system' };
export const HOUR_MS = 60 * 60_000;

export type Files = Awaited<ReturnType<typeof openFiles>>;

export async function openFiles() {
  const [openedBlobs, openedStore] = await Promise.all([openSqliteBlobStore(), openSqliteStore()]);
  const { blobs } = openedBlobs;
  const { store } = openedStore;
  let offsetMs = 0;
  const clock = { nowMs: () => Date.now() + offsetMs };
  const ids = createIds(clock);
  const logged: string[] = [];
  const log = createLog('debug', (line) => logged.push(line));
  const detached: string[] = [];
  const deadPids = new Set<number>();
  const detachFile = async (scope: Scope, fileId: string): Promise<void> => {
    detached.push(`${scope.tenant}/${fileId}`);
  };
  const deps = { store, blobs, clock, ids, log, detachFile };
  const isProcessAlive = (pid: number): boolean => !deadPids.has(pid);

  /** The drafts of a process; 1 is this one. */
  const openDrafts = (pid: number, host = 'host', given: { blobs?: BlobStore } = {}): BlobDrafts =>
    createBlobDrafts({ ...deps, ...given, owner: `${host}/${pid}/nonce-${pid}`, isProcessAlive });
  const drafts = openDrafts(1);
  const handlers: ExpirationHandlers = {
    file: (tenant, id) => expireFile(deps, tenant, id),
    upload: (tenant, id) => expireUpload(deps, tenant, id),
    vector_store: async () => null,
  };

  return {
    ...deps,
    drafts,
    openDrafts,
    handlers,
    detached,
    deadPids,
    logged,
    advance(ms: number): void {
      offsetMs += ms;
    },
    sweep: (given: Partial<ExpirationHandlers> = {}) => sweepExpirations(deps, { ...handlers, ...given }),
    async makeFile(scope: Scope, bytes: Uint8Array, more: Record<string, unknown> = {}): Promise<FileRecord> {
      const draft = await drafts.begin(scope.tenant, ids.create('file'));
      draft.writer.append(bytes);
      return createFile(
        deps,
        scope,
        draft,
        { filename: 'a.txt', contentType: null },
        { file: new Blob(), purpose: 'assistants', ...more },
      );
    },
    async makePart(scope: Scope, uploadId: string, bytes: Uint8Array): Promise<string> {
      const draft = await drafts.begin(scope.tenant, ids.create('part'));
      draft.writer.append(bytes);
      try {
        return (await addPart(deps, scope, uploadId, draft)).id;
      } catch (error) {
        await draft.discard();
        throw error;
      }
    },
    async countNotes(): Promise<number> {
      return (await store.list('loose_blobs', SYSTEM, { limit: 1000, order: 'asc' })).items.length;
    },
    async countExpirations(): Promise<number> {
      return (await store.list('expirations', SYSTEM, { limit: 1000, order: 'asc' })).items.length;
    },
    async hasBytes(tenant: string, blob: string): Promise<boolean> {
      return (await blobs.getPiece(tenant, blob, 0)) !== null;
    },
    async close(): Promise<void> {
      await Promise.all([openedBlobs.close(), openedStore.close()]);
    },
  };
}

/** The error that a call ends with. */
export async function catchError(call: Promise<unknown>): Promise<Error> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error(`Expected an error, got ${String(error)}.`);
  return error;
}
