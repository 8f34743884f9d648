/** The stores that are in memory; those that were not searched for longest give way. */

import type { BlockPool } from './block-pool.ts';
import { LoadedStore } from './loaded-store.ts';

export interface StoreCache {
  has(id: number): boolean;
  /** Finds or makes it, empty. */
  take(id: number): LoadedStore;
  drop(id: number): void;
  /** Drops the least lately used until the rest is within bounds; never these. */
  trim(...kept: readonly (number | null)[]): void;
  getStatistics(): { cachedStores: number; cachedBytes: number; evictions: number };
}

export function createStoreCache(pool: BlockPool, bytesMax: number): StoreCache {
  /** In the order of their last use. */
  const stores = new Map<number, LoadedStore>();
  let evictions = 0;

  const countBytes = (): number => {
    let bytes = 0;
    for (const store of stores.values()) bytes += store.bytes;
    return bytes;
  };
  const drop = (id: number): void => {
    stores.get(id)?.release();
    stores.delete(id);
  };

  return {
    has: (id) => stores.has(id),
    take(id) {
      const store = stores.get(id) ?? new LoadedStore(id, pool);
      stores.delete(id);
      stores.set(id, store);
      return store;
    },
    drop,
    trim(...kept) {
      let bytes = countBytes();
      for (const store of [...stores.values()]) {
        if (bytes <= bytesMax) return;
        if (kept.includes(store.id)) continue;
        bytes -= store.bytes;
        drop(store.id);
        evictions += 1;
      }
    },
    getStatistics: () => ({ cachedStores: stores.size, cachedBytes: countBytes(), evictions }),
  };
}
