/**
 * Everything that a tenant has, as one table: copying and comparing are walks of it. What is below a record is copied before the
 * record itself, so that nothing can be seen before it is whole.
 */

import type { FileRecord } from '../services/file-records.ts';
import type { UploadPartRecord } from '../services/upload-records.ts';
import type { BlobPart } from '../store/blobs.ts';
import type { CollectionName } from '../store/collections.ts';
import type { StoredRecord } from '../store/store.ts';

export interface Branch {
  readonly collection: CollectionName;
  /** Records that are worked at side by side, with all that is below them: a bound of memory. */
  readonly width: number;
  /** Lists under the record, in the order in which they are copied. */
  readonly below: readonly Branch[];
  /** Where the record's bytes are; null where it has none. */
  readonly toBlobs: ((record: StoredRecord) => readonly BlobPart[]) | null;
  /** `file`: it stands for a file in the index of the store that is its parent. `store`: for such a store. */
  readonly indexed: 'file' | 'store' | null;
}

function branch(collection: CollectionName, rest: Partial<Branch> = {}): Branch {
  return Object.freeze({ collection, width: 1, below: [], toBlobs: null, indexed: null, ...rest });
}

/** In the order of copying: what others refer to comes first. */
export const TENANT_TREE: readonly Branch[] = Object.freeze([
  branch('assistants'),
  branch('files', {
    width: 4,
    below: [branch('file_stores')],
    toBlobs: (record) => (record as FileRecord).internal.parts,
  }),
  branch('vector_stores', {
    below: [branch('vector_store_files', { width: 4, indexed: 'file' }), branch('file_batches')],
    indexed: 'store',
  }),
  branch('uploads', {
    below: [
      branch('upload_parts', {
        width: 4,
        toBlobs: ({ id, bytes }: StoredRecord & Partial<UploadPartRecord>) => [
          { blob: id, bytes: bytes ?? 0 },
        ],
      }),
    ],
  }),
  branch('threads', {
    width: 16,
    below: [branch('messages'), branch('runs', { width: 4, below: [branch('steps')] })],
  }),
]);

/**
 * Notes of the server itself, of all tenants in one list: what is to be gone on with. They come last: whoever finds one may begin
 * to work on what it names.
 */
export const SYSTEM_COLLECTIONS: readonly CollectionName[] = Object.freeze([
  'expirations',
  'deletions',
  'loose_blobs',
  'ingests',
  'leases',
]);

/** Of one store alone, and never copied. */
export const LOCAL_COLLECTIONS: readonly CollectionName[] = Object.freeze([
  'copies',
  'projects',
  'api_keys',
  'usages',
]);

/** A note of the server: every one tells whose it is. */
export interface SystemRecord extends StoredRecord {
  readonly tenant: string;
}
