/** Chunks on their way in: kept, but not to be found. */

import { StoreError } from '../../store/store.ts';
import type { IndexScope, NewChunk } from '../vector-index.ts';
import type { ChunkRows } from './chunk-rows.ts';
import type { FileStates } from './file-states.ts';
import type { Indexing } from './indexing.ts';
import type { BucketEntry, Registry } from './registry.ts';
import type { Removal } from './removal.ts';
import { BUCKET_CHUNKS, createVersionId, toBucket, toVectorId } from './schema.ts';
import type { State } from './state-rows.ts';
import type { StoreLoader } from './store-loader.ts';
import { forEachBounded, type Turns } from './turns.ts';
import type { VectorRows } from './vector-rows.ts';

export interface StagingDeps {
  readonly states: FileStates;
  readonly registry: Registry;
  readonly chunks: ChunkRows;
  readonly vectors: VectorRows;
  readonly indexing: Indexing;
  readonly removal: Removal;
  readonly loader: Pick<StoreLoader, 'load'>;
  readonly turns: Turns;
  /** A shard that has so many chunks gets no more, as long as others have fewer. */
  readonly shardChunksMax: number;
}

export interface Staging {
  /** `dimensions`: of the vectors among the chunks; 0 where there are none. */
  stage(
    scope: IndexScope,
    file: string,
    ingest: string,
    chunks: readonly NewChunk[],
    dimensions: number,
  ): Promise<void>;
  countStaged(scope: IndexScope, file: string, ingest: string): Promise<number>;
}

const BUCKETS_AT_ONCE = 2;

export function createStaging(deps: StagingDeps): Staging {
  const { states, registry, chunks: chunkRows, vectors, indexing, removal, turns } = deps;

  const stage: Staging['stage'] = async (scope, file, ingest, chunks, dimensions) => {
    if (dimensions > 0) {
      const { store } = await states.read(scope, file);
      checkFit(store.dimensions, dimensions);
      await vectors.ensureTable(dimensions);
    }
    const version = await beginAttempt(deps, scope, file, ingest, dimensions);
    if (version === null) return;
    const buckets = await turns.alone(`buckets ${version}`, async () => {
      await unindex(version);
      return await openBuckets(deps, scope, file, version, chunks, dimensions);
    });
    await forEachBounded(buckets, BUCKETS_AT_ONCE, async (bucket) => {
      const own = chunks.filter(({ position }) => toBucket(position) === bucket.bucket);
      await writeBucket(scope, version, bucket, own, dimensions);
    });
    const { file: now } = await states.read(scope, file);
    const isKept = now.staged?.version === version || now.published?.version === version;
    if (isKept) return;
    // Another attempt was begun meanwhile, perhaps by another server, which has freed what it saw, and not what was written since.
    const registered = await registry.readVersion(scope, file, version);
    await removal.freeVersion(scope, file, {
      ...registered,
      buckets: joinBuckets(registered.buckets, buckets),
    });

    /** An earlier try to publish has written postings, of words that may be replaced now. */
    async function unindex(staged: string): Promise<void> {
      const entry = await registry.readVersion(scope, file, staged);
      if (!entry.isIndexed) return;
      await indexing.unindex(scope, entry);
      await registry.forgetSum(scope, staged);
      await registry.setIndexed(scope, file, staged, false);
    }
  };

  /** Vectors before the chunks, which are what counts as staged. */
  const writeBucket = async (
    scope: IndexScope,
    version: string,
    { bucket, shard, dimensions: held }: BucketEntry,
    chunks: readonly NewChunk[],
    dimensions: number,
  ): Promise<void> => {
    const withVector = chunks.flatMap(({ position, vector }) =>
      vector === null ? [] : { id: toVectorId(version, position), vector },
    );
    if (withVector.length > 0) await vectors.write({ ...scope, shard, dimensions }, withVector);
    // One that was staged before may have had a vector, even where a crash kept the chunk itself away.
    const without = chunks.filter(({ vector }) => vector === null).map(({ position }) => position);
    if (held > 0 && without.length > 0) {
      const ids = without.map((position) => toVectorId(version, position));
      await vectors.removeMany({ ...scope, shard, dimensions: held }, ids);
    }
    await chunkRows.write(scope, version, bucket, chunks);
  };

  return {
    stage,
    async countStaged(scope, file, ingest) {
      const { store, file: state } = await states.read(scope, file);
      if (store.isRemoving) return 0;
      if (state.published?.ingest === ingest) return state.published.chunks;
      if (state.staged?.ingest !== ingest) return 0;
      return (await indexing.count(scope, await registry.readVersion(scope, file, state.staged.version)))
        .gapless;
    },
  };
}

