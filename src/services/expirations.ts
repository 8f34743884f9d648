/**
 * What ends by itself: one record each, in the order of the time at which it is due, so that looking for what is due
 * reads nothing else. Everything that expires checks its own time, too: this only cleans up.
 */

import { type Log, toLogFields } from '../log.ts';
import type { Ports } from '../ports.ts';
import { SYSTEM_TENANT } from '../store/collections.ts';
import { toSortKey } from '../store/sort-keys.ts';
import { type Scope, type StoredRecord, StoreError, type Versioned, type Write } from '../store/store.ts';

export type ExpirationKind = 'file' | 'upload' | 'vector_store';

/** Its id is that of what expires. Scope: the system's. */
export interface ExpirationRecord extends StoredRecord {
  readonly tenant: string;
  readonly kind: ExpirationKind;
  /** Milliseconds since the epoch. */
  readonly due_ms: number;
}

/**
 * Ends what is due. Answers null where it is at an end or not there any more, or the time, in milliseconds since the
 * epoch, at which it is due again. Several processes may call it for one object at once.
 */
export type ExpirationHandler = (tenant: string, id: string) => Promise<number | null>;
export type ExpirationHandlers = Readonly<Record<ExpirationKind, ExpirationHandler>>;

export const EXPIRATION_SWEEP_MS = 5_000;
const EXPIRATION_SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });
/** Read at once, and ended by one sweep before it looks again. */
const PAGE = 100;
/** Pages that one sweep works through; what is left is due at the next. */
const PAGES_MAX = 100;

export function toExpirationInsert(tenant: string, kind: ExpirationKind, id: string, dueMs: number): Write {
  const record: ExpirationRecord = { id, tenant, kind, due_ms: dueMs };
  return {
    kind: 'insert',
    collection: 'expirations',
    scope: EXPIRATION_SCOPE,
    record,
    sortKey: toSortKey(dueMs),
  };
}

/** No error where there is none. */
export function toExpirationDelete(id: string): Write {
  return { kind: 'delete', collection: 'expirations', scope: EXPIRATION_SCOPE, id };
}

/** Another time, whether or not there was one. */
export function toExpirationMove(tenant: string, kind: ExpirationKind, id: string, dueMs: number): Write[] {
  return [toExpirationDelete(id), toExpirationInsert(tenant, kind, id, dueMs)];
}

type SweepDeps = Pick<Ports, 'store' | 'clock'> & { readonly log: Log };

/** Ends everything that is due, each on its own: one that fails is logged, and due again at the next sweep. Answers how many ended. */
export async function sweepExpirations(deps: SweepDeps, handlers: ExpirationHandlers): Promise<number> {
  let ended = 0;
  let after: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const found = await deps.store
      .list<ExpirationRecord>('expirations', EXPIRATION_SCOPE, {
        limit: PAGE,
        order: 'asc',
        ...(after === undefined ? {} : { after }),
      })
      .catch(ignoreGoneCursor);
    if (found === null) return ended;
    const due = found.items.filter(({ record }) => record.due_ms <= deps.clock.nowMs());
    for (const expiration of due) {
      if (await endOne(deps, handlers, expiration)) ended += 1;
      // It is still in the list: the next page begins behind it.
      else after = expiration.record.id;
    }
    if (due.length < PAGE) return ended;
  }
  return ended;
}

/** Another process has ended the record at which the walk stood: the next sweep sees the rest. */
function ignoreGoneCursor(error: unknown): null {
  if (error instanceof StoreError && error.code === 'unknown_cursor') return null;
  throw error;
}

/** Answers whether its record has gone from where it stood. */
async function endOne(
  deps: SweepDeps,
  handlers: ExpirationHandlers,
  { record, version }: Versioned<ExpirationRecord>,
): Promise<boolean> {
  const { id, tenant, kind } = record;
  try {
    const next = await handlers[kind](tenant, id);
    const remove: Write = {
      kind: 'delete',
      collection: 'expirations',
      scope: EXPIRATION_SCOPE,
      id,
      ifVersion: version,
    };
    await deps.store.write(next === null ? [remove] : [remove, toExpirationInsert(tenant, kind, id, next)]);
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'conflict') return true;
    deps.log.warn('not expired', { kind, id, ...toLogFields(error) });
    return false;
  }
}
