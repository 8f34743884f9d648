/** Rows of the tables of records, and the one or two of them that a record is made of. */

import type { CqlRow, CqlStatement, CqlValue } from '../../cassandra/session.ts';
import { COLLECTIONS, type CollectionSpec } from '../collections.ts';
import { readDocument } from './documents.ts';
import { FIRST_ROW, QUEUE_TABLE, RECORDS_TABLE, SETTLED_ROW } from './schema.ts';
import { isSpread, type ListKey } from './spans.ts';

/** The full key of a record. */
export interface RowPlace extends ListKey {
  readonly span: string;
  readonly sort: string;
  readonly id: string;
}

/** What stands at a place. */
export interface FoundRecord {
  readonly place: RowPlace;
  readonly version: number;
  readonly document: string;
  /** Whether it has a settled row, which conditional writes compare with. */
  readonly isSettled: boolean;
  /** Who wrote the settled row last, newest first: how a writer finds its own write again. */
  readonly writers: string;
  /** The document of its first row, where it has one. */
  readonly firstDocument: string | null;
  /** When the first row was written, in microseconds as the cluster has it. */
  readonly firstWritten: CqlValue;
  /** Whether a row of aliases points to it. */
  readonly isAliased: boolean;
}

/** The version of a settled row that says: deleted, and the first row is about to go. */
export const DEAD = -1;

/** What stands at a place where no record is: nothing, or the mark of a deletion that has not ended. */
export interface Emptiness {
  readonly place: RowPlace;
  readonly isDead: boolean;
}

export const AT_LIST = 'tenant = ? AND collection = ? AND parent = ? AND span = ?';
export const AT_PLACE = `${AT_LIST} AND sort = ? AND id = ?`;
export const PAGE_COLUMNS = 'sort, id, kind, version, body, packed, writers, aliased, lock';

export function toTable(key: Pick<ListKey, 'tenant'>): string {
  return isSpread(key) ? QUEUE_TABLE : RECORDS_TABLE;
}

export function toListValues(key: ListKey, span: string): CqlValue[] {
  return [key.tenant, key.collection, key.parent, span];
}

export function toPlaceValues(place: RowPlace): CqlValue[] {
  return [...toListValues(place, place.span), place.sort, place.id];
}

/** Whether records of the list have settled rows alone, as most collections do. */
export function isSettledOnly({ collection }: Pick<ListKey, 'collection'>): boolean {
  const spec: CollectionSpec = COLLECTIONS[collection];
  return spec.seldomChanges !== true;
}

export function toPlaceQuery(place: RowPlace): CqlStatement {
  const values = toPlaceValues(place);
  const table = toTable(place);
  // One row by its key costs less than a range of two.
  if (isSettledOnly(place)) {
    const cql = `SELECT ${PAGE_COLUMNS} FROM ${table} WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW}`;
    return { cql, values };
  }
  const cql = `SELECT ${PAGE_COLUMNS}, WRITETIME(version) AS written FROM ${table} WHERE ${AT_PLACE}`;
  return { cql, values };
}

/** Puts the rows of one place together. */
export async function toFound(place: RowPlace, rows: readonly CqlRow[]): Promise<FoundRecord | Emptiness> {
  const first = rows.find((row) => row.kind === FIRST_ROW);
  const settled = rows.find((row) => row.kind === SETTLED_ROW);
  const top = settled ?? first;
  if (top === undefined || top.version === DEAD) return { place, isDead: top !== undefined };
  return {
    place,
    version: Number(top.version),
    document: await readDocument(top),
    isSettled: settled !== undefined,
    writers: typeof settled?.writers === 'string' ? settled.writers : '',
    firstDocument: first === undefined ? null : await readDocument(first),
    firstWritten: (first?.written ?? null) as CqlValue,
    isAliased: top.aliased === true,
  };
}

export function isFound(found: FoundRecord | Emptiness): found is FoundRecord {
  return 'document' in found;
}
