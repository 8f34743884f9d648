/** A data directory as one end of a copy. */

import { Database } from 'bun:sqlite';
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { systemClock } from '../clock.ts';
import { openEngines } from '../compose-store.ts';
import { createLog } from '../log.ts';
import { BLOB_FILE } from '../store/sqlite/blob-store.ts';
import { DATABASE_FILE } from '../store/sqlite/sqlite-store.ts';
import { INDEX_FILE } from '../vector/sqlite/sqlite-vector-index.ts';
import { VERSION } from '../version.ts';
import { type Endpoint, EndpointError, type EndpointRole, type FoundEndpoint } from './endpoint.ts';

/** Errors: `EndpointError`, where a source is not there. */
export function findSqliteEndpoint(text: string, role: EndpointRole): FoundEndpoint {
  const directory = toRealPath(resolve(text));
  if (role === 'source') checkSource(text, directory);
  return { name: `sqlite:${directory}`, open: () => open(directory) };
}

/** Of a directory that is not there yet, as far as it is. */
function toRealPath(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(toRealPath(parent), basename(path));
}

function checkSource(text: string, directory: string): void {
  if (!existsSync(directory)) throw new EndpointError(`There is no directory '${text}'.`);
  if (existsSync(join(directory, DATABASE_FILE))) return;
  throw new EndpointError(
    `The directory '${text}' holds no data of a server: there is no '${DATABASE_FILE}' in it.`,
  );
}

async function open(directory: string): Promise<Endpoint> {
  for (const file of [DATABASE_FILE, BLOB_FILE, INDEX_FILE]) checkUnused(join(directory, file), directory);
  const engines = await openEngines(
    { engine: 'sqlite', directory },
    // Whoever waits for a store that is lost learns it from the call.
    { clock: systemClock, log: createLog('silent', () => {}), version: VERSION, onLost: () => {} },
  );
  return { name: `sqlite:${directory}`, ...engines };
}

/** Who only looks into a file, as a backup does, has left it by then. */
const LOCK_WAIT_MS = 2_000;

/** A file that another process has open cannot be locked for one alone. The lock is given back at once. */
function checkUnused(file: string, directory: string): void {
  if (!existsSync(file)) return;
  const database = new Database(file, { readwrite: true });
  try {
    database.run(`PRAGMA busy_timeout = ${LOCK_WAIT_MS}`);
    database.run('PRAGMA locking_mode = EXCLUSIVE');
    database.query('SELECT count(*) FROM sqlite_schema').get();
  } catch (error) {
    const isBusy = error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY';
    // Anything else is told better by whoever opens it for good.
    if (isBusy) {
      throw new EndpointError(
        `'${directory}' is in use by another process: stop the server that serves it first.`,
      );
    }
  } finally {
    database.close();
  }
}
