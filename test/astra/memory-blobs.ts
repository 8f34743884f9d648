/** Pieces of blobs in memory. */

import type { BlobStore } from '../../src/store/blob-store.ts';

export function createMemoryBlobs(): BlobStore {
  const pieces = new Map<string, Uint8Array>();
  return {
    async putPiece(tenant, blob, index, bytes) {
      pieces.set(`${tenant} ${blob} ${index}`, bytes);
    },
    getPiece: async (tenant, blob, index) => pieces.get(`${tenant} ${blob} ${index}`) ?? null,
    async deleteBlob(tenant, blob) {
      for (const key of pieces.keys()) if (key.startsWith(`${tenant} ${blob} `)) pieces.delete(key);
    },
    async close() {},
  };
}
