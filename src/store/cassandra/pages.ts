/** Lists: a seek to the cursor in its partition, and a walk from there. */

import type { CqlRow, CqlSession, CqlStatement, CqlValue } from '../../cassandra/session.ts';
import { toNativeSortKey } from '../../ids.ts';
import { COLLECTIONS } from '../collections.ts';
import { toFilterEntries } from '../filters.ts';
import { type PageRequest, type StoredRecord, StoreError } from '../store.ts';
import { readDocument } from './documents.ts';
import { toTags } from './filter-tags.ts';
import type { Records } from './records.ts';
import { AT_LIST, DEAD, PAGE_COLUMNS, toListValues, toTable } from './rows.ts';
import { SETTLED_ROW } from './schema.ts';
import { isSpread, type ListKey, type Spans } from './spans.ts';

export interface ListedRecord {
  readonly sort: string;
  readonly id: string;
  readonly version: number;
  readonly record: StoredRecord;
}

export interface ListRequest extends PageRequest {
  readonly key: ListKey;
  /** Pairs, as `toConditions` answers them. */
  readonly conditions: readonly string[];
}

export interface FoundPage {
  /** In the asked order. */
  readonly items: readonly ListedRecord[];
  readonly hasMore: boolean;
}

export type ReadPage = (request: ListRequest) => Promise<FoundPage>;

/** A place in a list. */
interface Bound {
  readonly sort: string;
  readonly id: string;
  readonly isInclusive: boolean;
}

/** A walk through one partition, in its direction. */
interface Walk {
  readonly key: ListKey;
  readonly isDescending: boolean;
  readonly from: Bound | null;
  readonly to: Bound | null;
  readonly tags: readonly string[];
  /** Records after which it may stop. */
  readonly wanted: number;
}

/** Rows that one query answers at most: the driver's page is larger. */
const ROWS_MAX = 2_500;
/** The fewest: a record has up to two rows, and one more tells that there are more. */
const ROWS_MIN = 4;

export interface PagesDeps {
  readonly session: CqlSession;
  readonly spans: Spans;
  readonly records: Records;
}

export function createPageReader({ session, spans, records }: PagesDeps): ReadPage {
  /** Everything of a partition in one direction, until enough has been found. */
  const walkSpan = async (span: string, walk: Walk): Promise<ListedRecord[]> => {
    const found: ListedRecord[] = [];
    let from = walk.from;
    while (found.length < walk.wanted) {
      const limit = toRowLimit(walk, found.length);
      const rows = await session.read(toQuery(walk, span, from, limit));
      const { groups, last } = toGroups(rows, rows.length === limit);
      for (const group of groups) {
        const listed = await toListed(walk, group);
        if (listed !== null) found.push(listed);
      }
      if (rows.length < limit || last === null) break;
      from = { ...last, isInclusive: false };
    }
    return found.slice(0, walk.wanted);
  };

  const walkList = async (walk: Walk): Promise<ListedRecord[]> => {
    const all = await spans.list(walk.key);
    if (isSpread(walk.key)) {
      const parts = await Promise.all(all.map((span) => walkSpan(span, walk)));
      return parts.flat().sort(toComparison(walk.isDescending)).slice(0, walk.wanted);
    }
    const found: ListedRecord[] = [];
    for (const span of selectSpans(all, walk)) {
      found.push(...(await walkSpan(span, { ...walk, wanted: walk.wanted - found.length })));
      if (found.length >= walk.wanted) break;
    }
    return found;
  };

  /** Where a cursor stands, read by itself. Errors: `unknown_cursor`. */
  const readCursor = async (key: ListKey, id: string): Promise<Bound> => {
    const place = await records.locate(key, id);
    if (place === null) throw createUnknownCursor();
    return { sort: place.sort, id, isInclusive: false };
  };

  /**
   * The walk with its first cursor in it: one query tells whether the cursor is there, and what follows it. Null where it is not at
   * the place that its id names.
   */
  const walkFromNative = async (walk: Walk, id: string): Promise<ListedRecord[] | null> => {
    const sort = toNativeSortKey(id);
    if (sort === null) return null;
    const found = await walkList({ ...walk, from: { sort, id, isInclusive: true }, wanted: walk.wanted + 1 });
    return found[0]?.id === id ? found.slice(1) : null;
  };

  return async ({ key, conditions, limit, order, after, before }) => {
    // Before a cursor, the walk goes from the cursor backwards, and the page is turned round at the end.
    const isBackwards = before !== undefined;
    const first = isBackwards ? before : after;
    const end = isBackwards ? after : undefined;
    const to = end === undefined ? null : await readCursor(key, end);
    const walk: Walk = {
      key,
      isDescending: (order === 'desc') !== isBackwards,
      from: null,
      to,
      tags: toTags(conditions),
      wanted: limit + 1,
    };
    const found = await walkFrom(walk, first);
    const hasMore = found.length > limit;
    const items = hasMore ? found.slice(0, limit) : found;
    return { items: isBackwards ? items.reverse() : items, hasMore };
  };

  async function walkFrom(walk: Walk, first: string | undefined): Promise<ListedRecord[]> {
    if (first === undefined) return await walkList(walk);
    // With a condition the cursor itself may not be found, and in a list that is spread it is in one part only.
    const isInOne = walk.tags.length === 0 && !isSpread(walk.key) && !isPassed(walk, first);
    const found = isInOne ? await walkFromNative(walk, first) : null;
    if (found !== null) return found;
    const from = await readCursor(walk.key, first);
    return await walkList({ ...walk, from });
  }
}

