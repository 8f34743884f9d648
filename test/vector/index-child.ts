/**
 * What the tests run as another process: `bun index-child.ts TASK DIRECTORY ARGUMENT`. Each line on stdout is a statement
 * that the parent relies on: what is printed has happened.
 */

import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { createSqliteVectorIndex, INDEX_FILE } from '../../src/vector/sqlite/sqlite-vector-index.ts';
import type { IndexScope, NewChunk } from '../../src/vector/vector-index.ts';
import { toChunk, toVector } from '../contract/vector-index-fixture.ts';

export const SHARED_SCOPE: IndexScope = Object.freeze({ tenant: 'shared', store: 'vs_shared' });
/** Files that the child writes again and again. */
export const FILES = 6;
const BATCH = 100;

/** How many chunks a version of a file has: all sizes from a handful to several pieces. */
export function toSize(round: number): number {
  return 5 + ((round * 197) % 900);
}

/** Each chunk of a version has the version's word, and one of its own. */
export function toVersion(file: string, round: number): NewChunk[] {
  return Array.from({ length: toSize(round) }, (_, position) =>
    toChunk(position, `all ${file} r${round} p${position}`, toVector(1, position, round, 3)),
  );
}

async function stageRest(
  index: Awaited<ReturnType<typeof createSqliteVectorIndex>>,
  file: string,
  round: number,
): Promise<void> {
  const ingest = `attempt-${round}`;
  const chunks = toVersion(file, round);
  // As an ingest does that goes on after a crash.
  const kept = await index.countStaged(SHARED_SCOPE, file, ingest);
  for (let from = kept; from < chunks.length; from += BATCH) {
    await index.stageChunks(SHARED_SCOPE, file, ingest, chunks.slice(from, from + BATCH));
  }
}

const TASKS: Readonly<Record<string, (directory: string, argument: string) => Promise<void>>> = {
  /** Publishes versions without end, from this round on, several files side by side; tells each that is acknowledged. */
  publish: async (directory, argument) => {
    const index = await createSqliteVectorIndex({ directory });
    let next = Number(argument);
    const work = async (): Promise<void> => {
      for (;;) {
        const round = next;
        next += 1;
        const file = `file-${round % FILES}`;
        await stageRest(index, file, round);
        const entry = { file, attributes: { round }, languages: ['en'] };
        const { chunks } = await index.publishFile(SHARED_SCOPE, entry, `attempt-${round}`);
        console.log(`${file} ${round} ${chunks}`);
      }
    };
    // Two at a time, never the same file.
    await Promise.all([work(), work()]);
  },

  /** Publishes so many files of one chunk. */
  small: async (directory, argument) => {
    const index = await createSqliteVectorIndex({ directory });
    for (let number = 0; number < Number(argument); number += 1) {
      const file = `small-${process.pid}-${number}`;
      await index.stageChunks(SHARED_SCOPE, file, 'first', [
        toChunk(0, `all n${number}`, toVector(1, number, 2, 3)),
      ]);
      await index.publishFile(SHARED_SCOPE, { file, attributes: {}, languages: ['en'] }, 'first');
      console.log(file);
    }
    await index.close();
  },

  /** Begins to remove a store, and says so once it is hidden. */
  remove: async (directory) => {
    const index = await createSqliteVectorIndex({ directory });
    const removal = index.removeStore(SHARED_SCOPE);
    for (let isHidden = false; !isHidden; ) isHidden = (await index.describe(SHARED_SCOPE)).chunks === 0;
    console.log('hidden');
    await removal;
    console.log('freed');
    await index.close();
  },

  /** Holds the write lock until stdin ends. */
  hold: async (directory) => {
    const database = new Database(join(directory, INDEX_FILE));
    database.run('BEGIN IMMEDIATE');
    console.log('held');
    await Bun.stdin.text();
    database.run('ROLLBACK');
    database.close();
  },
};

if (import.meta.main) {
  const [, , task = '', directory = '', argument = ''] = process.argv;
  const run = TASKS[task];
  if (run === undefined) throw new Error(`There is no task '${task}'.`);
  await run(directory, argument);
}
