/** Files that are pictures, as models are shown them. */

import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { type FileRecord, getFile, openFile } from './file-records.ts';

/** The first bytes of the types that models take. */
const SIGNATURES: readonly (readonly [type: string, matches: (bytes: Uint8Array) => boolean])[] =
  Object.freeze([
    ['image/png', (bytes: Uint8Array) => startsWith(bytes, 0, [0x89, 0x50, 0x4e, 0x47])],
    ['image/jpeg', (bytes: Uint8Array) => startsWith(bytes, 0, [0xff, 0xd8, 0xff])],
    ['image/gif', (bytes: Uint8Array) => startsWith(bytes, 0, [0x47, 0x49, 0x46, 0x38])],
    [
      'image/webp',
      (bytes: Uint8Array) =>
        startsWith(bytes, 0, [0x52, 0x49, 0x46, 0x46]) && startsWith(bytes, 8, [0x57, 0x45, 0x42, 0x50]),
    ],
  ]);

/** The file as a data URL; null where it is not there, no picture, or larger than `bytesMax`. Errors: `StoreError`. */
export async function readImageFile(
  deps: Pick<Ports, 'store' | 'clock'> & { readonly blobs: BlobStore },
  tenant: string,
  fileId: string,
  bytesMax: number,
): Promise<string | null> {
  const record = await findFile(deps, tenant, fileId);
  if (record === null || record.bytes > bytesMax) return null;
  let bytes: Uint8Array;
  try {
    bytes = await new Response(openFile(deps, { tenant }, record)).bytes();
  } catch (error) {
    // It may have been deleted amid the reading.
    if ((await findFile(deps, tenant, fileId)) === null) return null;
    throw error;
  }
  const type = SIGNATURES.find(([, matches]) => matches(bytes))?.[0];
  return type === undefined ? null : `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;
}

async function findFile(
  deps: Pick<Ports, 'store' | 'clock'>,
  tenant: string,
  fileId: string,
): Promise<FileRecord | null> {
  try {
    return await getFile(deps, { tenant }, fileId);
  } catch (error) {
    if (error instanceof ApiError) return null;
    throw error;
  }
}

function startsWith(bytes: Uint8Array, at: number, wanted: readonly number[]): boolean {
  return wanted.every((byte, index) => bytes[at + index] === byte);
}
