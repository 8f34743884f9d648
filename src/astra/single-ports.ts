/**
 * The ports of a server with one database and one token, its operator's. They open the database again where it was lost: it
 * may have gone to sleep, or been given other certificates, under a server that runs for months.
 */

import { ApiError } from '../errors.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { type Store, StoreError } from '../store/store.ts';
import type { VectorIndex } from '../vector/vector-index.ts';
import type { AstraCredentials } from './credentials.ts';
import type { TenantEngines } from './tenant-engines.ts';
import type { TenantSessions } from './tenant-sessions.ts';

/** `credentials` name the database. Closing one of the ports closes the sessions. */
export function createSinglePorts(sessions: TenantSessions, credentials: AstraCredentials): TenantEngines {
  const use = async <T>(call: (engines: TenantEngines) => Promise<T>): Promise<T> =>
    await sessions.use(await sessions.open(credentials).catch(rethrowUnavailable), call);
  const close = (): Promise<void> => sessions.close();
  return { store: createStore(use, close), blobs: createBlobs(use, close), index: createIndex(use, close) };
}

/** Whatever is wrong with the operator's token or database, a client can do nothing but come back. */
function rethrowUnavailable(error: unknown): never {
  if (error instanceof ApiError) throw new StoreError('unavailable', error.message, { cause: error });
  throw error;
}

type Use = <T>(call: (engines: TenantEngines) => Promise<T>) => Promise<T>;

function createStore(use: Use, close: () => Promise<void>): Store {
  return {
    engine: 'astra',
    insert: (...args) => use(({ store }) => store.insert(...args)),
    get: (...args) => use(({ store }) => store.get(...args)),
    list: (...args) => use(({ store }) => store.list(...args)),
    update: (...args) => use(({ store }) => store.update(...args)),
    delete: (...args) => use(({ store }) => store.delete(...args)),
    deleteAll: (...args) => use(({ store }) => store.deleteAll(...args)),
    write: (writes) => use(({ store }) => store.write(writes)),
    ping: () => use(({ store }) => store.ping()),
    close,
  };
}

function createBlobs(use: Use, close: () => Promise<void>): BlobStore {
  return {
    putPiece: (...args) => use(({ blobs }) => blobs.putPiece(...args)),
    getPiece: (...args) => use(({ blobs }) => blobs.getPiece(...args)),
    deleteBlob: (...args) => use(({ blobs }) => blobs.deleteBlob(...args)),
    close,
  };
}

function createIndex(use: Use, close: () => Promise<void>): VectorIndex {
  return {
    engine: 'astra',
    stageChunks: (...args) => use(({ index }) => index.stageChunks(...args)),
    countStaged: (...args) => use(({ index }) => index.countStaged(...args)),
    publishFile: (...args) => use(({ index }) => index.publishFile(...args)),
    setAttributes: (...args) => use(({ index }) => index.setAttributes(...args)),
    removeFile: (...args) => use(({ index }) => index.removeFile(...args)),
    removeStore: (scope) => use(({ index }) => index.removeStore(scope)),
    readChunks: (...args) => use(({ index }) => index.readChunks(...args)),
    describeFile: (...args) => use(({ index }) => index.describeFile(...args)),
    exportChunks: (...args) => use(({ index }) => index.exportChunks(...args)),
    describe: (scope) => use(({ index }) => index.describe(scope)),
    search: (...args) => use(({ index }) => index.search(...args)),
    close,
  };
}
