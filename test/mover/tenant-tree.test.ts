import { expect, test } from 'bun:test';
import {
  type Branch,
  LOCAL_COLLECTIONS,
  SYSTEM_COLLECTIONS,
  TENANT_TREE,
} from '../../src/mover/tenant-tree.ts';
import { COLLECTIONS, type CollectionName } from '../../src/store/collections.ts';

function listBelow(branches: readonly Branch[]): CollectionName[] {
  return branches.flatMap(({ collection, below }) => [collection, ...listBelow(below)]);
}

test('every collection is copied with a tenant, or said to be of one store alone: none can be forgotten', () => {
  const known = [...listBelow(TENANT_TREE), ...SYSTEM_COLLECTIONS, ...LOCAL_COLLECTIONS].sort();
  expect(known).toEqual((Object.keys(COLLECTIONS) as CollectionName[]).sort());
});

test('what is below a record is kept under a parent, and nothing else is', () => {
  const check = (branches: readonly Branch[], isParented: boolean): void => {
    for (const { collection, below } of branches) {
      expect([collection, COLLECTIONS[collection].parented]).toEqual([collection, isParented]);
      check(below, true);
    }
  };
  check(TENANT_TREE, false);
  for (const name of [...SYSTEM_COLLECTIONS, ...LOCAL_COLLECTIONS])
    expect(COLLECTIONS[name].parented).toBe(false);
});
