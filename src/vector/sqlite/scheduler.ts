/**
 * The order of writes: what waits shares a transaction and its one sync (group commit), long work is cut into steps, and
 * what nobody waits for is done in between.
 *
 * The lock of another process is never waited for inside of SQLite: the attempt is repeated by a timer.
 */

import type { Database } from 'bun:sqlite';
import { isBusy, isStorageFault, toStoreError } from '../../store/sqlite/faults.ts';
import { createLockPacing } from '../../store/sqlite/lock-pacing.ts';
import { createWriteAheadLog } from '../../store/sqlite/write-ahead-log.ts';
import { StoreError } from '../../store/store.ts';

/** Work of one or more steps. Nothing that it remembers may depend on a step that was not committed. */
export interface Job {
  /** What one step writes, in bytes, roughly. */
  readonly weight: number;
  /**
   * The preparation reads what others may be about to change: such jobs share a transaction with their like only, or
   * they would not see what was accepted before them.
   */
  readonly isPlanned?: boolean;
  /** Before each step: computes what needs no lock. */
  prepare?(): void;
  /** One step, inside of a transaction. Answers whether there are more. Throws `StoreError` before any change to refuse. */
  apply(): boolean;
  /** After the last step is committed. */
  finish(): void;
  refuse(error: StoreError): void;
}

export interface Scheduler {
  enqueue(job: Job): void;
  /** There may be work in the background. */
  wake(): void;
  /** Calls back once nobody waits any more. Work in the background is left where it is. */
  end(callback: () => void): void;
  /** Whether nobody waits and nothing is left in the background. */
  isIdle(): boolean;
  getStatistics(): { transactions: number; lockWaits: number };
}

export interface SchedulerOptions {
  readonly database: Database;
  readonly lockWaitMs: number;
  /** The next step of work in the background, or null where there is none. */
  readonly nextInBackground: () => Job | null;
}

/** Bounds of one transaction: how long the file's lock is held. */
const JOBS_PER_TRANSACTION_MAX = 64;
const BYTES_PER_TRANSACTION_MAX = 4 * 1024 * 1024;
/** Turns of those who wait, after which the background has one. */
const TURNS_PER_BACKGROUND = 4;
/** Background work that fails, because the disk is full perhaps, is not tried again before. */
const BACKGROUND_PAUSE_MS = 5000;

interface Waiting {
  readonly job: Job;
  readonly sinceMs: number;
  /** Shares no transaction: it was in one that failed, and may have been the reason. */
  readonly isAlone: boolean;
  /** It has computed its next step, and only the lock was missing. */
  readonly isPrepared: boolean;
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { database, lockWaitMs } = options;
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const rollback = database.prepare('ROLLBACK');
  const log = createWriteAheadLog(database);
  const pacing = createLockPacing({ turnMs: 0, beginsWithTurn: false });

  let queue: Waiting[] = [];
  /** Taken from the background, and held up by another process's lock. */
  let background: Job | null = null;
  let mayHaveBackground = true;
  let timer: 'none' | 'immediate' | ReturnType<typeof setTimeout> = 'none';
  let turns = 0;
  let backgroundFromMs = 0;
  let onEnd: (() => void) | null = null;
  const done = { transactions: 0, lockWaits: 0 };

  const schedule = (delayMs: number): void => {
    if (timer === 'immediate') return;
    if (timer !== 'none') {
      if (delayMs > 0) return;
      clearTimeout(timer);
    }
    if (delayMs > 0) {
      timer = setTimeout(run, delayMs);
      return;
    }
    timer = 'immediate';
    setImmediate(run);
  };

  const run = (): void => {
    timer = 'none';
    const delayMs = takeTurn();
    if (onEnd !== null && queue.length === 0) {
      const callback = onEnd;
      onEnd = null;
      mayHaveBackground = false;
      callback();
      return;
    }
    if (queue.length > 0 || mayHaveBackground) schedule(delayMs);
  };

  /** Answers how long to pause afterwards. */
  const takeTurn = (): number => {
    const isBackgroundDue = mayHaveBackground && onEnd === null && performance.now() >= backgroundFromMs;
    if (isBackgroundDue && (queue.length === 0 || turns >= TURNS_PER_BACKGROUND)) {
      turns = 0;
      return takeBackgroundTurn();
    }
    turns += 1;
    if (queue.length > 0) return commitGroup(takeGroup());
    return Math.max(0, backgroundFromMs - performance.now());
  };

