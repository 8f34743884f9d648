/** What is in a database file, told without making, changing or locking anything. */

import { Database } from 'bun:sqlite';
import { closeSync, openSync, readSync, statSync } from 'node:fs';

export interface DatabaseFacts {
  /** `missing`: a start makes it. `older`: a start brings it up to date. `newer` and `foreign`: a start refuses it. */
  readonly state: 'missing' | 'current' | 'older' | 'newer' | 'foreign' | 'unreadable';
  /** Steps that the schema has behind it; 0 where there is none. */
  readonly version: number;
  /** Why it cannot be read; empty where it can. */
  readonly reason: string;
}

export interface InspectOptions {
  readonly file: string;
  readonly applicationId: number;
  /** The version that this program speaks. */
  readonly version: number;
}

interface Header {
  readonly applicationId: number;
  readonly version: number;
  readonly hasTables: boolean;
}

const MAGIC = 'SQLite format 3\0';
/** The file's header, and the header of its first page, which is the root of the table of tables. */
const HEADER_BYTES = 108;
/** Numbers of four bytes. */
const VERSION_AT = 60;
const APPLICATION_AT = 68;
/** A number of two bytes. */
const TABLES_AT = 103;

export function inspectDatabase({ file, applicationId, version }: InspectOptions): DatabaseFacts {
  let header: Header | null;
  try {
    if (statSync(file, { throwIfNoEntry: false }) === undefined) return toFacts('missing', 0);
    header = readHeader(file);
  } catch (error) {
    return { ...toFacts('unreadable', 0), reason: error instanceof Error ? error.message : String(error) };
  }
  if (header === null) return toFacts('foreign', 0);
  // A file that was just begun: whose it is stands in it together with its first tables.
  if (header.applicationId === 0 && header.version === 0 && !header.hasTables) return toFacts('older', 0);
  if (header.applicationId !== applicationId) return toFacts('foreign', header.version);
  if (header.version > version) return toFacts('newer', header.version);
  return toFacts(header.version < version ? 'older' : 'current', header.version);
}

function toFacts(state: DatabaseFacts['state'], version: number): DatabaseFacts {
  return { state, version, reason: '' };
}

/** Null where the file is no database. */
function readHeader(file: string): Header | null {
  // What was written last may stand in the log only, which SQLite reads. Without a log it would make one to look.
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false });
  const memory = statSync(`${file}-shm`, { throwIfNoEntry: false });
  return log !== undefined && log.size > 0 && memory !== undefined ? readByEngine(file) : readBytes(file);
}

function readByEngine(file: string): Header {
  const database = new Database(file, { readonly: true });
  try {
    const read = (statement: string): number =>
      Number(Object.values(database.query<Record<string, number>, []>(statement).get() ?? {})[0] ?? 0);
    return {
      applicationId: read('PRAGMA application_id'),
      version: read('PRAGMA user_version'),
      hasTables: read('SELECT count(*) FROM sqlite_schema') > 0,
    };
  } finally {
    database.close();
  }
}

function readBytes(file: string): Header | null {
  const bytes = Buffer.alloc(HEADER_BYTES);
  const handle = openSync(file, 'r');
  try {
    const length = readSync(handle, bytes, 0, HEADER_BYTES, 0);
    if (length === 0) return { applicationId: 0, version: 0, hasTables: false };
    if (length < HEADER_BYTES || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return null;
    return {
      applicationId: bytes.readUInt32BE(APPLICATION_AT),
      version: bytes.readUInt32BE(VERSION_AT),
      hasTables: bytes.readUInt16BE(TABLES_AT) > 0,
    };
  } finally {
    closeSync(handle);
  }
}
