/** A vector store has one embedding model: a question in another one's vectors would find nothing, or nonsense. */

import { ApiError } from '../errors.ts';
import type { EmbeddingModel } from '../providers/embedder.ts';

/** Errors: 400 where a request names another model than the one that the store's vectors came from. */
export function checkNamed(named: EmbeddingModel | null, fixed: EmbeddingModel | null): void {
  if (named === null) return;
  const isSame =
    fixed !== null &&
    named.model === fixed.model &&
    (named.dimensions === null || named.dimensions === fixed.dimensions);
  if (isSame) return;
  const kept =
    fixed === null
      ? 'has no embedding model'
      : `has vectors of '${fixed.model}'${fixed.dimensions === null ? '' : ` with ${fixed.dimensions} dimensions`}`;
  throw ApiError.invalidRequest(
    `The vector store ${kept}, which its first file decided: '${named.model}' cannot be used with it.`,
    'embedding-model',
  );
}
