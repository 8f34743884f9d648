/** Files of a vector store that are not to be read any more, many of them in one write. */

import { type Scope, StoreError, type Versioned, type Write } from '../store/store.ts';
import { INGEST_SCOPE, type MembershipDeps, toBatchStatus, toIngestId, tryWrite } from './file-membership.ts';
import {
  cancelSome,
  type FileBatchRecord,
  type VectorStoreFileRecord,
  type VectorStoreRecord,
} from './vector-store-records.ts';

/** Each file is up to three records, and a write holds 256. */
const SLICE_MAX = 80;
const ATTEMPTS_MAX = 64;

/**
 * Cancels those of the files that are still being read as they are given here, with all counts of them. Answers their
 * ids. What is in the index of them stays there.
 */
export async function cancelMembers(
  deps: MembershipDeps,
  scope: Scope,
  storeId: string,
  files: readonly VectorStoreFileRecord[],
): Promise<readonly string[]> {
  const place = { tenant: scope.tenant, parent: storeId };
  const cancelled: string[] = [];
  for (let at = 0; at < files.length; at += SLICE_MAX) {
    const slice = files.slice(at, at + SLICE_MAX);
    cancelled.push(...(await deps.serial.run(storeId, () => cancelSlice(deps, place, slice))));
  }
  return cancelled;
}

type StoreScope = Required<Scope>;

async function cancelSlice(
  deps: MembershipDeps,
  place: StoreScope,
  slice: readonly VectorStoreFileRecord[],
): Promise<readonly string[]> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const [store, ...found] = await Promise.all([
      deps.store.get<VectorStoreRecord>('vector_stores', { tenant: place.tenant }, place.parent),
      ...slice.map(({ id }) => deps.store.get<VectorStoreFileRecord>('vector_store_files', place, id)),
    ]);
    const members = found.flatMap((member, index) =>
      member !== null && isReadStill(member.record, slice[index]) ? [member] : [],
    );
    if (members.length === 0) return [];
    const writes = [
      ...(store === null ? [] : [toStoreWrite(place, store, members.length)]),
      ...(await toBatchWrites(deps, place, members)),
      ...members.flatMap((member) => toMemberWrites(place, member)),
    ];
    if (await tryWrite(deps, writes)) return members.map(({ record }) => record.id);
  }
  throw new StoreError('unavailable', 'The vector store is changed too often at once.');
}

function isReadStill(member: VectorStoreFileRecord, given: VectorStoreFileRecord | undefined): boolean {
  return member.status === 'in_progress' && member.internal.ingest === given?.internal.ingest;
}

function toStoreWrite(
  { tenant }: Scope,
  { record, version }: Versioned<VectorStoreRecord>,
  count: number,
): Write {
  const change = { file_counts: cancelSome(record.file_counts, count) };
  return {
    kind: 'update',
    collection: 'vector_stores',
    scope: { tenant },
    id: record.id,
    change,
    ifVersion: version,
  };
}

function toMemberWrites(place: StoreScope, { record, version }: Versioned<VectorStoreFileRecord>): Write[] {
  const { id } = record;
  return [
    {
      kind: 'update',
      collection: 'vector_store_files',
      scope: place,
      id,
      change: { status: 'cancelled', usage_bytes: 0, last_error: null },
      ifVersion: version,
    },
    {
      kind: 'delete',
      collection: 'ingests',
      scope: INGEST_SCOPE,
      id: toIngestId({ storeId: place.parent, fileId: id }),
    },
  ];
}

/** What the batches of these files, which are being read, count when the files are cancelled. */
export async function toBatchWrites(
  deps: Pick<MembershipDeps, 'store'>,
  files: Scope,
  members: readonly Versioned<VectorStoreFileRecord>[],
): Promise<readonly Write[]> {
  const counted = new Map<string, number>();
  for (const { record } of members) {
    if (record.batch_id !== '') counted.set(record.batch_id, (counted.get(record.batch_id) ?? 0) + 1);
  }
  const writes = [...counted].map(async ([id, count]): Promise<readonly Write[]> => {
    const found = await deps.store.get<FileBatchRecord>('file_batches', files, id);
    if (found === null) return [];
    const counts = cancelSome(found.record.file_counts, count);
    const change = { file_counts: counts, status: toBatchStatus(found.record, counts) };
    return [
      { kind: 'update', collection: 'file_batches', scope: files, id, change, ifVersion: found.version },
    ];
  });
  return (await Promise.all(writes)).flat();
}
