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
}

export const COLLECTIONS = Object.freeze({
  assistants: { parented: false, filters: [], metadataFilter: false },
  threads: { parented: false, filters: [], metadataFilter: true },
  /** Parent: the thread. */
  messages: { parented: true, filters: ['run_id'], metadataFilter: false },
  /** Parent: the thread. */
  runs: { parented: true, filters: [], metadataFilter: false },
  /** Parent: the run. */
  steps: { parented: true, filters: [], metadataFilter: false },
  /** Threads that are deleted and whose contents are still to be removed. Scope: `SYSTEM_TENANT`. */
  deletions: { parented: false, filters: [], metadataFilter: false },
  /** One for each run that is not at an end: who works on it, until when. Scope: `SYSTEM_TENANT`. */
  leases: { parented: false, filters: [], metadataFilter: false },
} satisfies Record<string, CollectionSpec>);

export type CollectionName = keyof typeof COLLECTIONS;

/** Records of the server itself, of no tenant. */
export const SYSTEM_TENANT = '$system';
