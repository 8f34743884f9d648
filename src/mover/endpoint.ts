/** Where a copy comes from, or goes to: the ports of one store, under a name. */

import type { Config } from '../config/config.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Store } from '../store/store.ts';
import type { VectorIndex } from '../vector/vector-index.ts';

export interface Endpoint {
  /** The same for every way of writing it: two ends of one name are one store. */
  readonly name: string;
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly index: VectorIndex;
  /** Ends after what was accepted is written. */
  close(): Promise<void>;
}

/** A source must be there; a destination is made where it is missing. */
export type EndpointRole = 'source' | 'destination';

/** What can be said before anything is opened. */
export interface FoundEndpoint {
  readonly name: string;
  /** Errors: `EndpointError`, `StoreError`. */
  open(): Promise<Endpoint>;
}

export interface EndpointEnvironment {
  /** How an engine is reached stands in the configuration; `flags` win over what it says. Errors: `ConfigError`. */
  readonly readConfig: (flags: readonly string[]) => Config;
}

/** What is wrong with the word for a store, or with what it names; to be shown as it is. */
export class EndpointError extends Error {
  override readonly name = 'EndpointError';
}
