/**
 * The contract of the vector index port (`src/vector/vector-index.ts`), rule by rule. An engine joins by one line in
 * `vector-index.test.ts` and passes every case; none is skipped.
 */

import { describe } from 'bun:test';
import { describeExports } from './vector-index-exports.ts';
import { describeFiles } from './vector-index-files.ts';
import { describeAttributeFilters } from './vector-index-filters.ts';
import type { OpenIndex } from './vector-index-fixture.ts';
import { describeIndexLifecycle } from './vector-index-lifecycle.ts';
import { describeScores } from './vector-index-scores.ts';

export type { OpenedIndex, OpenIndex } from './vector-index-fixture.ts';

/** Declares the cases. `open` answers an index over new, empty storage each time. */
export function describeVectorIndexContract(name: string, open: OpenIndex): void {
  describe(`vector index contract: ${name}`, () => {
    describeFiles(open);
    describeExports(open);
    describeScores(open);
    describeAttributeFilters(open);
    describeIndexLifecycle(open);
  });
}
