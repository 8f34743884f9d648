/**
 * The ports of one open tenant, for what goes through the tenants one by one: the system's records are those in the tenant's own
 * database here, and nothing of another tenant can be named.
 */

import { type CollectionName, SYSTEM_TENANT } from '../store/collections.ts';
import {
  type Page,
  type PageRequest,
  type Scope,
  type Store,
  type StoredRecord,
  StoreError,
  type Versioned,
  type Where,
  type Write,
} from '../store/store.ts';
import type { SystemPlaces } from './system-places.ts';
import type { TenantSessions } from './tenant-sessions.ts';

export interface TenantPorts {
  readonly tenant: string;
  readonly store: Store;
}

export function createTenantPorts(
  deps: { readonly sessions: TenantSessions; readonly places: SystemPlaces },
  tenant: string,
): TenantPorts {
  return { tenant, store: new TenantStore(deps.sessions, deps.places, tenant) };
}

class TenantStore implements Store {
  readonly engine = 'astra';

  constructor(
    private readonly sessions: TenantSessions,
    private readonly places: SystemPlaces,
    private readonly tenant: string,
  ) {}

  async insert<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    record: T,
    options?: { isFresh?: boolean },
  ): Promise<Versioned<T>> {
    checkScope(this.tenant, scope);
    checkRecord(this.tenant, scope, record);
    const inserted = await this.sessions.use(this.tenant, ({ store }) =>
      store.insert(collection, scope, record, options),
    );
    if (scope.tenant === SYSTEM_TENANT) this.places.remember(this.tenant, collection, record.id);
    return inserted;
  }

  /** Looking for work keeps no session open; doing it does. */
  async get<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    id: string,
  ): Promise<Versioned<T> | null> {
    checkScope(this.tenant, scope);
    const isQuiet = scope.tenant === SYSTEM_TENANT;
    const found = await this.sessions.use(this.tenant, ({ store }) => store.get<T>(collection, scope, id), {
      isQuiet,
    });
    return found === null ? null : toOwn(this.tenant, scope, found);
  }

  async list<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    page: PageRequest,
    where?: Where,
  ): Promise<Page<T>> {
    checkScope(this.tenant, scope);
    const isQuiet = scope.tenant === SYSTEM_TENANT;
    const found = await this.sessions.use(
      this.tenant,
      ({ store }) => store.list<T>(collection, scope, page, where),
      { isQuiet },
    );
    return { ...found, items: found.items.map((item) => toOwn(this.tenant, scope, item)) };
  }

  async update<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    id: string,
    change: Partial<T>,
    options?: { ifVersion?: number },
  ): Promise<Versioned<T>> {
    checkScope(this.tenant, scope);
    const updated = await this.sessions.use(this.tenant, ({ store }) =>
      store.update<T>(collection, scope, id, change, options),
    );
    if (scope.tenant === SYSTEM_TENANT) this.places.remember(this.tenant, collection, id);
    return toOwn(this.tenant, scope, updated);
  }

  async delete(
    collection: CollectionName,
    scope: Scope,
    id: string,
    options?: { ifVersion?: number },
  ): Promise<boolean> {
    checkScope(this.tenant, scope);
    const isDeleted = await this.sessions.use(this.tenant, ({ store }) =>
      store.delete(collection, scope, id, options),
    );
    if (scope.tenant === SYSTEM_TENANT) this.places.forget(this.tenant, collection, id);
    return isDeleted;
  }

  async deleteAll(collection: CollectionName, scope: Scope): Promise<number> {
    checkScope(this.tenant, scope);
    return await this.sessions.use(this.tenant, ({ store }) => store.deleteAll(collection, scope));
  }

  async write(writes: readonly Write[]): Promise<readonly number[]> {
    for (const write of writes) {
      checkScope(this.tenant, write.scope);
      if (write.kind === 'insert') checkRecord(this.tenant, write.scope, write.record);
    }
    const versions = await this.sessions.use(this.tenant, ({ store }) => store.write(writes));
    this.places.rememberWrites(this.tenant, writes);
    return versions;
  }

  async ping(): Promise<void> {
    await this.sessions.use(this.tenant, ({ store }) => store.ping(), { isQuiet: true });
  }

  /** The session is closed by whoever opened it. */
  async close(): Promise<void> {}
}

function checkScope(tenant: string, scope: Scope): void {
  if (scope.tenant === tenant || scope.tenant === SYSTEM_TENANT) return;
  throw new StoreError('misuse', 'A record of another tenant was asked for in the database of this one.');
}

function checkRecord(tenant: string, scope: Scope, record: StoredRecord): void {
  if (scope.tenant !== SYSTEM_TENANT || readTenant(record) === tenant) return;
  throw new StoreError('misuse', "A record of the system's must name the tenant whose database it is in.");
}

/** The tenant that a record of the system's is about. */
export function readTenant(record: StoredRecord): string | null {
  const tenant: unknown = 'tenant' in record ? record.tenant : undefined;
  return typeof tenant === 'string' ? tenant : null;
}

/**
 * The owner of a database can write there whatever he likes, also a lease that names another tenant: whatever it says, it is about
 * this one.
 */
export function toOwn<V extends Versioned<StoredRecord>>(tenant: string, scope: Scope, found: V): V {
  if (scope.tenant !== SYSTEM_TENANT || readTenant(found.record) === tenant) return found;
  return { ...found, record: { ...found.record, tenant } };
}
