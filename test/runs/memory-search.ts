/** A search that is simple and real: texts in memory, found by their words. */

import { ApiError } from '../../src/errors.ts';
import type { Search, SearchCaller, SearchRequest, SearchResult } from '../../src/retrieval/search.ts';

/** A passage of a file of a vector store. */
export interface Passage {
  readonly fileId: string;
  readonly fileName: string;
  readonly text: string;
  readonly page?: number;
}

export interface SearchCall {
  readonly caller: SearchCaller;
  readonly storeIds: readonly string[];
  readonly request: SearchRequest;
}

export interface MemorySearch extends Search {
  /** The passages of each vector store. */
  readonly stores: Map<string, readonly Passage[]>;
  readonly calls: SearchCall[];
  /** Called before each search answers. */
  before: (call: SearchCall) => Promise<void>;
}

export function createMemorySearch(): MemorySearch {
  const memory: MemorySearch = {
    stores: new Map(),
    calls: [],
    before: async () => undefined,
    async search(caller, storeIds, request) {
      const call = { caller, storeIds, request };
      memory.calls.push(call);
      await memory.before(call);
      caller.signal.throwIfAborted();
      const results = storeIds.flatMap((storeId) => {
        const passages = memory.stores.get(storeId);
        if (passages === undefined) throw ApiError.notFound('vector_store', storeId);
        return passages.map((passage, position) => toResult(storeId, passage, position, request.queries));
      });
      const good = results.filter(({ score }) => score > 0 && score >= request.scoreThreshold);
      return {
        results: good.toSorted((a, b) => b.score - a.score).slice(0, request.resultsMax),
        mode: 'keyword',
        warning: null,
      };
    },
  };
  return memory;
}

function toResult(
  storeId: string,
  { fileId, fileName, text, page }: Passage,
  position: number,
  queries: readonly string[],
): SearchResult {
  const score = Math.max(...queries.map((query) => toScore(query, text)));
  const place = { start: 0, end: text.length, page: page ?? null, position };
  return { storeId, fileId, fileName, fileBytes: text.length, score, attributes: {}, text, ...place };
}

/** The share of the query's words that stand in the text. */
function toScore(query: string, text: string): number {
  const words = query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const found = words.filter((word) => text.toLowerCase().includes(word));
  return words.length === 0 ? 0 : found.length / words.length;
}
