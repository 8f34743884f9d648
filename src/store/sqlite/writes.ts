/**
 * One caller's writes inside a transaction that others share. All conditions are tested first, against the
 * records as the writes before would leave them; only then is anything changed. So a refused call has
 * changed nothing, and no savepoint is needed.
 */

import type { CollectionName } from '../collections.ts';
import { type FieldValues, holdsFields } from '../fields.ts';
import { isFiltered, toFilterEntries } from '../filters.ts';
import { toNextSortKey } from '../sort-keys.ts';
import { type StoredRecord, StoreError, type StoreErrorCode } from '../store.ts';
import {
  type InsertStep,
  NOTHING_THERE,
  NOTHING_WRITTEN,
  type Place,
  type Step,
  type UpdateStep,
} from './protocol.ts';
import type { Records, RowPlace, StoredRow } from './records.ts';

type Document = StoredRecord & Readonly<Record<string, unknown>>;
type ToRecords = (collection: CollectionName) => Records;

export interface Written {
  /** For each step the new version, or `NOTHING_WRITTEN`, or `NOTHING_THERE`. */
  readonly versions: readonly number[];
  /** What the last `update` made. */
  readonly document: string | null;
}

/** What the steps of a call have found and will leave behind. */
interface Plan {
  readonly toRecords: ToRecords;
  /** Records that earlier steps of the call change; null is one that they delete. Absent for calls of one step. */
  readonly touched: Map<string, StoredRow | null> | null;
  readonly changes: (() => void)[];
  document: string | null;
}

/** Runs a call's steps, all or none. Errors: `not_found` and `conflict` with the step's index, nothing changed. */
export function applySteps(toRecords: ToRecords, steps: readonly Step[]): Written {
  const plan: Plan = { toRecords, touched: steps.length > 1 ? new Map() : null, changes: [], document: null };
  const versions = steps.map((step, index) => planStep(plan, step, index));
  for (const change of plan.changes) change();
  return { versions, document: plan.document };
}

/** Answers the step's version. */
function planStep(plan: Plan, step: Step, index: number): number {
  const place = step[1];
  const found = findRow(plan, place);
  if (step[0] === 'insert') {
    if (found !== null) throw toRefusal('conflict', index, place, 'is there already');
    return planInsert(plan, step);
  }
  if (step[0] === 'delete') {
    if (found === null) return NOTHING_THERE;
    checkVersion(step[2], found, place, index);
    return planDelete(plan, place, found);
  }
  if (found === null) throw toRefusal('not_found', index, place, 'is not there');
  if (step[0] === 'update') {
    checkVersion(step[3], found, place, index);
    return planUpdate(plan, step, found);
  }
  if (step[2] !== null && !holdsFields(found.document, JSON.parse(step[2]) as FieldValues)) {
    throw toRefusal('conflict', index, place, 'does not have the required fields');
  }
  return NOTHING_WRITTEN;
}

function findRow(plan: Plan, place: Place): StoredRow | null {
  const touched = plan.touched?.get(toTouchedKey(place));
  if (touched !== undefined) return touched;
  const [collection, tenant, parent, id] = place;
  return plan.toRecords(collection).read(tenant, parent, id);
}

function planInsert(plan: Plan, step: InsertStep): number {
  const [, place, sortKey, origin, document, filters] = step;
  const records = plan.toRecords(place[0]);
  const row = toRowPlace(place, origin === 'made' ? toLastSortKey(plan, place, sortKey) : sortKey);
  plan.touched?.set(toTouchedKey(place), { sortKey: row.sortKey, version: 1, document });
  plan.changes.push(() => {
    records.insert(row, document);
    if (filters.length > 0) records.addFilters(row, filters);
  });
  return 1;
}

function planUpdate(plan: Plan, step: UpdateStep, found: StoredRow): number {
  const [, place, changeText] = step;
  const records = plan.toRecords(place[0]);
  const row = toRowPlace(place, found.sortKey);
  const before = JSON.parse(found.document) as Document;
  const change = JSON.parse(changeText) as Readonly<Record<string, unknown>>;
  const after: Document = { ...before, ...change };
  const document = JSON.stringify(after);
  const version = found.version + 1;
  plan.touched?.set(toTouchedKey(place), { sortKey: found.sortKey, version, document });
  plan.document = document;
  plan.changes.push(() => {
    records.replace(row, version, document);
    if (!isFiltered(records.spec, change)) return;
    records.removeFilters(row, toFilterEntries(records.spec, before));
    records.addFilters(row, toFilterEntries(records.spec, after));
  });
  return version;
}

function planDelete(plan: Plan, place: Place, found: StoredRow): number {
  const records = plan.toRecords(place[0]);
  const row = toRowPlace(place, found.sortKey);
  plan.touched?.set(toTouchedKey(place), null);
  plan.changes.push(() => {
    removeRow(records, row, found.document);
  });
  return NOTHING_WRITTEN;
}

/** Removes a record with everything that points to it. */
export function removeRow(records: Records, place: RowPlace, document: string): void {
  records.remove(place);
  if (records.spec.filters.length === 0 && !records.spec.metadataFilter) return;
  records.removeFilters(place, toFilterEntries(records.spec, JSON.parse(document) as Document));
}

/** The given key, or the one behind the last of the list where that is greater: creation order holds whatever the clock. */
function toLastSortKey(plan: Plan, place: Place, sortKey: string): string {
  const [collection, tenant, parent] = place;
  let last = plan.toRecords(collection).findLastSortKey(tenant, parent);
  for (const [key, row] of plan.touched ?? []) {
    if (row === null || !key.startsWith(toListKey(place))) continue;
    if (last === null || row.sortKey > last) last = row.sortKey;
  }
  return last === null || sortKey > last ? sortKey : toNextSortKey(last);
}

function checkVersion(ifVersion: number | null, found: StoredRow, place: Place, index: number): void {
  if (ifVersion !== null && ifVersion !== found.version) {
    throw toRefusal('conflict', index, place, 'has changed meanwhile');
  }
}

function toRowPlace(place: Place, sortKey: string): RowPlace {
  return { tenant: place[1], parent: place[2], sortKey, id: place[3] };
}

/** Texts are measured, so that no two places have one key. */
function toListKey(place: Place): string {
  return `${place[0]} ${place[1].length} ${place[1]} ${place[2].length} ${place[2]} `;
}

function toTouchedKey(place: Place): string {
  return toListKey(place) + place[3];
}

function toRefusal(code: StoreErrorCode, index: number, place: Place, reason: string): StoreError {
  return new StoreError(code, `The record '${place[3]}' of '${place[0]}' ${reason}.`, { index });
}
