/** `tool_resources` of assistants and threads. */

import { ApiError } from '../errors.ts';
import type { AssistantObject, CreateAssistantRequest } from '../schemas/generated/assistants.ts';

export type GivenResources = CreateAssistantRequest['tool_resources'] | null | undefined;
export type ToolResources = NonNullable<AssistantObject['tool_resources']>;

/**
 * The resources to keep. Vector stores are named by id; making one on the way (`vector_stores`) needs
 * retrieval, and is refused rather than dropped. Errors: 400 naming the parameter.
 */
export function toToolResources(given: GivenResources, param = 'tool_resources'): ToolResources {
  const kept: ToolResources = {};
  if (given === null || given === undefined) return kept;
  const { code_interpreter: code, file_search: search } = given;
  if (code !== undefined) kept.code_interpreter = { file_ids: code.file_ids ?? [] };
  if (search === undefined) return kept;
  if ('vector_stores' in search && search.vector_stores !== undefined) {
    throw ApiError.invalidRequest(
      'This server does not make vector stores yet.',
      `${param}.file_search.vector_stores`,
    );
  }
  kept.file_search = { vector_store_ids: search.vector_store_ids ?? [] };
  return kept;
}
