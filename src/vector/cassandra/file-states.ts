/**
 * What can be found, and what is on its way: the rows of `index_files`, changed by compare-and-set. Row and counts of the
 * store lie in one partition and change in one conditional batch, so that counts are those of the rows at every moment,
 * and a change whose outcome is not known is made once: whoever tries again reads the row first.
 */

import { type CqlSession, UnknownOutcome } from '../../cassandra/session.ts';
import type { Clock } from '../../clock.ts';
import { StoreError } from '../../store/store.ts';
import type { IndexScope } from '../vector-index.ts';
import { toTextOrNull } from './columns.ts';
import { type Change, toForgetting, toNextRevision, toStatements } from './state-changes.ts';
import {
  FILE_COLUMNS,
  PLACE,
  type Revision,
  STORE_COLUMNS,
  type State,
  type StoreState,
  toFileState,
  toKey,
  toPlace,
  toStoreState,
} from './state-rows.ts';
import type { Turns } from './turns.ts';

export interface FileStates {
  read(scope: IndexScope, file: string): Promise<State>;
  /** The store's counts alone. */
  readStore(scope: IndexScope): Promise<StoreState>;
  readRevision(scope: IndexScope): Promise<Revision>;
  /**
   * Decides by what is there, and changes it unless somebody else was faster: then `decide` is asked again. Answers the
   * state that was decided by. `null`: nothing is to be done. Errors: `unavailable`; those of `decide`.
   */
  change(scope: IndexScope, file: string, decide: (state: State) => Promise<Change | null>): Promise<State>;
  /** Hides the whole store. Answers whether anything is there. */
  hideStore(scope: IndexScope): Promise<boolean>;
  /** Ends a removal: rows of files first, then the store itself. Nothing happens where it is not hidden. */
  forgetStore(scope: IndexScope): Promise<void>;
}

/** Servers that publish into one store at the same moment; each try takes some milliseconds. */
const TRIES_MAX = 100;
const WAIT_MAX_MS = 100;

const FILES_PER_WRITE = 100;

export function createFileStates(deps: {
  readonly session: CqlSession;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly turns: Turns;
}): FileStates {
  const { session, clock, turns } = deps;

  const readStore = async (scope: IndexScope, isSettled = false): Promise<StoreState> => {
    const statement = {
      cql: `SELECT DISTINCT tenant, store, ${STORE_COLUMNS} FROM index_files ${PLACE}`,
      values: toPlace(scope),
    };
    const [row] = await (isSettled ? session.readSettled(statement) : session.read(statement));
    return toStoreState(row);
  };

  const read = async (scope: IndexScope, file: string, isSettled = false): Promise<State> => {
    const statement = {
      cql: `SELECT ${STORE_COLUMNS}, ${FILE_COLUMNS} FROM index_files ${PLACE} AND file = ?`,
      values: [...toPlace(scope), file],
    };
    const [row] = await (isSettled ? session.readSettled(statement) : session.read(statement));
    // Without the file's row nothing comes, not even what is known of the store.
    if (row === undefined)
      return { store: await readStore(scope, isSettled), file: { staged: null, published: null } };
    return { store: toStoreState(row), file: toFileState(row) };
  };

  /** Tries until nobody else was faster. */
  const repeat = async <T>(
    attempt: (isSettled: boolean) => Promise<{ readonly value: T } | null>,
  ): Promise<T> => {
    let isSettled = false;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      try {
        const done = await attempt(isSettled);
        if (done !== null) return done.value;
      } catch (error) {
        if (!(error instanceof UnknownOutcome)) throw error;
      }
      // What the next try reads must not come to pass afterwards.
      isSettled = true;
      await Bun.sleep(Math.random() * Math.min(WAIT_MAX_MS, 2 ** Math.min(tries, 10)));
    }
    throw new StoreError('unavailable', 'Too many servers change the vector store at the same moment.');
  };

  return {
    read: (scope, file) => read(scope, file),
    readStore: (scope) => readStore(scope),

    async readRevision(scope) {
      const [row] = await session.read({
        cql: `SELECT DISTINCT tenant, store, revision, removals, is_removing FROM index_files ${PLACE}`,
        values: toPlace(scope),
      });
      return toStoreState(row);
    },

    // In this process one after the other: each would only make the next one try again.
    change: (scope, file, decide) =>
      turns.alone(`change ${toKey(scope)}`, () =>
        repeat(async (isSettled) => {
          const state = await read(scope, file, isSettled);
          const change = await decide(state);
          if (change === null) return { value: state };
          const { isApplied } = await session.applyTogether(
            toStatements(scope, file, state, change, clock.nowMs()),
          );
          return isApplied ? { value: state } : null;
        }),
      ),

    hideStore: (scope) =>
      repeat(async (isSettled) => {
        const { revision, isRemoving } = await readStore(scope, isSettled);
        if (isRemoving) return { value: true };
        // Also of a store that only ever had a removal's remains.
        if (revision === null) return { value: false };
        const next = toNextRevision(revision, clock.nowMs());
        const { isApplied } = await session.apply({
          cql: `UPDATE index_files SET is_removing = true, revision = ?, removals = ? ${PLACE} IF revision = ?`,
          values: [next, next, ...toPlace(scope), revision],
        });
        return isApplied ? { value: true } : null;
      }),

    async forgetStore(scope) {
      const rows = { cql: `SELECT file FROM index_files ${PLACE}`, values: toPlace(scope) };
      for await (const page of session.readPages(rows, FILES_PER_WRITE)) {
        const files = page.flatMap((row) => toTextOrNull(row.file) ?? []);
        await repeat(async () => {
          await session.applyTogether(toForgetting(scope, files));
          return { value: undefined };
        });
      }
      await repeat(async () => {
        await session.apply({
          cql: `DELETE ${STORE_COLUMNS} FROM index_files ${PLACE} IF is_removing = true`,
          values: toPlace(scope),
        });
        return { value: undefined };
      });
    },
  };
}
