/** What goes: hidden by one conditional write, then freed. What a crash leaves is freed by the next who comes by. */

import type { Attributes } from '../attribute-filter.ts';
import type { IndexScope } from '../vector-index.ts';
import type { ChunkRows } from './chunk-rows.ts';
import { subtractSums } from './columns.ts';
import type { FileStates } from './file-states.ts';
import type { Indexing } from './indexing.ts';
import type { PostingRows } from './posting-rows.ts';
import type { Registry, VersionEntry } from './registry.ts';
import { BUCKET_CHUNKS } from './schema.ts';
import { forEachBounded } from './turns.ts';
import type { VectorRows } from './vector-rows.ts';

export interface Removal {
  setAttributes(scope: IndexScope, file: string, attributes: Attributes): Promise<void>;
  removeFile(scope: IndexScope, file: string): Promise<void>;
  removeStore(scope: IndexScope): Promise<void>;
  /** Frees the versions of a file that are neither published nor staged. */
  freeUnused(scope: IndexScope, file: string): Promise<void>;
  freeVersion(scope: IndexScope, file: string, entry: VersionEntry): Promise<void>;
}

const PARTITIONS_AT_ONCE = 4;

export function createRemoval(deps: {
  readonly states: FileStates;
  readonly registry: Registry;
  readonly chunks: ChunkRows;
  readonly postings: PostingRows;
  readonly vectors: VectorRows;
  readonly indexing: Indexing;
}): Removal {
  const { states, registry, chunks, postings, vectors, indexing } = deps;

  const freeVersion: Removal['freeVersion'] = async (scope, file, entry) => {
    const { version } = entry;
    // Which rows of postings there are, only the chunks know.
    if (entry.isIndexed) await indexing.unindex(scope, entry);
    for (const { bucket, shard, dimensions } of entry.buckets) {
      const range = { version, from: bucket * BUCKET_CHUNKS, to: (bucket + 1) * BUCKET_CHUNKS };
      if (dimensions > 0) await vectors.removeRange({ ...scope, shard, dimensions }, range);
      await chunks.remove(scope, version, bucket);
    }
    if (entry.isIndexed) await registry.forgetSum(scope, version);
    await registry.forgetVersion(scope, file, entry);
  };

  const freeUnused: Removal['freeUnused'] = async (scope, file) => {
    // In this order: a version that is registered after this reading is not looked at.
    const entries = await registry.readFile(scope, file);
    const { file: state } = await states.read(scope, file);
    const used = [state.staged?.version, state.published?.version];
    for (const entry of entries) {
      if (!used.includes(entry.version)) await freeVersion(scope, file, entry);
    }
  };

  return {
    freeVersion,
    freeUnused,

    async setAttributes(scope, file, attributes) {
      await states.change(scope, file, async ({ store, file: { published } }) =>
        store.isRemoving || published === null ? null : { attributes: JSON.stringify(attributes) },
      );
    },

    async removeFile(scope, file) {
      await states.change(scope, file, async ({ store, file: { staged, published } }) => {
        if (store.isRemoving || (staged === null && published === null)) return null;
        if (published === null) return { isRemoved: true };
        const { count, sum } = await registry.readSum(scope, published.version);
        return { isRemoved: true, vectors: { count: -count, sum: subtractSums(null, sum) } };
      });
      await freeUnused(scope, file);
    },

    async removeStore(scope) {
      await states.hideStore(scope);
      const shards = new Set<number>();
      const tables = new Set<string>();
      for await (const entries of registry.readStore(scope)) {
        await forEachBounded(entries, PARTITIONS_AT_ONCE, async ({ version, isIndexed, buckets }) => {
          if (isIndexed) await registry.forgetSum(scope, version);
          for (const { bucket, shard, dimensions } of buckets) {
            shards.add(shard);
            if (dimensions > 0) tables.add(JSON.stringify([dimensions, shard]));
            await chunks.remove(scope, version, bucket);
          }
        });
      }
      for (const shard of shards) await postings.removeShard(scope, shard);
      for (const table of tables) {
        const [dimensions = 0, shard = 0] = JSON.parse(table) as number[];
        await vectors.removeShard({ ...scope, dimensions, shard });
      }
      await registry.forgetStore(scope);
      await states.forgetStore(scope);
    },
  };
}
