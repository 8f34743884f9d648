/** `deleteAll` in bounded pieces, so that a long list never holds the write lock for long. */

import type { Database } from 'bun:sqlite';
import type { CollectionName } from '../collections.ts';
import type { DeleteAllCall } from './protocol.ts';
import type { Records } from './records.ts';
import { removeRow } from './writes.ts';

/** Records removed in one transaction. */
const PIECE_RECORDS_MAX = 256;

/** How far a `deleteAll` is. What was inserted behind its end after it began stays. */
export interface Deletion {
  readonly removed: number;
  readonly isComplete: boolean;
  readonly last: ListPlace;
  readonly end: ListPlace;
}

interface ListPlace {
  readonly sort_key: string;
  readonly id: string;
}

interface PieceRow extends ListPlace {
  readonly document: string;
}

const BEGINNING: ListPlace = Object.freeze({ sort_key: '', id: '' });

export interface Deletions {
  readonly pieceMax: number;
  /** Removes the next piece inside of the caller's transaction. */
  removePiece(call: DeleteAllCall, before: Deletion | null): Deletion;
}

export function createDeletions(
  database: Database,
  toRecords: (collection: CollectionName) => Records,
): Deletions {
  const findEnd = ([, , collection, tenant, parent]: DeleteAllCall): ListPlace =>
    database
      .query<ListPlace, [string, string]>(
        `SELECT sort_key, id FROM "${collection}" WHERE tenant = ? AND parent = ?
         ORDER BY sort_key DESC, id DESC LIMIT 1`,
      )
      .get(tenant, parent) ?? BEGINNING;

  return {
    pieceMax: PIECE_RECORDS_MAX,
    removePiece(call, before) {
      const [, , collection, tenant, parent] = call;
      const { last, end, removed } = before ?? { last: BEGINNING, end: findEnd(call), removed: 0 };
      const rows = database
        .query<PieceRow, [string, string, string, string, string, string]>(
          `SELECT sort_key, id, document FROM "${collection}" WHERE tenant = ? AND parent = ?
           AND (sort_key, id) > (?, ?) AND (sort_key, id) <= (?, ?)
           ORDER BY sort_key, id LIMIT ${PIECE_RECORDS_MAX}`,
        )
        .all(tenant, parent, last.sort_key, last.id, end.sort_key, end.id);
      for (const row of rows) {
        removeRow(toRecords(collection), { tenant, parent, sortKey: row.sort_key, id: row.id }, row.document);
      }
      return {
        removed: removed + rows.length,
        isComplete: rows.length < PIECE_RECORDS_MAX,
        last: rows.at(-1) ?? last,
        end,
      };
    },
  };
}
