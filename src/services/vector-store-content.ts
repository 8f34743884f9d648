/** The text of a vector store's file, put together from its chunks. */

import { ApiError } from '../errors.ts';
import type { VectorStoreFileContentResponse } from '../schemas/generated/vector-stores.ts';
import type { Scope } from '../store/store.ts';
import { CHUNKS_MAX, type StoredChunk } from '../vector/vector-index.ts';
import { getUsableStore, type VectorStoreDeps } from './vector-store-access.ts';
import { getVectorStoreFile } from './vector-store-files.ts';

const CONTENT_CHUNKS_MAX = 1_000_000;
/** UTF-16 units of one part of a file's content. */
const CONTENT_PART_MAX = 1024 * 1024;

/** The text of a file as it was read. Errors: 404; 400 where it has not been read. */
export async function readContent(
  deps: Pick<VectorStoreDeps, 'store' | 'clock' | 'index'>,
  scope: Scope,
  storeId: string,
  fileId: string,
): Promise<VectorStoreFileContentResponse> {
  const { record } = await getVectorStoreFile(deps, scope, storeId, fileId);
  await getUsableStore(deps, scope, storeId);
  if (record.status !== 'completed') {
    throw ApiError.invalidRequest(`The file '${fileId}' has no content: its status is '${record.status}'.`);
  }
  const parts: string[] = [];
  let part = '';
  let end = 0;
  for (let from = 0; from < CONTENT_CHUNKS_MAX; from += CHUNKS_MAX) {
    const chunks = await deps.index.readChunks(
      { tenant: scope.tenant, store: storeId },
      fileId,
      from,
      CHUNKS_MAX,
    );
    for (const chunk of chunks) {
      part += toNewText(chunk, end);
      end = Math.max(end, chunk.end);
      if (part.length < CONTENT_PART_MAX) continue;
      parts.push(part);
      part = '';
    }
    if (chunks.length < CHUNKS_MAX) break;
  }
  if (part !== '' || parts.length === 0) parts.push(part);
  return {
    object: 'vector_store.file_content.page',
    data: parts.map((text) => ({ type: 'text', text })),
    has_more: false,
    next_page: null,
  };
}

/** What a chunk adds to the text before it: chunks overlap. */
function toNewText(chunk: StoredChunk, end: number): string {
  return chunk.text.slice(Math.max(0, end - chunk.start));
}
