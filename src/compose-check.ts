/** Looks at the store that the operator chose, as a start would, and makes nothing: the part of the composition root for `check`. */

import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Finding } from './check/finding.ts';
import type { StoreSettings } from './compose-store.ts';
import { BLOB_APPLICATION_ID, BLOB_FILE, BLOB_MIGRATIONS } from './store/sqlite/blob-schema.ts';
import { type DatabaseFacts, inspectDatabase } from './store/sqlite/inspect.ts';
import { APPLICATION_ID, MIGRATIONS } from './store/sqlite/schema.ts';
import { DATABASE_FILE } from './store/sqlite/sqlite-store.ts';
import { INDEX_APPLICATION_ID, INDEX_FILE, INDEX_MIGRATIONS } from './vector/sqlite/schema.ts';

const PART = 'store';

export async function inspectStore(settings: StoreSettings, version: string): Promise<readonly Finding[]> {
  try {
    if (settings.engine === 'sqlite') return inspectSqlite(resolve(settings.directory));
    if (settings.engine === 'cassandra') return [await inspectCluster(settings.cluster)];
    const { inspectAstra } = await import('./compose-astra.ts');
    return [{ part: PART, isGood: true, text: await inspectAstra(settings, version) }];
  } catch (error) {
    return [{ part: PART, isGood: false, text: error instanceof Error ? error.message : String(error) }];
  }
}

// ——— SQLite ———

const FILES = Object.freeze([
  { name: DATABASE_FILE, applicationId: APPLICATION_ID, version: MIGRATIONS.length },
  { name: BLOB_FILE, applicationId: BLOB_APPLICATION_ID, version: BLOB_MIGRATIONS.length },
  { name: INDEX_FILE, applicationId: INDEX_APPLICATION_ID, version: INDEX_MIGRATIONS.length },
]);

function inspectSqlite(directory: string): readonly Finding[] {
  const folder = inspectDirectory(directory);
  if (!folder.isGood) return [folder];
  return [
    folder,
    ...FILES.map(({ name, applicationId, version }) => {
      const file = join(directory, name);
      const refusal = existsSync(file) ? findRefusal(file, constants.R_OK | constants.W_OK) : null;
      if (refusal !== null) {
        return { part: PART, isGood: false, text: `${file}: may not be read and written (${refusal})` };
      }
      return toFileFinding(file, inspectDatabase({ file, applicationId, version }), version);
    }),
  ];
}

function inspectDirectory(directory: string): Finding {
  const isThere = existsSync(directory);
  const asked = isThere ? directory : toExisting(directory);
  const refusal = findRefusal(asked, constants.W_OK | constants.X_OK);
  if (refusal !== null) {
    const text = `sqlite in ${directory}: ${asked} may not be written (${refusal})`;
    return { part: PART, isGood: false, text };
  }
  return {
    part: PART,
    isGood: true,
    text: `sqlite in ${directory}${isThere ? '' : ', a folder that a start makes'}`,
  };
}

/** The system's word for why this process may not do that; null where it may. */
function findRefusal(path: string, mode: number): string | null {
  try {
    accessSync(path, mode);
    return null;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

/** The nearest folder above that is there. */
function toExisting(path: string): string {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

function toFileFinding(file: string, facts: DatabaseFacts, known: number): Finding {
  const good = (text: string): Finding => ({ part: PART, isGood: true, text: `${file}: ${text}` });
  const bad = (text: string): Finding => ({ part: PART, isGood: false, text: `${file}: ${text}` });
  switch (facts.state) {
    case 'missing':
      return good('not there yet');
    case 'current':
      return good(`version ${facts.version}, as it should be`);
    case 'older':
      return good(`version ${facts.version}, which a start brings to ${known}`);
    case 'newer':
      return bad(`version ${facts.version}, from a newer version of this program, which knows ${known}`);
    case 'foreign':
      return bad('no database of this program');
    case 'unreadable':
      return bad(`cannot be read: ${facts.reason}`);
  }
}

// ——— Cassandra ———

async function inspectCluster(
  cluster: Extract<StoreSettings, { engine: 'cassandra' }>['cluster'],
): Promise<Finding> {
  const { inspectCassandra } = await import('./compose-cassandra.ts');
  const { hasKeyspace, missing } = await inspectCassandra(cluster);
  const where = `cassandra at ${cluster.contactPoints.join(', ')} answers, keyspace ${cluster.keyspace}`;
  const made = 'which a start or `understudy migrate` makes';
  if (!hasKeyspace) return { part: PART, isGood: true, text: `${where} is not there yet, ${made}` };
  const state = missing.length === 0 ? 'has all tables' : `lacks ${missing.join(', ')}, ${made}`;
  return { part: PART, isGood: true, text: `${where} ${state}` };
}
