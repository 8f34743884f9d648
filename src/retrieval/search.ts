/** Search over vector stores, for the API and for runs alike. */

import type { RequestHeaders } from '../providers/provider.ts';
import type { Scope } from '../store/store.ts';
import type { AttributeFilter, Attributes } from '../vector/attribute-filter.ts';

export interface SearchRequest {
  /** Several are merged: a chunk has its best score. 1 to `QUERIES_MAX`. */
  readonly queries: readonly string[];
  /** 1 to `RESULTS_MAX`. */
  readonly resultsMax: number;
  readonly filter: AttributeFilter | null;
  /** 0 to 1; results below are left out. */
  readonly scoreThreshold: number;
  /** What each side counts; null: the default. */
  readonly weights: { readonly vector: number; readonly keyword: number } | null;
}

export const QUERIES_MAX = 16;
export const RESULTS_MAX = 50;

export interface SearchResult {
  readonly storeId: string;
  readonly fileId: string;
  readonly fileName: string;
  /** Of the whole file. */
  readonly fileBytes: number;
  /** 0 to 1; results descend by it. */
  readonly score: number;
  readonly attributes: Attributes;
  readonly text: string;
  /** Where `text` stands in the text of the file. */
  readonly start: number;
  readonly end: number;
  readonly page: number | null;
  readonly position: number;
}

/** By what was searched. `keyword`: the stores have no vectors, or their model did not answer (`warning` says why). */
export type SearchMode = 'hybrid' | 'vector' | 'keyword';

export interface SearchOutcome {
  readonly results: readonly SearchResult[];
  readonly mode: SearchMode;
  readonly warning: string | null;
}

/** For whom: the headers may hold the embedding model's key. */
export interface SearchCaller {
  readonly scope: Scope;
  readonly headers: RequestHeaders;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** The server's key that the request came with; absent: there is none. */
  readonly keyId?: string | null;
}

export interface Search {
  /**
   * Searches the stores side by side and merges. Counts as activity of each store. Errors: `ApiError` (404 for a store
   * that is not there; 400 for one that has expired, or where the request names another model than the store's).
   */
  search(caller: SearchCaller, storeIds: readonly string[], request: SearchRequest): Promise<SearchOutcome>;
}
