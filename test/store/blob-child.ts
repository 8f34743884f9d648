/**
 * What the tests of blobs run as another process: `bun blob-child.ts TASK DIRECTORY …`. Each line on stdout is a
 * statement that the parent relies on: what is printed has happened.
 */

import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { BLOB_FILE, createSqliteBlobStore } from '../../src/store/sqlite/blob-store.ts';
import { StoreError } from '../../src/store/store.ts';

const PIECE_BYTES = 40_000;

/** Every byte of a piece says which it is. */
export function makePiece(number: number): Uint8Array {
  return new Uint8Array(PIECE_BYTES).fill(number % 251);
}

export function isPiece(piece: Uint8Array | null, number: number): boolean {
  return piece !== null && piece.length === PIECE_BYTES && piece.every((byte) => byte === number % 251);
}

const TASKS: Readonly<Record<string, (directory: string, argument: string) => Promise<void>>> = {
  /** Writes pieces of the blob `argument` without end, eight at a time, and prints each number once it is acknowledged. */
  write: async (directory, argument) => {
    const blobs = await createSqliteBlobStore({ directory });
    let next = 0;
    const work = async (): Promise<void> => {
      for (;;) {
        const number = next;
        next += 1;
        await blobs.putPiece('t', argument, number, makePiece(number));
        console.log(number);
      }
    };
    await Promise.all(Array.from({ length: 8 }, work));
  },

  /** Writes 100 pieces of the blob `argument`, four at a time, and ends. */
  hundred: async (directory, argument) => {
    const blobs = await createSqliteBlobStore({ directory });
    for (let at = 0; at < 100; at += 4) {
      await Promise.all(
        Array.from({ length: 4 }, (_, i) => blobs.putPiece('t', argument, at + i, makePiece(at + i))),
      );
    }
    await blobs.close();
    console.log('written');
  },

  /** Holds the write lock until stdin ends. */
  hold: async (directory) => {
    const database = new Database(join(directory, BLOB_FILE));
    database.run('BEGIN IMMEDIATE');
    console.log('held');
    await Bun.stdin.text();
    database.run('ROLLBACK');
    database.close();
  },

  /** Opens the store and closes it. */
  open: async (directory) => {
    const blobs = await createSqliteBlobStore({ directory });
    await blobs.getPiece('t', 'b', 0);
    await blobs.close();
    console.log('opened');
  },

  /** Writes pieces until the first is refused and tries 10 more; prints what became of each. */
  fill: async (directory) => {
    const blobs = await createSqliteBlobStore({ directory });
    let refusals = 0;
    for (let number = 0; refusals < 10; number += 1) {
      const outcome = await blobs.putPiece('t', 'b', number, makePiece(number)).then(
        () => 'written',
        (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
      );
      if (outcome !== 'written' || refusals > 0) refusals += 1;
      console.log(`${number} ${outcome}`);
    }
    console.log(`read ${isPiece(await blobs.getPiece('t', 'b', 0), 0)}`);
    await blobs.close();
  },
};

if (import.meta.main) {
  const [, , task = '', directory = '', argument = ''] = process.argv;
  const run = TASKS[task];
  if (run === undefined) throw new Error(`There is no task '${task}'.`);
  await run(directory, argument);
}
