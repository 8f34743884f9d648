/** Brings records into the destination: those that are there already stay as they are. */

import { type InsertWrite, type Store, StoreError } from '../store/store.ts';
import { forEachAbreast } from './abreast.ts';
import { toCanonicalJson } from './canonical-json.ts';
import type { AnyRecord, ListPlace } from './record-lists.ts';

export interface CopiedRecords {
  readonly inserted: number;
  /** There already, the same. */
  readonly present: number;
  /** There already, and not the same: left as they are, for the comparison to name. */
  readonly differing: number;
}

/** Records that are looked at side by side, where some are there already. */
const LOOKUPS_ABREAST = 8;

/** Idempotent. Errors: `StoreError`. */
export async function copyRecords(
  store: Store,
  place: ListPlace,
  records: readonly AnyRecord[],
): Promise<CopiedRecords> {
  const writes = records.map((record) => toInsert(place, record));
  if (await insertNew(store, writes)) return { inserted: writes.length, present: 0, differing: 0 };
  const counts = { inserted: 0, present: 0, differing: 0 };
  await forEachAbreast(writes, LOOKUPS_ABREAST, async (write) => {
    const found = await store.get(place.collection, place.scope, write.record.id);
    if (found !== null) {
      const isSame = toCanonicalJson(found.record) === toCanonicalJson(write.record);
      counts[isSame ? 'present' : 'differing'] += 1;
    } else if (await insertNew(store, [write])) counts.inserted += 1;
    else counts.present += 1;
  });
  return counts;
}

/** False where one of them is there already; some of the others may be written then. */
async function insertNew(store: Store, writes: readonly InsertWrite[]): Promise<boolean> {
  try {
    await store.write(writes);
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'conflict') return false;
    throw error;
  }
}

function toInsert({ collection, scope }: ListPlace, { record, sortKey }: AnyRecord): InsertWrite {
  return { kind: 'insert', collection, scope, record, ...(sortKey === undefined ? {} : { sortKey }) };
}
