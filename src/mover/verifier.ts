/**
 * Compares what a tenant has on both sides: every record with its place, all bytes, all chunks with their words and vectors, and
 * what the index says of every store. Nothing is taken for the same because a copy said so.
 */

import type { Scope } from '../store/store.ts';
import { forEachAbreast } from './abreast.ts';
import { digestBlobs } from './blob-copier.ts';
import { findOddFields, toCanonicalJson } from './canonical-json.ts';
import { walkChunkDigests } from './chunk-copier.ts';
import type { MoveDeps } from './copier.ts';
import { type Pair, pairRecords } from './list-pairs.ts';
import {
  type AnyRecord,
  type ListPlace,
  toPlaceKey,
  toSystemPlace,
  walkRecords,
  walkSystemPages,
} from './record-lists.ts';
import { createTallies, type Tallies, type TallyRow } from './tallies.ts';
import { type Branch, SYSTEM_COLLECTIONS, TENANT_TREE } from './tenant-tree.ts';

export interface Comparison {
  readonly rows: readonly TallyRow[];
  /** In words, the first `DIFFERENCES_MAX` of them. */
  readonly differences: readonly string[];
  /** How many there are in all. */
  readonly differenceCount: number;
}

export const DIFFERENCES_MAX = 100;

interface Work extends MoveDeps {
  readonly tallies: Tallies;
  readonly differ: (difference: string) => void;
}

/** Errors: `StoreError`; the signal's reason. */
export async function compareTenants(deps: MoveDeps): Promise<Comparison> {
  const differences: string[] = [];
  let differenceCount = 0;
  const work: Work = {
    ...deps,
    tallies: createTallies(),
    differ(difference) {
      differenceCount += 1;
      if (differences.length < DIFFERENCES_MAX) differences.push(difference);
    },
  };
  for (const branch of TENANT_TREE) await compareLists(work, branch, { tenant: deps.tenant });
  for (const collection of SYSTEM_COLLECTIONS) {
    const [source, destination] = [deps.source, deps.destination].map(({ store }) =>
      flatten(walkSystemPages(store, collection, deps.tenant, deps.signal)),
    );
    if (source === undefined || destination === undefined) continue;
    for await (const pair of pairRecords(source, destination))
      comparePair(work, toSystemPlace(collection), pair);
  }
  return { rows: work.tallies.list(), differences, differenceCount };
}

async function* flatten(
  pages: AsyncGenerator<readonly AnyRecord[], undefined>,
): AsyncGenerator<AnyRecord, undefined> {
  for await (const page of pages) yield* page;
}

async function compareLists(work: Work, branch: Branch, scope: Scope): Promise<void> {
  const place: ListPlace = { collection: branch.collection, scope };
  const pairs = pairRecords(
    walkRecords(work.source.store, place, work.signal),
    walkRecords(work.destination.store, place, work.signal),
  );
  await forEachAbreast(pairs, branch.width, async (pair) => {
    comparePair(work, place, pair);
    const { source, destination } = pair;
    // What is below a record that one side does not have is missing with it.
    if (source === null || destination === null) return;
    await compareBelow(work, branch, scope, source);
  });
}

async function compareBelow(work: Work, branch: Branch, scope: Scope, { record }: AnyRecord): Promise<void> {
  const { tenant } = work;
  if (branch.toBlobs !== null) await compareBytes(work, branch, record);
  if (branch.indexed === 'file') await compareFiles(work, scope.parent ?? '', record.id);
  if (branch.indexed === 'store') await compareStores(work, record.id);
  for (const below of branch.below) await compareLists(work, below, { tenant, parent: record.id });
}

function comparePair(work: Work, place: ListPlace, { source, destination }: Pair): void {
  const { collection } = place;
  const record = source ?? destination;
  if (record === null) return;
  const name = toName(place, record.record.id);
  const parent = place.scope.parent ?? '';
  for (const [side, found] of [
    ['source', source],
    ['destination', destination],
  ] as const) {
    if (found === null) continue;
    const text = toCanonicalJson([parent, toPlaceKey(found), found.record]);
    work.tallies.add(side, collection, text);
  }
  if (source !== null) work.progress.countCompared({ records: 1 });
  if (destination === null)
    work.differ(`${name} is missing at the destination, at the place that it has at the source.`);
  else if (source === null) work.differ(`${name} is at the destination only.`);
  else {
    const fields = findOddFields(source.record, destination.record);
    if (fields.length > 0) work.differ(`${name} differs: ${fields.join(', ')}.`);
  }
}

function toName({ collection, scope }: ListPlace, id: string): string {
  const parent = scope.parent === undefined ? '' : ` of ${scope.parent}`;
  return `${collection}: ${id}${parent}`;
}

async function compareBytes(
  work: Work,
  { collection, toBlobs }: Branch,
  record: AnyRecord['record'],
): Promise<void> {
  const { source, destination, tenant, signal, tallies, differ } = work;
  const parts = toBlobs?.(record) ?? [];
  const [left, right] = await Promise.all(
    [source, destination].map(({ blobs }) => digestBlobs(blobs, tenant, parts, signal)),
  );
  if (left === undefined || right === undefined) return;
  work.progress.countCompared({ bytes: left.bytes });
  tallies.add('source', BYTES, `${record.id} ${left.digest}`);
  tallies.add('destination', BYTES, `${record.id} ${right.digest}`);
  if (left.digest === right.digest) return;
  differ(`${collection}: the bytes of ${record.id} differ (${left.bytes} and ${right.bytes} of them).`);
}

/** As kinds of things that are counted. */
const BYTES = 'bytes of files';
const CHUNKS = 'chunks';

async function compareFiles(work: Work, store: string, file: string): Promise<void> {
  const { source, destination, tenant, signal, tallies, differ } = work;
  const scope = { tenant, store };
  const [left, right] = await Promise.all([
    source.index.describeFile(scope, file),
    destination.index.describeFile(scope, file),
  ]);
  if (toCanonicalJson(left) !== toCanonicalJson(right)) {
    const fields = findOddFields(left ?? {}, right ?? {});
    differ(`index: ${file} of ${store} differs: ${fields.join(', ')}.`);
  }
  const walks = [source, destination].map(({ index }) => walkChunkDigests(index, scope, file, signal));
  let firstOdd: number | null = null;
  for (let position = 0; ; position += 1) {
    const [a, b] = await Promise.all(walks.map(async (walk) => (await walk.next()).value ?? null));
    if ((a ?? null) === null && (b ?? null) === null) break;
    if (a !== b) firstOdd ??= position;
    if (typeof a === 'string') {
      tallies.add('source', CHUNKS, `${store} ${file} ${a}`);
      work.progress.countCompared({ chunks: 1 });
    }
    if (typeof b === 'string') tallies.add('destination', CHUNKS, `${store} ${file} ${b}`);
  }
  if (firstOdd !== null)
    differ(`index: the chunks of ${file} of ${store} differ from position ${firstOdd} on.`);
}

async function compareStores(work: Work, store: string): Promise<void> {
  const { source, destination, tenant, differ } = work;
  const [left, right] = await Promise.all(
    [source, destination].map(({ index }) => index.describe({ tenant, store })),
  );
  const fields = findOddFields(left ?? {}, right ?? {});
  if (fields.length > 0) differ(`index: what it says of ${store} differs: ${fields.join(', ')}.`);
}
