/**
 * The database file of the index.
 *
 * A file of a vector store is kept as a *version*: an attempt to read it, first staged, then published, then perhaps
 * dead until its rows are freed. All that belongs to one chunk has the same id, which is made of its version and
 * position, so that the chunks of a version lie together.
 *
 * Words lie in *segments*: postings of some thousand chunks, written once, and merged to larger ones in the background.
 * Inside of a segment chunks have numbers of its own; `members` tells whose they are. Numbers without a member are of
 * chunks that are gone.
 */

import type { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { type Migration, openDatabase } from '../../store/sqlite/schema.ts';
import { POSITIONS_MAX } from '../checks.ts';

export { POSITIONS_MAX };

export const INDEX_FILE = 'index.db';
/** `UNDI`, in the file's header. */
export const INDEX_APPLICATION_ID = 0x554e4449;

/** Postings blocks that a segment may have. */
export const BLOCKS_MAX = 2 ** 20;

/** The states of a version. */
export const STAGED = 0;
export const PUBLISHED = 1;
export const DEAD = 2;

/** The states of a segment; dead ones have `DEAD`, too. */
export const BUILDING = 0;
export const READY = 1;

export function toChunkId(version: number, position: number): number {
  return version * POSITIONS_MAX + position;
}

export function toBlockId(segment: number, block: number): number {
  return segment * BLOCKS_MAX + block;
}

const CACHE_KIB = 32 * 1024;
/** Pages of 4 KiB: the log is copied into the database each time it has grown by 16 MiB. */
const CHECKPOINT_PAGES = 4096;

const TABLES: readonly string[] = [
  `CREATE TABLE stores (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Both null once the store is removed, until all that is of it is freed.
    tenant TEXT,
    store TEXT,
    -- Grows with each change that a search can see.
    revision INTEGER NOT NULL DEFAULT 0,
    -- The revision of the last change that took a version away.
    removals INTEGER NOT NULL DEFAULT 0,
    dimensions INTEGER,
    -- The sum of the vectors that were coded so far (64-bit floats), and how many they were.
    vector_sum BLOB,
    vectors INTEGER NOT NULL DEFAULT 0,
    -- The same of those that can be found.
    shown_sum BLOB,
    shown INTEGER NOT NULL DEFAULT 0
  ) STRICT`,
  'CREATE UNIQUE INDEX stores_place ON stores (tenant, store)',
  'CREATE INDEX stores_removed ON stores (id) WHERE tenant IS NULL',

  `CREATE TABLE versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    store INTEGER NOT NULL,
    file TEXT NOT NULL,
    ingest TEXT NOT NULL,
    state INTEGER NOT NULL,
    -- The store's revision when it was published, or its attributes were changed.
    revision INTEGER NOT NULL DEFAULT 0,
    -- Chunks from position 0 on whose codes and postings are written. Once published: all.
    prepared INTEGER NOT NULL DEFAULT 0,
    -- Of the prepared chunks: words in all, and what they take.
    words INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    vectors INTEGER NOT NULL DEFAULT 0,
    -- The sum of these vectors (64-bit floats); null once it is published, where there are few.
    vector_sum BLOB,
    -- Grows where a chunk is staged again: what was computed from the one before does not count.
    replacements INTEGER NOT NULL DEFAULT 0,
    -- Whether staged_terms has rows of it.
    has_terms INTEGER NOT NULL DEFAULT 1,
    attributes TEXT NOT NULL DEFAULT '{}',
    languages TEXT NOT NULL DEFAULT '[]'
  ) STRICT`,
  `CREATE UNIQUE INDEX versions_file ON versions (store, file, state) WHERE state < ${DEAD}`,
  `CREATE INDEX versions_changes ON versions (store, revision) WHERE state = ${PUBLISHED}`,
  'CREATE INDEX versions_store ON versions (store)',
  `CREATE INDEX versions_dead ON versions (id) WHERE state = ${DEAD}`,
  `CREATE INDEX versions_trim ON versions (id) WHERE state = ${PUBLISHED} AND has_terms = 1`,

  `CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    page INTEGER,
    tokens INTEGER NOT NULL,
    context TEXT NOT NULL,
    text TEXT NOT NULL
  ) STRICT`,
  // 32-bit floats, little endian, of unit length.
  'CREATE TABLE vectors (id INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT',
  'CREATE TABLE staged_terms (id INTEGER PRIMARY KEY, terms TEXT NOT NULL) STRICT',
  `CREATE TABLE codes (
    -- Of the piece's first chunk.
    id INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    centre INTEGER,
    -- Words of each chunk, as 32-bit integers.
    lengths BLOB NOT NULL,
    -- See codes.ts. Empty where no chunk has a vector.
    factors BLOB NOT NULL,
    planes BLOB NOT NULL
  ) STRICT`,
  `CREATE TABLE centres (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    store INTEGER NOT NULL,
    -- From how many vectors it was made.
    vectors INTEGER NOT NULL,
    centre BLOB NOT NULL
  ) STRICT`,
  'CREATE INDEX centres_store ON centres (store)',

  `CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    store INTEGER NOT NULL,
    state INTEGER NOT NULL,
    -- Numbers that are given, to dead chunks too.
    chunks INTEGER NOT NULL,
    -- The first term of each block, as a JSON array.
    directory TEXT NOT NULL,
    -- When a building segment was last worked at, in milliseconds since the epoch.
    touched INTEGER NOT NULL
  ) STRICT`,
  'CREATE INDEX segments_store ON segments (store, state)',
  `CREATE INDEX segments_dead ON segments (id) WHERE state = ${DEAD}`,
  `CREATE TABLE members (
    segment INTEGER NOT NULL,
    -- The number of the first of its chunks in the segment.
    base INTEGER NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (segment, base)
  ) WITHOUT ROWID, STRICT`,
  'CREATE INDEX members_version ON members (version)',
  'CREATE TABLE postings (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT',
];

export const INDEX_MIGRATIONS: readonly Migration[] = Object.freeze([
  {
    name: 'index',
    apply(database: Database) {
      for (const statement of TABLES) database.run(statement);
    },
  },
]);

export interface IndexOpenRequest {
  readonly directory: string;
  /** How long another process may hold the file, at the opening and before a write. */
  readonly lockWaitMs: number;
}

/** Opens or makes the file. Errors: `unavailable`, with what to do about it. */
export function openIndexDatabase({ directory, lockWaitMs }: IndexOpenRequest): Database {
  const database = openDatabase({
    directory,
    file: join(directory, INDEX_FILE),
    lockWaitMs,
    applicationId: INDEX_APPLICATION_ID,
    migrations: INDEX_MIGRATIONS,
    collections: {},
    // Small pages: the rescore of a search reads vectors from all over the file, and a page is read whole.
    layout: ['PRAGMA page_size = 4096', 'PRAGMA auto_vacuum = INCREMENTAL'],
    cacheKib: CACHE_KIB,
  });
  database.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  return database;
}
