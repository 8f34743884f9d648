/** Lists: a page is a seek to its cursor and a walk of `limit` + 1 entries of an index, at any depth. */

import type { Database, Statement } from 'bun:sqlite';
import { toNativeSortKey } from '../../ids.ts';
import type { CollectionName } from '../collections.ts';
import { StoreError } from '../store.ts';
import type { ListCall } from './protocol.ts';
import type { Records } from './records.ts';

export interface FoundPage {
  /** In the asked order. */
  readonly documents: readonly string[];
  readonly versions: readonly number[];
  /** Null where the id says it; null at all where every id does. */
  readonly sortKeys: readonly (string | null)[] | null;
  readonly hasMore: boolean;
}

interface PageRow {
  readonly id: string;
  readonly sort_key: string;
  readonly version: number;
  readonly document: string;
}

type PageStatement = Statement<PageRow, (string | number)[]>;

/** Rows counted to tell which condition selects best; beyond it they count as equally bad. */
const MATCHES_COUNTED_MAX = 512;

/** A place in a list: nothing of a list has the same. */
interface Cursor {
  readonly sortKey: string;
  readonly id: string;
}

export function createPageReader(
  database: Database,
  toRecords: (collection: CollectionName) => Records,
): (call: ListCall) => FoundPage {
  const statements = new Map<string, PageStatement>();
  const counts = new Map<CollectionName, Statement<{ matches: number }, [string, string, string, string]>>();

  const findCursor = (call: ListCall, id: string | null): Cursor | null => {
    if (id === null) return null;
    const [, , collection, tenant, parent] = call;
    const sortKey = toRecords(collection).locate(tenant, parent, id);
    if (sortKey === null) throw new StoreError('unknown_cursor', 'The cursor names no record of this list.');
    return { sortKey, id };
  };

  const prepare = (shape: PageShape): PageStatement => {
    const key = JSON.stringify(shape);
    let statement = statements.get(key);
    if (statement === undefined) {
      statement = database.prepare<PageRow, (string | number)[]>(toPageQuery(shape));
      statements.set(key, statement);
    }
    return statement;
  };

  const countMatches = (call: ListCall, field: string, value: string): number => {
    const [, , collection, tenant, parent] = call;
    let statement = counts.get(collection);
    if (statement === undefined) {
      statement = database.prepare(
        `SELECT count(*) AS matches FROM (SELECT 1 FROM "${collection}_filters"
         WHERE tenant = ?1 AND parent = ?2 AND field = ?3 AND value = ?4 LIMIT ${MATCHES_COUNTED_MAX})`,
      );
      counts.set(collection, statement);
    }
    return statement.get(tenant, parent, field, value)?.matches ?? 0;
  };

  /** The conditions with the most selective one first: the query walks that one and looks the others up. */
  const sortConditions = (call: ListCall): readonly string[] => {
    const conditions = call[9];
    if (conditions.length <= 2) return conditions;
    let best = 0;
    let fewest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < conditions.length; i += 2) {
      const matches = countMatches(call, conditions[i] ?? '', conditions[i + 1] ?? '');
      if (matches < fewest) [best, fewest] = [i, matches];
    }
    return [...conditions.slice(best, best + 2), ...conditions.slice(0, best), ...conditions.slice(best + 2)];
  };

  return (call) => {
    const [, , collection, tenant, parent, limit, order, afterId, beforeId] = call;
    const after = findCursor(call, afterId);
    const before = findCursor(call, beforeId);
    // Before a cursor, the walk goes from the cursor backwards, and the page is turned round at the end.
    const isBackwards = before !== null;
    const low = order === 'asc' ? after : before;
    const high = order === 'asc' ? before : after;
    const conditions = sortConditions(call);
    const statement = prepare({
      collection,
      isDescending: (order === 'desc') !== isBackwards,
      hasLow: low !== null,
      hasHigh: high !== null,
      conditions: conditions.length / 2,
    });
    const rows = statement.all(
      tenant,
      parent,
      limit + 1,
      ...conditions,
      ...(low === null ? [] : [low.sortKey, low.id]),
      ...(high === null ? [] : [high.sortKey, high.id]),
    );
    const hasMore = rows.length > limit;
    if (hasMore) rows.pop();
    if (isBackwards) rows.reverse();
    return {
      documents: rows.map((row) => row.document),
      versions: rows.map((row) => row.version),
      sortKeys: toForeignSortKeys(rows),
      hasMore,
    };
  };
}

/** As `FoundPage.sortKeys`. */
function toForeignSortKeys(rows: readonly PageRow[]): FoundPage['sortKeys'] {
  const isNative = (row: PageRow): boolean => toNativeSortKey(row.id) === row.sort_key;
  if (rows.every(isNative)) return null;
  return rows.map((row) => (isNative(row) ? null : row.sort_key));
}

interface PageShape {
  readonly collection: CollectionName;
  readonly isDescending: boolean;
  readonly hasLow: boolean;
  readonly hasHigh: boolean;
  readonly conditions: number;
}

/** Bindings in their order: tenant, parent, rows, conditions, low cursor, high cursor. */
function toPageQuery(shape: PageShape): string {
  const { collection, conditions } = shape;
  const walked = conditions === 0 ? 'record' : 'match0';
  const direction = shape.isDescending ? 'DESC' : 'ASC';
  const tests = [`${walked}.tenant = ?1`, `${walked}.parent = ?2`];
  let next = 4;
  for (let i = 0; i < conditions; i += 1) {
    const test = `field = ?${next} AND match${i}.value = ?${next + 1}`;
    next += 2;
    if (i === 0) tests.push(`match0.${test}`);
    else tests.push(toLookup(collection, i, test));
  }
  if (shape.hasLow) {
    tests.push(`(${walked}.sort_key, ${walked}.id) > (?${next}, ?${next + 1})`);
    next += 2;
  }
  if (shape.hasHigh) tests.push(`(${walked}.sort_key, ${walked}.id) < (?${next}, ?${next + 1})`);
  return `SELECT record.id, record.sort_key, record.version, record.document FROM ${toSource(collection, conditions)}
    WHERE ${tests.join(' AND ')}
    ORDER BY ${walked}.sort_key ${direction}, ${walked}.id ${direction} LIMIT ?3`;
}

/** CROSS JOIN keeps the planner from walking the records and looking the matches up. */
function toSource(collection: CollectionName, conditions: number): string {
  if (conditions === 0) return `"${collection}" AS record`;
  return `"${collection}_filters" AS match0 CROSS JOIN "${collection}" AS record
    ON record.tenant = match0.tenant AND record.parent = match0.parent
    AND record.sort_key = match0.sort_key AND record.id = match0.id`;
}

function toLookup(collection: CollectionName, index: number, test: string): string {
  return `EXISTS (SELECT 1 FROM "${collection}_filters" AS match${index}
    WHERE match${index}.tenant = ?1 AND match${index}.parent = ?2 AND match${index}.${test}
    AND match${index}.sort_key = match0.sort_key AND match${index}.id = match0.id)`;
}
