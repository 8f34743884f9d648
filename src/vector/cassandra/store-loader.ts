/** Keeps the files of stores in memory, and brings them up to date before each search: a search sees what was published before it. */

import type { CqlRow, CqlSession } from '../../cassandra/session.ts';
import type { IndexScope } from '../vector-index.ts';
import type { FileStates } from './file-states.ts';
import {
  advanceLoadedStore,
  createLoadedStore,
  LOADED_COLUMNS,
  type LoadedStore,
  toLoadedFile,
} from './loaded-store.ts';
import { type Revision, toKey } from './state-rows.ts';
import type { Turns } from './turns.ts';

export interface StoreLoader {
  /** The store as it is now; null where nothing of it can be found. */
  load(scope: IndexScope): Promise<LoadedStore | null>;
  /** The store as it was when it was loaded last; null where it is not in memory. */
  peek(scope: IndexScope): LoadedStore | null;
}

/** Files in memory, of all stores; each takes some hundred bytes. */
export const LOADED_FILES_DEFAULT = 200_000;
const PAGE_ROWS = 1000;

export function createStoreLoader(deps: {
  readonly session: CqlSession;
  readonly states: Pick<FileStates, 'readStore' | 'readRevision'>;
  readonly turns: Turns;
  readonly loadedFilesMax: number;
}): StoreLoader {
  const { session, states, turns, loadedFilesMax } = deps;
  const loaded = new Map<string, LoadedStore>();

  /** The store that was used last is last. */
  const keep = (key: string, store: LoadedStore): LoadedStore => {
    loaded.delete(key);
    loaded.set(key, store);
    let files = 0;
    for (const one of loaded.values()) files += one.files.length;
    for (const [oldest, one] of loaded) {
      if (files <= loadedFilesMax || oldest === key) break;
      loaded.delete(oldest);
      files -= one.files.length;
    }
    return store;
  };

  const readFiles = async (scope: IndexScope, after: number | null) => {
    const cql = `SELECT ${LOADED_COLUMNS} FROM index_files WHERE tenant = ? AND store = ?`;
    const statement =
      after === null
        ? { cql, values: [scope.tenant, scope.store] }
        : // Inside of one partition, of which the server reads the rows and sends the few that have changed.
          { cql: `${cql} AND changed > ? ALLOW FILTERING`, values: [scope.tenant, scope.store, after] };
    const rows: CqlRow[] = [];
    for await (const page of session.readPages(statement, PAGE_ROWS)) rows.push(...page);
    return rows.flatMap((row) => toLoadedFile(row) ?? []);
  };

  const refresh = async (scope: IndexScope, key: string): Promise<LoadedStore | null> => {
    const state = await states.readStore(scope);
    if (!isThere(state)) {
      loaded.delete(key);
      return null;
    }
    const before = loaded.get(key);
    const revision = state.revision ?? 0;
    if (before?.revision === revision) return keep(key, before);
    // A store that was removed and made again, by a server whose clock is behind, may have a lesser one.
    if (before !== undefined && before.revision < revision && state.removals <= before.revision) {
      const next = advanceLoadedStore(before, state, await readFiles(scope, before.revision));
      if (next !== null) return keep(key, next);
    }
    return keep(key, createLoadedStore(state, await readFiles(scope, null)));
  };

  return {
    async load(scope) {
      const key = toKey(scope);
      const state = await states.readRevision(scope);
      const known = loaded.get(key);
      if (known !== undefined && known.revision === state.revision && isThere(state)) return keep(key, known);
      // One refresh serves those who wait: they find what it has made.
      return await turns.alone(`load ${key}`, () => refresh(scope, key));
    },
    peek: (scope) => loaded.get(toKey(scope)) ?? null,
  };
}

export function isThere({ revision, isRemoving }: Revision): boolean {
  return revision !== null && !isRemoving;
}
