/**
 * Postings of the terms that are asked for, in memory: common words have long lists, and are asked for again. A list is kept for
 * a lineage of a store; files that came since are read and added.
 */

import type { IndexScope } from '../vector-index.ts';
import type { LoadedStore } from './loaded-store.ts';
import type { PostingRows, PostingsRow } from './posting-rows.ts';
import { PostingsList } from './postings.ts';
import { toKey } from './state-rows.ts';
import { forEachBounded } from './turns.ts';

export interface PostingsCache {
  /** For each term that the store has its postings, by slot, in one or several runs. */
  read(
    scope: IndexScope,
    store: LoadedStore,
    terms: readonly string[],
  ): Promise<ReadonlyMap<string, readonly Uint32Array[]>>;
}

export const POSTINGS_BYTES_DEFAULT = 64 * 1024 * 1024;

interface Kept {
  readonly lineage: symbol;
  /** All files are in it that were published up to this revision. */
  readonly revision: number;
  readonly runs: readonly Uint32Array[];
}

/** What an entry takes beside its postings. */
const ENTRY_BYTES = 200;
const SHARDS_AT_ONCE = 4;
/** Where more files have come, the lists are read anew. */
const ADDED_FILES_MAX = 25;
/** Runs of a list; they are joined beyond. */
const RUNS_MAX = 32;

export function createPostingsCache(rows: PostingRows, bytesMax: number): PostingsCache {
  const kept = new Map<string, Kept>();
  let bytes = 0;

  const drop = (key: string): void => {
    const before = kept.get(key);
    if (before !== undefined) bytes -= toSize(before);
    kept.delete(key);
  };

  const keep = (key: string, entry: Kept): void => {
    drop(key);
    kept.set(key, entry);
    bytes += toSize(entry);
    for (const oldest of kept.keys()) {
      if (bytes <= bytesMax) break;
      drop(oldest);
    }
  };

  /** Reads all shards of the store. */
  const readWhole = async (
    scope: IndexScope,
    store: LoadedStore,
    terms: readonly string[],
  ): Promise<Map<string, PostingsList>> => {
    const lists = new Map(terms.map((term) => [term, new PostingsList()]));
    await forEachBounded(store.shardChunks.keys(), SHARDS_AT_ONCE, async (shard) => {
      for await (const page of rows.read(scope, shard, terms)) addRows(lists, store, page);
    });
    return lists;
  };

  /** Reads what the files have that were published after a revision. */
  const readAdded = async (
    scope: IndexScope,
    store: LoadedStore,
    terms: readonly string[],
    revision: number,
  ): Promise<Map<string, PostingsList>> => {
    const lists = new Map(terms.map((term) => [term, new PostingsList()]));
    const added = store.files.filter(({ published }) => published > revision);
    const shards = new Set(added.flatMap((file) => file.shards));
    await forEachBounded(shards, SHARDS_AT_ONCE, async (shard) => {
      const versions = added.filter((file) => file.shards.includes(shard)).map(({ version }) => version);
      addRows(lists, store, await rows.readOf(scope, shard, terms, versions));
    });
    return lists;
  };

  return {
    async read(scope, store, terms) {
      const found = new Map<string, readonly Uint32Array[]>();
      const prefix = `${toKey(scope)} `;
      const missing: string[] = [];
      const behind = new Map<number, string[]>();
      for (const term of terms) {
        const entry = kept.get(prefix + term);
        if (entry === undefined || entry.lineage !== store.lineage) missing.push(term);
        else if (entry.revision < store.revision) {
          behind.set(entry.revision, [...(behind.get(entry.revision) ?? []), term]);
        } else {
          keep(prefix + term, entry);
          found.set(term, entry.runs);
        }
      }
      for (const [revision, stale] of behind) {
        const added = store.files.reduce((count, { published }) => count + (published > revision ? 1 : 0), 0);
        if (added > ADDED_FILES_MAX) {
          missing.push(...stale);
          continue;
        }
        const before = new Map(stale.map((term) => [term, kept.get(prefix + term)?.runs]));
        for (const [term, list] of await readAdded(scope, store, stale, revision)) {
          const runs = join([...(before.get(term) ?? []), list.toNumbers()]);
          found.set(term, runs);
          keep(prefix + term, { lineage: store.lineage, revision: store.revision, runs });
        }
      }
      if (missing.length > 0) {
        for (const [term, list] of await readWhole(scope, store, missing)) {
          const runs = [list.toNumbers()];
          found.set(term, runs);
          keep(prefix + term, { lineage: store.lineage, revision: store.revision, runs });
        }
      }
      return found;
    },
  };
}

function toSize({ runs }: Kept): number {
  return runs.reduce((sum, run) => sum + run.byteLength, ENTRY_BYTES);
}

/** Rows of versions that cannot be found are passed over. */
function addRows(
  lists: ReadonlyMap<string, PostingsList>,
  store: LoadedStore,
  rows: readonly PostingsRow[],
): void {
  for (const { term, version, first, postings } of rows) {
    const file = store.byVersion.get(version);
    if (file !== undefined) lists.get(term)?.addRow(postings, file.slot + first);
  }
}

function join(runs: readonly Uint32Array[]): readonly Uint32Array[] {
  const filled = runs.filter(({ length }) => length > 0);
  if (filled.length <= RUNS_MAX) return filled;
  const joined = new Uint32Array(filled.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const run of filled) {
    joined.set(run, at);
    at += run.length;
  }
  return [joined];
}
