/** A search over one store: candidates of both sides, both scores for each of them, one mix. */

import { StoreError } from '../../store/store.ts';
import { toBackground, toCandidates } from '../scoring.ts';
import type { IndexScope, SearchHit, SearchQuery, StoredChunk } from '../vector-index.ts';
import type { ChunkRows } from './chunk-rows.ts';
import type { FileStates } from './file-states.ts';
import { scoreKeywords } from './keyword-side.ts';
import { createComparison, findFile, findRanges, type LoadedFile, type LoadedStore } from './loaded-store.ts';
import { mixSides, type Ranked } from './mixing.ts';
import type { PostingsCache } from './postings-cache.ts';
import { toBucket } from './schema.ts';
import { isThere, type StoreLoader } from './store-loader.ts';
import { forEachBounded, toParts } from './turns.ts';
import { KEYS_PER_QUERY, toUnit } from './vector-rows.ts';
import type { VectorQuestion, VectorSide } from './vector-side.ts';

export interface SearchDeps {
  readonly loader: StoreLoader;
  readonly states: Pick<FileStates, 'readRevision'>;
  readonly postings: PostingsCache;
  readonly vectorSide: VectorSide;
  readonly chunks: ChunkRows;
}

export type Search = (scope: IndexScope, query: SearchQuery) => Promise<readonly SearchHit[]>;

/** A file that goes while a search is under way takes chunks away from under it: it begins again, so often. */
const TRIES_MAX = 4;
const READS_AT_ONCE = 8;

export function createSearch(deps: SearchDeps): Search {
  const { loader, states } = deps;

  /** What is in memory is mostly as it is now, which the end of the search finds out. */
  const peek = (scope: IndexScope, { vector }: SearchQuery): LoadedStore | null => {
    const known = loader.peek(scope);
    return known === null || vector === null || known.dimensions === vector.length ? known : null;
  };

  return async (scope, query) => {
    for (let tries = 1; ; tries += 1) {
      const known = tries === 1 ? peek(scope, query) : null;
      const store = known ?? (await loader.load(scope));
      if (store === null) return [];
      const order = await rankStore(deps, scope, store, query);
      const [hits, now] = await Promise.all([
        readHits(deps.chunks, scope, store, order),
        states.readRevision(scope),
      ]);
      const isFresh = known === null || now.revision === store.revision;
      // What goes after this reading takes texts away.
      const isIntact = isThere(now) && now.removals <= store.revision && hits.length === order.length;
      if (isFresh && isIntact) return hits.map(({ hit }) => hit);
      if (tries < TRIES_MAX) continue;
      // Files go all the time: what has been found of those that are there still is the answer.
      const versions = (await loader.load(scope))?.byVersion;
      return hits.filter(({ version }) => versions?.has(version) === true).map(({ hit }) => hit);
    }
  };
}

async function rankStore(
  deps: SearchDeps,
  scope: IndexScope,
  store: LoadedStore,
  query: SearchQuery,
): Promise<readonly Ranked[]> {
  const { weights, wanted } = query;
  const question = toQuestion(scope, store, query.vector);
  const ranges = findRanges(store, query.filter);
  if (ranges.length === 0) return [];
  const compare = createComparison(store);
  const depth = toCandidates(wanted);
  // A side that counts nothing brings no candidates, unless the other one is missing.
  const byVector = question !== null && weights.vector > 0;
  const isAlone = query.terms.length === 0 || weights.keyword === 0;
  const [keywords, matches] = await Promise.all([
    scoreKeywords(deps.postings, scope, store, query.terms),
    byVector ? deps.vectorSide.find(question, ranges, { wanted, depth, isAlone }, compare) : NO_MATCHES,
  ]);
  const byKeyword = keywords.isKnown && (weights.keyword > 0 || question === null);
  const background =
    byVector && store.vectorSum !== null ? toBackground(question.vector, store.vectorSum, store.vectors) : 0;
  const slots = new Set(matches.candidates);
  if (byKeyword) for (const slot of keywords.findBest(ranges, depth, compare)) slots.add(slot);
  const compareMany = async (open: readonly number[]) =>
    question === null || open.length === 0 ? NO_COSINES : await deps.vectorSide.compareMany(question, open);
  return await mixSides({
    ...{ slots: [...slots], matches, keywords, weights, wanted, background, compare, compareMany },
    hasCosines: question !== null,
    isEveryChunkWithVector: store.vectors === store.chunks,
  });
}

interface FoundHit {
  readonly hit: SearchHit;
  readonly version: string;
}

const NO_COSINES: ReadonlyMap<number, number> = new Map<number, number>();
const NO_MATCHES = Object.freeze({ candidates: [], cosines: NO_COSINES, bound: 1 });

/** Null where there is nothing to compare. */
function toQuestion(
  scope: IndexScope,
  store: LoadedStore,
  vector: Float32Array | null,
): VectorQuestion | null {
  const { dimensions } = store;
  if (vector === null || dimensions === null) return null;
  if (vector.length !== dimensions) {
    throw new StoreError(
      'misuse',
      `The vectors of this store have ${dimensions} dimensions, not ${vector.length}.`,
    );
  }
  return { scope, store, dimensions, vector: toUnit(vector) };
}

/** The chunks of the hits, in their order. One that has gone meanwhile is left out. */
async function readHits(
  chunks: ChunkRows,
  scope: IndexScope,
  store: LoadedStore,
  order: readonly Ranked[],
): Promise<readonly FoundHit[]> {
  const groups = new Map<string, { readonly file: LoadedFile; readonly positions: number[] }>();
  for (const { slot } of order) {
    const file = findFile(store, slot);
    const position = slot - file.slot;
    const key = `${file.version} ${toBucket(position)}`;
    const group = groups.get(key) ?? { file, positions: [] };
    groups.set(key, group);
    group.positions.push(position);
  }
  const found = new Map<number, StoredChunk>();
  const reads = [...groups.values()].flatMap(({ file, positions }) =>
    toParts(positions, KEYS_PER_QUERY).map((part) => ({ file, part })),
  );
  await forEachBounded(reads, READS_AT_ONCE, async ({ file, part }) => {
    for (const chunk of await chunks.readMany(scope, file.version, part))
      found.set(file.slot + chunk.position, chunk);
  });
  return order.flatMap(({ slot, score, cosine, keyword }) => {
    const chunk = found.get(slot);
    if (chunk === undefined) return [];
    const { file, attributes, version } = findFile(store, slot);
    return [{ hit: { file, attributes, chunk, score, cosine, keyword: keyword ?? 0 }, version }];
  });
}
