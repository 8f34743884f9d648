/** Files as they are kept, and what everybody who uses one needs: to find it, and to read it. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { EmbeddingModel } from '../providers/embedder.ts';
import type { CreateFileRequest, OpenAIFile } from '../schemas/generated/files.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { type BlobPart, type ByteRange, readBlobs } from '../store/blobs.ts';
import type { Scope } from '../store/store.ts';

export type FilePurpose = CreateFileRequest['purpose'];

/** `internal` is not on the wire. */
export type FileRecord = Omit<OpenAIFile, 'purpose' | 'embedding_model'> & {
  readonly purpose: FilePurpose;
  readonly internal: {
    /** Where the bytes are, in their order: one blob, or the parts of an upload. */
    readonly parts: readonly BlobPart[];
    /** What the client called it, if it said more than "bytes". */
    readonly content_type: string | null;
    /** The model that the upload named: of a vector store that this file is the first of. Absent: none. */
    readonly embedding?: EmbeddingModel;
  };
};

/**
 * The wire's view. `evals` goes out although the API document has no word for it; `embedding_model` where the upload named one, and
 * with `showsAll` as null where it did not: programs of astra-assistants-api read it of every file.
 */
export function toFile({ internal, purpose, ...file }: FileRecord, showsAll = false): OpenAIFile {
  const named = internal.embedding?.model ?? null;
  return {
    ...file,
    purpose: purpose as OpenAIFile['purpose'],
    ...(named === null && !showsAll ? {} : { embedding_model: named }),
  };
}

export function isExpired(deps: Pick<Ports, 'clock'>, record: Pick<FileRecord, 'expires_at'>): boolean {
  return record.expires_at !== undefined && record.expires_at * 1000 <= deps.clock.nowMs();
}

/** `param` names where the request holds the id. Errors: 404, for a file that has expired, too. */
export async function getFile(
  deps: Pick<Ports, 'store' | 'clock'>,
  scope: Scope,
  id: string,
  param = 'id',
): Promise<FileRecord> {
  const found = await deps.store.get<FileRecord>('files', toFileScope(scope), id);
  if (found === null || isExpired(deps, found.record)) throw toNoSuchFile(id, param);
  return found.record;
}

/** The file's bytes, or a range of them. The stream fails where the file is deleted meanwhile. */
export function openFile(
  deps: { readonly blobs: BlobStore },
  scope: Scope,
  record: FileRecord,
  range?: ByteRange,
): ReadableStream<Uint8Array> {
  return readBlobs(deps.blobs, scope.tenant, record.internal.parts, range);
}

/** 404 in OpenAI's words. */
export function toNoSuchFile(id: string, param = 'id'): ApiError {
  return new ApiError('not_found', `No such File object: ${id}`, { param });
}

export function toFileScope(scope: Scope): Scope {
  return { tenant: scope.tenant };
}
