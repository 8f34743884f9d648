/** Lists of records, read from their beginning to their end in pages. */

import { toNativeSortKey } from '../ids.ts';
import { type CollectionName, SYSTEM_TENANT } from '../store/collections.ts';
import {
  type Listed,
  type PageRequest,
  type Scope,
  type Store,
  type StoredRecord,
  StoreError,
} from '../store/store.ts';
import type { SystemRecord } from './tenant-tree.ts';

export type AnyRecord = Listed<StoredRecord>;

/** Records that are in memory at once of one list; a message may have some MiB. */
const PAGE_RECORDS = 100;

export interface ListPlace {
  readonly collection: CollectionName;
  readonly scope: Scope;
}

/** In ascending order, from behind the record `after` on. A cursor that names no record any more is a new beginning. */
export async function* walkPages(
  store: Store,
  { collection, scope }: ListPlace,
  signal: AbortSignal,
  from?: string,
): AsyncGenerator<readonly AnyRecord[], undefined> {
  let after = from;
  for (;;) {
    signal.throwIfAborted();
    const request: PageRequest = {
      limit: PAGE_RECORDS,
      order: 'asc',
      ...(after === undefined ? {} : { after }),
    };
    const page = await store.list<StoredRecord>(collection, scope, request).catch((error: unknown) => {
      // Only the place that a checkpoint names can be gone: nobody writes here meanwhile.
      if (error instanceof StoreError && error.code === 'unknown_cursor' && after === from) return null;
      throw error;
    });
    if (page === null) {
      after = undefined;
      continue;
    }
    if (page.items.length > 0) yield page.items;
    after = page.items.at(-1)?.record.id;
    if (!page.hasMore || after === undefined) return;
  }
}

export async function* walkRecords(
  store: Store,
  place: ListPlace,
  signal: AbortSignal,
): AsyncGenerator<AnyRecord, undefined> {
  for await (const page of walkPages(store, place, signal)) yield* page;
}

/** The notes of one tenant among those of all. */
export async function* walkSystemPages(
  store: Store,
  collection: CollectionName,
  tenant: string,
  signal: AbortSignal,
): AsyncGenerator<readonly AnyRecord[], undefined> {
  for await (const page of walkPages(store, toSystemPlace(collection), signal)) {
    const own = page.filter(({ record }) => (record as SystemRecord).tenant === tenant);
    if (own.length > 0) yield own;
  }
}

export function toSystemPlace(collection: CollectionName): ListPlace {
  return { collection, scope: { tenant: SYSTEM_TENANT } };
}

/** Where a record stands in its list. */
export function toPlaceKey({ record, sortKey }: AnyRecord): string {
  return sortKey ?? toNativeSortKey(record.id) ?? '';
}
