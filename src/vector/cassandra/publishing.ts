/** Staged chunks become findable: their postings are written first, then one conditional write shows them all. */

import type { FileEntry, IndexScope } from '../vector-index.ts';
import { subtractSums } from './columns.ts';
import type { FileStates } from './file-states.ts';
import type { Indexing } from './indexing.ts';
import type { Registry } from './registry.ts';
import type { Removal } from './removal.ts';
import { toBucket } from './schema.ts';
import type { Change } from './state-changes.ts';
import type { State } from './state-rows.ts';

export interface PublishedFile {
  readonly chunks: number;
  readonly bytes: number;
}

export interface Publishing {
  publish(scope: IndexScope, entry: FileEntry, ingest: string): Promise<PublishedFile>;
}

const NO_SUM = Object.freeze({ count: 0, sum: null });
const NOT_THERE: PublishedFile = Object.freeze({ chunks: 0, bytes: 0 });

export function createPublishing(deps: {
  readonly states: FileStates;
  readonly registry: Registry;
  readonly indexing: Indexing;
  readonly removal: Removal;
}): Publishing {
  const { states, registry, indexing, removal } = deps;

  return {
    async publish(scope, entry, ingest) {
      const { file } = entry;
      const { store, file: before } = await states.read(scope, file);
      if (store.isRemoving) return NOT_THERE;
      if (before.published?.ingest === ingest) {
        // The server that published it may have died before it freed the earlier version.
        await removal.freeUnused(scope, file);
        return toAnswer(before);
      }
      if (before.staged?.ingest !== ingest) return NOT_THERE;
      const { version } = before.staged;
      const registered = await registry.readVersion(scope, file, version);
      const { gapless, total } = await indexing.count(scope, registered);
      if (total === 0 || gapless < total) return { chunks: gapless, bytes: 0 };
      await registry.setIndexed(scope, file, version, true);
      const indexed = await indexing.index(scope, registered);
      await registry.writeSum(scope, version, { count: indexed.vectors, sum: indexed.vectorSum });
      const published = {
        ...{ ingest, version, chunks: total, bytes: indexed.bytes, words: indexed.words },
        // A bucket behind the last chunk may have been opened and never filled.
        shards: registered.buckets.slice(0, toBucket(total - 1) + 1).map(({ shard }) => shard),
        attributes: JSON.stringify(entry.attributes),
        languages: JSON.stringify(entry.languages),
      };
      const decidedBy = await states.change(scope, file, async (state): Promise<Change | null> => {
        if (state.store.isRemoving || state.file.staged?.version !== version) return null;
        const replaced = state.file.published;
        const earlier = replaced === null ? NO_SUM : await registry.readSum(scope, replaced.version);
        const sum = subtractSums(indexed.vectorSum, earlier.sum);
        return { published, vectors: { count: indexed.vectors - earlier.count, sum } };
      });
      await removal.freeUnused(scope, file);
      if (!decidedBy.store.isRemoving && decidedBy.file.staged?.version === version) {
        return { chunks: total, bytes: indexed.bytes };
      }
      return decidedBy.file.published?.ingest === ingest ? toAnswer(decidedBy.file) : NOT_THERE;
    },
  };
}

function toAnswer({ published }: State['file']): PublishedFile {
  return published === null ? NOT_THERE : { chunks: published.chunks, bytes: published.bytes };
}
