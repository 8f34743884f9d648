/** `tool_resources` of assistants and threads: which files and vector stores their tools see. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { ExpiresAfter } from '../retrieval/vector-store-records.ts';
import type { AssistantObject, CreateAssistantRequest } from '../schemas/generated/assistants.ts';
import type { CreateVectorStoreRequest } from '../schemas/generated/vector-stores.ts';
import type { Scope } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { getFile } from './file-records.ts';
import { toMetadata } from './metadata.ts';
import { getVectorStore, type VectorStoreDeps } from './vector-store-access.ts';
import { checkFiles } from './vector-store-files.ts';
import { toChunking } from './vector-store-options.ts';
import { createVectorStore } from './vector-stores.ts';

export type GivenResources = CreateAssistantRequest['tool_resources'] | null | undefined;
export type ToolResources = NonNullable<AssistantObject['tool_resources']>;

type GivenSearch = NonNullable<NonNullable<GivenResources>['file_search']>;
type GivenStore = NonNullable<GivenSearch['vector_stores']>[number];

/** Stores that come along with a thread end some time after it was last used, as at OpenAI. */
export const THREAD_STORE_EXPIRY: ExpiresAfter = Object.freeze({ anchor: 'last_active_at', days: 7 });

/**
 * Looks at everything that is named, so that nothing is written for a request that cannot be carried out.
 * Errors: 400, and 404 for a file or vector store that is not there, naming the parameter.
 */
export async function checkToolResources(
  deps: Pick<Ports, 'store' | 'clock'>,
  scope: Scope,
  given: GivenResources,
  param = 'tool_resources',
): Promise<void> {
  if (given === null || given === undefined) return;
  const codeFiles = given.code_interpreter?.file_ids ?? [];
  const at = `${param}.file_search`;
  await Promise.all(codeFiles.map((id) => getFile(deps, scope, id, `${param}.code_interpreter.file_ids`)));
  const search = given.file_search ?? {};
  const ids = search.vector_store_ids ?? [];
  const stores = toGivenStores(search);
  if (ids.length > 0 && stores.length > 0) {
    throw ApiError.invalidRequest(
      "Only one of 'vector_store_ids' and 'vector_stores' may be given.",
      `${at}.vector_stores`,
    );
  }
  await Promise.all(ids.map((id) => getVectorStore(deps, scope, id, `${at}.vector_store_ids`)));
  for (const [index, store] of stores.entries()) {
    const path = `${at}.vector_stores[${index}]`;
    toChunking(store.chunking_strategy, `${path}.chunking_strategy`);
    toMetadata(store.metadata, `${path}.metadata`);
    const files = [...new Set(store.file_ids ?? [])].map((fileId) => ({ fileId }));
    await checkFiles(deps, scope, files, `${path}.file_ids`);
  }
}

/** The resources to keep, once they are checked; makes the vector stores that come along. */
export async function makeToolResources(
  deps: VectorStoreDeps,
  caller: Caller,
  given: GivenResources,
  expiresAfter: ExpiresAfter | null = null,
): Promise<ToolResources> {
  const kept: ToolResources = {};
  if (given === null || given === undefined) return kept;
  const { code_interpreter: code, file_search: search } = given;
  if (code !== undefined) kept.code_interpreter = { file_ids: code.file_ids ?? [] };
  if (search === undefined) return kept;
  const ids = [...(search.vector_store_ids ?? [])];
  for (const store of toGivenStores(search)) {
    const made = await createVectorStore(deps, caller, toStoreRequest(store, expiresAfter));
    ids.push(made.id);
  }
  kept.file_search = { vector_store_ids: ids };
  return kept;
}

function toGivenStores(search: GivenSearch | Record<string, never>): readonly GivenStore[] {
  return 'vector_stores' in search ? (search.vector_stores ?? []) : [];
}

function toStoreRequest(store: GivenStore, expiresAfter: ExpiresAfter | null): CreateVectorStoreRequest {
  return {
    ...(store.file_ids === undefined ? {} : { file_ids: store.file_ids }),
    ...(store.chunking_strategy === undefined ? {} : { chunking_strategy: store.chunking_strategy }),
    ...(store.metadata === undefined ? {} : { metadata: store.metadata }),
    ...(expiresAfter === null ? {} : { expires_after: expiresAfter }),
  };
}
