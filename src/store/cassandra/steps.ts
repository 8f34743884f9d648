/**
 * One write after the other, each with its condition. What a call has read or written it need not read again: whoever changed it
 * meanwhile is found out by the conditional write.
 */

import { type FieldValues, holdsFields } from '../fields.ts';
import { type StoredRecord, StoreError, type StoreErrorCode } from '../store.ts';
import type { NewRecord, Outcome, Records } from './records.ts';
import type { FoundRecord } from './rows.ts';
import type { ListKey } from './spans.ts';

interface At {
  readonly key: ListKey;
  readonly id: string;
}

export type Step =
  | (At & { readonly kind: 'insert'; readonly made: NewRecord })
  | (At & { readonly kind: 'update'; readonly change: string; readonly ifVersion: number | undefined })
  | (At & { readonly kind: 'delete'; readonly ifVersion: number | undefined })
  | (At & {
      readonly kind: 'require';
      readonly equals: FieldValues;
    });

export interface StepResult {
  /** The new one; 0 for `delete` and `require`; `NOTHING_THERE` for a delete of nothing. */
  readonly version: number;
  /** What an `update` made. */
  readonly document: string | null;
}

export const NOTHING_THERE = -1;

/** What a call knows of records: null is one that is not there. */
export type Touched = Map<string, FoundRecord | null>;

type Document = StoredRecord & Readonly<Record<string, unknown>>;

/** Races that one write may lose: each lost one was won by another writer. */
const RACES_MAX = 60;
const BACKOFF_MAX_MS = 200;

export class StepRunner {
  constructor(private readonly records: Records) {}

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
    if (touched.get(name) != null) throw toRefusal('conflict', made, 'is there already');
    if ((await this.records.insert(made)) === 'conflict')
      throw toRefusal('conflict', made, 'is there already');
    // It is read again where a later write of the call needs it.
    touched.delete(name);
    return { version: 1, document: null };
  }

  /** Null where a race was lost. */
  private async change(
    step: Exclude<Step, { kind: 'insert' }>,
    found: FoundRecord | null,
    touched: Touched,
  ): Promise<StepResult | null> {
    if (step.kind === 'delete') return await this.remove(step, found, touched);
    if (found === null) throw toRefusal('not_found', step, 'is not there');
    if (step.kind === 'require') {
      if (!holdsFields(found.document, step.equals)) {
        throw toRefusal('conflict', step, 'does not have the required fields');
      }
      return { version: 0, document: null };
    }
    checkVersion(step, found);
    const before = JSON.parse(found.document) as Document;
    const after: Document = { ...before, ...(JSON.parse(step.change) as Document) };
    const document = JSON.stringify(after);
    const outcome: Outcome = await this.records.replace(found, document);
    if (outcome === 'conflict') return rejectIfVersioned(step);
    touched.delete(toName(step));
    return { version: found.version + 1, document };
  }

  private async remove(
    step: Extract<Step, { kind: 'delete' }>,
    found: FoundRecord | null,
    touched: Touched,
  ): Promise<StepResult | null> {
    if (found === null) return { version: NOTHING_THERE, document: null };
    checkVersion(step, found);
    if ((await this.records.remove(found)) === 'conflict') return rejectIfVersioned(step);
    touched.set(toName(step), null);
    return { version: 0, document: null };
  }
}

/** Whoever named a version has lost with it; another may look again. */
function rejectIfVersioned(step: At & { readonly ifVersion: number | undefined }): null {
  if (step.ifVersion !== undefined) throw toRefusal('conflict', step, 'has changed meanwhile');
  return null;
}

function checkVersion(step: At & { readonly ifVersion: number | undefined }, found: FoundRecord): void {
  if (step.ifVersion !== undefined && step.ifVersion !== found.version) {
    throw toRefusal('conflict', step, 'has changed meanwhile');
  }
}

function toName({ key, id }: At): string {
  return JSON.stringify([key.collection, key.tenant, key.parent, id]);
}

function toRefusal(code: StoreErrorCode, { key, id }: At, reason: string): StoreError {
  return new StoreError(code, `The record '${id}' of '${key.collection}' ${reason}.`);
}
