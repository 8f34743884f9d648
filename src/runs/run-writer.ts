/**
 * The one way in which a working run is written: compare-and-set on the run, with everything else of the same
 * moment in the same write. Whoever else moved the run (a cancel, a deleted thread) is noticed here.
 */

import type { Ports } from '../ports.ts';
import { StoreError, type Versioned, type Write } from '../store/store.ts';
import { RunInterruption } from './interruption.ts';
import { type RunRecord, toThreadScope } from './run-records.ts';
import { IllegalTransition, isLegal } from './run-state.ts';

/** A client can only make a writer lose by changing the run's metadata at the same moment, again and again. */
const SAVE_ATTEMPTS_MAX = 16;

export interface RunWriter {
  readonly tenant: string;
  /** The run as it was last read or written. */
  readonly run: RunRecord;
  /**
   * Changes the run and writes `rest` with it; all of it or nothing where the engine can, the run first in any case.
   * Errors: `RunInterruption` (`cancelled`, `gone`) when somebody else moved the run; `IllegalTransition`; `StoreError`.
   */
  save(change: Partial<RunRecord>, rest?: readonly Write[]): Promise<RunRecord>;
  /** Writes `rest` provided that the run is still there. Errors: `RunInterruption` (`gone`), `StoreError`. */
  saveParts(rest: readonly Write[]): Promise<void>;
  /** Reads the run again. Errors: `RunInterruption` (`gone`). */
  reload(): Promise<RunRecord>;
}

export function createRunWriter(
  deps: Pick<Ports, 'store'>,
  tenant: string,
  found: Versioned<RunRecord>,
): RunWriter {
  const { id, thread_id: threadId } = found.record;
  const scope = toThreadScope(tenant, threadId);
  let run = found.record;
  let version = found.version;

  const reload = async (): Promise<RunRecord> => {
    const current = await deps.store.get<RunRecord>('runs', scope, id);
    if (current === null) throw new RunInterruption('gone');
    run = current.record;
    version = current.version;
    return run;
  };

  const trySave = async (change: Partial<RunRecord>, rest: readonly Write[]): Promise<boolean> => {
    const writes: Write[] = [
      { kind: 'update', collection: 'runs', scope, id, change, ifVersion: version },
      ...rest,
    ];
    try {
      const [newVersion] = await deps.store.write(writes);
      version = newVersion ?? version + 1;
      run = { ...run, ...change };
      return true;
    } catch (error) {
      // A part that is gone while the run stood a moment ago: the thread is being deleted.
      if (error instanceof StoreError && error.code === 'not_found') throw new RunInterruption('gone');
      if (!(error instanceof StoreError) || error.code !== 'conflict' || error.index !== 0) throw error;
      return false;
    }
  };

  const save = async (change: Partial<RunRecord>, rest: readonly Write[] = []): Promise<RunRecord> => {
    for (let attempt = 0; attempt < SAVE_ATTEMPTS_MAX; attempt += 1) {
      const { status } = change;
      if (status !== undefined && status !== run.status && !isLegal(run.status, status)) {
        throw new IllegalTransition(run.status, status);
      }
      if (await trySave(change, rest)) return run;
      const { status: before, internal } = run;
      await reload();
      // Attempts count the processes that took the run: another one has it when they have grown.
      if (run.internal.attempts !== internal.attempts) throw new RunInterruption('gone');
      if (run.status === before) continue;
      throw new RunInterruption(run.status === 'cancelling' ? 'cancelled' : 'gone');
    }
    throw new StoreError('conflict', `run ${id} was changed by others ${SAVE_ATTEMPTS_MAX} times in a row`);
  };

  return {
    tenant,
    get run() {
      return run;
    },
    save,
    reload,
    async saveParts(rest) {
      try {
        await deps.store.write([{ kind: 'require', collection: 'runs', scope, id }, ...rest]);
      } catch (error) {
        if (error instanceof StoreError && error.code === 'not_found') throw new RunInterruption('gone');
        throw error;
      }
    },
  };
}
