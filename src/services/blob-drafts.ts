/**
 * Bytes that belong to nothing yet, or to nothing any more. Each blob is noted before its first piece, and the note
 * goes in the same write that makes the record of the bytes visible; so whatever a crash leaves is found by its note.
 */

import { ApiError } from '../errors.ts';
import { type Log, toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import { isDeadOwner } from '../runs/leases.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { type BlobWriter, createBlobWriter } from '../store/blobs.ts';
import { SYSTEM_TENANT } from '../store/collections.ts';
import {
  PAGE_LIMIT_MAX,
  type Scope,
  type Store,
  type StoredRecord,
  StoreError,
  type Versioned,
  type Write,
} from '../store/store.ts';

/** Scope: the system's. */
export interface LooseBlobRecord extends StoredRecord {
  readonly tenant: string;
  readonly blobs: readonly string[];
  /** The process that writes them; null: they are to be removed. */
  readonly owner: string | null;
  /** Milliseconds since the epoch: who lives renews it long before. */
  readonly until_ms: number;
  /** Whether they were a file, under the note's id, which is still to be taken out of its vector stores. */
  readonly was_file: boolean;
}

/** What takes a file out of every vector store that it is in. */
export type DetachFile = (scope: Scope, fileId: string) => Promise<void>;

/** A blob that is being written. */
export interface BlobDraft {
  readonly blob: string;
  readonly writer: BlobWriter;
  /** Put them first into the write that makes the bytes visible: it is refused where they have been given up. */
  toKeepWrites(): Write[];
  /** Call it once that write has succeeded. */
  keep(): void;
  /** Removes the bytes, unless they have been made visible. Never fails: what is left is swept up later. */
  discard(): Promise<void>;
}

export interface BlobDrafts {
  /** Notes the blob. Errors: `StoreError`. */
  begin(tenant: string, blob: string): Promise<BlobDraft>;
  /**
   * Removes what nobody writes any more, and renews the notes of what this process writes. Answers how many went. `from`: the
   * database to look through, where every tenant has one.
   */
  sweep(from?: Store): Promise<number>;
  /** Resolves when nothing is being written, or after `graceMs`. */
  drain(graceMs: number): Promise<void>;
}

export interface BlobDraftDeps {
  readonly store: Ports['store'];
  readonly clock: Ports['clock'];
  readonly log: Log;
  readonly blobs: BlobStore;
  /** The name of this process, as in leases. */
  readonly owner: string;
  readonly isProcessAlive: (pid: number) => boolean;
  readonly detachFile: DetachFile;
}

export const LOOSE_SWEEP_MS = 10_000;
/** A note that nobody renews for so long is a dead process's, on whatever host. */
const NOTE_MS = 60 * 60_000;
/** A note is renewed when less than this is left of it. */
const RENEW_MS = 45 * 60_000;
const LOOSE_SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });
/** Pages of notes that one sweep reads: a hundred thousand blobs. */
const PAGES_MAX = 100;

