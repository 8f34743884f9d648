/**
 * The store port: JSON records in collections, kept by one of several engines.
 *
 * Every engine passes `test/contract/store.ts`. The contract is small on purpose: what a cluster of
 * Cassandra nodes cannot promise is not in it, and what an embedded database can do better
 * (several writes at once, atomically) it may do behind the same words.
 */

import type { CollectionName } from './collections.ts';

/** Whose records, and under which parent. Nothing is ever found outside of its scope. */
export interface Scope {
  readonly tenant: string;
  /** The thread of messages and runs, the run of steps. Empty or absent for collections without a parent. */
  readonly parent?: string;
}

/** A JSON document. Its `id` is unique in its scope and collection and never changes. */
export interface StoredRecord {
  readonly id: string;
}

/** A record as read: `version` starts at 1 and grows by one with each update. */
export interface Versioned<T extends StoredRecord> {
  readonly record: T;
  readonly version: number;
}

/** Which part of a list to read. `after` and `before` are ids of records, both exclusive. */
export interface PageRequest {
  /** 1 to `PAGE_LIMIT_MAX`. */
  readonly limit: number;
  /** `desc` is newest first. */
  readonly order: 'asc' | 'desc';
  /** Records that follow this one in the asked order. */
  readonly after?: string;
  /**
   * Records that precede this one in the asked order; the nearest `limit` of them, still in the asked order.
   * With `after` too: those between the two. A cursor marks its place whether or not a `where` holds for it.
   */
  readonly before?: string;
}

/** A record as a list has it. */
export interface Listed<T extends StoredRecord> extends Versioned<T> {
  /**
   * Where the record stands in the list, as `InsertWrite.sortKey` takes it: for whoever copies it elsewhere. Absent where its id
   * says so itself (`toNativeSortKey`).
   */
  readonly sortKey?: string;
}

export interface Page<T extends StoredRecord> {
  readonly items: readonly Listed<T>[];
  /** Whether further records follow in the direction of the walk. */
  readonly hasMore: boolean;
}

/** All conditions must hold. Only fields declared in `collections.ts` may be named. */
export interface Where {
  readonly fields?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface InsertWrite {
  readonly kind: 'insert';
  readonly collection: CollectionName;
  readonly scope: Scope;
  readonly record: StoredRecord;
  /** For imported records with a foreign id: where the record stands in lists. Native ids carry their own. */
  readonly sortKey?: string;
  /** The id was made for this record and is native: nobody else can have it, so that an engine need not look. */
  readonly isFresh?: boolean;
}

export interface UpdateWrite {
  readonly kind: 'update';
  readonly collection: CollectionName;
  readonly scope: Scope;
  readonly id: string;
  /** Replaces whole top-level fields; fields that are not named stay; `undefined` is not a value. */
  readonly change: Readonly<Record<string, unknown>>;
  /** Compare-and-set: the write is refused with `conflict` unless the record is at this version. */
  readonly ifVersion?: number;
}

export interface DeleteWrite {
  readonly kind: 'delete';
  readonly collection: CollectionName;
  readonly scope: Scope;
  readonly id: string;
  readonly ifVersion?: number;
}

/** Writes nothing: refuses the writes behind it unless the record is there and, if named, its fields have these values. */
export interface RequireCheck {
  readonly kind: 'require';
  readonly collection: CollectionName;
  readonly scope: Scope;
  readonly id: string;
  /** Top-level fields and the exact JSON scalar each must hold; a missing field equals null. */
  readonly equals?: Readonly<Record<string, string | number | boolean | null>>;
}

export type Write = InsertWrite | UpdateWrite | DeleteWrite | RequireCheck;

export type StoreErrorCode =
  /** The record to update, delete or require is not there. */
  | 'not_found'
  /** `ifVersion` or `equals` does not hold, or the id to insert exists. */
  | 'conflict'
  /** A cursor (`after`, `before`) names no record of this list. */
  | 'unknown_cursor'
  /** The engine cannot be reached or is out of space now; nothing is known to be written. */
  | 'unavailable'
  /** The caller broke the contract (undeclared filter, limit out of bounds). */
  | 'misuse';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  /** The position of the refused write in `write(writes)`, where there is one. */
  readonly index: number | undefined;

  constructor(code: StoreErrorCode, message: string, options: { index?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.index = options.index;
  }
}

export const PAGE_LIMIT_MAX = 1000;
export const WRITES_MAX = 256;

export interface Store {
  /** What to call the engine in the start-up banner and in `/ready`: `sqlite`, `cassandra`, … */
  readonly engine: string;

  /**
   * Adds a record. Acknowledged when it is durable. Errors: `conflict` where the id exists; where the caller says that the id
   * is fresh, an engine need not look. Not idempotent.
   */
  insert<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    record: T,
    options?: { isFresh?: boolean },
  ): Promise<Versioned<T>>;

  /** Reads one record, or null. Sees every write acknowledged before the call, by any process. */
  get<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    id: string,
  ): Promise<Versioned<T> | null>;

  /**
   * Reads a page. Order is that of the sort keys (creation, for native ids). The cost follows `limit`, not
   * the depth of the page nor the length of the list; with a selective `where` it follows the matches.
   * A walk by cursor sees every record that was there throughout, once, whatever is inserted meanwhile.
   * Errors: `unknown_cursor`, `misuse`.
   */
  list<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    page: PageRequest,
    where?: Where,
  ): Promise<Page<T>>;

  /** Changes top-level fields and answers the new record. Errors: `not_found`, `conflict` when `ifVersion` is not the record's. */
  update<T extends StoredRecord>(
    collection: CollectionName,
    scope: Scope,
    id: string,
    change: Partial<T>,
    options?: { ifVersion?: number },
  ): Promise<Versioned<T>>;

  /** Removes a record; false where there was none. Idempotent. Errors: `conflict` with a stale `ifVersion`. */
  delete(
    collection: CollectionName,
    scope: Scope,
    id: string,
    options?: { ifVersion?: number },
  ): Promise<boolean>;

  /**
   * Removes every record of one collection in one scope. Answers how many. Idempotent. Others write meanwhile,
   * and what they insert may stay.
   */
  deleteAll(collection: CollectionName, scope: Scope): Promise<number>;

  /**
   * Several writes in their order, all or none: where a check or a precondition (`require`, `ifVersion`, an insert whose id
   * exists) fails, nothing is written.
   *
   * On every engine this holds where no write is about a record that an earlier one of them changes (but for an insert behind the
   * removal of the same id). For other lists, and for lists of fresh inserts alone, an engine may promise a prefix only: after a
   * crash the first n are there, and the others are not. `require` is looked at before anything is written; on an engine without
   * a lock on the whole store, what it looks at may change before the writes are done. So whatever must not change meanwhile is
   * named by its version.
   *
   * Answers, per write, the new version of the record (0 for `delete` and `require`). A `delete` of what is
   * not there is no error. Errors: as for the single operations, with `index`.
   */
  write(writes: readonly Write[]): Promise<readonly number[]>;

  /** Resolves when the engine answers; rejects with `unavailable` otherwise. */
  ping(): Promise<void>;

  /** Ends after what was accepted is written. Later calls reject with `unavailable`. Idempotent. */
  close(): Promise<void>;
}
