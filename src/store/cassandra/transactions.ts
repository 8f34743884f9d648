/**
 * Writes of several records, all or none, and none visible before those that stand in front of it. What they depend on decides
 * them: nothing, one record, or several. One record is written, or held until its turn comes: that is the decision. Several are
 * held, and the decision is a row of its own. What follows is noted before, so that another server ends what this one may
 * leave behind.
 */

import { StoreError } from '../store.ts';
import { createNoteId } from './conditional.ts';
import type { Journal } from './journal.ts';
import type { Leftovers } from './leftovers.ts';
import {
  type ContendedStep,
  isPlannable,
  makePlan,
  type Plan,
  type PlannedStep,
  toDecided,
  toHeld,
  toNumbered,
} from './plan.ts';
import type { Records } from './records.ts';
import type { Outcome } from './removals.ts';
import { type Step, type StepRunner, toChanged, toName, toStale } from './steps.ts';

export interface TransactionsDeps {
  readonly records: Records;
  readonly journal: Journal;
  readonly leftovers: Leftovers;
}

/** How long one may take before it looks whether others have ended it in its place. */
const PATIENCE_MS = 2_000;
/** What a race for a record that was lost comes to. */
type Lost = Exclude<Outcome, 'done'>;

/** Lost races for records that are held. */
const RACES_MAX = 40;

export class Transactions {
  private readonly runner: StepRunner;

  constructor(private readonly deps: TransactionsDeps) {
    this.runner = deps.leftovers.runner;
  }

  /** One write. Errors: as `Store.write`, without an index. */
  runOne(step: Step): ReturnType<StepRunner['run']> {
    return this.runner.run(step, new Map());
  }

  /** Answers the new versions, by step. Errors: as `Store.write`. */
  async run(steps: readonly Step[]): Promise<readonly number[]> {
    const writes = steps.filter((step) => step.kind !== 'require');
    const isOrdered = writes.every((step) => step.kind === 'insert' && step.made.isFresh);
    // A single write, and new records of which each may be there without the next, are made as they come.
    if (writes.length < 2 || isOrdered || !isPlannable(steps)) return await this.runInOrder(steps);
    for (let race = 0; race < RACES_MAX; race += 1) {
      const plan = await makePlan(this.deps.records, steps);
      const versions = await this.decide(plan);
      if (versions !== null) return versions;
    }
    throw new StoreError('unavailable', 'The records are written by too many at once.');
  }

  private async runInOrder(steps: readonly Step[]): Promise<readonly number[]> {
    const touched = new Map();
    const versions: number[] = [];
    for (const [index, step] of steps.entries()) {
      const { version } = await this.runner.run(step, touched).catch((error) => {
        throw toNumbered(error, index);
      });
      versions.push(Math.max(version, 0));
    }
    return versions;
  }

  /** Null where a record was held by another: then nothing is written. */
  private async decide(plan: Plan): Promise<readonly number[] | null> {
    const [only, ...others] = plan.contended;
    if (only === undefined) return await this.runNoted(plan);
    // The removal of a record leaves nothing that could tell whose it was.
    if (others.length > 0 || only.step.kind === 'delete') return await this.runTransaction(plan);
    return plan.steps[0]?.contended === only
      ? await this.runBehind(plan, only)
      : await this.runAround(plan, only);
  }

  /** Nothing can refuse it but an insert of what has come meanwhile. */
  private async runNoted(plan: Plan): Promise<readonly number[]> {
    const id = createNoteId();
    const { journal, leftovers } = this.deps;
    await journal.put({ id, decidedBy: 'noted', steps: toDecided(plan) });
    const [first, ...rest] = plan.steps;
    const versions = new Array<number>(plan.count).fill(0);
    if (first === undefined) return versions;
    try {
      versions[first.index] = Math.max((await this.runner.run(first.step, plan.touched)).version, 0);
    } catch (error) {
      // Nothing of it has been made yet.
      if (isRefusal(error)) await leftovers.end(id);
      throw toNumbered(error, first.index);
    }
    return await this.runRest(plan, rest, versions, id);
  }

