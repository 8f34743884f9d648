/** The ports of the store, each operation timed. */

import type { BlobStore } from '../store/blob-store.ts';
import type { CollectionName } from '../store/collections.ts';
import type { Store, Write } from '../store/store.ts';
import { StoreError } from '../store/store.ts';
import type { VectorIndex } from '../vector/vector-index.ts';
import type { Distribution, Metrics } from './metrics.ts';

type Part = 'records' | 'blobs' | 'index';

/** Cells by operation, and by collection where there is one. */
class Timings {
  readonly #find: (operation: string, collection: string) => Distribution;
  readonly #noteError: (code: string) => void;
  readonly #cells = new Map<string, Map<string, Distribution>>();

  constructor(metrics: Metrics, part: Part, find: (operation: string, collection: string) => Distribution) {
    this.#find = find;
    this.#noteError = (code) => metrics.counter('understudy_store_errors_total', { part, code }).add();
  }

  time<T>(operation: string, collection: string, run: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    const cell = this.#toCell(operation, collection);
    const end = (): void => cell.observe((performance.now() - startedMs) / 1000);
    const asked = run();
    // Whoever asked sees the failure; this branch only counts it.
    asked.then(end, (error: unknown) => {
      end();
      this.#noteError(error instanceof StoreError ? error.code : 'internal');
    });
    return asked;
  }

  #toCell(operation: string, collection: string): Distribution {
    const cells = this.#cells.get(operation) ?? new Map<string, Distribution>();
    this.#cells.set(operation, cells);
    const cell = cells.get(collection) ?? this.#find(operation, collection);
    cells.set(collection, cell);
    return cell;
  }
}

/** The same store, each operation timed by the collection that it is about. */
export function meterStore(store: Store, metrics: Metrics): Store {
  const timings = new Timings(metrics, 'records', (operation, collection) =>
    metrics.distribution('understudy_store_operation_duration_seconds', { operation, collection }),
  );
  return {
    engine: store.engine,
    insert: (collection, scope, record, options) =>
      timings.time('insert', collection, () => store.insert(collection, scope, record, options)),
    get: (collection, scope, id) => timings.time('get', collection, () => store.get(collection, scope, id)),
    list: (collection, scope, page, where) =>
      timings.time('list', collection, () => store.list(collection, scope, page, where)),
    update: (collection, scope, id, change, options) =>
      timings.time('update', collection, () => store.update(collection, scope, id, change, options)),
    delete: (collection, scope, id, options) =>
      timings.time('delete', collection, () => store.delete(collection, scope, id, options)),
    deleteAll: (collection, scope) =>
      timings.time('delete_all', collection, () => store.deleteAll(collection, scope)),
    write: (writes) => timings.time('write', toCollection(writes), () => store.write(writes)),
    ping: () => timings.time('ping', 'none', () => store.ping()),
    close: () => store.close(),
  };
}

/** Of what is written; checks go with anything. */
function toCollection(writes: readonly Write[]): CollectionName | 'several' {
  const changes = writes.filter(({ kind }) => kind !== 'require');
  const [first] = changes.length === 0 ? writes : changes;
  if (first === undefined) return 'several';
  return changes.every(({ collection }) => collection === first.collection) ? first.collection : 'several';
}

export function meterBlobStore(blobs: BlobStore, metrics: Metrics): BlobStore {
  const timings = new Timings(metrics, 'blobs', (operation) =>
    metrics.distribution('understudy_blob_operation_duration_seconds', { operation }),
  );
  return {
    putPiece: (tenant, blob, index, bytes) =>
      timings.time('put_piece', '', () => blobs.putPiece(tenant, blob, index, bytes)),
    getPiece: (tenant, blob, index) =>
      timings.time('get_piece', '', () => blobs.getPiece(tenant, blob, index)),
    deleteBlob: (tenant, blob) => timings.time('delete_blob', '', () => blobs.deleteBlob(tenant, blob)),
    close: () => blobs.close(),
  };
}

export function meterVectorIndex(index: VectorIndex, metrics: Metrics): VectorIndex {
  const timings = new Timings(metrics, 'index', (operation) =>
    metrics.distribution('understudy_index_operation_duration_seconds', { operation }),
  );
  const time = <T>(operation: string, run: () => Promise<T>): Promise<T> => timings.time(operation, '', run);
  return {
    engine: index.engine,
    stageChunks: (...given) => time('stage_chunks', () => index.stageChunks(...given)),
    countStaged: (...given) => time('count_staged', () => index.countStaged(...given)),
    publishFile: (...given) => time('publish_file', () => index.publishFile(...given)),
    setAttributes: (...given) => time('set_attributes', () => index.setAttributes(...given)),
    removeFile: (...given) => time('remove_file', () => index.removeFile(...given)),
    removeStore: (...given) => time('remove_store', () => index.removeStore(...given)),
    readChunks: (...given) => time('read_chunks', () => index.readChunks(...given)),
    describe: (...given) => time('describe', () => index.describe(...given)),
    search: (...given) => time('search', () => index.search(...given)),
    describeFile: (...given) => index.describeFile(...given),
    exportChunks: (...given) => index.exportChunks(...given),
    close: () => index.close(),
  };
}
