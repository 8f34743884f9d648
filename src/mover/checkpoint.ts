/**
 * How far a copy has come: a note in the destination, where it goes with what it is about, whatever engine keeps it. It names
 * the last record of each list whose copy is whole with all that is below; the next start reads on from there.
 */

import { createHash } from 'node:crypto';
import { type CollectionName, SYSTEM_TENANT } from '../store/collections.ts';
import { type Scope, type Store, type StoredRecord, StoreError } from '../store/store.ts';

/** Scope: the system's. */
export interface CopyRecord extends StoredRecord {
  readonly tenant: string;
  /** The name of the source. */
  readonly from: string;
  /** For each list the id of the last record that is there. */
  readonly after: Readonly<Record<string, string>>;
}

export interface Checkpoint {
  /** Whether an earlier start has left it. */
  readonly isResumed: boolean;
  getAfter(collection: CollectionName): string | undefined;
  /** Notes that a page is whole. */
  advance(collection: CollectionName, after: string): Promise<void>;
  /** Writes what is noted. */
  save(): Promise<void>;
  /** Everything is there. */
  remove(): Promise<void>;
}

const SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });

export async function openCheckpoint(store: Store, from: string, tenant: string): Promise<Checkpoint> {
  const id = createHash('sha256')
    .update(JSON.stringify([from, tenant]))
    .digest('hex')
    .slice(0, 40);
  const found = await store.get<CopyRecord>('copies', SCOPE, id);
  if (found === null) await store.insert<CopyRecord>('copies', SCOPE, { id, tenant, from, after: {} });
  const after: Record<string, string> = { ...found?.record.after };
  let isSaved = true;

  const save = async (): Promise<void> => {
    if (isSaved) return;
    isSaved = true;
    await store.update<CopyRecord>('copies', SCOPE, id, { after: { ...after } }).catch((error: unknown) => {
      // Another copy has come to its end meanwhile.
      if (!(error instanceof StoreError && error.code === 'not_found')) throw error;
    });
  };

  return {
    isResumed: Object.keys(after).length > 0,
    getAfter: (collection) => after[collection],
    async advance(collection, last) {
      after[collection] = last;
      isSaved = false;
      // A page is hundreds of records with what is below them: the note is nothing beside it.
      await save();
    },
    save,
    async remove() {
      await store.delete('copies', SCOPE, id);
    },
  };
}