function checkFit(known: number | null, dimensions: number): void {
  if (known === null || dimensions === 0 || known === dimensions) return;
  throw new StoreError('misuse', `The vectors of this store have ${known} dimensions, not ${dimensions}.`);
}

/** Answers the version of the attempt; null where it is published already. What another attempt has staged is dropped. */
async function beginAttempt(
  { states, registry, removal }: StagingDeps,
  scope: IndexScope,
  file: string,
  ingest: string,
  dimensions: number,
): Promise<string | null> {
  const isBegun = ({ store, file: { staged, published } }: State): boolean =>
    !store.isRemoving &&
    (published?.ingest === ingest ||
      (staged?.ingest === ingest && (dimensions === 0 || store.dimensions === dimensions)));
  const toVersion = ({ file: { staged, published } }: State): string | null =>
    published?.ingest === ingest ? null : (staged?.version ?? null);

  const before = await states.read(scope, file);
  if (isBegun(before)) return toVersion(before);
  // A server that removed the store has not come to its end.
  if (before.store.isRemoving) await removal.removeStore(scope);
  const created = createVersionId();
  let isRegistered = false;
  const decidedBy = await states.change(scope, file, async (state) => {
    if (isBegun(state)) return null;
    checkFit(state.store.dimensions, dimensions);
    const fitting = dimensions > 0 ? { dimensions } : {};
    // The attempt is known, and brings the first vectors of the store.
    if (state.file.staged?.ingest === ingest) return { ...fitting, staged: state.file.staged };
    if (!isRegistered) await registry.register(scope, file, created);
    isRegistered = true;
    return { ...fitting, staged: { ingest, version: created } };
  });
  const version =
    isBegun(decidedBy) || decidedBy.file.staged?.ingest === ingest ? toVersion(decidedBy) : created;
  await removal.freeUnused(scope, file);
  return version;
}

/** Finds out which shard each bucket is in, and gives one to those that are new. */
async function openBuckets(
  { registry, loader, shardChunksMax }: StagingDeps,
  scope: IndexScope,
  file: string,
  version: string,
  chunks: readonly NewChunk[],
  dimensions: number,
): Promise<readonly BucketEntry[]> {
  const entry = await registry.readVersion(scope, file, version);
  const known = new Map(entry.buckets.map((bucket) => [bucket.bucket, bucket]));
  const wanted = [...new Set(chunks.map(({ position }) => toBucket(position)))];
  const isNew = wanted.some((bucket) => !known.has(bucket));
  const loads = isNew ? [...((await loader.load(scope))?.shardChunks ?? [])] : [];
  for (const { shard } of known.values()) addLoad(loads, shard, BUCKET_CHUNKS);
  const opened: BucketEntry[] = [];
  for (const bucket of wanted) {
    const before = known.get(bucket);
    if (before !== undefined && (before.dimensions > 0 || dimensions === 0)) {
      opened.push(before);
      continue;
    }
    const shard = before?.shard ?? chooseShard(loads, shardChunksMax);
    if (before === undefined) addLoad(loads, shard, BUCKET_CHUNKS);
    const next = { bucket, shard, dimensions };
    await registry.registerBucket(scope, file, version, next);
    opened.push(next);
  }
  return opened;
}

/** The one with the fewest chunks, or a new one where all are full. */
function chooseShard(loads: readonly number[], chunksMax: number): number {
  let least = 0;
  for (const [shard, load] of loads.entries()) if (load < (loads[least] ?? 0)) least = shard;
  return (loads[least] ?? 0) >= chunksMax ? loads.length : least;
}

function addLoad(loads: number[], shard: number, chunks: number): void {
  while (loads.length <= shard) loads.push(0);
  loads[shard] = (loads[shard] ?? 0) + chunks;
}

function joinBuckets(a: readonly BucketEntry[], b: readonly BucketEntry[]): readonly BucketEntry[] {
  return [...new Map([...a, ...b].map((entry) => [entry.bucket, entry])).values()];
}
