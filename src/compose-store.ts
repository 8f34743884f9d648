/** Opens the store that the operator chose: the part of the composition root that knows its engines. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AstraAdmission } from './astra/admission.ts';
import type { AstraSettings } from './astra/astra.ts';
import type { SystemPlaces } from './astra/system-places.ts';
import type { TenantSessions } from './astra/tenant-sessions.ts';
import type { CassandraSettings } from './cassandra/settings.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Ports } from './ports.ts';
import { createLazyBlobStore } from './store/lazy-blob-store.ts';
import { BLOB_FILE, createSqliteBlobStore } from './store/sqlite/blob-store.ts';
import { createSqliteStore, DATABASE_FILE } from './store/sqlite/sqlite-store.ts';
import { createLazyVectorIndex } from './vector/lazy-vector-index.ts';
import { createSqliteVectorIndex, INDEX_FILE } from './vector/sqlite/sqlite-vector-index.ts';

export type StoreSettings =
  | { readonly engine: 'sqlite'; readonly directory: string }
  | { readonly engine: 'cassandra'; readonly cluster: CassandraSettings }
  | {
      readonly engine: 'astra';
      readonly astra: AstraSettings;
      /** Of a server with one database; null: every request brings its own. */
      readonly token: string | null;
      readonly databaseId: string | null;
    };

/** Where every tenant has a database of his own. */
export interface TenantEngines {
  readonly admission: AstraAdmission;
  readonly sessions: TenantSessions;
  readonly places: SystemPlaces;
}

export interface Engines extends Pick<Ports, 'store' | 'blobs' | 'index'> {
  /** Null: all tenants share the store. */
  readonly tenants: TenantEngines | null;
  /** Ends after what was accepted is written. */
  close(): Promise<void>;
}

export interface EngineDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  /** Told the names of tables that are made. */
  readonly onProgress?: (name: string) => void;
  /** Called where the store is lost for good in this process. */
  readonly onLost: (reason: string) => void;
}

/** Errors: `StoreError` that says why the store cannot be used. */
export async function openEngines(settings: StoreSettings, deps: EngineDeps): Promise<Engines> {
  if (settings.engine === 'sqlite') return await openSqlite(settings.directory, deps);
  if (settings.engine === 'astra') {
    const { openAstra } = await import('./compose-astra.ts');
    return await openAstra(settings, deps);
  }
  // The driver is loaded where there is a cluster only.
  const { openCassandra } = await import('./compose-cassandra.ts');
  return await openCassandra(settings.cluster, deps);
}

/** Makes what is missing, and answers its names. Errors: as `openEngines`. */
export async function makeTables(
  settings: StoreSettings,
  options: { readonly onProgress: (name: string) => void; readonly log: Log; readonly version: string },
): Promise<readonly string[]> {
  if (settings.engine === 'cassandra') {
    const { makeCassandraTables } = await import('./compose-cassandra.ts');
    return await makeCassandraTables(settings.cluster, options.onProgress);
  }
  if (settings.engine === 'astra') {
    const { makeAstraTables } = await import('./compose-astra.ts');
    return await makeAstraTables(settings, options);
  }
  const { directory } = settings;
  const missing = [DATABASE_FILE, BLOB_FILE, INDEX_FILE].filter((file) => !existsSync(join(directory, file)));
  const opened = await Promise.all([
    createSqliteStore({ directory }),
    createSqliteBlobStore({ directory }),
    createSqliteVectorIndex({ directory }),
  ]);
  await Promise.all(opened.map((one) => one.close()));
  return missing;
}

async function openSqlite(directory: string, { clock, onLost }: EngineDeps): Promise<Engines> {
  const openBlobs = () => createSqliteBlobStore({ directory, onLost });
  const openIndex = () => createSqliteVectorIndex({ directory, onLost });
  // What is there already is looked at now, so that the start fails where it cannot be used.
  const [store, blobs, index] = await Promise.all([
    createSqliteStore({ directory, clock, onLost }),
    existsSync(join(directory, BLOB_FILE)) ? openBlobs() : createLazyBlobStore(openBlobs),
    existsSync(join(directory, INDEX_FILE)) ? openIndex() : createLazyVectorIndex('sqlite', openIndex),
  ]);
  return {
    store,
    blobs,
    index,
    tenants: null,
    async close() {
      await Promise.all([store.close(), blobs.close(), index.close()]);
    },
  };
}
