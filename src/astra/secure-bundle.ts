/** The secure bundle of a database: looked through before the driver opens it, and on the disk only as long as that takes. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiError } from '../errors.ts';
import { openZip } from '../ingest/parsers/zip.ts';
import { toObject } from './devops-answers.ts';

/** What the driver reads, without which it fails in its own words. */
const PARTS = Object.freeze(['config.json', 'ca.crt', 'cert', 'key']);
const ENTRIES_MAX = 64;
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

/** Errors: `ApiError` (`upstream_error`) for what is no bundle, or another database's. */
export function checkBundle(bundle: Uint8Array, databaseId: string): void {
  const config = readConfig(bundle);
  const { host, port } = config;
  if (typeof host !== 'string' || !/^[\w.-]+$/.test(host) || !Number.isInteger(Number(port ?? Number.NaN))) {
    throw toUnusable('names no host and port');
  }
  // The hosts of Astra are named `<id>-<region>.db.astra.datastax.com`.
  const named = UUID.exec(host.toLowerCase())?.[0];
  if (named !== undefined && named !== databaseId) throw toUnusable('is that of another database');
}

function readConfig(bundle: Uint8Array): Readonly<Record<string, unknown>> {
  let text: string | null;
  try {
    const zip = openZip(bundle);
    if (zip.names.size > ENTRIES_MAX) throw new Error('too many entries');
    const missing = PARTS.filter((name) => !zip.has(name));
    if (missing.length > 0) throw toUnusable(`has no ${missing.join(', no ')}`);
    text = zip.readSmall('config.json');
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw toUnusable('is no archive that can be read', error);
  }
  try {
    const config = toObject(JSON.parse(text ?? ''));
    if (config !== null) return config;
  } catch {
    // Told below.
  }
  throw toUnusable('has a config.json that cannot be read');
}

function toUnusable(what: string, cause?: unknown): ApiError {
  return new ApiError('upstream_error', `The secure bundle that Astra gave out ${what}.`, { cause });
}

/**
 * Hands the bundle over as a file, since the driver reads nothing else: in a folder that only this user can enter, removed when
 * `use` ends. There is a private key in it.
 */
export async function withBundleFile<T>(bundle: Uint8Array, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-astra-'));
  try {
    const path = join(folder, 'secure-connect.zip');
    await writeFile(path, bundle, { mode: 0o600, flag: 'wx' });
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
