/** Bytes, piece by piece: copied, and told apart by their SHA-256. */

import { type BlobStore, PIECE_BYTES_MAX } from '../store/blob-store.ts';
import type { BlobPart } from '../store/blobs.ts';
import { forEachAbreast } from './abreast.ts';

/** Pieces of a blob that are on their way at once. */
const PIECES_ABREAST = 4;

export interface BlobCopyRequest {
  readonly source: BlobStore;
  readonly destination: BlobStore;
  readonly tenant: string;
  readonly part: BlobPart;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

/** Idempotent. Answers whether all bytes were there. Errors: `StoreError`; the signal's reason. */
export async function copyBlob(request: BlobCopyRequest): Promise<boolean> {
  const { source, destination, tenant, part, signal, onBytes } = request;
  let isWhole = true;
  await forEachAbreast(toPieces(part), PIECES_ABREAST, async (index) => {
    signal.throwIfAborted();
    const piece = await source.getPiece(tenant, part.blob, index);
    if (piece === null) {
      isWhole = false;
      return;
    }
    const { byteLength } = piece;
    await destination.putPiece(tenant, part.blob, index, piece);
    onBytes(byteLength);
  });
  return isWhole;
}

/** The SHA-256 of all bytes that are there, in hexadecimal digits, and how many they are. */
export async function digestBlobs(
  blobs: BlobStore,
  tenant: string,
  parts: readonly BlobPart[],
  signal: AbortSignal,
): Promise<{ readonly digest: string; readonly bytes: number }> {
  const hasher = new Bun.CryptoHasher('sha256');
  let bytes = 0;
  for (const part of parts) {
    for (const index of toPieces(part)) {
      signal.throwIfAborted();
      const piece = await blobs.getPiece(tenant, part.blob, index);
      if (piece === null) continue;
      hasher.update(piece);
      bytes += piece.byteLength;
    }
  }
  return { digest: hasher.digest('hex'), bytes };
}

function* toPieces({ bytes }: BlobPart): Generator<number, undefined> {
  for (let index = 0; index * PIECE_BYTES_MAX < bytes; index += 1) yield index;
}
