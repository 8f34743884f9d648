/** Projects and keys as they are kept, under the system's tenant. */

import { createHash } from 'node:crypto';
import { SYSTEM_TENANT } from '../store/collections.ts';
import type { Scope, StoredRecord } from '../store/store.ts';
import type { KeyScope } from './key-scopes.ts';

/** Null: no limit. */
export interface KeyLimits {
  readonly requests_per_minute: number | null;
  readonly tokens_per_minute: number | null;
  readonly concurrent_runs: number | null;
}

export interface ProjectLimits extends KeyLimits {
  readonly stored_bytes: number | null;
}

export const NO_KEY_LIMITS: KeyLimits = Object.freeze({
  requests_per_minute: null,
  tokens_per_minute: null,
  concurrent_runs: null,
});
export const NO_PROJECT_LIMITS: ProjectLimits = Object.freeze({ ...NO_KEY_LIMITS, stored_bytes: null });

export interface ProjectRecord extends StoredRecord {
  readonly name: string;
  /** The scope of everything that is the project's. */
  readonly tenant: string;
  /** Whole seconds since the epoch, as all times here. */
  readonly created_at: number;
  readonly limits: ProjectLimits;
}

export interface KeyRecord extends StoredRecord {
  readonly tenant: string;
  readonly project_id: string;
  /** Of the project, which never changes its name. */
  readonly project: string;
  /** SHA-256 of the secret part of the key. */
  readonly secret_sha256: string;
  readonly scopes: readonly KeyScope[];
  readonly created_at: number;
  /** Null: never. */
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
  readonly limits: KeyLimits;
}

/** Where projects, keys and what a project has stored are kept. */
export const ACCESS_SCOPE: Scope = Object.freeze({ tenant: SYSTEM_TENANT });

/** The project whose tenant is that of a server without authentication: what was there before keys were is its own. */
export const OPEN_PROJECT = 'default';
export const OPEN_TENANT = 'default';

export const PROJECT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Made of the name, so that two that are created at once are one. */
export function toProjectId(name: string): string {
  return `proj_${createHash('sha256').update(name).digest('hex').slice(0, 24)}`;
}

export function toProjectTenant(name: string): string {
  return name === OPEN_PROJECT ? OPEN_TENANT : toProjectId(name);
}
