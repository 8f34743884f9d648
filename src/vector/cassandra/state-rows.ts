/** What a row of `index_files` says: about the file, and in its static columns about the store. */

import type { CqlRow } from '../../cassandra/session.ts';
import type { IndexScope } from '../vector-index.ts';
import { toIntegers, toNumber, toNumberOrNull, toSum, toText, toTextOrNull } from './columns.ts';

export interface StoreState {
  /** Grows with each change that a search can see; null where nothing of the store is there. */
  readonly revision: number | null;
  /** The revision of the last change that took a version away. */
  readonly removals: number;
  readonly isRemoving: boolean;
  readonly dimensions: number | null;
  /** Vectors that can be found, and their sum. */
  readonly vectors: number;
  readonly vectorSum: Float64Array | null;
}

/** What tells whether something is still as it was. */
export type Revision = Pick<StoreState, 'revision' | 'removals' | 'isRemoving'>;

export interface PublishedState {
  readonly ingest: string;
  readonly version: string;
  readonly chunks: number;
  readonly bytes: number;
  readonly shards: readonly number[];
  /** As JSON. */
  readonly attributes: string;
  readonly languages: string;
}

export interface FileState {
  readonly staged: { readonly ingest: string; readonly version: string } | null;
  readonly published: PublishedState | null;
}

export interface State {
  readonly store: StoreState;
  readonly file: FileState;
}

export const STORE_COLUMNS = 'revision, removals, is_removing, dimensions, vectors, vector_sum';
export const FILE_COLUMNS =
  'staged_ingest, staged_version, ingest, version, chunks, bytes, shards, attributes, languages';
export const PLACE = 'WHERE tenant = ? AND store = ?';

export function toPlace({ tenant, store }: IndexScope): readonly string[] {
  return [tenant, store];
}

export function toKey({ tenant, store }: IndexScope): string {
  return JSON.stringify([tenant, store]);
}

export function toStoreState(row: CqlRow | undefined): StoreState {
  return {
    revision: toNumberOrNull(row?.revision),
    removals: toNumber(row?.removals),
    isRemoving: row?.is_removing === true,
    dimensions: toNumberOrNull(row?.dimensions),
    vectors: toNumber(row?.vectors),
    vectorSum: toSum(row?.vector_sum),
  };
}

export function toFileState(row: CqlRow): FileState {
  const [stagedIngest, stagedVersion] = [toTextOrNull(row.staged_ingest), toTextOrNull(row.staged_version)];
  const [ingest, version] = [toTextOrNull(row.ingest), toTextOrNull(row.version)];
  return {
    staged:
      stagedIngest === null || stagedVersion === null
        ? null
        : { ingest: stagedIngest, version: stagedVersion },
    published:
      ingest === null || version === null
        ? null
        : {
            ...{ ingest, version, shards: toIntegers(row.shards) },
            ...{ chunks: toNumber(row.chunks), bytes: toNumber(row.bytes) },
            ...{ attributes: toText(row.attributes), languages: toText(row.languages) },
          },
  };
}
