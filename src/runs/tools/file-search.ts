/** The tool that searches the files of a run's assistant and thread. */

import { ApiError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { ChatTool, RequestHeaders } from '../../providers/provider.ts';
import {
  RESULTS_MAX,
  type Search,
  type SearchOutcome,
  type SearchRequest,
  type SearchResult,
} from '../../retrieval/search.ts';
import { toMarker } from '../citations.ts';
import type { FileSearchRecord, FoundPassage, ModelCall, RunRecord } from '../run-records.ts';
import { NO_ROOM, takeFitting } from './found-passages.ts';
import { QUERY_CHARACTERS_MAX, readSearchArguments } from './search-arguments.ts';
import { findStores, waitForStores } from './searched-stores.ts';
import type { CallContext, ServerTool, ServerToolResult } from './server-tool.ts';

export type FileSearchDeps = Pick<Ports, 'store' | 'clock'> & { readonly search: Search };

/** What the model may be shown of one search, and how many results it gets where the tool does not say: as at OpenAI. */
interface Limits {
  readonly tokensMax: number;
  readonly results: number;
}
const LIMITS: Limits = Object.freeze({ tokensMax: 16_000, results: 20 });
const LIMITS_OF_SMALL_MODELS: Limits = Object.freeze({ tokensMax: 4_000, results: 5 });

/** The number in the marker of a run's first search, as OpenAI's markers begin. */
const FIRST_NUMBER = 4;
/** A question as short as this rests on the one before: "And in Norway?" */
const SHORT_CHARACTERS = 40;

/** `Search` decides what is found; what goes wrong with single stores is told to the model. */
export function createFileSearchTool(deps: FileSearchDeps): ServerTool {
  return {
    type: 'file_search',
    toChatTool,
    toRecord: ({ id }) => ({ id, type: 'file_search', file_search: {} }),
    toUnaskedArguments: toArgumentsFromWords,
    prepare: (context) => waitForStores(deps, context),
    execute: (call, context) => execute(deps, call, context),
  };
}

const NAMES = Object.freeze(['file_search', 'search_files', 'search_in_files', 'search_attached_files']);

const DESCRIPTION =
  'Searches the files that belong to this conversation, and answers the passages that fit best. ' +
  'Ask several queries at once where the question has several parts, or where the files may put it in other words. ' +
  'Each passage stands under a marker, such as 【4:0†report.pdf】. In your answer, repeat the marker of a passage ' +
  'exactly as it stands, right after each sentence that rests on it. Never make up a marker.';

function toChatTool(run: RunRecord): ChatTool {
  const name = toName(run);
  return {
    type: 'function',
    function: {
      name,
      description: DESCRIPTION,
      parameters: {
        type: 'object',
        properties: {
          queries: {
            type: 'array',
            items: { type: 'string' },
            description: 'What to look for: one to five short texts, each complete by itself.',
          },
        },
        required: ['queries'],
      },
    },
  };
}

/** The name that models know, unless a function of the client has it. */
function toName(run: RunRecord): string {
  const taken = new Set(run.tools.map((tool) => (tool.type === 'function' ? tool.function.name : '')));
  const numbered = run.tools.map((_, index) => `file_search_${index + 2}`);
  return [...NAMES, ...numbered].find((name) => !taken.has(name)) ?? 'file_search_1';
}

function toArgumentsFromWords(words: readonly string[]): string | null {
  const [before, newest] = words.map((text) => text.trim()).slice(-2);
  const last = newest ?? before ?? '';
  if (last === '') return null;
  const isShort = newest !== undefined && last.length <= SHORT_CHARACTERS;
  const queries = isShort ? [`${before} ${last}`, last] : [last];
  return JSON.stringify({ queries: queries.map((query) => query.slice(-QUERY_CHARACTERS_MAX)) });
}

async function execute(
  deps: FileSearchDeps,
  call: ModelCall,
  context: CallContext,
): Promise<ServerToolResult> {
  const options = toOptions(context.run);
  const given = readSearchArguments(call.arguments);
  if ('fault' in given) return { output: given.fault, found: [], record: toRecord(call, options, []) };
  const storeIds = await findStores(deps, context.tenant, context.run);
  if (storeIds.length === 0) return { output: NO_FILES, found: [], record: toRecord(call, options, []) };
  const request: SearchRequest = {
    queries: given.queries,
    resultsMax: options.results,
    filter: null,
    scoreThreshold: options.ranking.score_threshold,
    weights: options.weights,
  };
  const { results, notes } = await searchStores(deps, context, storeIds, request);
  const number = FIRST_NUMBER + context.number;
  const passages = results.map((result, index) =>
    toPassage(result, toMarker(number, index, result.fileName)),
  );
  const found = takeFitting(passages, Math.min(options.tokensMax, context.tokensMax));
  const hasNoRoom = passages.length > 0 && found.length === 0;
  return {
    output: [...(hasNoRoom ? [NO_ROOM] : []), ...notes].join('\n'),
    found,
    record: toRecord(call, options, results.slice(0, found.length)),
  };
}

const NO_FILES = 'There are no files to search in this conversation.';

function toPassage(result: SearchResult, marker: string): FoundPassage {
  const { fileId, fileBytes, page, text, position } = result;
  return { marker, file_id: fileId, page, text, position, file_bytes: fileBytes };
}

interface SearchOptions extends Limits {
  readonly ranking: Required<FileSearchRanking>;
  readonly weights: SearchRequest['weights'];
}
type FileSearchRanking = NonNullable<FileSearchRecord['file_search']['ranking_options']>;

function toOptions(run: RunRecord): SearchOptions {
  const tool = run.tools.find(({ type }) => type === 'file_search');
  const given = tool?.type === 'file_search' ? tool.file_search : undefined;
  const limits = /gpt-3\.5/.test(run.model) ? LIMITS_OF_SMALL_MODELS : LIMITS;
  const { ranker = 'auto', score_threshold = 0, hybrid_search: hybrid } = given?.ranking_options ?? {};
  return {
    tokensMax: limits.tokensMax,
    results: Math.min(given?.max_num_results ?? limits.results, RESULTS_MAX),
    ranking: { ranker, score_threshold },
    weights: hybrid === undefined ? null : { vector: hybrid.embedding_weight, keyword: hybrid.text_weight },
  };
}

function toRecord(
  { id }: ModelCall,
  { ranking }: SearchOptions,
  results: readonly SearchResult[],
): FileSearchRecord {
  const shown = results.map(({ fileId, fileName, score }) => ({
    file_id: fileId,
    file_name: fileName,
    score,
  }));
  return { id, type: 'file_search', file_search: { ranking_options: ranking, results: shown } };
}

/**
 * Searches all stores at once; where one of them cannot be searched, each by itself, so that the others still answer. The
 * request may name the embedding model of one of them: the others are then searched by their own. Errors: what is not the fault of a
 * single store.
 */
async function searchStores(
  { search }: FileSearchDeps,
  context: CallContext,
  storeIds: readonly string[],
  request: SearchRequest,
): Promise<{ results: readonly SearchResult[]; notes: readonly string[] }> {
  const { run, tenant, headers, requestId, signal } = context;
  const caller = { scope: { tenant }, requestId, signal, keyId: run.internal.key_id ?? null };
  const trySearch = async (ids: readonly string[], asked = headers): Promise<SearchOutcome | ApiError> => {
    try {
      return await search.search({ ...caller, headers: asked }, ids, request);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status >= 500) throw error;
      const isOtherModel = error.param === 'embedding-model' && ids.length === 1 && asked === headers;
      // What came for that model, its key, goes to no other.
      return isOtherModel ? await trySearch(ids, withoutEmbeddingHeaders(headers)) : error;
    }
  };
  const together = await trySearch(storeIds);
  if (!(together instanceof ApiError)) return { results: together.results, notes: [] };
  const outcomes =
    storeIds.length === 1 ? [together] : await Promise.all(storeIds.map((id) => trySearch([id])));
  const results = outcomes.flatMap((outcome) => (outcome instanceof ApiError ? [] : outcome.results));
  const faults = outcomes.flatMap((outcome) => (outcome instanceof ApiError ? [outcome.message] : []));
  const what = faults.length === outcomes.length ? 'The files' : 'A part of the files';
  return {
    results: results.toSorted((a, b) => b.score - a.score).slice(0, request.resultsMax),
    notes: faults.map((message) => `${what} could not be searched: ${message}`),
  };
}

function withoutEmbeddingHeaders(headers: RequestHeaders): RequestHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('embedding-')));
}