  const takeBackgroundTurn = (): number => {
    try {
      background ??= options.nextInBackground();
    } catch (error) {
      log.recordFault(error);
      backgroundFromMs = performance.now() + BACKGROUND_PAUSE_MS;
      return queue.length > 0 ? 0 : BACKGROUND_PAUSE_MS;
    }
    if (background === null) {
      mayHaveBackground = false;
      return 0;
    }
    const job = background;
    background = null;
    return commitGroup([{ job, sinceMs: Number.POSITIVE_INFINITY, isAlone: true, isPrepared: false }]);
  };

  const takeGroup = (): Waiting[] => {
    let count = 0;
    let weight = 0;
    const isPlanned = queue[0]?.job.isPlanned ?? false;
    for (const { job, isAlone } of queue) {
      if ((job.isPlanned ?? false) !== isPlanned) break;
      const isFull = count >= JOBS_PER_TRANSACTION_MAX || weight + job.weight > BYTES_PER_TRANSACTION_MAX;
      if (count > 0 && (isFull || isAlone)) break;
      count += 1;
      weight += job.weight;
      if (isAlone) break;
    }
    const group = queue.slice(0, count);
    queue = queue.slice(count);
    return group;
  };

  const commitGroup = (group: readonly Waiting[]): number => {
    const ready = group.filter(prepareJob);
    if (ready.length === 0) return 0;
    try {
      log.prepare();
      begin.run();
    } catch (error) {
      if (isBusy(error)) return waitForLock(ready);
      for (const one of ready) fail(one, toStoreError(error));
      return 0;
    }
    pacing.hold();
    runGroup(ready);
    log.keepBounded();
    return pacing.toPause(performance.now());
  };

  const prepareJob = (waiting: Waiting): boolean => {
    try {
      if (!waiting.isPrepared) waiting.job.prepare?.();
      return true;
    } catch (error) {
      fail(waiting, toStoreError(error));
      return false;
    }
  };

  /** Puts the jobs back; answers how long to wait for the next attempt. */
  const waitForLock = (group: readonly Waiting[]): number => {
    const nowMs = performance.now();
    done.lockWaits += 1;
    const isOverdue = ({ sinceMs }: Waiting) => nowMs - sinceMs >= lockWaitMs;
    const error = new StoreError('unavailable', 'Another process has held the index for too long.');
    for (const one of [...group, ...queue].filter(isOverdue)) one.job.refuse(error);
    const [first] = group;
    if (first?.sinceMs === Number.POSITIVE_INFINITY) background = first.job;
    else queue = [...group.map((one) => ({ ...one, isPrepared: true })), ...queue];
    queue = queue.filter((one) => !isOverdue(one));
    return pacing.meet(nowMs);
  };

  /** The lock is held; afterwards it is not. */
  const runGroup = (group: readonly Waiting[]): void => {
    const outcomes: (boolean | StoreError)[] = [];
    try {
      for (const { job } of group) outcomes.push(applyJob(job));
      commit.run();
    } catch (error) {
      if (database.inTransaction) rollback.run();
      log.recordFault(error);
      if (group.length === 1 || isStorageFault(error)) {
        for (const one of group) fail(one, toStoreError(error));
      } else {
        // Something is wrong with one of them: alone, each shows whether it was that one.
        queue = [...group.map((one) => ({ ...one, isAlone: true, isPrepared: false })), ...queue];
      }
      return;
    }
    done.transactions += 1;
    for (const [index, waiting] of group.entries()) settle(waiting, outcomes[index] ?? false);
  };

  const applyJob = (job: Job): boolean | StoreError => {
    try {
      return job.apply();
    } catch (error) {
      // A refusal, found before anything was changed; anything else ends the transaction.
      if (error instanceof StoreError) return error;
      throw error;
    }
  };

  const settle = (waiting: Waiting, outcome: boolean | StoreError): void => {
    if (outcome instanceof StoreError) waiting.job.refuse(outcome);
    else if (!outcome) waiting.job.finish();
    // What waits in the background asks for its next step itself.
    else if (waiting.sinceMs !== Number.POSITIVE_INFINITY) {
      queue.push({ job: waiting.job, sinceMs: performance.now(), isAlone: false, isPrepared: false });
    }
  };

  const fail = ({ job, sinceMs }: Waiting, error: StoreError): void => {
    if (sinceMs === Number.POSITIVE_INFINITY) backgroundFromMs = performance.now() + BACKGROUND_PAUSE_MS;
    job.refuse(error);
  };

  schedule(0);
  return {
    enqueue(job) {
      queue.push({ job, sinceMs: performance.now(), isAlone: false, isPrepared: false });
      schedule(0);
    },
    wake() {
      mayHaveBackground = true;
      schedule(0);
    },
    end(callback) {
      onEnd = callback;
      schedule(0);
    },
    isIdle: () => queue.length === 0 && !mayHaveBackground,
    getStatistics: () => ({ ...done }),
  };
}
