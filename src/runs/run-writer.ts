/**
 * The one way in which a working run is written. The lease is its fence: whatever is written of the run, its steps or
 * its messages is refused once another process has claimed it, and the run itself changes by compare-and-set. So whoever
 * else moved the run (a cancel, a takeover, a deleted thread) is noticed here.
 */

import type { Ports } from '../ports.ts';
import { StoreError, type Versioned, type Write } from '../store/store.ts';
import { RunInterruption } from './interruption.ts';
import { toLeaseCheck } from './leases.ts';
import { type RunRecord, toThreadScope } from './run-records.ts';
import { IllegalTransition, isLegal } from './run-state.ts';

/** A client can only make a writer lose by changing the run's metadata at the same moment, again and again. */
const SAVE_ATTEMPTS_MAX = 16;

/** What is written together with a change of the run. */
export interface RunParts {
  /**
   * What is to be seen no later than the change: steps and messages as they are at last, a thread that is free. Updates and
   * deletions only, so that they can be repeated.
   */
  readonly before?: readonly Write[];
  /** What follows from it: the lease is gone. */
  readonly after?: readonly Write[];
}

export interface RunWriter {
  readonly tenant: string;
  /** The run as it was last read or written. */
  readonly run: RunRecord;
  /**
   * Changes the run, with its parts: all of it or nothing where the engine can, in the order of `before`, run, `after`
   * in any case.
   * Errors: `RunInterruption` (`cancelled`, `gone`) when somebody else moved the run; `IllegalTransition`; `StoreError`.
   */
  save(change: Partial<RunRecord>, parts?: RunParts): Promise<RunRecord>;
  /** Writes steps and messages, provided that the run is still this process's. Errors: `RunInterruption` (`gone`), `StoreError`. */
  saveParts(parts: readonly Write[]): Promise<void>;
  /** Reads the run again. Errors: `RunInterruption` (`gone`). */
  reload(): Promise<RunRecord>;
}

/** `owner` is this process, as the run's lease names it. */
export function createRunWriter(
  deps: Pick<Ports, 'store'>,
  owner: string,
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

  const trySave = async (change: Partial<RunRecord>, parts: RunParts): Promise<boolean> => {
    const { before = [], after = [] } = parts;
    const update: Write = { kind: 'update', collection: 'runs', scope, id, change, ifVersion: version };
    const checked = before.length === 0 ? [] : [toLeaseCheck(id, owner), ...before];
    try {
      const versions = await deps.store.write([...checked, update, ...after]);
      version = versions[checked.length] ?? version + 1;
      run = { ...run, ...change };
      return true;
    } catch (error) {
      if (error instanceof StoreError && error.code === 'conflict' && error.index === checked.length) {
        return false;
      }
      throw toInterruption(error, checked.length > 0);
    }
  };

  const save = async (change: Partial<RunRecord>, parts: RunParts = {}): Promise<RunRecord> => {
    for (let attempt = 0; attempt < SAVE_ATTEMPTS_MAX; attempt += 1) {
      const { status } = change;
      if (status !== undefined && status !== run.status && !isLegal(run.status, status)) {
        throw new IllegalTransition(run.status, status);
      }
      if (await trySave(change, parts)) return run;
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
    async saveParts(parts) {
      try {
        await deps.store.write([toLeaseCheck(id, owner), ...parts]);
      } catch (error) {
        throw toInterruption(error, true);
      }
    },
  };
}

/** `isChecked`: the first of the writes was the check of the lease. */
function toInterruption(error: unknown, isChecked: boolean): unknown {
  if (!(error instanceof StoreError)) return error;
  // A part that is gone while the run stood a moment ago: the thread is being deleted. Or the lease is gone, or another's.
  const isGone = error.code === 'not_found' || (isChecked && error.code === 'conflict' && error.index === 0);
  return isGone ? new RunInterruption('gone') : error;
}
