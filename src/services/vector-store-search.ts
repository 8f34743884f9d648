/** `POST /vector_stores/{id}/search`: the request's rules, and its answer. */

import { ApiError } from '../errors.ts';
import type { RewriteQueries } from '../retrieval/rewrite.ts';
import {
  QUERIES_MAX,
  type Search,
  type SearchCaller,
  type SearchMode,
  type SearchResult,
} from '../retrieval/search.ts';
import type {
  VectorStoreSearchRequest,
  VectorStoreSearchResultItem,
  VectorStoreSearchResultsPage,
} from '../schemas/generated/vector-stores.ts';
import type { AttributeFilter } from '../vector/attribute-filter.ts';

export interface SearchServiceDeps {
  readonly search: Search;
  readonly rewrite: RewriteQueries;
}

export interface SearchAnswer {
  readonly page: VectorStoreSearchResultsPage;
  readonly mode: SearchMode;
  readonly warning: string | null;
}

const RESULTS_DEFAULT = 10;
/** What a filter may hold in all, and how deep. */
const FILTER_PARTS_MAX = 256;
const FILTER_DEPTH_MAX = 16;

/** Errors: 404; 400 naming the parameter. */
export async function searchVectorStore(
  deps: SearchServiceDeps,
  caller: SearchCaller,
  storeId: string,
  body: VectorStoreSearchRequest,
): Promise<SearchAnswer> {
  const given = toQueries(body.query);
  const filter = body.filters === undefined ? null : toFilter(body.filters);
  const queries = body.rewrite_query === true ? await deps.rewrite(given, caller) : given;
  const outcome = await deps.search.search(caller, [storeId], {
    queries,
    resultsMax: body.max_num_results ?? RESULTS_DEFAULT,
    filter,
    scoreThreshold: body.ranking_options?.score_threshold ?? 0,
    weights: toWeights(body.ranking_options?.hybrid_search),
  });
  return {
    page: {
      object: 'vector_store.search_results.page',
      search_query: [...queries],
      data: outcome.results.map(toItem),
      has_more: false,
      next_page: null,
    },
    mode: outcome.mode,
    warning: outcome.warning,
  };
}

function toQueries(query: string | readonly string[]): readonly string[] {
  const queries = typeof query === 'string' ? [query] : query;
  if (queries.length === 0 || queries.every((text) => text.trim() === '')) {
    throw ApiError.invalidValue('query', "Invalid 'query': a text that is not empty is needed.");
  }
  if (queries.length > QUERIES_MAX) {
    throw new ApiError(
      'invalid_value',
      `Invalid 'query': array too long. Expected an array with maximum length ${QUERIES_MAX}, but got an array with length ${queries.length} instead.`,
      { param: 'query', wireCode: 'array_above_max_length' },
    );
  }
  return queries;
}

/** Errors: 400 for a value that its comparison cannot have, and for too many parts. */
function toFilter(filters: NonNullable<VectorStoreSearchRequest['filters']>): AttributeFilter {
  const parts = checkPart(filters, 'filters', FILTER_DEPTH_MAX);
  if (parts > FILTER_PARTS_MAX) {
    throw ApiError.invalidValue('filters', `Invalid 'filters': at most ${FILTER_PARTS_MAX} parts.`);
  }
  return filters;
}

/** Answers how many parts it has. */
function checkPart(part: AttributeFilter, param: string, depth: number): number {
  if (depth === 0) {
    throw ApiError.invalidValue(
      'filters',
      `Invalid 'filters': nested deeper than ${FILTER_DEPTH_MAX} levels.`,
    );
  }
  if ('filters' in part) {
    return part.filters.reduce(
      (sum, one, at) => sum + checkPart(one, `${param}.filters[${at}]`, depth - 1),
      1,
    );
  }
  const isList = Array.isArray(part.value);
  const wantsList = part.type === 'in' || part.type === 'nin';
  if (isList !== wantsList) {
    throw ApiError.invalidValue(
      `${param}.value`,
      `Invalid '${param}.value': '${part.type}' compares with ${wantsList ? 'an array' : 'a string, a number or a boolean'}.`,
    );
  }
  if (typeof part.value === 'boolean' && part.type !== 'eq' && part.type !== 'ne') {
    throw ApiError.invalidValue(
      `${param}.value`,
      `Invalid '${param}.value': '${part.type}' compares with a string or a number.`,
    );
  }
  return 1;
}

/** Errors: 400 where neither side counts. */
export function toWeights(
  given: { embedding_weight: number; text_weight: number } | undefined,
  param = 'ranking_options.hybrid_search',
): { vector: number; keyword: number } | null {
  if (given === undefined) return null;
  const { embedding_weight: vector, text_weight: keyword } = given;
  if (vector + keyword > 0) return { vector, keyword };
  throw ApiError.invalidValue(
    param,
    `Invalid '${param}': at least one of the weights must be greater than zero.`,
  );
}

function toItem(result: SearchResult): VectorStoreSearchResultItem {
  return {
    file_id: result.fileId,
    filename: result.fileName,
    score: result.score,
    attributes: { ...result.attributes },
    content: [{ type: 'text', text: result.text }],
  };
}
