/** The one way of searching: every store by words and by vectors, all questions side by side, one list of results. */

import { ApiError } from '../errors.ts';
import { toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import type { EmbeddingModel } from '../providers/embedder.ts';
import type { Embedders } from '../providers/embeddings/embeddings.ts';
import { ProviderError } from '../providers/provider.ts';
import type { OpenAIFile } from '../schemas/generated/files.ts';
import type { Scope } from '../store/store.ts';
import type { Analyser } from '../vector/analyser.ts';
import { WEIGHTS_DEFAULT } from '../vector/scoring.ts';
import { type SearchHit, type VectorIndex, WANTED_MAX } from '../vector/vector-index.ts';
import { checkNamed } from './embedding-choice.ts';
import {
  QUERIES_MAX,
  RESULTS_MAX,
  type Search,
  type SearchCaller,
  type SearchMode,
  type SearchOutcome,
  type SearchRequest,
  type SearchResult,
} from './search.ts';
import { touchStores } from './store-activity.ts';
import { isExpired, type VectorStoreRecord } from './vector-store-records.ts';

export type SearchDeps = Pick<Ports, 'store' | 'clock' | 'log'> & {
  readonly index: VectorIndex;
  readonly embedders: Embedders;
  readonly analyser: Pick<Analyser, 'analyseQuery'>;
};

/** A question waits for its vector no longer: then words must do. */
const EMBEDDING_MS = 15_000;
/** Longer questions are cut: nobody means every word of them. UTF-16 units. */
const QUERY_LENGTH_MAX = 8_192;

export function createSearch(deps: SearchDeps): Search {
  return { search: (caller, storeIds, request) => searchStores(deps, caller, storeIds, request) };
}

async function searchStores(
  deps: SearchDeps,
  caller: SearchCaller,
  storeIds: readonly string[],
  request: SearchRequest,
): Promise<SearchOutcome> {
  const stores = await readStores(deps, caller.scope, storeIds);
  const named = deps.embedders.readNamed(caller.headers);
  for (const { internal } of stores) {
    if (internal.embedding !== undefined) checkNamed(named, internal.embedding);
  }
  const queries = request.queries.slice(0, QUERIES_MAX).map((query) => query.slice(0, QUERY_LENGTH_MAX));
  const weights = request.weights ?? WEIGHTS_DEFAULT;
  const vectors = await embedQueries(deps, caller, stores, weights.vector > 0 ? queries : []);
  const found = await Promise.all(
    stores.map((store) => searchStore(deps, caller.scope, store, { ...request, weights, queries }, vectors)),
  );
  await touchStores(deps, caller.scope, stores);
  const hits = rank(
    found.flatMap((one) => one.hits),
    request,
  );
  return {
    results: await toResults(deps, caller.scope, hits),
    mode: toMode(found, weights),
    warning: vectors.warning ?? found.find(({ warning }) => warning !== null)?.warning ?? null,
  };
}

/** Errors: 404; 400 for one that has expired. */
async function readStores(
  deps: SearchDeps,
  scope: Scope,
  storeIds: readonly string[],
): Promise<readonly VectorStoreRecord[]> {
  const found = await Promise.all(
    [...new Set(storeIds)].map(async (id) => {
      const store = await deps.store.get<VectorStoreRecord>('vector_stores', scope, id);
      if (store === null) throw ApiError.notFound('vector_store', id);
      if (isExpired(store.record, deps.clock)) {
        throw ApiError.invalidRequest(`The vector store '${id}' has expired.`);
      }
      return store.record;
    }),
  );
  return found;
}

interface QueryVectors {
  /** By model: a vector for each query. */
  readonly byModel: ReadonlyMap<string, readonly Float32Array[]>;
  /** Why there are none although there should be. */
  readonly warning: string | null;
}

/** The questions' vectors by every model that the stores have. A model that does not answer leaves the words. */
async function embedQueries(
  deps: SearchDeps,
  caller: SearchCaller,
  stores: readonly VectorStoreRecord[],
  queries: readonly string[],
): Promise<QueryVectors> {
  const models = new Map(
    stores.flatMap(({ internal: { embedding } }) => (embedding ? [[toKey(embedding), embedding]] : [])),
  );
  const byModel = new Map<string, readonly Float32Array[]>();
  let warning: string | null = null;
  const texts = queries.filter((query) => query.trim() !== '');
  if (texts.length === 0) return { byModel, warning };
  await Promise.all(
    [...models].map(async ([key, model]) => {
      try {
        const vectors = await embedOnce(deps, caller, model, texts);
        let at = 0;
        byModel.set(
          key,
          queries.map((query) => (query.trim() === '' ? NO_VECTOR : (vectors[at++] ?? NO_VECTOR))),
        );
      } catch (error) {
        caller.signal.throwIfAborted();
        if (!(error instanceof ProviderError)) throw error;
        deps.log.warn('question not embedded', { requestId: caller.requestId, ...toLogFields(error) });
        warning = `The embedding model '${model.model}' could not be used (${error.message}), so only words were searched.`;
      }
    }),
  );
  return { byModel, warning };
}

/** Stands for a question without words. */
const NO_VECTOR = new Float32Array(0);

async function embedOnce(
  deps: SearchDeps,
  { scope, headers, requestId, signal, keyId = null }: SearchCaller,
  model: EmbeddingModel,
  texts: readonly string[],
): Promise<readonly Float32Array[]> {
  const overdue = new AbortController();
  const timer = setTimeout(() => overdue.abort(toOverdue()), EMBEDDING_MS);
  try {
    const embedder = deps.embedders.resolve(model, headers);
    const call = {
      signal: AbortSignal.any([signal, overdue.signal]),
      requestId,
      tenant: scope.tenant,
      keyId,
    };
    return await embedder.embed(texts, call);
  } finally {
    clearTimeout(timer);
  }
}

function toOverdue(): ProviderError {
  return new ProviderError('timeout', `It did not answer within ${EMBEDDING_MS / 1000} seconds.`);
}

function toKey({ model, dimensions }: EmbeddingModel): string {
  return JSON.stringify([model, dimensions]);
}

interface FoundHit {
  readonly storeId: string;
  readonly hit: SearchHit;
}

type WeightedRequest = SearchRequest & { readonly weights: NonNullable<SearchRequest['weights']> };

interface StoreOutcome {
  readonly hits: readonly FoundHit[];
  readonly hasVectors: boolean;
  /** Why the questions' vectors were left out although there are some. */
  readonly warning: string | null;
}

async function searchStore(
  deps: SearchDeps,
  scope: Scope,
  store: VectorStoreRecord,
  request: WeightedRequest,
  vectors: QueryVectors,
): Promise<StoreOutcome> {
  const index = { tenant: scope.tenant, store: store.id };
  const { languages, dimensions } = await deps.index.describe(index);
  const { embedding } = store.internal;
  const given = embedding ? vectors.byModel.get(toKey(embedding)) : undefined;
  const warning = findMismatch(embedding?.model ?? '', given, dimensions);
  const own = warning === null ? given : undefined;
  const found = await Promise.all(
    request.queries.map((query, at) => {
      const vector = own?.[at] ?? NO_VECTOR;
      const terms =
        request.weights.keyword > 0 || vector.length === 0
          ? deps.analyser.analyseQuery(query, languages)
          : [];
      return deps.index.search(index, {
        vector: vector.length === 0 ? null : vector,
        terms,
        wanted: Math.min(WANTED_MAX, request.resultsMax),
        weights: request.weights,
        filter: request.filter,
      });
    }),
  );
  const hits = found.flat().map((hit) => ({ storeId: store.id, hit }));
  return { hits, hasVectors: own !== undefined, warning };
}

/** A model that has changed under its name: its vectors say nothing about the store's. */
function findMismatch(
  model: string,
  vectors: readonly Float32Array[] | undefined,
  dimensions: number | null,
): string | null {
  const found = vectors?.find(({ length }) => length > 0)?.length;
  if (found === undefined || dimensions === null || found === dimensions) return null;
  return `The embedding model '${model}' answers vectors of ${found} dimensions, but the store has ${dimensions}, so only words were searched.`;
}

/** Each chunk once, with its best score; best first, in an order that is the same every time. */
function rank(found: readonly FoundHit[], request: SearchRequest): readonly FoundHit[] {
  const best = new Map<string, FoundHit>();
  for (const one of found) {
    if (one.hit.score < request.scoreThreshold) continue;
    // The same file in two stores is the same text.
    const key = `${one.hit.file}/${one.hit.chunk.start}/${one.hit.chunk.end}`;
    const before = best.get(key);
    if (before === undefined || one.hit.score > before.hit.score) best.set(key, one);
  }
  return [...best.values()].sort(compareHits).slice(0, Math.min(RESULTS_MAX, request.resultsMax));
}

function compareHits({ hit: a }: FoundHit, { hit: b }: FoundHit): number {
  if (a.score !== b.score) return b.score - a.score;
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.chunk.position - b.chunk.position;
}

/** A file that is being deleted at this moment is left out. */
async function toResults(
  deps: SearchDeps,
  scope: Scope,
  hits: readonly FoundHit[],
): Promise<readonly SearchResult[]> {
  const fileIds = [...new Set(hits.map(({ hit }) => hit.file))];
  const files = await Promise.all(
    fileIds.map(async (id) => [id, await deps.store.get<OpenAIFile>('files', scope, id)] as const),
  );
  const byId = new Map(files.flatMap(([id, file]) => (file === null ? [] : [[id, file.record]])));
  return hits.flatMap(({ storeId, hit }) => {
    const found = byId.get(hit.file);
    if (found === undefined) return [];
    const { filename: fileName, bytes: fileBytes } = found;
    const { text, start, end, page, position } = hit.chunk;
    const { file: fileId, score, attributes } = hit;
    const file = { fileId, fileName, fileBytes };
    return [{ storeId, ...file, score, attributes, text, start, end, page, position }];
  });
}

function toMode(found: readonly StoreOutcome[], weights: WeightedRequest['weights']): SearchMode {
  if (!found.some(({ hasVectors }) => hasVectors)) return 'keyword';
  return weights.keyword > 0 ? 'hybrid' : 'vector';
}
