/** What is left to remove when something that holds other things was deleted: each has a note until it is done. */

import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import { DELETION_SCOPE, type FileDeletionRecord, finishFileDeletion } from '../retrieval/file-membership.ts';
import {
  finishStoreDeletion,
  type StoreDeletionDeps,
  type StoreDeletionRecord,
} from '../retrieval/store-deletion.ts';
import { PAGE_LIMIT_MAX } from '../store/store.ts';
import { type DeletionRecord, removeThreadContents } from './threads.ts';

type AnyDeletion = DeletionRecord | StoreDeletionRecord | FileDeletionRecord;

export type DeletionDeps = Pick<Ports, 'log'> & StoreDeletionDeps;

/** Notes that one start goes through. */
const NOTES_MAX = 1_000_000;

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
