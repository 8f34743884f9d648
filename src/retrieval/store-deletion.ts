/** What is left to do when a vector store is gone: its files, its batches and its chunks go, too. */

import type { Ports } from '../ports.ts';
import type { Scope } from '../store/store.ts';
import { DELETION_SCOPE, INGEST_SCOPE, type MembershipDeps, toIngestId } from './file-membership.ts';
import { toStoreScope, type VectorStoreFileRecord } from './vector-store-records.ts';

/** A vector store that is gone. Scope: the system's. */
export interface StoreDeletionRecord {
  readonly id: string;
  readonly kind: 'vector_store';
  readonly tenant: string;
}

export type StoreDeletionDeps = Pick<Ports, 'store' | 'clock'> &
  MembershipDeps & {
    readonly ingests: {
      /** Stops the reading of a file. */
      stop(id: string): Promise<void>;
    };
  };

const FILES_PAGE = 60;
/** Pages that one deletion walks: far more files than a store can have. */
const PAGES_MAX = 100_000;

/** Removes files, batches and chunks of a vector store that is gone, then the note. Idempotent. */
export async function finishStoreDeletion(deps: StoreDeletionDeps, note: StoreDeletionRecord): Promise<void> {
  const scope: Scope = { tenant: note.tenant };
  const files = toStoreScope(scope, note.id);
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const found = await deps.store.list<VectorStoreFileRecord>('vector_store_files', files, {
      limit: FILES_PAGE,
      order: 'asc',
    });
    await Promise.all(
      found.items.map(({ record }) => deps.ingests.stop(toIngestId({ storeId: note.id, fileId: record.id }))),
    );
    await deps.store.write(
      found.items.flatMap(({ record: { id } }) => [
        {
          kind: 'delete',
          collection: 'ingests',
          scope: INGEST_SCOPE,
          id: toIngestId({ storeId: note.id, fileId: id }),
        } as const,
        {
          kind: 'delete',
          collection: 'file_stores',
          scope: { tenant: note.tenant, parent: id },
          id: note.id,
        } as const,
        { kind: 'delete', collection: 'vector_store_files', scope: files, id } as const,
      ]),
    );
    if (!found.hasMore) break;
  }
  await deps.store.deleteAll('file_batches', files);
  await deps.index.removeStore({ tenant: note.tenant, store: note.id });
  await deps.store.delete('deletions', DELETION_SCOPE, note.id);
}
