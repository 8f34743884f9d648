/** A vector store that is used lives on: each use puts its expiry off. */

import { toSeconds } from '../clock.ts';
import type { Ports } from '../ports.ts';
import { type Scope, StoreError } from '../store/store.ts';
import { toExpiry, type VectorStoreRecord } from './vector-store-records.ts';

/** How often at most a search writes down that a store is in use. */
const TOUCH_SECONDS = 1;

/** Notes that the stores are in use, which puts their expiry off. Lost races do not matter: somebody else has noted it. */
export async function touchStores(
  deps: Pick<Ports, 'store' | 'clock'>,
  scope: Scope,
  stores: readonly VectorStoreRecord[],
): Promise<void> {
  const now = toSeconds(deps.clock.nowMs());
  for (const store of stores) {
    if (now - (store.last_active_at ?? 0) < TOUCH_SECONDS) continue;
    const change = { last_active_at: now, expires_at: toExpiry(store.expires_after, now) };
    await deps.store.update<VectorStoreRecord>('vector_stores', scope, store.id, change).catch((error) => {
      if (!(error instanceof StoreError) || error.code !== 'not_found') throw error;
    });
  }
}
