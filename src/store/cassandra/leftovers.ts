/** Writes of several records that others have under way, or have left behind: waited for, and ended where nobody does. */

import { type Log, toLogFields } from '../../log.ts';
import { StoreError } from '../store.ts';
import { toLastNote } from './conditional.ts';
import type { DecidedStep, Journal, Note } from './journal.ts';
import { toIdentity } from './plan.ts';
import type { Records } from './records.ts';
import type { FoundRecord, RowPlace } from './rows.ts';
import { StepRunner } from './steps.ts';

export interface LeftoversDeps {
  readonly records: Records;
  readonly journal: Journal;
  readonly log?: Pick<Log, 'warn'>;
  /** How long a note must have been seen to count as left behind. */
  readonly abandonedMs?: number;
}

/** How long a writer waits for another one before it ends the other's write itself. */
const WAIT_MS = 3_000;
const POLL_MS = 20;
/** A note that has been there for so long has been left behind. Seen by one's own clock: those of others may differ. */
const ABANDONED_MS = 15_000;
/** Ended ones that are remembered. */
const ENDED_MAX = 10_000;

export class Leftovers {
  readonly runner: StepRunner;
  /** Notes of others, and since when they have been seen, in milliseconds of `performance.now`. */
  private readonly seen = new Map<string, number>();
  /** What is known to be at an end. */
  private readonly ended = new Set<string>();

  constructor(private readonly deps: LeftoversDeps) {
    this.runner = new StepRunner(
      deps.records,
      (id, place) => this.settleLock(id, place),
      (found) => this.settleLast(found),
    );
  }

  /** Waits for whoever holds a record; ends it where that takes too long. */
  async settleLock(id: string, place: RowPlace): Promise<void> {
    await this.settle(id);
    // Whoever was ended before it held the record may have taken it nevertheless, and died.
    await this.deps.records.release({ place, isAliased: false, becomes: 'keep' }, id);
  }

  /** Ends what belongs to the last write of a record. False where there was nothing: what was found still stands. */
  async settleLast({ writers }: FoundRecord): Promise<boolean> {
    const id = toLastNote(writers);
    return id === null || this.ended.has(id) ? false : await this.settle(id);
  }

  /** Forgets what has been done. */
  async end(id: string): Promise<void> {
    await this.deps.journal.remove(id);
    this.remember(id);
  }

  /** Ends a write in the place of whoever began it: does what is decided, and nothing where nothing is. */
  async endDead(note: Note): Promise<void> {
    const { id, steps } = note;
    if (await this.isDecided(note)) await this.redo(steps, id);
    else {
      for (const one of steps) {
        if ('held' in one) await this.deps.records.release({ ...one.held, becomes: 'keep' }, id);
      }
    }
    await this.end(id);
  }

  /** Looks for what others have left behind. */
  async sweep(): Promise<void> {
    const notes = await this.deps.journal.list();
    const present = new Set(notes.map(({ id }) => id));
    for (const id of this.seen.keys()) if (!present.has(id)) this.seen.delete(id);
    for (const note of notes) if (this.isAbandoned(note.id)) await this.endDead(note);
  }

  private isAbandoned(id: string): boolean {
    const since = this.seen.get(id);
    if (since === undefined) this.seen.set(id, performance.now());
    return since !== undefined && performance.now() - since > (this.deps.abandonedMs ?? ABANDONED_MS);
  }

  /** Answers whether there was anything to wait for. */
  private async settle(id: string): Promise<boolean> {
    const { journal } = this.deps;
    const deadline = performance.now() + WAIT_MS;
    let isOpen = await journal.has(id);
    const wasOpen = isOpen;
    while (isOpen && performance.now() < deadline) {
      await Bun.sleep(POLL_MS);
      isOpen = await journal.has(id);
    }
    const note = isOpen ? await journal.find(id) : null;
    if (note !== null) await this.endDead(note);
    this.remember(id);
    return wasOpen;
  }

  /** From here on nobody can decide it otherwise. */
  private async isDecided({ id, decidedBy }: Note): Promise<boolean> {
    if (decidedBy === 'noted') return true;
    if (decidedBy === 'verdict') return (await this.deps.journal.decide(id, 'aborted')) === 'committed';
    return await this.deps.records.isDecided(decidedBy, id);
  }

  /** Makes what is left, each step only where it meets what it met when it was decided. */
  private async redo(steps: readonly DecidedStep[], id: string): Promise<void> {
    const { records } = this.deps;
    for (const one of steps) {
      if ('held' in one) {
        await records.release(one.held, id);
        continue;
      }
      const { step, seen } = one;
      try {
        if (step.kind !== 'insert') {
          const found = await records.find(step.key, step.id);
          if (found === null || toIdentity(found) !== seen) continue;
        }
        await this.runner.run(step, new Map());
      } catch (error) {
        // What is there already, or gone by now, was done by whoever decided it.
        if (!(error instanceof StoreError) || error.code === 'unavailable') throw error;
        this.deps.log?.warn('a noted write was not needed', toLogFields(error));
      }
    }
  }

  private remember(id: string): void {
    this.ended.add(id);
    const oldest = this.ended.values().next();
    if (this.ended.size > ENDED_MAX && !oldest.done) this.ended.delete(oldest.value);
  }
}
