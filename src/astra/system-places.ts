/**
 * In whose database a record of the server itself lies: leases and notes have the scope of the system, not of a tenant, and
 * several databases have such records. The ids say nothing of it, so what was seen is remembered, and the open databases are asked
 * about the rest.
 */

import { type CollectionName, SYSTEM_TENANT } from '../store/collections.ts';
import { type Scope, type StoredRecord, StoreError, type Write } from '../store/store.ts';
import type { TenantSessions } from './tenant-sessions.ts';

/** The system's scope, as callers write it who know whom a record is about: nobody has to be asked then. */
export interface SystemScope extends Scope {
  readonly of?: string;
}

/** The tenant that a scope names; null for the system's without one. */
export function readScope(scope: SystemScope): string | null {
  return scope.tenant === SYSTEM_TENANT ? (scope.of ?? null) : scope.tenant;
}

export interface SystemPlaces {
  remember(tenant: string, collection: CollectionName, id: string): void;
  /** What writes that were made say of places. */
  rememberWrites(tenant: string, writes: readonly Write[]): void;
  forget(tenant: string, collection: CollectionName, id: string): void;
  /**
   * The tenant in whose database the record lies; null where no open one has it.
   * Errors: `unavailable` where a database does not answer, or two have a record of this id: neither is touched then.
   */
  find(collection: CollectionName, id: string): Promise<string | null>;
}

/** Records whose place is remembered: those of runs and files that are worked on. */
const PLACES_MAX = 50_000;

export function createSystemPlaces(sessions: TenantSessions): SystemPlaces {
  const places = new Map<string, readonly string[]>();

  const remember = (tenant: string, collection: CollectionName, id: string): void => {
    const key = toKey(collection, id);
    const known = places.get(key) ?? [];
    if (known.includes(tenant)) return;
    const [oldest] = places.keys();
    if (places.size >= PLACES_MAX && oldest !== undefined) places.delete(oldest);
    places.set(key, [...known, tenant]);
  };

  const forget = (tenant: string, collection: CollectionName, id: string): void => {
    const key = toKey(collection, id);
    const others = (places.get(key) ?? []).filter((other) => other !== tenant);
    if (others.length === 0) places.delete(key);
    else places.set(key, others);
  };

  return {
    remember,
    forget,
    rememberWrites(tenant, writes) {
      for (const write of writes) {
        if (write.scope.tenant !== SYSTEM_TENANT) continue;
        if (write.kind === 'insert') remember(tenant, write.collection, write.record.id);
        else if (write.kind === 'update') remember(tenant, write.collection, write.id);
        else if (write.kind === 'delete') forget(tenant, write.collection, write.id);
      }
    },
    async find(collection, id) {
      const known = places.get(toKey(collection, id)) ?? (await ask(sessions, collection, id));
      if (known.length > 1) {
        throw new StoreError(
          'unavailable',
          `Several open databases have a record '${id}' of the server's own.`,
        );
      }
      const [tenant = null] = known;
      if (tenant !== null) remember(tenant, collection, id);
      return tenant;
    },
  };
}

function toKey(collection: CollectionName, id: string): string {
  return `${collection} ${id}`;
}

/** The tenants whose open databases have the record. */
async function ask(
  sessions: TenantSessions,
  collection: CollectionName,
  id: string,
): Promise<readonly string[]> {
  const found = await Promise.all(
    sessions.tenants().map(async (tenant) => {
      const record = await sessions.use(
        tenant,
        ({ store }) => store.get<StoredRecord>(collection, SYSTEM_SCOPE, id),
        { isQuiet: true },
      );
      return record === null ? [] : [tenant];
    }),
  );
  return found.flat();
}

const SYSTEM_SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });
