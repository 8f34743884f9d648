/** `understudy keys`: what an operator does with keys, at the store of the settings. */

import type { KeyLimits, KeyRecord, ProjectLimits, ProjectRecord } from './key-records.ts';
import { createProjectKey, type KeysDeps, limitProject, listKeys, listProjects, revokeKey } from './keys.ts';
import type { KeysRequest } from './keys-request.ts';

export interface KeysOutput {
  /** What was asked for, to be read by programs, too. */
  writeResult(text: string): void;
  /** What is told beside it. */
  writeNote(text: string): void;
}

const EXIT_FAILED = 1;

/** Answers the exit code. Errors: `StoreError`. */
export async function runKeys(deps: KeysDeps, request: KeysRequest, output: KeysOutput): Promise<number> {
  switch (request.action) {
    case 'create': {
      const { key, record } = await createProjectKey(deps, request);
      output.writeResult(key);
      output.writeNote(
        `Made ${record.id} for the project '${record.project}' (${record.scopes.join(', ')}; ${toEndText(record)}). The key is shown this once.`,
      );
      return 0;
    }
    case 'list':
      await list(deps, request, output);
      return 0;
    case 'revoke': {
      const record = await revokeKey(deps, request.id);
      if (record === null) {
        output.writeNote(`There is no key ${request.id}.`);
        return EXIT_FAILED;
      }
      output.writeNote(`${record.id} of the project '${record.project}' has ended.`);
      return 0;
    }
    case 'limit': {
      const { name, limits } = await limitProject(deps, request.project, request.limits);
      output.writeNote(`The project '${name}' has these limits: ${toLimitsText(limits)}.`);
      return 0;
    }
  }
}

async function list(
  deps: KeysDeps,
  { project, isJson }: Extract<KeysRequest, { action: 'list' }>,
  output: KeysOutput,
): Promise<void> {
  const keys = await listKeys(deps, project);
  const projects = (await listProjects(deps)).filter(({ name }) => project === null || name === project);
  const nowMs = deps.clock.nowMs();
  if (isJson) {
    const shown = { projects, keys: keys.map((key) => toShown(key, nowMs)) };
    output.writeResult(JSON.stringify(shown, null, 2));
    return;
  }
  if (projects.length === 0) {
    output.writeNote(project === null ? 'There are no keys.' : `There is no project '${project}'.`);
    return;
  }
  output.writeResult(toTable([KEY_HEAD, ...keys.map((key) => toKeyRow(key, nowMs))]));
  output.writeResult('');
  output.writeResult(toTable([PROJECT_HEAD, ...projects.map(toProjectRow)]));
}

/** Without the hash, which is nobody's business. */
function toShown({ secret_sha256: _, ...key }: KeyRecord, nowMs: number): Record<string, unknown> {
  return { ...key, state: toState(key, nowMs) };
}

type KeyTimes = Pick<KeyRecord, 'expires_at' | 'revoked_at'>;

function toState({ expires_at: expiresAt, revoked_at: revokedAt }: KeyTimes, nowMs: number): string {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && expiresAt * 1000 <= nowMs ? 'expired' : 'active';
}

const KEY_HEAD = ['ID', 'PROJECT', 'STATE', 'SCOPES', 'CREATED', 'EXPIRES', 'LIMITS'];
const PROJECT_HEAD = ['PROJECT', 'TENANT', 'CREATED', 'LIMITS'];

function toKeyRow(key: KeyRecord, nowMs: number): string[] {
  return [
    key.id,
    key.project,
    toState(key, nowMs),
    key.scopes.join(','),
    toTime(key.created_at),
    key.expires_at === null ? 'never' : toTime(key.expires_at),
    toLimitsText(key.limits),
  ];
}

function toProjectRow({ name, tenant, created_at: createdAt, limits }: ProjectRecord): string[] {
  return [name, tenant, toTime(createdAt), toLimitsText(limits)];
}

function toEndText({ expires_at: expiresAt }: KeyRecord): string {
  return expiresAt === null ? 'without an end' : `until ${toTime(expiresAt)}`;
}

function toTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
}

const MIB = 1024 * 1024;

function toLimitsText(limits: KeyLimits & Partial<ProjectLimits>): string {
  const parts = [
    limits.requests_per_minute === null ? null : `${limits.requests_per_minute} requests/min`,
    limits.tokens_per_minute === null ? null : `${limits.tokens_per_minute} tokens/min`,
    limits.concurrent_runs === null ? null : `${limits.concurrent_runs} runs at once`,
    limits.stored_bytes == null ? null : `${limits.stored_bytes / MIB} MiB stored`,
  ].filter((part) => part !== null);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

/** Columns as wide as what is in them. */
function toTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
