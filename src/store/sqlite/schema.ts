/**
 * The database file: whose it is, which version its schema has, and how it gets to the one that this program
 * speaks. Several processes may open one file at once, and each finds it complete.
 */

import { Database } from 'bun:sqlite';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { COLLECTIONS, type CollectionSpec } from '../collections.ts';
import { toFilterEntries } from '../filters.ts';
import { type StoredRecord, StoreError } from '../store.ts';
import { isBusy, isNotADatabase, toStoreError } from './faults.ts';

/** `UNDS`, in the file's header: nothing else is ever opened as ours. */
export const APPLICATION_ID = 0x554e4453;

/** One step forward. The version of a file is the number of steps that it has behind it. */
export interface Migration {
  readonly name: string;
  apply(database: Database): void;
}

export const MIGRATIONS: readonly Migration[] = Object.freeze([
  {
    name: 'collections',
    apply(database: Database) {
      database.run(`CREATE TABLE schema_collections (
        name TEXT PRIMARY KEY,
        -- What its filter table was built for, as JSON.
        filters TEXT NOT NULL
      ) WITHOUT ROWID, STRICT`);
    },
  },
]);

export interface OpenOptions {
  readonly directory: string;
  readonly file: string;
  /** How long another process may hold the file while this one opens it. */
  readonly lockWaitMs: number;
  /** What the file's header says that it is; `APPLICATION_ID` unless it is another one of this program's files. */
  readonly applicationId?: number;
  readonly migrations?: readonly Migration[];
  /** None for a file that holds no records: it then has no table of collections either. */
  readonly collections?: Readonly<Record<string, CollectionSpec>>;
  /** Statements that come before anything is written: what the file's header says of its pages. */
  readonly layout?: readonly string[];
  /** KiB of pages that are kept in memory. */
  readonly cacheKib?: number;
}

const BUSY_RETRY_MS = 5;
/** Pages of 4 KiB: the log is copied into the database each time it has grown by as much. */
const CHECKPOINT_PAGES = 2000;
/** What the log is cut to when it starts again, after a long reader let it grow. */
const LOG_BYTES_KEPT = 16 * 1024 * 1024;
const CACHE_KIB = 32 * 1024;
const REINDEX_BATCH = 500;

/** Opens or makes the file, brings it to this program's version. Errors: `unavailable`, with what to do about it. */
export function openDatabase(options: OpenOptions): Database {
  makeDirectory(options.directory);
  const deadline = performance.now() + options.lockWaitMs;
  for (;;) {
    try {
      return openOnce(options);
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw toOpenError(error, options.file);
      Bun.sleepSync(BUSY_RETRY_MS);
    }
  }
}

function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new StoreError(
      'unavailable',
      `The data directory '${directory}' cannot be made: ${toReason(error)}.`,
      {
        cause: error,
      },
    );
  }
}

/**
 * Makes the file for its owner only, before SQLite gives its mode to the files beside it. An existing one is
 * not even opened: closing it would drop the locks that this process may hold on it.
 */
function makeFile(file: string): void {
  if (existsSync(file)) return;
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return;
    throw new StoreError('unavailable', `'${file}' cannot be made: ${toReason(error)}.`, { cause: error });
  }
}