  /** The first write decides: it is made, and the others come behind it. */
  private async runBehind(plan: Plan, decider: ContendedStep): Promise<readonly number[] | null> {
    const { step, index, found } = decider;
    const { journal, records, leftovers } = this.deps;
    if (step.kind !== 'update' || (await leftovers.settleLast(found))) return null;
    const id = createNoteId();
    await journal.put({ id, decidedBy: found.place, steps: toDecided(plan).slice(1) });
    const outcome = await records.replace(found, toChanged(found, step), id);
    const versions = new Array<number>(plan.count).fill(0);
    versions[index] = found.version + 1;
    if (outcome === 'done') return await this.runRest(plan, plan.steps.slice(1), versions, id);
    return await this.giveWay(outcome, decider, id);
  }

  /** What decides comes later: it is held until its turn. */
  private async runAround(plan: Plan, decider: ContendedStep): Promise<readonly number[] | null> {
    const { found } = decider;
    const { journal, records, leftovers } = this.deps;
    if (await leftovers.settleLast(found)) return null;
    const id = createNoteId();
    await journal.put({ id, decidedBy: found.place, steps: toDecided(plan) });
    const outcome = await records.lock(found, id);
    if (outcome === 'done') return await this.runRest(plan, plan.steps, new Array(plan.count).fill(0), id);
    return await this.giveWay(outcome, decider, id);
  }

  /** Several have a say: each is held, and then it is decided. */
  private async runTransaction(plan: Plan): Promise<readonly number[] | null> {
    const { contended } = plan;
    const { journal, leftovers } = this.deps;
    for (const { found } of contended) if (await leftovers.settleLast(found)) return null;
    const id = createNoteId();
    await journal.put({ id, decidedBy: 'verdict', steps: toDecided(plan) });
    const lost = await this.holdAll(contended, id);
    // Unless somebody has waited for too long, and ended it.
    if (lost === null && (await journal.decide(id, 'committed')) === 'committed') {
      return await this.runRest(plan, plan.steps, new Array(plan.count).fill(0), id);
    }
    for (const one of contended) await this.deps.records.release({ ...toHeld(one), becomes: 'keep' }, id);
    if (lost !== null) return await this.giveWay(lost.outcome, lost.at, id);
    await leftovers.end(id);
    return null;
  }

  /** Another was first: nothing of the write is made. Errors: `conflict` where it changed the record; null where it only holds it. */
  private async giveWay(outcome: Lost, { step, index, found }: ContendedStep, id: string): Promise<null> {
    const { leftovers } = this.deps;
    await leftovers.end(id);
    if (outcome === 'conflict') throw toNumbered(toStale(step), index);
    await leftovers.settleLock(outcome.lockedBy, found.place);
    return null;
  }

  /** Null where all are held. In an order that is the same for all, so that no two wait for each other. */
  private async holdAll(
    contended: readonly ContendedStep[],
    id: string,
  ): Promise<{ readonly outcome: Lost; readonly at: ContendedStep } | null> {
    const ordered = [...contended].sort((a, b) => (toName(a.step) < toName(b.step) ? -1 : 1));
    for (const at of ordered) {
      const outcome = await this.deps.records.lock(at.found, id);
      if (outcome !== 'done') return { outcome, at };
    }
    return null;
  }

  /** Makes what is decided, in its order. */
  private async runRest(
    plan: Plan,
    steps: readonly PlannedStep[],
    versions: number[],
    id: string,
  ): Promise<readonly number[]> {
    const since = performance.now();
    for (const { step, index, contended } of steps) {
      // Whoever waited for too long has done the rest.
      const isLate = performance.now() - since > PATIENCE_MS;
      if (isLate && !(await this.deps.journal.has(id))) return versions;
      try {
        if (contended === null)
          versions[index] = Math.max((await this.runner.run(step, plan.touched)).version, 0);
        else {
          await this.deps.records.release(toHeld(contended), id);
          versions[index] = step.kind === 'update' ? contended.found.version + 1 : 0;
        }
      } catch (error) {
        // It is decided: a record that went meanwhile needs no change, and one that came is there.
        if (!isRefusal(error)) throw toNumbered(error, index);
      }
    }
    await this.deps.leftovers.end(id);
    return versions;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof StoreError && error.code !== 'unavailable';
}
