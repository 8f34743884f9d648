/** What is left to remove when something that holds other things was deleted: each has a note until it is done. */

import type { IngestEngine } from '../ingest/ingest-engine.ts';
import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import {
  DELETION_SCOPE,
  type FileDeletionRecord,
  finishFileDeletion,
  INGEST_SCOPE,
  type MembershipDeps,
  toIngestId,
} from '../retrieval/file-membership.ts';
import { toStoreScope, type VectorStoreFileRecord } from '../retrieval/vector-store-records.ts';
import { PAGE_LIMIT_MAX, type Scope } from '../store/store.ts';
import { type DeletionRecord, removeThreadContents } from './threads.ts';

/** A vector store that is gone. Scope: the system's. */
export interface StoreDeletionRecord {
  readonly id: string;
  readonly kind: 'vector_store';
  readonly tenant: string;
}

type AnyDeletion = DeletionRecord | StoreDeletionRecord | FileDeletionRecord;

export type DeletionDeps = Pick<Ports, 'store' | 'clock' | 'log'> &
  MembershipDeps & { readonly ingests: Pick<IngestEngine, 'stop'> };

const FILES_PAGE = 60;
/** Pages that one deletion walks: far more files than a store can have. */
const PAGES_MAX = 100_000;
/** Notes that one start goes through. */
const NOTES_MAX = 1_000_000;

/** Removes files, batches and chunks of a vector store that is gone, then the note. Idempotent. */
export async function finishStoreDeletion(deps: DeletionDeps, note: StoreDeletionRecord): Promise<void> {
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

/** Finishes the deletions that a crash has cut short. One that fails is left for the next start. Answers how many. */
export async function finishDeletions(deps: DeletionDeps): Promise<number> {
  let finished = 0;
  let after: string | undefined;
  while (finished < NOTES_MAX) {
    const page = await deps.store.list<AnyDeletion>('deletions', DELETION_SCOPE, {
      limit: PAGE_LIMIT_MAX,
      order: 'asc',
      ...(after === undefined ? {} : { after }),
    });
    const failed: string[] = [];
    for (const { record } of page.items) {
      try {
        await finishOne(deps, record);
        finished += 1;
      } catch (error) {
        failed.push(record.id);
        deps.log.warn('deletion not finished', { id: record.id, ...toLogFields(error) });
      }
    }
    // What is finished is gone, and no cursor any more.
    after = failed.at(-1);
    if (!page.hasMore) break;
  }
  return finished;
}

async function finishOne(deps: DeletionDeps, note: AnyDeletion): Promise<void> {
  if (!('kind' in note)) await removeThreadContents(deps, note);
  else if (note.kind === 'vector_store') await finishStoreDeletion(deps, note);
  else await finishFileDeletion(deps, note);
}
