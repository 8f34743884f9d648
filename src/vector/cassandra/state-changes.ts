/** Changes of `index_files` as conditional statements. */

import type { CqlStatement, CqlValue } from '../../cassandra/session.ts';
import type { IndexScope } from '../vector-index.ts';
import { addSums, fromSum } from './columns.ts';
import { type FileState, PLACE, type PublishedState, type State, toPlace } from './state-rows.ts';

export interface NewlyPublished extends PublishedState {
  readonly words: number;
}

/** What is to be changed. Absent parts stay. */
export interface Change {
  /** Dimensions that the store has from now on. */
  readonly dimensions?: number;
  readonly staged?: FileState['staged'];
  /** A version is shown, in the place of another one where there is one; nothing is staged then. */
  readonly published?: NewlyPublished;
  readonly attributes?: string;
  readonly isRemoved?: true;
  /** What is added to the vectors that can be found; negative where they are taken away. */
  readonly vectors?: { readonly count: number; readonly sum: Float64Array | null };
}

/** By the clock, so that a store that was removed and made again has never had the revisions that it has now. */
export function toNextRevision(revision: number | null, nowMs: number): number {
  return Math.max((revision ?? 0) + 1, nowMs);
}

/** Not applied where somebody else has ended the removal. */
export function toForgetting(scope: IndexScope, files: readonly string[]): readonly CqlStatement[] {
  return [
    {
      cql: `UPDATE index_files SET is_removing = true ${PLACE} IF is_removing = true`,
      values: toPlace(scope),
    },
    ...files.map((file) => ({
      cql: `DELETE FROM index_files ${PLACE} AND file = ?`,
      values: [...toPlace(scope), file],
    })),
  ];
}

/** The store's part and the file's part, each with what it was decided by. */
export function toStatements(
  scope: IndexScope,
  file: string,
  state: State,
  change: Change,
  nowMs: number,
): readonly CqlStatement[] {
  const isSeen =
    change.published !== undefined || change.attributes !== undefined || change.vectors !== undefined;
  const revision = isSeen ? toNextRevision(state.store.revision, nowMs) : state.store.revision;
  return [
    toStoreStatement(scope, state, change, revision ?? toNextRevision(null, nowMs)),
    toFileStatement(scope, file, state.file, change, revision),
  ];
}

function toStoreStatement(
  scope: IndexScope,
  { store, file }: State,
  change: Change,
  revision: number,
): CqlStatement {
  // A store that begins anew counts as one from which all was taken: others may remember what it was before.
  const takesAway =
    change.isRemoved === true
      ? file.published !== null
      : change.published !== undefined && file.published !== null;
  const vectors = store.vectors + (change.vectors?.count ?? 0);
  const sum = vectors === 0 ? null : addSums(store.vectorSum, change.vectors?.sum ?? null);
  return {
    cql: `UPDATE index_files SET revision = ?, removals = ?, dimensions = ?, vectors = ?, vector_sum = ? ${PLACE}
      IF revision = ? AND dimensions = ? AND is_removing = null`,
    values: [
      ...[revision, takesAway || store.revision === null ? revision : store.removals],
      ...[change.dimensions ?? store.dimensions, vectors, fromSum(sum)],
      ...toPlace(scope),
      ...[store.revision, store.dimensions],
    ],
  };
}

function toFileStatement(
  scope: IndexScope,
  file: string,
  before: FileState,
  { staged, published, attributes, isRemoved }: Change,
  revision: number | null,
): CqlStatement {
  const condition = 'AND file = ? IF staged_version = ? AND version = ?';
  const conditionValues = [
    ...toPlace(scope),
    file,
    before.staged?.version ?? null,
    before.published?.version ?? null,
  ];
  if (isRemoved === true)
    return { cql: `DELETE FROM index_files ${PLACE} ${condition}`, values: conditionValues };
  const columns: Record<string, CqlValue> = {};
  if (staged !== undefined) {
    Object.assign(columns, {
      staged_ingest: staged?.ingest ?? null,
      staged_version: staged?.version ?? null,
    });
  }
  if (attributes !== undefined) Object.assign(columns, { attributes, changed: revision });
  if (published !== undefined) {
    const nothingStaged = { staged_ingest: null, staged_version: null };
    Object.assign(columns, published, nothingStaged, { published: revision, changed: revision });
  }
  const names = Object.keys(columns);
  return {
    cql: `UPDATE index_files SET ${names.map((name) => `${name} = ?`).join(', ')} ${PLACE} ${condition}`,
    values: [...Object.values(columns), ...conditionValues],
  };
}
