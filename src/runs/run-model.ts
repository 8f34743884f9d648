/** Who answers a run: decided while its request's headers are at hand, and again by whoever goes on with it. */

import type { Embedders } from '../providers/embeddings/embeddings.ts';
import {
  ProviderError,
  type RequestHeaders,
  type ResolvedModel,
  type Router,
} from '../providers/provider.ts';
import { bindHeaders } from '../providers/routing/request-credentials.ts';
import type { RunRecord } from './run-records.ts';

export interface RunModel {
  /** Errors: `ProviderError` where nobody can answer. */
  readonly resolve: () => ResolvedModel;
  /** Whether the model's key or address came with the request. */
  readonly isFromRequest: boolean;
  /** For what the run asks besides: searches use another model, and what came for this one stays with it. */
  readonly headers: RequestHeaders;
}

/**
 * What the caller did wrong is thrown (`ApiError`, 400); that nobody can answer is the run's own failure, where a
 * program looks for it.
 */
export function resolveModel(
  router: Pick<Router, 'resolve'>,
  model: string,
  headers: RequestHeaders,
): RunModel {
  try {
    const resolved = router.resolve(model, headers);
    const { credentials } = resolved;
    return {
      resolve: () => resolved,
      isFromRequest: credentials.fromRequest,
      headers: bindHeaders(headers, credentials),
    };
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    return {
      resolve: () => {
        throw error;
      },
      isFromRequest: false,
      headers,
    };
  }
}

/** Whether the run searches files, and the key for the questions comes with the request. */
export function searchesFromRequest(
  embedders: Pick<Embedders, 'choose' | 'resolve'>,
  run: RunRecord,
  headers: RequestHeaders,
): boolean {
  if (!run.tools.some(({ type }) => type === 'file_search')) return false;
  try {
    const model = embedders.choose(headers);
    return model !== null && embedders.resolve(model, headers).fromRequest;
  } catch {
    // A model that cannot be used is told by the search.
    return false;
  }
}
