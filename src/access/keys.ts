/** What an operator does with keys: makes them, lists them, ends them, and sets the limits of projects. */

import { type Clock, toSeconds } from '../clock.ts';
import type { Ids } from '../ids.ts';
import type { CollectionName } from '../store/collections.ts';
import { PAGE_LIMIT_MAX, type Store, type StoredRecord, StoreError } from '../store/store.ts';
import { createKey } from './key-format.ts';
import {
  ACCESS_SCOPE,
  type KeyLimits,
  type KeyRecord,
  NO_PROJECT_LIMITS,
  type ProjectLimits,
  type ProjectRecord,
  toProjectId,
  toProjectTenant,
} from './key-records.ts';
import type { KeyScope } from './key-scopes.ts';

export interface KeysDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
}

export interface NewKey {
  readonly project: string;
  readonly scopes: readonly KeyScope[];
  /** Milliseconds from now; null: never. */
  readonly expiresInMs: number | null;
  readonly limits: KeyLimits;
}

/** Pages that a list reads: a hundred thousand keys. */
const PAGES_MAX = 100;

/** Makes a key, and its project where that is missing. The answer is the only place where the key is. Errors: `StoreError`. */
export async function createProjectKey(
  deps: KeysDeps,
  given: NewKey,
): Promise<{ readonly key: string; readonly record: KeyRecord }> {
  const project = await ensureProject(deps, given.project);
  const nowMs = deps.clock.nowMs();
  const id = deps.ids.create('api_key');
  const { key, secretHash } = createKey(id);
  const record: KeyRecord = {
    id,
    tenant: project.tenant,
    project_id: project.id,
    project: project.name,
    secret_sha256: secretHash,
    scopes: given.scopes,
    created_at: toSeconds(nowMs),
    expires_at: given.expiresInMs === null ? null : toSeconds(nowMs + given.expiresInMs),
    revoked_at: null,
    limits: given.limits,
  };
  await deps.store.insert('api_keys', ACCESS_SCOPE, record);
  return { key, record };
}

/** The project of this name, made where it is missing: of several that make it at once, one does. Errors: `StoreError`. */
export async function ensureProject(
  deps: Pick<KeysDeps, 'store' | 'clock'>,
  name: string,
): Promise<ProjectRecord> {
  const { store } = deps;
  const id = toProjectId(name);
  const found = await store.get<ProjectRecord>('projects', ACCESS_SCOPE, id);
  if (found !== null) return found.record;
  const record: ProjectRecord = {
    id,
    name,
    tenant: toProjectTenant(name),
    created_at: toSeconds(deps.clock.nowMs()),
    limits: NO_PROJECT_LIMITS,
  };
  try {
    return (await store.insert('projects', ACCESS_SCOPE, record)).record;
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'conflict') throw error;
    const made = await store.get<ProjectRecord>('projects', ACCESS_SCOPE, id);
    if (made === null) throw error;
    return made.record;
  }
}

/** Null where there is no such project. */
export async function findProject(
  deps: Pick<KeysDeps, 'store'>,
  name: string,
): Promise<ProjectRecord | null> {
  return (await deps.store.get<ProjectRecord>('projects', ACCESS_SCOPE, toProjectId(name)))?.record ?? null;
}

/** All keys, the oldest first; of one project where it is named. Errors: `StoreError`. */
export async function listKeys(deps: Pick<KeysDeps, 'store'>, project: string | null): Promise<KeyRecord[]> {
  const keys = await listAll<KeyRecord>(deps, 'api_keys');
  return project === null ? keys : keys.filter((key) => key.project === project);
}

/** All projects, by their names. Errors: `StoreError`. */
export async function listProjects(deps: Pick<KeysDeps, 'store'>): Promise<ProjectRecord[]> {
  const projects = await listAll<ProjectRecord>(deps, 'projects');
  return projects.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function listAll<T extends StoredRecord>(
  { store }: Pick<KeysDeps, 'store'>,
  collection: CollectionName,
): Promise<T[]> {
  const records: T[] = [];
  let after: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const found = await store.list<T>(collection, ACCESS_SCOPE, {
      limit: PAGE_LIMIT_MAX,
      order: 'asc',
      ...(after === undefined ? {} : { after }),
    });
    records.push(...found.items.map(({ record }) => record));
    after = found.items.at(-1)?.record.id;
    if (!found.hasMore || after === undefined) return records;
  }
  throw new StoreError('misuse', `There are more than ${records.length} records in '${collection}'.`);
}

/** Ends a key. Null where there is none of this id; one that has been revoked before stays as it is. Errors: `StoreError`. */
export async function revokeKey(deps: KeysDeps, id: string): Promise<KeyRecord | null> {
  const found = await deps.store.get<KeyRecord>('api_keys', ACCESS_SCOPE, id);
  if (found === null || found.record.revoked_at !== null) return found?.record ?? null;
  const change = { revoked_at: toSeconds(deps.clock.nowMs()) };
  return (await deps.store.update<KeyRecord>('api_keys', ACCESS_SCOPE, id, change)).record;
}

const LIMIT_ATTEMPTS_MAX = 8;

/** Sets the limits of a project that are named; the others stay. Makes the project where it is missing. Errors: `StoreError`. */
export async function limitProject(
  deps: Pick<KeysDeps, 'store' | 'clock'>,
  name: string,
  change: Partial<ProjectLimits>,
): Promise<ProjectRecord> {
  const { id } = await ensureProject(deps, name);
  for (let attempt = 0; attempt < LIMIT_ATTEMPTS_MAX; attempt += 1) {
    const found = await deps.store.get<ProjectRecord>('projects', ACCESS_SCOPE, id);
    if (found === null) break;
    const limits = { ...found.record.limits, ...change };
    try {
      const options = { ifVersion: found.version };
      return (await deps.store.update<ProjectRecord>('projects', ACCESS_SCOPE, id, { limits }, options))
        .record;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'conflict') throw error;
    }
  }
  throw new StoreError('conflict', `The project '${name}' is being changed by others. Try again.`);
}
