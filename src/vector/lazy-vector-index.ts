/** A vector index that is opened when it is first needed: many servers have no vector store. */

import { createLazy } from '../lazily.ts';
import { StoreError } from '../store/store.ts';
import type { VectorIndex } from './vector-index.ts';

export function createLazyVectorIndex(engine: string, open: () => Promise<VectorIndex>): VectorIndex {
  const lazy = createLazy(open, () => new StoreError('unavailable', 'The index is closed.'));
  return {
    engine,
    async stageChunks(...args) {
      await (await lazy.get()).stageChunks(...args);
    },
    async countStaged(...args) {
      return await (await lazy.get()).countStaged(...args);
    },
    async publishFile(...args) {
      return await (await lazy.get()).publishFile(...args);
    },
    async setAttributes(...args) {
      await (await lazy.get()).setAttributes(...args);
    },
    async removeFile(...args) {
      await (await lazy.get()).removeFile(...args);
    },
    async removeStore(...args) {
      await (await lazy.get()).removeStore(...args);
    },
    async readChunks(...args) {
      return await (await lazy.get()).readChunks(...args);
    },
    async describeFile(...args) {
      return await (await lazy.get()).describeFile(...args);
    },
    async exportChunks(...args) {
      return await (await lazy.get()).exportChunks(...args);
    },
    async describe(...args) {
      return await (await lazy.get()).describe(...args);
    },
    async search(...args) {
      return await (await lazy.get()).search(...args);
    },
    close: () => lazy.close((index) => index.close()),
  };
}