export function createBlobDrafts(deps: BlobDraftDeps): BlobDrafts {
  const { store, blobs, clock, owner } = deps;
  const writing = new Set<string>();
  let onIdle: (() => void) | null = null;
  const endWriting = (blob: string): void => {
    writing.delete(blob);
    if (writing.size === 0) onIdle?.();
  };

  const toDraft = (tenant: string, blob: string): BlobDraft => {
    const writer = createBlobWriter(blobs, tenant, blob);
    return {
      blob,
      writer,
      toKeepWrites: () => [
        { kind: 'require', collection: 'loose_blobs', scope: LOOSE_SCOPE, id: blob, equals: { owner } },
        { kind: 'delete', collection: 'loose_blobs', scope: LOOSE_SCOPE, id: blob },
      ],
      keep() {
        endWriting(blob);
      },
      async discard() {
        try {
          await writer.settle();
          await giveUp(store, blob);
        } catch (error) {
          deps.log.warn('bytes not removed yet', { blob, ...toLogFields(error) });
        } finally {
          endWriting(blob);
        }
      },
    };
  };

  /** From here on nothing can make the bytes visible. Without a note they have been made visible, or are gone. */
  const giveUp = async (from: Store, id: string, ifVersion?: number): Promise<boolean> => {
    try {
      const { record } = await from.update<LooseBlobRecord>(
        'loose_blobs',
        LOOSE_SCOPE,
        id,
        { owner: null },
        ifVersion === undefined ? {} : { ifVersion },
      );
      await removeLooseBlobs({ ...deps, store: from }, record);
      return true;
    } catch (error) {
      if (error instanceof StoreError && (error.code === 'not_found' || error.code === 'conflict'))
        return false;
      throw error;
    }
  };

  const isAbandoned = (note: LooseBlobRecord): boolean =>
    !writing.has(note.id) &&
    (note.owner === null ||
      note.owner === owner ||
      note.until_ms <= clock.nowMs() ||
      isDeadOwner(note.owner, owner, deps.isProcessAlive));

  const renew = async (from: Store, { record, version }: Versioned<LooseBlobRecord>): Promise<void> => {
    const nowMs = clock.nowMs();
    if (!writing.has(record.id) || record.until_ms - nowMs > RENEW_MS) return;
    const change = { until_ms: nowMs + NOTE_MS };
    await from
      .update<LooseBlobRecord>('loose_blobs', LOOSE_SCOPE, record.id, change, { ifVersion: version })
      .catch(ignoreChanged);
  };

  return {
    async begin(tenant, blob) {
      const record: LooseBlobRecord = {
        id: blob,
        tenant,
        blobs: [blob],
        owner,
        until_ms: clock.nowMs() + NOTE_MS,
        was_file: false,
      };
      writing.add(blob);
      try {
        await store.insert('loose_blobs', LOOSE_SCOPE, record);
      } catch (error) {
        endWriting(blob);
        throw error;
      }
      return toDraft(tenant, blob);
    },

    async sweep(from = store) {
      let removed = 0;
      let after: string | undefined;
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const notes = await from
          .list<LooseBlobRecord>('loose_blobs', LOOSE_SCOPE, {
            limit: PAGE_LIMIT_MAX,
            order: 'asc',
            ...(after === undefined ? {} : { after }),
          })
          .catch(ignoreGoneCursor);
        if (notes === null) break;
        for (const note of notes.items) {
          if (isAbandoned(note.record) && (await giveUp(from, note.record.id, note.version))) removed += 1;
          else {
            await renew(from, note);
            // It is still in the list: the next page begins behind it.
            after = note.record.id;
          }
        }
        if (!notes.hasMore) break;
      }
      return removed;
    },

    async drain(graceMs) {
      if (writing.size === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      onIdle = resolve;
      const timer = setTimeout(resolve, graceMs);
      await promise;
      clearTimeout(timer);
    },
  };
}

/** For `catch` of the write that would have made the bytes visible: 503 where they have been given up meanwhile. */
export function rethrowGivenUp(error: unknown): never {
  if (error instanceof StoreError && error.index === 0 && error.code !== 'unavailable') {
    throw new ApiError('service_unavailable', 'The upload took too long to be kept. Try again.', {
      cause: error,
    });
  }
  throw error;
}

/** The note of a file's bytes, to be written with the removal of its record. */
export function toFileNote(tenant: string, fileId: string, blobs: readonly string[]): LooseBlobRecord {
  return { id: fileId, tenant, blobs, owner: null, until_ms: 0, was_file: true };
}

export function toNoteInsert(record: LooseBlobRecord): Write {
  return { kind: 'insert', collection: 'loose_blobs', scope: LOOSE_SCOPE, record };
}

/** Removes the bytes and then their note. Idempotent. */
export async function removeLooseBlobs(
  deps: Pick<BlobDraftDeps, 'store' | 'blobs' | 'detachFile'>,
  { id, tenant, blobs, was_file: wasFile }: LooseBlobRecord,
): Promise<void> {
  if (wasFile) await deps.detachFile({ tenant }, id);
  for (const blob of blobs) await deps.blobs.deleteBlob(tenant, blob);
  await deps.store.delete('loose_blobs', LOOSE_SCOPE, id);
}

function ignoreChanged(error: unknown): null {
  if (error instanceof StoreError && (error.code === 'conflict' || error.code === 'not_found')) return null;
  throw error;
}

/** Another process has removed the note at which the walk stood: the next sweep sees the rest. */
function ignoreGoneCursor(error: unknown): null {
  if (error instanceof StoreError && error.code === 'unknown_cursor') return null;
  throw error;
}
