/** Uploads as they are kept: what has come of a file so far. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { EmbeddingModel } from '../providers/embedder.ts';
import type { FileExpirationAfter, OpenAIFile } from '../schemas/generated/files.ts';
import type { Upload, UploadPart } from '../schemas/generated/uploads.ts';
import type { Scope, StoredRecord, Versioned } from '../store/store.ts';
import type { FilePurpose } from './file-records.ts';

/** How long parts may come, as at OpenAI. */
export const UPLOAD_EXPIRES_SECONDS = 60 * 60;
export const UPLOAD_BYTES_MAX = 8 * 1024 * 1024 * 1024;
export const PART_BYTES_MAX = 64 * 1024 * 1024;
/** A file of the largest size has 128 of the largest parts. */
export const UPLOAD_PARTS_MAX = 1000;

/** `internal` is not on the wire. */
export type UploadRecord = Omit<Upload, 'file' | 'purpose'> & {
  readonly purpose: FilePurpose;
  readonly internal: {
    readonly mime_type: string;
    readonly expires_after: FileExpirationAfter | null;
    /** Of all parts that have come, whether or not they are used in the end. */
    readonly parts: number;
    readonly bytes: number;
    /** Those that the file is made of, once it is. */
    readonly used: readonly string[];
    /** The model that the request which began it named. Absent: none. */
    readonly embedding?: EmbeddingModel;
  };
};

/** Scope: under the upload, until it has ended. The blob has the part's id. */
export interface UploadPartRecord extends StoredRecord {
  readonly created_at: number;
  readonly bytes: number;
}

/** The wire's view, with the file that was made of it. */
export function toUpload({ internal: _, ...upload }: UploadRecord, file: OpenAIFile | null): Upload {
  return { ...upload, file };
}

export function toUploadPart(uploadId: string, { id, created_at }: UploadPartRecord): UploadPart {
  return { id, object: 'upload.part', created_at, upload_id: uploadId };
}

export function toPartScope(scope: Pick<Scope, 'tenant'>, uploadId: string): Scope {
  return { tenant: scope.tenant, parent: uploadId };
}

export function isOverdue(deps: Pick<Ports, 'clock'>, upload: UploadRecord): boolean {
  return upload.expires_at * 1000 <= deps.clock.nowMs();
}

/** The upload, which takes parts. Errors: 404; 400 where it is at an end. */
export async function getPending(
  deps: Pick<Ports, 'store' | 'clock'>,
  scope: Scope,
  id: string,
): Promise<Versioned<UploadRecord>> {
  const found = await deps.store.get<UploadRecord>('uploads', scope, id);
  if (found === null) {
    throw new ApiError('not_found', `No such Upload object: ${id}`, { param: 'upload_id' });
  }
  const { status } = found.record;
  if (status === 'pending' && isOverdue(deps, found.record)) throw toEnded(id, 'expired');
  if (status !== 'pending') throw toEnded(id, status);
  return found;
}

/** 400: nothing more can be done with it. */
export function toEnded(id: string, status: Exclude<Upload['status'], 'pending'>): ApiError {
  return new ApiError('invalid_request', `Upload ${id} is already ${status}.`, {
    param: 'upload_id',
    wireCode: `upload_${status}`,
  });
}