/** Whether the walk ends before it begins: its first cursor would not be found on the way. */
function isPassed({ to, isDescending }: Walk, first: string): boolean {
  const sort = toNativeSortKey(first);
  if (to === null || sort === null) return false;
  const order = compareTexts(sort, to.sort) || compareTexts(first, to.id);
  return isDescending ? order <= 0 : order >= 0;
}

/** The partitions between both ends of a walk, in its direction. */
function selectSpans(all: readonly string[], { from, to, isDescending }: Walk): readonly string[] {
  const at = (bound: Bound): number => all.findLastIndex((start) => start <= bound.sort);
  const low = isDescending ? to : from;
  const high = isDescending ? from : to;
  const selected = all.slice(low === null ? 0 : at(low), high === null ? all.length : at(high) + 1);
  return isDescending ? selected.reverse() : selected;
}

function toRowLimit({ key, wanted }: Walk, found: number): number {
  const perRecord = COLLECTIONS[key.collection satisfies keyof typeof COLLECTIONS];
  const rows = (wanted - found) * ('seldomChanges' in perRecord ? 2 : 1) + 1;
  return Math.min(ROWS_MAX, Math.max(ROWS_MIN, rows));
}

/** The text follows from few properties, so that there are few texts to prepare. */
function toQuery(walk: Walk, span: string, from: Bound | null, limit: number): CqlStatement {
  const { key, isDescending, to, tags } = walk;
  const tests = [AT_LIST];
  const values: CqlValue[] = toListValues(key, span);
  for (const [bound, isStart] of [
    [from, true],
    [to, false],
  ] as const) {
    if (bound === null) continue;
    const sign = isStart === isDescending ? '<' : '>';
    tests.push(`(sort, id) ${sign}${bound.isInclusive ? '=' : ''} (?, ?)`);
    values.push(bound.sort, bound.id);
  }
  for (const tag of tags) {
    tests.push('filters CONTAINS ?');
    values.push(tag);
  }
  const direction = isDescending ? '' : ' ORDER BY sort ASC, id ASC, kind ASC';
  // Inside of one partition: what it costs follows the length of the partition, which is bounded.
  const filtering = tags.length === 0 ? '' : ' ALLOW FILTERING';
  return {
    cql: `SELECT ${PAGE_COLUMNS} FROM ${toTable(key)} WHERE ${tests.join(' AND ')}${direction} LIMIT ?${filtering}`,
    values: [...values, limit],
  };
}

/** Rows by their records. Where the query was cut off, its last record may lack a row, and is left for the next. */
function toGroups(
  rows: readonly CqlRow[],
  isCut: boolean,
): { groups: CqlRow[][]; last: { sort: string; id: string } | null } {
  const groups: CqlRow[][] = [];
  for (const row of rows) {
    const group = groups.at(-1);
    if (group?.[0]?.id === row.id && group?.[0]?.sort === row.sort) group?.push(row);
    else groups.push([row]);
  }
  if (isCut && groups.length > 1 && groups.at(-1)?.length === 1) groups.pop();
  const row = groups.at(-1)?.[0];
  return { groups, last: row === undefined ? null : { sort: String(row.sort), id: String(row.id) } };
}

/** Null where the record is deleted, or a condition holds for its first row only. */
async function toListed({ key, tags }: Walk, group: readonly CqlRow[]): Promise<ListedRecord | null> {
  const row = group.find(({ kind }) => kind === SETTLED_ROW) ?? group[0];
  if (row === undefined || row.version === DEAD) return null;
  const record = JSON.parse(await readDocument(row)) as StoredRecord;
  if (tags.length > 0) {
    const own = new Set(toTags(toFilterEntries(COLLECTIONS[key.collection], record)));
    if (!tags.every((tag) => own.has(tag))) return null;
  }
  return { sort: String(row.sort), id: String(row.id), version: Number(row.version), record };
}

function toComparison(isDescending: boolean): (a: ListedRecord, b: ListedRecord) => number {
  const sign = isDescending ? -1 : 1;
  return (a, b) => sign * (compareTexts(a.sort, b.sort) || compareTexts(a.id, b.id));
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function createUnknownCursor(): StoreError {
  return new StoreError('unknown_cursor', 'The cursor names no record of this list.');
}
