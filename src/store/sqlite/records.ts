/** The statements of one collection, prepared once. */

import type { Database, Statement } from 'bun:sqlite';
import { toNativeSortKey } from '../../ids.ts';
import { COLLECTIONS, type CollectionName, type CollectionSpec } from '../collections.ts';

/** A record as it lies in its table. */
export interface StoredRow {
  readonly sortKey: string;
  readonly version: number;
  readonly document: string;
}

export interface Records {
  readonly spec: CollectionSpec;
  /** Where a record stands in its list, or null where it is not. */
  locate(tenant: string, parent: string, id: string): string | null;
  read(tenant: string, parent: string, id: string): StoredRow | null;
  insert(place: RowPlace, document: string): void;
  replace(place: RowPlace, version: number, document: string): void;
  remove(place: RowPlace): void;
  addFilters(place: RowPlace, entries: readonly string[]): void;
  removeFilters(place: RowPlace, entries: readonly string[]): void;
  /** The sort key of the last record of a list, or null where the list is empty. */
  findLastSortKey(tenant: string, parent: string): string | null;
}

/** The full key of a row. */
export interface RowPlace {
  readonly tenant: string;
  readonly parent: string;
  readonly sortKey: string;
  readonly id: string;
}

/** Answers the statements of a collection, prepared when the collection is first named. */
export function createRecordsByCollection(database: Database): (collection: CollectionName) => Records {
  const prepared = new Map<CollectionName, Records>();
  return (collection) => {
    let records = prepared.get(collection);
    if (records === undefined) {
      records = prepareRecords(database, collection);
      prepared.set(collection, records);
    }
    return records;
  };
}

const AT_PLACE = 'tenant = ?1 AND parent = ?2 AND sort_key = ?3 AND id = ?4';

function prepareRecords(database: Database, collection: CollectionName): Records {
  const main = prepareMain(database, collection);
  const foreign = prepareForeign(database, collection);
  const filters = prepareFilters(database, collection);

  const locate = (tenant: string, parent: string, id: string): string | null => {
    const native = toNativeSortKey(id);
    if (native !== null && main.probe.get(tenant, parent, native, id) !== null) return native;
    return foreign.find.get(tenant, parent, id)?.sort_key ?? null;
  };

  const readAt = (tenant: string, parent: string, sortKey: string, id: string): StoredRow | null => {
    const row = main.read.get(tenant, parent, sortKey, id);
    return row === null ? null : { sortKey, version: row.version, document: row.document };
  };

  const isForeign = (place: RowPlace): boolean => toNativeSortKey(place.id) !== place.sortKey;

  return {
    spec: COLLECTIONS[collection],
    locate,
    read(tenant, parent, id) {
      const native = toNativeSortKey(id);
      const row = native === null ? null : readAt(tenant, parent, native, id);
      if (row !== null) return row;
      const sortKey = foreign.find.get(tenant, parent, id)?.sort_key;
      return sortKey === undefined ? null : readAt(tenant, parent, sortKey, id);
    },
    insert(place, document) {
      main.insert.run(place.tenant, place.parent, place.sortKey, place.id, document);
      if (isForeign(place)) foreign.insert.run(place.tenant, place.parent, place.id, place.sortKey);
    },
    replace(place, version, document) {
      main.replace.run(place.tenant, place.parent, place.sortKey, place.id, version, document);
    },
    remove(place) {
      main.remove.run(place.tenant, place.parent, place.sortKey, place.id);
      if (isForeign(place)) foreign.remove.run(place.tenant, place.parent, place.id);
    },
    addFilters(place, entries) {
      for (let i = 0; i < entries.length; i += 2) runOnEntry(filters.insert, place, entries, i);
    },
    removeFilters(place, entries) {
      for (let i = 0; i < entries.length; i += 2) runOnEntry(filters.remove, place, entries, i);
    },
    findLastSortKey(tenant, parent) {
      return main.last.get(tenant, parent)?.sort_key ?? null;
    },
  };
}

type PlaceBindings = [string, string, string, string];
type EntryBindings = [string, string, string, string, string, string];

function runOnEntry(
  statement: Statement<void, EntryBindings>,
  place: RowPlace,
  entries: readonly string[],
  at: number,
): void {
  const field = entries[at] ?? '';
  const value = entries[at + 1] ?? '';
  statement.run(place.tenant, place.parent, field, value, place.sortKey, place.id);
}

function prepareMain(database: Database, collection: CollectionName) {
  return {
    probe: database.prepare<{ found: number }, PlaceBindings>(
      `SELECT 1 AS found FROM "${collection}" WHERE ${AT_PLACE}`,
    ),
    read: database.prepare<{ version: number; document: string }, PlaceBindings>(
      `SELECT version, document FROM "${collection}" WHERE ${AT_PLACE}`,
    ),
    insert: database.prepare<void, [string, string, string, string, string]>(
      `INSERT INTO "${collection}" (tenant, parent, sort_key, id, version, document) VALUES (?1, ?2, ?3, ?4, 1, ?5)`,
    ),
    replace: database.prepare<void, [string, string, string, string, number, string]>(
      `UPDATE "${collection}" SET version = ?5, document = ?6 WHERE ${AT_PLACE}`,
    ),
    remove: database.prepare<void, PlaceBindings>(`DELETE FROM "${collection}" WHERE ${AT_PLACE}`),
    last: database.prepare<{ sort_key: string }, [string, string]>(
      `SELECT sort_key FROM "${collection}" WHERE tenant = ?1 AND parent = ?2 ORDER BY sort_key DESC, id DESC LIMIT 1`,
    ),
  };
}

function prepareForeign(database: Database, collection: CollectionName) {
  return {
    find: database.prepare<{ sort_key: string }, [string, string, string]>(
      `SELECT sort_key FROM "${collection}_foreign" WHERE tenant = ?1 AND parent = ?2 AND id = ?3`,
    ),
    insert: database.prepare<void, PlaceBindings>(
      `INSERT INTO "${collection}_foreign" (tenant, parent, id, sort_key) VALUES (?1, ?2, ?3, ?4)`,
    ),
    remove: database.prepare<void, [string, string, string]>(
      `DELETE FROM "${collection}_foreign" WHERE tenant = ?1 AND parent = ?2 AND id = ?3`,
    ),
  };
}

function prepareFilters(database: Database, collection: CollectionName) {
  return {
    insert: database.prepare<void, EntryBindings>(
      `INSERT INTO "${collection}_filters" (tenant, parent, field, value, sort_key, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`,
    ),
    remove: database.prepare<void, EntryBindings>(
      `DELETE FROM "${collection}_filters"
       WHERE tenant = ?1 AND parent = ?2 AND field = ?3 AND value = ?4 AND sort_key = ?5 AND id = ?6`,
    ),
  };
}
