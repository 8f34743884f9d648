/** What a tenant's database is to the layers above: the three ports, over one session. */

import type { BlobStore } from '../store/blob-store.ts';
import type { Store } from '../store/store.ts';
import type { VectorIndex } from '../vector/vector-index.ts';
import type { AstraCredentials } from './credentials.ts';

export interface TenantEngines {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly index: VectorIndex;
}

export interface OpenedTenant {
  readonly engines: TenantEngines;
  /** Ends after the calls under way. */
  close(): Promise<void>;
}

/** A database that is connected to, but may lack its tables. */
export interface ConnectedTenant {
  /** Makes what is missing, which may take a minute. To be called once. */
  prepare(): Promise<OpenedTenant>;
  /** For one that could not be prepared. Idempotent. */
  close(): Promise<void>;
}

/** How databases are reached; errors are `ApiError`. */
export interface TenantOpener {
  /** The id of the database that is meant. */
  choose(credentials: AstraCredentials): Promise<string>;
  /** Resolves once it is awake; rejects with `service_unavailable` where that takes longer than a request should wait. */
  awaitReady(credentials: AstraCredentials, databaseId: string): Promise<void>;
  open(credentials: AstraCredentials, databaseId: string): Promise<ConnectedTenant>;
  /** Whether the token still opens the database; false where a new session is needed, because the database has gone to sleep. */
  check(credentials: AstraCredentials, databaseId: string): Promise<boolean>;
  /** Tells an error of the engines by which the database says that it takes the token no more. */
  isRefusal(error: unknown): boolean;
}
