/** Single writes, each with its condition, made again where a race was lost that the caller did not ask about. */

import { type FieldValues, holdsFields } from '../fields.ts';
import { type StoredRecord, StoreError, type StoreErrorCode } from '../store.ts';
import type { NewRecord, Records } from './records.ts';
import type { Outcome } from './removals.ts';
import type { FoundRecord, RowPlace } from './rows.ts';
import type { ListKey } from './spans.ts';

export interface At {
  readonly key: ListKey;
  readonly id: string;
}

export type InsertStep = At & { readonly kind: 'insert'; readonly made: NewRecord };
export type UpdateStep = At & {
  readonly kind: 'update';
  /** JSON. */
  readonly change: string;
  readonly ifVersion: number | undefined;
};
export type DeleteStep = At & { readonly kind: 'delete'; readonly ifVersion: number | undefined };
export type RequireStep = At & { readonly kind: 'require'; readonly equals: FieldValues };

export type Step = InsertStep | UpdateStep | DeleteStep | RequireStep;
export type WriteStep = InsertStep | UpdateStep | DeleteStep;

export interface StepResult {
  /** The new one; 0 for `delete` and `require`; `NOTHING_THERE` for a delete of nothing. */
  readonly version: number;
  /** What an `update` made. */
  readonly document: string | null;
}

export const NOTHING_THERE = -1;

/** What a call knows of records, by `toName`: null is one that is not there. */
export type Touched = Map<string, FoundRecord | null>;

type Document = StoredRecord & Readonly<Record<string, unknown>>;

/** Races that one write may lose: each lost one was won by another writer. */
const RACES_MAX = 60;
const BACKOFF_MAX_MS = 200;

/** Waits for a transaction that holds a record, or ends it where nobody does. */
export type SettleLock = (transaction: string, place: RowPlace) => Promise<void>;

/** Ends what the last write of a record has left to do. False where there was nothing: what was found still stands. */
export type SettleNote = (found: FoundRecord) => Promise<boolean>;

export class StepRunner {
  constructor(
    private readonly records: Records,
    private readonly settleLock: SettleLock,
    private readonly settleNote: SettleNote,
  ) {}

  /** Errors: `not_found`, `conflict`, `unavailable`. */
  async run(step: Step, touched: Touched): Promise<StepResult> {
    if (step.kind === 'insert') return await this.insert(step.made, touched);
    for (let race = 0; race < RACES_MAX; race += 1) {
      const name = toName(step);
      const isKnown = touched.has(name);
      const found = isKnown ? (touched.get(name) ?? null) : await this.records.find(step.key, step.id);
      touched.set(name, found);
      const result = await this.change(step, found, touched);
      if (result !== null) return result;
      // Somebody was faster.
      touched.delete(name);
      if (!isKnown) await Bun.sleep(Math.random() * Math.min(BACKOFF_MAX_MS, 4 * (race + 1)));
    }
    throw new StoreError('unavailable', `The record '${step.id}' is written by too many at once.`);
  }

  private async insert(made: NewRecord, touched: Touched): Promise<StepResult> {
    const name = toName(made);
    const isAbsent = touched.get(name) === null;
    const isThere = !isAbsent && touched.has(name);
    if (isThere || (await this.records.insert({ ...made, isAbsent })) !== 'done') {
      throw toRefusal('conflict', made, 'is there already');
    }
    // It is read again where a later write of the call needs it.
    touched.delete(name);
    return { version: 1, document: null };
  }

  /** Null where a race was lost. */
  private async change(
    step: Exclude<Step, InsertStep>,
    found: FoundRecord | null,
    touched: Touched,
  ): Promise<StepResult | null> {
    if (step.kind === 'delete' && found === null) return { version: NOTHING_THERE, document: null };
    checkStep(step, found);
    if (step.kind === 'require' || found === null) return { version: 0, document: null };
    if (await this.settleNote(found)) return null;
    const document = step.kind === 'update' ? toChanged(found, step) : null;
    const outcome =
      document === null ? await this.records.remove(found) : await this.records.replace(found, document);
    if (outcome !== 'done') return await this.giveWay(step, outcome, found.place);
    if (document === null) touched.set(toName(step), null);
    else touched.delete(toName(step));
    return { version: document === null ? 0 : found.version + 1, document };
  }

  /** Whoever named a version has lost with it; another may look again. */
  private async giveWay(
    step: UpdateStep | DeleteStep | RequireStep,
    outcome: Outcome,
    place: RowPlace,
  ): Promise<null> {
    if (typeof outcome === 'object') {
      await this.settleLock(outcome.lockedBy, place);
      return null;
    }
    if (step.kind !== 'require' && step.ifVersion !== undefined) throw toStale(step);
    return null;
  }
}

/** The document that an update makes of what was found. */
export function toChanged(found: FoundRecord, { change }: Pick<UpdateStep, 'change'>): string {
  const before = JSON.parse(found.document) as Document;
  const after: Document = { ...before, ...(JSON.parse(change) as Document) };
  return JSON.stringify(after);
}

/** Errors: `not_found`, `conflict`, where what was found is not what the step needs. */
export function checkStep(step: Exclude<Step, InsertStep>, found: FoundRecord | null): void {
  if (found === null) {
    if (step.kind === 'delete') return;
    throw toRefusal('not_found', step, 'is not there');
  }
  if (step.kind === 'require') {
    if (!holdsFields(found.document, step.equals)) {
      throw toRefusal('conflict', step, 'does not have the required fields');
    }
  } else if (step.ifVersion !== undefined && step.ifVersion !== found.version) {
    throw toStale(step);
  }
}

export function toStale(at: At): StoreError {
  return toRefusal('conflict', at, 'has changed meanwhile');
}

export function toName({ key, id }: At): string {
  return JSON.stringify([key.collection, key.tenant, key.parent, id]);
}

export function toRefusal(code: StoreErrorCode, { key, id }: At, reason: string): StoreError {
  return new StoreError(code, `The record '${id}' of '${key.collection}' ${reason}.`);
}
