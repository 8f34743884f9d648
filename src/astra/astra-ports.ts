/**
 * Store, blob store and vector index over the databases of all tenants: a call goes to the open database of the tenant in its
 * scope, and fails with `unavailable` where that is not open. Calls for the system's own records go to the database of the tenant
 * that they are about.
 */

import type { BlobStore } from '../store/blob-store.ts';
import type { CollectionName } from '../store/collections.ts';
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
import type { VectorIndex } from '../vector/vector-index.ts';
import { readScope, type SystemPlaces } from './system-places.ts';
import type { TenantEngines } from './tenant-engines.ts';
import { createTenantPorts, readTenant } from './tenant-ports.ts';
import type { TenantSessions } from './tenant-sessions.ts';

export interface AstraPortsDeps {
  readonly sessions: TenantSessions;
  readonly places: SystemPlaces;
}

export function createAstraPorts(deps: AstraPortsDeps): TenantEngines {
  return {
    store: new RoutedStore(deps),
    blobs: createRoutedBlobs(deps.sessions),
    index: createRoutedIndex(deps.sessions),
  };
}

class RoutedStore implements Store {
  readonly engine = 'astra';
  private isClosed = false;

  constructor(private readonly deps: AstraPortsDeps) {}

  async insert<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    record: T,
    options?: { isFresh?: boolean },
  ): Promise<Versioned<T>> {
    const tenant = readScope(scope) ?? readTenant(record);
    if (tenant === null) throw toNameless();
    return await this.at(tenant).insert(collection, scope, record, options);
  }

  async get<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    id: string,
  ): Promise<Versioned<T> | null> {
    const tenant = await this.find(collection, scope, id);
    return tenant === null ? null : await this.at(tenant).get<T>(collection, scope, id);
  }

  async list<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    page: PageRequest,
    where?: Where,
  ): Promise<Page<T>> {
    const tenant = readScope(scope);
    if (tenant === null) throw toUnlisted();
    return await this.at(tenant).list<T>(collection, scope, page, where);
  }

  async update<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    id: string,
    change: Partial<T>,
    options?: { ifVersion?: number },
  ): Promise<Versioned<T>> {
    const tenant = await this.find(collection, scope, id);
    if (tenant === null) throw new StoreError('not_found', 'The record to update is not there.');
    return await this.at(tenant).update<T>(collection, scope, id, change, options);
  }

  async delete(
    collection: CollectionName,
    scope: Scope,
    id: string,
    options?: { ifVersion?: number },
  ): Promise<boolean> {
    const tenant = await this.find(collection, scope, id);
    return tenant === null ? false : await this.at(tenant).delete(collection, scope, id, options);
  }

  async deleteAll(collection: CollectionName, scope: Scope): Promise<number> {
    const tenant = readScope(scope);
    if (tenant === null) throw toUnlisted();
    return await this.at(tenant).deleteAll(collection, scope);
  }

  async write(writes: readonly Write[]): Promise<readonly number[]> {
    const tenant = findNamed(writes) ?? (await this.findBySystemIds(writes));
    if (tenant !== null) return await this.at(tenant).write(writes);
    // None of the records is there: deleting them is no error, anything else is.
    const index = writes.findIndex(({ kind }) => kind !== 'delete');
    if (index === -1) return writes.map(() => 0);
    throw new StoreError('not_found', 'The record is not there.', { index });
  }

  /** Every tenant has a database of his own: that one of them does not answer is no fault of this server. */
  async ping(): Promise<void> {
    if (this.isClosed) throw new StoreError('unavailable', 'The store is closed.');
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.deps.sessions.close();
  }

  private at(tenant: string): Store {
    return createTenantPorts(this.deps, tenant).store;
  }

  private async find(collection: CollectionName, scope: Scope, id: string): Promise<string | null> {
    return readScope(scope) ?? (await this.deps.places.find(collection, id));
  }

  /** Of writes that name no tenant at all. They are in one database, or nowhere. */
  private async findBySystemIds(writes: readonly Write[]): Promise<string | null> {
    let found: string | null = null;
    for (const [index, write] of writes.entries()) {
      const id = write.kind === 'insert' ? write.record.id : write.id;
      const tenant = await this.deps.places.find(write.collection, id);
      if (tenant === null || tenant === found) continue;
      if (found !== null) throw toMixed(index);
      found = tenant;
    }
    return found;
  }
}

/** The tenant that writes name: by their scopes, or in the records of the system's that they insert. Errors: `misuse` for two. */
function findNamed(writes: readonly Write[]): string | null {
  let named: string | null = null;
  for (const [index, { scope, ...write }] of writes.entries()) {
    const tenant = readScope(scope) ?? (write.kind === 'insert' ? readTenant(write.record) : null);
    if (tenant === null || tenant === named) continue;
    if (named !== null) throw toMixed(index);
    named = tenant;
  }
  return named;
}

function toMixed(index: number): StoreError {
  return new StoreError('misuse', 'Writes that go together must be in the database of one tenant.', {
    index,
  });
}

function toNameless(): StoreError {
  return new StoreError('misuse', "A record of the system's must name the tenant that it is about.");
}

function toUnlisted(): StoreError {
  return new StoreError(
    'misuse',
    "The system's records are in the databases of all tenants: they are looked through tenant by tenant (`tenant-sweeps.ts`).",
  );
}

function createRoutedBlobs(sessions: TenantSessions): BlobStore {
  return {
    putPiece: (tenant, ...rest) => sessions.use(tenant, ({ blobs }) => blobs.putPiece(tenant, ...rest)),
    getPiece: (tenant, ...rest) => sessions.use(tenant, ({ blobs }) => blobs.getPiece(tenant, ...rest)),
    deleteBlob: (tenant, ...rest) => sessions.use(tenant, ({ blobs }) => blobs.deleteBlob(tenant, ...rest)),
    close: () => sessions.close(),
  };
}

function createRoutedIndex(sessions: TenantSessions): VectorIndex {
  const at = <T>(scope: { tenant: string }, call: (index: VectorIndex) => Promise<T>): Promise<T> =>
    sessions.use(scope.tenant, ({ index }) => call(index));
  return {
    engine: 'astra',
    stageChunks: (scope, ...rest) => at(scope, (index) => index.stageChunks(scope, ...rest)),
    countStaged: (scope, ...rest) => at(scope, (index) => index.countStaged(scope, ...rest)),
    publishFile: (scope, ...rest) => at(scope, (index) => index.publishFile(scope, ...rest)),
    setAttributes: (scope, ...rest) => at(scope, (index) => index.setAttributes(scope, ...rest)),
    removeFile: (scope, ...rest) => at(scope, (index) => index.removeFile(scope, ...rest)),
    removeStore: (scope) => at(scope, (index) => index.removeStore(scope)),
    readChunks: (scope, ...rest) => at(scope, (index) => index.readChunks(scope, ...rest)),
    describeFile: (scope, file) => at(scope, (index) => index.describeFile(scope, file)),
    exportChunks: (scope, ...rest) => at(scope, (index) => index.exportChunks(scope, ...rest)),
    describe: (scope) => at(scope, (index) => index.describe(scope)),
    search: (scope, query) => at(scope, (index) => index.search(scope, query)),
    close: () => sessions.close(),
  };
}
