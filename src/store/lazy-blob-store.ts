/** A blob store that is opened when the first piece is written or read: many servers keep no files. */

import { createLazy } from '../lazily.ts';
import type { BlobStore } from './blob-store.ts';
import { StoreError } from './store.ts';

export function createLazyBlobStore(open: () => Promise<BlobStore>): BlobStore {
  const lazy = createLazy(open, () => new StoreError('unavailable', 'The store is closed.'));
  return {
    async putPiece(...args) {
      await (await lazy.get()).putPiece(...args);
    },
    async getPiece(...args) {
      return await (await lazy.get()).getPiece(...args);
    },
    async deleteBlob(...args) {
      await (await lazy.get()).deleteBlob(...args);
    },
    close: () => lazy.close((store) => store.close()),
  };
}
