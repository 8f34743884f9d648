/**
 * What a write of several records comes to, before anything is written: whose conditions decide it, and what is done then. The
 * conditions of all are tested first, so that nothing is written of what is refused.
 */

import { StoreError } from '../store.ts';
import { toTagsOf } from './filter-tags.ts';
import type { DecidedStep } from './journal.ts';
import type { LockedRecord, Records } from './records.ts';
import type { FoundRecord } from './rows.ts';
import {
  checkStep,
  type DeleteStep,
  type Step,
  type Touched,
  toChanged,
  toName,
  toRefusal,
  type UpdateStep,
  type WriteStep,
} from './steps.ts';

/** A step on a version of a record that is there: it may lose to another writer, and with it the whole write. */
export interface ContendedStep {
  readonly step: UpdateStep | DeleteStep;
  readonly index: number;
  readonly found: FoundRecord;
}

export interface PlannedStep {
  readonly step: WriteStep;
  readonly index: number;
  /** Null: it depends on no version. */
  readonly contended: ContendedStep | null;
}

export interface Plan {
  /** In their order, without what only looks. */
  readonly steps: readonly PlannedStep[];
  readonly contended: readonly ContendedStep[];
  /** What was read. */
  readonly touched: Touched;
  /** Of all steps. */
  readonly count: number;
}

/** Reads what the steps are about, and tests them. Errors: `not_found` and `conflict` with the step's index. */
export async function makePlan(records: Records, steps: readonly Step[]): Promise<Plan> {
  const touched: Touched = new Map();
  const removed = new Set<string>();
  const wanted = new Map<string, Step>();
  for (const step of steps) {
    const isSure = step.kind === 'insert' && (step.made.isFresh || removed.has(toName(step)));
    if (step.kind === 'delete') removed.add(toName(step));
    if (!isSure) wanted.set(toName(step), step);
  }
  await Promise.all(
    [...wanted].map(async ([name, { key, id }]) => {
      touched.set(name, await records.find(key, id));
    }),
  );
  return testSteps(steps, touched);
}

function testSteps(steps: readonly Step[], touched: Touched): Plan {
  const planned: PlannedStep[] = [];
  const removed = new Set<string>();
  for (const [index, step] of steps.entries()) {
    const found = touched.get(toName(step)) ?? null;
    try {
      if (step.kind !== 'insert') checkStep(step, found);
      else if (found !== null && !removed.has(toName(step))) {
        throw toRefusal('conflict', step, 'is there already');
      }
    } catch (error) {
      throw toNumbered(error, index);
    }
    if (step.kind === 'delete') removed.add(toName(step));
    if (step.kind === 'require') continue;
    const isContended = step.kind !== 'insert' && step.ifVersion !== undefined && found !== null;
    planned.push({ step, index, contended: isContended ? { step, index, found } : null });
  }
  const contended = planned.flatMap((one) => one.contended ?? []);
  return { steps: planned, contended, touched, count: steps.length };
}

/**
 * Whether every step can be tested before any is made: none is about a record that an earlier one of the same write changes. To
 * insert again what was removed before is the one exception.
 */
export function isPlannable(steps: readonly Step[]): boolean {
  const written = new Map<string, Step['kind']>();
  for (const step of steps) {
    const name = toName(step);
    const before = written.get(name);
    const isAgain = before === 'delete' && step.kind === 'insert';
    if (before !== undefined && !isAgain) return false;
    if (step.kind !== 'require') written.set(name, step.kind);
  }
  return true;
}

/** The steps as a note keeps them, for whoever must make them in this one's place. */
export function toDecided({ steps, touched }: Plan): DecidedStep[] {
  return steps.map(({ step, contended }): DecidedStep => {
    if (contended !== null) return { held: toHeld(contended) };
    const found = step.kind === 'insert' ? null : (touched.get(toName(step)) ?? null);
    return { step, seen: found === null ? null : toIdentity(found) };
  });
}

/** A record that is held, with what becomes of it. */
export function toHeld({ step, found }: ContendedStep): LockedRecord {
  const { place, isAliased } = found;
  if (step.kind === 'delete') return { place, isAliased, becomes: null };
  const document = toChanged(found, step);
  const becomes = { version: found.version + 1, document, tags: toTagsOf(place, document) };
  return { place, isAliased, becomes };
}

/** Tells one write of a record from every other, whoever removed and inserted it meanwhile. */
export function toIdentity({ version, writers }: FoundRecord): string {
  return `${version} ${writers.split(' ')[0] ?? ''}`;
}

export function toNumbered(error: unknown, index: number): unknown {
  if (!(error instanceof StoreError)) return error;
  return new StoreError(error.code, error.message, { index, cause: error });
}
