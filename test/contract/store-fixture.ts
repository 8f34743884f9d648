/** What every case of the store's contract begins with. */

import { afterAll, beforeAll, expect } from 'bun:test';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import {
  type Page,
  type PageRequest,
  type Scope,
  type Store,
  type StoredRecord,
  StoreError,
  type StoreErrorCode,
  type Where,
} from '../../src/store/store.ts';

/** One engine's store over storage of its own. */
export interface OpenedStore {
  readonly store: Store;
  /** Opens the same storage again, after the first store has been closed. */
  reopen(): Promise<Store>;
  /** Closes what is open and removes the storage. */
  close(): Promise<void>;
}

export type OpenStore = () => Promise<OpenedStore>;

/** The record of most cases: some fields of each sort. */
export interface Note extends StoredRecord {
  readonly text?: string;
  readonly number?: number;
  readonly run_id?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface Fixture {
  /** Shared by the cases of one group, which is why each takes a tenant of its own. */
  readonly store: Store;
  newTenant(): string;
  /** A list that nobody else writes to. */
  newScope(): Scope;
  newId(): string;
  newNotes(count: number, fields?: Partial<Note>): Note[];
}

/** Opens one store for a group of cases and closes it behind them. Call it inside of `describe`. */
export function useStore(open: OpenStore): Fixture {
  const ids = createIds(systemClock);
  let opened: OpenedStore | null = null;
  let tenants = 0;
  beforeAll(async () => {
    opened = await open();
  });
  afterAll(async () => {
    await opened?.close();
  });
  const newTenant = (): string => {
    tenants += 1;
    return `tenant-${tenants}-${ids.create('request')}`;
  };
  return {
    get store() {
      if (opened === null) throw new Error('The store is used before it is open.');
      return opened.store;
    },
    newTenant,
    newScope: () => ({ tenant: newTenant(), parent: ids.create('thread') }),
    newId: () => ids.create('message'),
    newNotes: (count, fields = {}) =>
      Array.from({ length: count }, (_, number) => ({ id: ids.create('message'), number, ...fields })),
  };
}

/**
 * Expects a call to be refused with this code, and answers the error. Not `expect(call).rejects`: in Bun 1.4 that
 * never settles when the test has come here by a message of a worker (oven-sh/bun#37189).
 */
export async function expectRefusal(call: Promise<unknown>, code: StoreErrorCode): Promise<StoreError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof StoreError))
    throw new Error(`Expected the refusal '${code}', got ${String(error)}.`);
  expect(error.code).toBe(code);
  return error;
}

export async function insertAll(store: Store, scope: Scope, notes: readonly Note[]): Promise<void> {
  for (const note of notes) await store.insert('messages', scope, note);
}

export function toRecordIds(page: Page<StoredRecord>): string[] {
  return page.items.map((item) => item.record.id);
}

/** All ids of a list, page by page. `pagesMax` keeps a wrong cursor from walking for ever. */
export async function walk(
  store: Store,
  scope: Scope,
  order: PageRequest['order'],
  options: {
    limit?: number;
    where?: Where;
    onPage?: (ids: readonly string[]) => Promise<void>;
    pagesMax?: number;
  } = {},
): Promise<string[]> {
  const { limit = 7, where, onPage, pagesMax = 500 } = options;
  const seen: string[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < pagesMax; pages += 1) {
    const page = await store.list(
      'messages',
      scope,
      { limit, order, ...(after === undefined ? {} : { after }) },
      where,
    );
    const ids = toRecordIds(page);
    seen.push(...ids);
    await onPage?.(ids);
    after = ids.at(-1);
    if (!page.hasMore) return seen;
  }
  throw new Error(`The walk does not end within ${pagesMax} pages.`);
}
