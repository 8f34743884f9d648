/** The parts of an upload: which are meant, whether they are whole, and how they go. */

import { createHash } from 'node:crypto';
import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { type BlobPart, readBlobs } from '../store/blobs.ts';
import type { Scope } from '../store/store.ts';
import { getPending, toPartScope, UPLOAD_PARTS_MAX, type UploadPartRecord } from './upload-records.ts';

type Deps = Pick<Ports, 'store' | 'clock'>;
type DepsWithBlobs = Deps & { readonly blobs: BlobStore };

/** The parts in the order in which they are named. Errors: 400. */
export async function findParts(
  deps: Deps,
  scope: Scope,
  uploadId: string,
  partIds: readonly string[],
): Promise<BlobPart[]> {
  const unique = new Set(partIds);
  if (unique.size !== partIds.length) {
    const twice = partIds.find((id, index) => partIds.indexOf(id) !== index);
    throw ApiError.invalidValue('part_ids', `Invalid 'part_ids': '${twice?.slice(0, 64)}' is named twice.`);
  }
  if (partIds.length > UPLOAD_PARTS_MAX) {
    throw ApiError.invalidValue('part_ids', `Invalid 'part_ids': at most ${UPLOAD_PARTS_MAX} parts.`);
  }
  const known = new Map((await listParts(deps, scope, uploadId)).map((part) => [part.id, part.bytes]));
  return partIds.map((id, index) => {
    const bytes = known.get(id);
    if (bytes === undefined) {
      throw ApiError.invalidValue(
        `part_ids[${index}]`,
        `No part found with id '${id.slice(0, 64)}' in upload ${uploadId}.`,
      );
    }
    return { blob: id, bytes };
  });
}

/** All parts of an upload: at most `UPLOAD_PARTS_MAX`, since none is added beyond. */
async function listParts(deps: Deps, scope: Scope, uploadId: string): Promise<UploadPartRecord[]> {
  const parts = await deps.store.list<UploadPartRecord>('upload_parts', toPartScope(scope, uploadId), {
    limit: UPLOAD_PARTS_MAX,
    order: 'asc',
  });
  return parts.items.map(({ record }) => record);
}

/** Errors: 400 where the bytes are others; where the upload has ended meanwhile. */
export async function checkMd5(
  deps: DepsWithBlobs,
  scope: Scope,
  id: string,
  parts: readonly BlobPart[],
  md5: string,
): Promise<void> {
  if (!/^[0-9a-f]{32}$/i.test(md5)) {
    throw ApiError.invalidValue('md5', "Invalid 'md5': expected 32 hexadecimal digits.");
  }
  const hash = createHash('md5');
  try {
    for await (const piece of readBlobs(deps.blobs, scope.tenant, parts)) hash.update(piece);
  } catch (error) {
    // Another request may have cancelled the upload, and its parts are gone: then that is what there is to say.
    await getPending(deps, scope, id);
    throw error;
  }
  const actual = hash.digest('hex');
  if (actual !== md5.toLowerCase()) {
    throw ApiError.invalidRequest(
      `The MD5 checksum of the parts is ${actual}, but ${md5.toLowerCase()} was declared.`,
      'md5',
    );
  }
}

/** Frees the parts that no file is made of, and drops all notes of them. Idempotent. */
export async function freeParts(
  deps: DepsWithBlobs,
  scope: Scope,
  uploadId: string,
  used: readonly string[],
): Promise<void> {
  const kept = new Set(used);
  const parts = toPartScope(scope, uploadId);
  for (const { id } of await listParts(deps, scope, uploadId)) {
    if (!kept.has(id)) await deps.blobs.deleteBlob(scope.tenant, id);
  }
  await deps.store.deleteAll('upload_parts', parts);
}
