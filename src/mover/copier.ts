/**
 * Copies a tenant: a walk of the tree, in which what is below a record comes before the record. Every step can be done again
 * without harm, so a copy that was cut short is gone on with by the same call.
 */

import type { Scope } from '../store/store.ts';
import { forEachAbreast } from './abreast.ts';
import { copyBlob } from './blob-copier.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { copyChunks } from './chunk-copier.ts';
import type { Endpoint } from './endpoint.ts';
import type { Progress } from './progress.ts';
import { copyRecords } from './record-copier.ts';
import { type AnyRecord, type ListPlace, toSystemPlace, walkPages, walkSystemPages } from './record-lists.ts';
import { type Branch, SYSTEM_COLLECTIONS, TENANT_TREE } from './tenant-tree.ts';

export interface MoveDeps {
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly tenant: string;
  readonly progress: Progress;
  /** Ends the walk where it is; what it rejects with is the reason. */
  readonly signal: AbortSignal;
}

/** Errors: `StoreError`; the signal's reason. */
export async function copyTenant(deps: MoveDeps): Promise<void> {
  const { source, destination, tenant, progress, signal } = deps;
  const checkpoint = await openCheckpoint(destination.store, source.name, tenant);
  if (checkpoint.isResumed) progress.say('Going on where an earlier copy has ended.');
  try {
    for (const branch of TENANT_TREE) await copyTrunk(deps, branch, checkpoint);
    for (const collection of SYSTEM_COLLECTIONS) {
      for await (const page of walkSystemPages(source.store, collection, tenant, signal)) {
        progress.countRecords(await copyRecords(destination.store, toSystemPlace(collection), page));
      }
    }
  } catch (error) {
    await checkpoint.save();
    throw error;
  }
  // From now on a new start looks at everything again: what the comparison finds is not beyond its reach.
  await checkpoint.remove();
}

async function copyTrunk(deps: MoveDeps, branch: Branch, checkpoint: Checkpoint): Promise<void> {
  const { collection } = branch;
  const place: ListPlace = { collection, scope: { tenant: deps.tenant } };
  const after = checkpoint.getAfter(collection);
  for await (const page of walkPages(deps.source.store, place, deps.signal, after)) {
    await copyPage(deps, branch, place, page);
    const last = page.at(-1);
    if (last !== undefined) await checkpoint.advance(collection, last.record.id);
  }
}

async function copyPage(
  deps: MoveDeps,
  branch: Branch,
  place: ListPlace,
  page: readonly AnyRecord[],
): Promise<void> {
  const { destination, progress } = deps;
  const isLeaf = branch.below.length === 0 && branch.toBlobs === null && branch.indexed === null;
  if (isLeaf) {
    progress.countRecords(await copyRecords(destination.store, place, page));
    return;
  }
  await forEachAbreast(page, branch.width, async (record) => {
    deps.signal.throwIfAborted();
    await copyBelow(deps, branch, place.scope, record);
    progress.countRecords(await copyRecords(destination.store, place, [record]));
  });
}

async function copyBelow(deps: MoveDeps, branch: Branch, scope: Scope, { record }: AnyRecord): Promise<void> {
  const { source, destination, tenant, progress, signal } = deps;
  if (branch.indexed === 'file') {
    await copyChunks({
      source: source.index,
      destination: destination.index,
      scope: { tenant, store: scope.parent ?? '' },
      file: record.id,
      signal,
      onChunks: progress.countChunks,
    });
  }
  if (branch.toBlobs !== null) await copyBytes(deps, branch, scope, record);
  for (const below of branch.below) {
    const place: ListPlace = { collection: below.collection, scope: { tenant, parent: record.id } };
    for await (const page of walkPages(source.store, place, signal)) await copyPage(deps, below, place, page);
  }
}

/** Bytes never change, and were there before their record: where that is, there is nothing to do. */
async function copyBytes(
  deps: MoveDeps,
  { collection, toBlobs }: Branch,
  scope: Scope,
  record: AnyRecord['record'],
): Promise<void> {
  const { source, destination, tenant, progress, signal } = deps;
  if ((await destination.store.get(collection, scope, record.id)) !== null) return;
  for (const part of toBlobs?.(record) ?? []) {
    const isWhole = await copyBlob({
      source: source.blobs,
      destination: destination.blobs,
      tenant,
      part,
      signal,
      onBytes: progress.countBytes,
    });
    if (!isWhole) progress.say(`${collection} ${record.id}: some of its bytes are missing at the source.`);
  }
}
