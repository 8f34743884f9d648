/**
 * The collections of the store, in one table: adding a resource begins with a line here.
 *
 * A record is a JSON document with an `id`. Fields that lists filter on are declared, so that every
 * engine can keep them where it can filter without reading whole documents.
 */

export interface CollectionSpec {
  /** Whether records live under a parent (messages under their thread); the parent's id is then in the scope. */
  readonly parented: boolean;
  /** Top-level fields of the document that `list` may filter on by equality. */
  readonly filters: readonly string[];
  /** Whether `list` may filter on `metadata[key] = value`. */
  readonly metadataFilter: boolean;
  /**
   * Whether most records stay as they were inserted, and no filter's field ever changes: an engine on which changeable records are
   * dear may keep them in a cheaper form until one does.
   */
  readonly seldomChanges?: boolean;
}

export const COLLECTIONS = Object.freeze({
  assistants: { parented: false, filters: [], metadataFilter: false },
  threads: { parented: false, filters: [], metadataFilter: true },
  /** Parent: the thread. */
  messages: { parented: true, filters: ['run_id'], metadataFilter: false, seldomChanges: true },
  /** Parent: the thread. */
  runs: { parented: true, filters: [], metadataFilter: false },
  /** Parent: the run. */
  steps: { parented: true, filters: [], metadataFilter: false },
  /** Threads that are deleted and whose contents are still to be removed. Scope: `SYSTEM_TENANT`. */
  deletions: { parented: false, filters: [], metadataFilter: false },
  /** One for each run that is not at an end: who works on it, until when. Scope: `SYSTEM_TENANT`. */
  leases: { parented: false, filters: [], metadataFilter: false },
  files: { parented: false, filters: ['purpose'], metadataFilter: false },
  /** The vector stores that a file is in, under their ids. Parent: the file. */
  file_stores: { parented: true, filters: [], metadataFilter: false },
  uploads: { parented: false, filters: [], metadataFilter: false },
  /** Parent: the upload; then the file that was made of it, whose bytes they are. */
  upload_parts: { parented: true, filters: [], metadataFilter: false },
  vector_stores: { parented: false, filters: [], metadataFilter: false },
  /** Files of vector stores, under the files' ids. Parent: the vector store. */
  vector_store_files: { parented: true, filters: ['status', 'batch_id'], metadataFilter: false },
  /** Parent: the vector store. */
  file_batches: { parented: true, filters: [], metadataFilter: false },
  /** One for each file of a vector store that is still to be read. Scope: `SYSTEM_TENANT`. */
  ingests: { parented: false, filters: [], metadataFilter: false },
  /** What ends by itself, in the order of its time. Scope: `SYSTEM_TENANT`. */
  expirations: { parented: false, filters: [], metadataFilter: false },
  /** Bytes that belong to nothing any more, or to nothing yet. Scope: `SYSTEM_TENANT`. */
  loose_blobs: { parented: false, filters: [], metadataFilter: false },
  /** How far a copy into this store has come (`mover/`). Scope: `SYSTEM_TENANT`. */
  copies: { parented: false, filters: [], metadataFilter: false },
  /** Of a server with keys (`access/`). Scope: `SYSTEM_TENANT`. */
  projects: { parented: false, filters: [], metadataFilter: false },
  /** Their hashes, and what they may do. Scope: `SYSTEM_TENANT`. */
  api_keys: { parented: false, filters: [], metadataFilter: false },
  /** What projects have stored, under their tenants' names. Scope: `SYSTEM_TENANT`. */
  usages: { parented: false, filters: [], metadataFilter: false },
} satisfies Record<string, CollectionSpec>);

export type CollectionName = keyof typeof COLLECTIONS;

/** Records of the server itself, of no tenant. */
export const SYSTEM_TENANT = '$system';
