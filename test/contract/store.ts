/**
 * The contract of the store port (`src/store/store.ts`), rule by rule. An engine joins by one line in
 * `store.test.ts` and passes every case; none is skipped.
 */

import { describe } from 'bun:test';
import { describeDocuments } from './store-documents.ts';
import { describeFilters } from './store-filters.ts';
import type { OpenStore } from './store-fixture.ts';
import { describeImports } from './store-imports.ts';
import { describeLifecycle } from './store-lifecycle.ts';
import { describeLists } from './store-lists.ts';
import { describeRecords } from './store-records.ts';
import { describeWrites } from './store-writes.ts';

export type { OpenedStore, OpenStore } from './store-fixture.ts';

/** Declares the cases. `open` answers a store over new, empty storage each time. */
export function describeStoreContract(name: string, open: OpenStore): void {
  describe(`store contract: ${name}`, () => {
    describeRecords(open);
    describeDocuments(open);
    describeLists(open);
    describeFilters(open);
    describeImports(open);
    describeWrites(open);
    describeLifecycle(open);
  });
}
