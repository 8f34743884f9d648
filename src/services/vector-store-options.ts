/** What a request says of a vector store's files: how they are cut, and what they are filtered by. */

import { ApiError } from '../errors.ts';
import type { FileInternals } from '../retrieval/vector-store-records.ts';
import type { ChunkingStrategyRequestParam } from '../schemas/generated/vector-stores.ts';
import type { Attributes } from '../vector/attribute-filter.ts';

/** What `auto` means, as at OpenAI. */
const CHUNKING_AUTO: FileInternals['chunking'] = Object.freeze({ tokensMax: 800, overlapTokens: 400 });
const ATTRIBUTE_KEY_LENGTH_MAX = 64;

/** Errors: 400 naming the parameter. */
export function toChunking(
  given: ChunkingStrategyRequestParam | null | undefined,
  param = 'chunking_strategy',
): FileInternals['chunking'] {
  if (given === null || given === undefined || given.type === 'auto') return CHUNKING_AUTO;
  const { max_chunk_size_tokens: tokensMax, chunk_overlap_tokens: overlapTokens } = given.static;
  if (overlapTokens < 0 || overlapTokens > tokensMax / 2) {
    const at = `${param}.static.chunk_overlap_tokens`;
    throw ApiError.invalidValue(
      at,
      `Invalid '${at}': the overlap must be from 0 to half of 'max_chunk_size_tokens' (${Math.floor(tokensMax / 2)}), but got ${overlapTokens} instead.`,
    );
  }
  return { tokensMax, overlapTokens };
}

/** Errors: 400 naming the parameter. */
export function toAttributes(
  given: Readonly<Record<string, string | number | boolean>> | null | undefined,
  param = 'attributes',
): Attributes {
  const attributes = given ?? {};
  for (const key of Object.keys(attributes)) {
    if (key.length <= ATTRIBUTE_KEY_LENGTH_MAX) continue;
    throw ApiError.invalidValue(
      param,
      `Invalid '${param}': a key has at most ${ATTRIBUTE_KEY_LENGTH_MAX} characters, but '${key.slice(0, ATTRIBUTE_KEY_LENGTH_MAX)}…' has ${key.length}.`,
    );
  }
  return { ...attributes };
}
