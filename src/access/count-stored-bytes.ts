/** What a tenant has stored, counted from its files and from the parts of uploads that are under way. */

import type { FileRecord } from '../services/file-records.ts';
import type { UploadRecord } from '../services/upload-records.ts';
import type { CollectionName } from '../store/collections.ts';
import { PAGE_LIMIT_MAX, type Store, type StoredRecord, StoreError } from '../store/store.ts';

/** A tenant of more is counted as far as that. */
const PAGES_MAX = 100_000;

/** Where files are deleted all the time, a walk may lose its place. */
const WALKS_MAX = 10;

/** Errors: `StoreError`. */
export async function countStoredBytes(store: Pick<Store, 'list'>, tenant: string): Promise<number> {
  for (let walk = 1; ; walk += 1) {
    try {
      return await countOnce(store, tenant);
    } catch (error) {
      const isLost = error instanceof StoreError && error.code === 'unknown_cursor';
      if (!isLost || walk === WALKS_MAX) throw error;
    }
  }
}

async function countOnce(store: Pick<Store, 'list'>, tenant: string): Promise<number> {
  const files = await sum<FileRecord>(store, tenant, 'files', ({ bytes }) => bytes);
  const parts = await sum<UploadRecord>(store, tenant, 'uploads', ({ status, internal }) =>
    status === 'pending' ? internal.bytes : 0,
  );
  return files + parts;
}

async function sum<T extends StoredRecord>(
  store: Pick<Store, 'list'>,
  tenant: string,
  collection: CollectionName,
  toBytes: (record: T) => number,
): Promise<number> {
  let total = 0;
  let after: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const found = await store.list<T>(
      collection,
      { tenant },
      { limit: PAGE_LIMIT_MAX, order: 'asc', ...(after === undefined ? {} : { after }) },
    );
    for (const { record } of found.items) total += toBytes(record);
    after = found.items.at(-1)?.record.id;
    if (!found.hasMore || after === undefined) break;
  }
  return total;
}
