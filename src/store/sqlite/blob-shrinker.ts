/**
 * Gives space back to the file system after deletions. Free pages are used again first: only where they are many, and
 * a good part of the file, and nobody wants to write, some are cut off at a time.
 */

import type { Database } from 'bun:sqlite';
import { isBusy, isStorageFault } from './faults.ts';

/** Pages that stay free for the next upload: 32 MiB. */
const FREE_PAGES_KEPT = 2048;
/** The file is cut while more than this part of it is free. */
const FREE_PART_MAX = 0.25;
/** Moved and cut in one step: some milliseconds. */
const STEP_PAGES = 128;
/** Between two steps, so that the disk stays free for others. */
const STEP_PAUSE_MS = 50;

export interface Shrinker {
  /** Something was deleted: look whether there is much to give back. */
  wake(): void;
  stop(): void;
}

/** `isIdle` tells whether nobody waits to write. */
export function createShrinker(database: Database, isIdle: () => boolean): Shrinker {
  const cut = database.prepare(`PRAGMA incremental_vacuum(${STEP_PAGES})`);
  let timer: ReturnType<typeof setTimeout> | null = null;
  let isStopped = false;

  const wake = (): void => {
    if (timer !== null || isStopped) return;
    timer = setTimeout(step, STEP_PAUSE_MS);
  };

  const step = (): void => {
    timer = null;
    try {
      if (isIdle()) {
        if (!hasMuchToGive(database)) return;
        // Each page is a row: all of them are asked for, or only the first page would be cut.
        cut.values();
      }
      wake();
    } catch (error) {
      // Another process writes, or the disk is full: the space is found free at the next deletion.
      if (!isBusy(error) && !isStorageFault(error)) throw error;
    }
  };

  return {
    wake,
    stop() {
      isStopped = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

function hasMuchToGive(database: Database): boolean {
  const free = readCount(database, 'freelist_count');
  return free > FREE_PAGES_KEPT && free > readCount(database, 'page_count') * FREE_PART_MAX;
}

function readCount(database: Database, name: 'freelist_count' | 'page_count'): number {
  return database.query<Record<string, number>, []>(`PRAGMA ${name}`).get()?.[name] ?? 0;
}
