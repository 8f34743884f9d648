/**
 * What the tests run as another process: `bun sqlite-child.ts TASK DIRECTORY …`. Each line on stdout is a
 * statement that the parent relies on: what is printed has happened.
 */

import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { createSqliteStore, DATABASE_FILE, type SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { type Scope, type StoredRecord, StoreError } from '../../src/store/store.ts';

export interface Counter extends StoredRecord {
  readonly count: number;
}

export const SHARED_SCOPE: Scope = Object.freeze({ tenant: 'shared', parent: 'thread_shared' });
export const COUNTER_ID = 'counter';
const RACES_MAX = 10_000;

const TASKS: Readonly<Record<string, (directory: string, argument: string) => Promise<void>>> = {
  /** Raises the shared counter and inserts a record, `argument` times, eight at a time. */
  raise: async (directory, argument) => {
    const store = await createSqliteStore({ directory });
    let left = Number(argument);
    const ids = createIds(systemClock);
    const work = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await raiseCounter(store);
        const id = ids.create('message');
        await store.insert('messages', SHARED_SCOPE, { id });
        console.log(id);
      }
    };
    await Promise.all(Array.from({ length: 8 }, work));
    await store.close();
  },

  /** Holds the write lock until stdin ends. */
  hold: async (directory) => {
    const database = new Database(join(directory, DATABASE_FILE));
    database.run('BEGIN IMMEDIATE');
    console.log('held');
    await Bun.stdin.text();
    database.run('ROLLBACK');
    database.close();
  },

  /** Opens the store and closes it. */
  open: async (directory) => {
    const store = await createSqliteStore({ directory });
    await store.ping();
    await store.close();
    console.log('opened');
  },

  /** Writes pairs without end, 16 at a time, and prints each number once its pair is acknowledged. */
  pairs: async (directory, argument) => {
    const store = await createSqliteStore({ directory });
    let next = Number(argument);
    const work = async (): Promise<void> => {
      for (;;) {
        const number = next;
        next += 1;
        await store.write([
          {
            kind: 'insert',
            collection: 'messages',
            scope: SHARED_SCOPE,
            record: { id: `first-${number}` },
            sortKey: `${number}`,
          },
          {
            kind: 'insert',
            collection: 'runs',
            scope: SHARED_SCOPE,
            record: { id: `second-${number}` },
            sortKey: `${number}`,
          },
        ]);
        console.log(number);
      }
    };
    await Promise.all(Array.from({ length: 16 }, work));
  },

  /** Inserts 20 KB records until the first is refused and tries 20 more; prints what became of each. */
  fill: async (directory) => {
    const store = await createSqliteStore({ directory });
    let refusals = 0;
    for (let number = 0; refusals < 20; number += 1) {
      const record = { id: `note-${number}`, text: 'x'.repeat(20_000) };
      const outcome = await store.insert('messages', SHARED_SCOPE, record).then(
        () => 'written',
        (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
      );
      if (outcome !== 'written' || refusals > 0) refusals += 1;
      console.log(`${number} ${outcome}`);
    }
    console.log(`read ${(await store.get('messages', SHARED_SCOPE, 'note-0'))?.record.id}`);
    await store.close();
  },
};

async function raiseCounter(store: SqliteStore): Promise<void> {
  for (let races = 0; races < RACES_MAX; races += 1) {
    const found = await store.get<Counter>('messages', SHARED_SCOPE, COUNTER_ID);
    if (found === null) throw new Error('The counter is missing.');
    try {
      const change = { count: found.record.count + 1 };
      await store.update<Counter>('messages', SHARED_SCOPE, COUNTER_ID, change, { ifVersion: found.version });
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'conflict') throw error;
    }
  }
  throw new Error(`${RACES_MAX} lost races.`);
}

if (import.meta.main) {
  const [, , task = '', directory = '', argument = ''] = process.argv;
  const run = TASKS[task];
  if (run === undefined) throw new Error(`There is no task '${task}'.`);
  await run(directory, argument);
}