function openOnce(options: OpenOptions): Database {
  makeFile(options.file);
  const database = new Database(options.file, { readwrite: true, strict: true });
  try {
    checkOwner(database, options);
    for (const statement of options.layout ?? []) database.run(statement);
    database.run('PRAGMA journal_mode = WAL');
    database.run('PRAGMA synchronous = FULL');
    database.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    database.run(`PRAGMA journal_size_limit = ${LOG_BYTES_KEPT}`);
    database.run(`PRAGMA cache_size = -${options.cacheKib ?? CACHE_KIB}`);
    database.run('PRAGMA temp_store = MEMORY');
    migrate(database, options);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Refuses a file that another program made and one that a newer version of this program made, before any
 * write. Answers the version.
 */
function checkOwner(database: Database, options: OpenOptions): number {
  // In one snapshot: another process may be making the database at this moment.
  const readHeader = database.transaction(() => ({
    version: readPragma(database, 'user_version'),
    owner: readPragma(database, 'application_id'),
    tables:
      database.query<{ tables: number }, []>('SELECT count(*) AS tables FROM sqlite_schema').get()?.tables ??
      0,
  }));
  const { version, owner, tables } = readHeader();
  const isNew = owner === 0 && version === 0 && tables === 0;
  if (owner !== (options.applicationId ?? APPLICATION_ID) && !isNew) {
    throw new StoreError('unavailable', `'${options.file}' is a database of another program.`);
  }
  const known = (options.migrations ?? MIGRATIONS).length;
  if (version > known) {
    throw new StoreError(
      'unavailable',
      `'${options.file}' was written by a newer version of this program (schema ${version}, this one knows ${known}).`,
    );
  }
  return version;
}

/** One transaction for each step, so that a long way forward is never walked twice. */
function migrate(database: Database, options: OpenOptions): void {
  const migrations = options.migrations ?? MIGRATIONS;
  const collections = options.collections ?? COLLECTIONS;
  // The usual case takes no lock, so that a process can start while another one is writing.
  const version = checkOwner(database, options);
  if (version === migrations.length && toStaleCollections(database, collections).length === 0) return;
  const step = database.transaction((): boolean => {
    // Read again under the lock: another process may have done this step meanwhile.
    const version = checkOwner(database, options);
    const migration = migrations[version];
    if (migration === undefined) {
      ensureCollections(database, collections);
      return true;
    }
    migration.apply(database);
    database.run(`PRAGMA application_id = ${options.applicationId ?? APPLICATION_ID}`);
    database.run(`PRAGMA user_version = ${version + 1}`);
    return false;
  });
  for (let i = 0; i <= migrations.length; i += 1) {
    if (step.immediate()) return;
  }
}

/** Tables of collections that the file does not have yet; filter tables where the declaration changed. */
function ensureCollections(database: Database, collections: Readonly<Record<string, CollectionSpec>>): void {
  for (const { name, spec, filters, isNew } of toStaleCollections(database, collections)) {
    if (isNew) createCollection(database, name);
    else rebuildFilters(database, name, spec);
    database.run('INSERT OR REPLACE INTO schema_collections (name, filters) VALUES (?, ?)', [name, filters]);
  }
}

interface StaleCollection {
  readonly name: string;
  readonly spec: CollectionSpec;
  readonly filters: string;
  readonly isNew: boolean;
}

function toStaleCollections(
  database: Database,
  collections: Readonly<Record<string, CollectionSpec>>,
): StaleCollection[] {
  if (Object.keys(collections).length === 0) return [];
  const rows = database.query<{ name: string; filters: string }, []>(
    'SELECT name, filters FROM schema_collections',
  );
  const known = new Map(rows.all().map((row) => [row.name, row.filters]));
  const stale: StaleCollection[] = [];
  for (const [name, spec] of Object.entries(collections)) {
    const filters = JSON.stringify([spec.filters, spec.metadataFilter]);
    if (known.get(name) !== filters) stale.push({ name, spec, filters, isNew: !known.has(name) });
  }
  return stale;
}

/**
 * `place` is the order of lists and the way to a record: an id's sort key is known from the id itself, except
 * for records in the `_foreign` table. So an ordinary record costs one row and one index entry.
 */
function createCollection(database: Database, name: string): void {
  database.run(`CREATE TABLE "${name}" (
    tenant TEXT NOT NULL,
    parent TEXT NOT NULL,
    sort_key TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    document TEXT NOT NULL
  ) STRICT`);
  database.run(`CREATE UNIQUE INDEX "${name}_place" ON "${name}" (tenant, parent, sort_key, id)`);
  database.run(`CREATE TABLE "${name}_foreign" (
    tenant TEXT NOT NULL,
    parent TEXT NOT NULL,
    id TEXT NOT NULL,
    sort_key TEXT NOT NULL,
    PRIMARY KEY (tenant, parent, id)
  ) WITHOUT ROWID, STRICT`);
  database.run(`CREATE TABLE "${name}_filters" (
    tenant TEXT NOT NULL,
    parent TEXT NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    sort_key TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (tenant, parent, field, value, sort_key, id)
  ) WITHOUT ROWID, STRICT`);
}

interface IndexedRow {
  readonly row: number;
  readonly tenant: string;
  readonly parent: string;
  readonly sort_key: string;
  readonly document: string;
}

function rebuildFilters(database: Database, name: string, spec: CollectionSpec): void {
  database.run(`DELETE FROM "${name}_filters"`);
  const next = database.query<IndexedRow, [number]>(
    `SELECT rowid AS row, tenant, parent, sort_key, document FROM "${name}" WHERE rowid > ? ORDER BY rowid LIMIT ${REINDEX_BATCH}`,
  );
  const insert = database.query<void, [string, string, string, string, string, string]>(
    `INSERT INTO "${name}_filters" (tenant, parent, field, value, sort_key, id) VALUES (?, ?, ?, ?, ?, ?)`,
  );
  let rows = next.all(0);
  // Ends with the table: every batch begins behind the one before.
  while (rows.length > 0) {
    for (const row of rows) {
      const record = JSON.parse(row.document) as StoredRecord;
      const entries = toFilterEntries(spec, record);
      for (let i = 0; i < entries.length; i += 2) {
        insert.run(row.tenant, row.parent, entries[i] ?? '', entries[i + 1] ?? '', row.sort_key, record.id);
      }
    }
    rows = next.all(rows.at(-1)?.row ?? Number.MAX_SAFE_INTEGER);
  }
}

function readPragma(database: Database, name: 'user_version' | 'application_id'): number {
  const row = database.query<Record<string, number>, []>(`PRAGMA ${name}`).get();
  return row?.[name] ?? 0;
}

function toOpenError(error: unknown, file: string): StoreError {
  if (error instanceof StoreError) return error;
  if (isNotADatabase(error)) {
    return new StoreError('unavailable', `'${file}' is not a database.`, { cause: error });
  }
  if (isBusy(error)) {
    return new StoreError('unavailable', `'${file}' is held by another process.`, { cause: error });
  }
  return new StoreError('unavailable', `'${file}' cannot be opened: ${toReason(error)}.`, {
    cause: toStoreError(error).cause,
  });
}

function toReason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
