/** A bundle holds a private key, and says where to connect: it is looked through, and does not stay on the disk. */

import { expect, test } from 'bun:test';
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { checkBundle, withBundleFile } from '../../src/astra/secure-bundle.ts';
import { ApiError } from '../../src/errors.ts';
import { makeZip } from '../ingest/zip-maker.ts';
import { toId } from './fixture.ts';

const ID = toId(1);

function toBundle(config: unknown, without: readonly string[] = []): Uint8Array {
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  const parts = [
    { name: 'config.json', content: text },
    { name: 'ca.crt', content: 'a' },
    { name: 'cert', content: 'b' },
    { name: 'key', content: 'c' },
  ];
  return makeZip(parts.filter(({ name }) => !without.includes(name)));
}

function check(bundle: Uint8Array): string | null {
  try {
    checkBundle(bundle, ID);
    return null;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'upstream_error') return error.message;
    throw error;
  }
}

test('the bundle of the database is taken, whether or not its host has the id', () => {
  expect(check(toBundle({ host: `${ID}-us-east1.db.astra.datastax.com`, port: 29080 }))).toBeNull();
  expect(check(toBundle({ host: '127.0.0.1', port: '29080' }))).toBeNull();
});

test('that of another database is refused', () => {
  const bundle = toBundle({ host: `${toId(2)}-us-east1.db.astra.datastax.com`, port: 29080 });
  expect(check(bundle)).toContain('another database');
});

test('what is no bundle is refused, each with its reason', () => {
  expect(check(new TextEncoder().encode('<html>'))).toContain('no archive');
  expect(check(new Uint8Array())).toContain('no archive');
  expect(check(toBundle({}, ['key', 'cert']))).toContain('no cert, no key');
  expect(check(toBundle('not json'))).toContain('config.json');
  expect(check(toBundle('[]'))).toContain('config.json');
  expect(check(toBundle({ host: 'x' }))).toContain('host and port');
  expect(check(toBundle({ host: 'x/../y', port: 1 }))).toContain('host and port');
  const many = Array.from({ length: 100 }, (_, n) => ({ name: `${n}`, content: '' }));
  expect(check(makeZip(many))).toContain('no archive');
});

test('on the disk it is for this user alone, and gone afterwards, also behind a failure', async () => {
  let seen = '';
  const use = async (path: string): Promise<never> => {
    seen = path;
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    expect(await Bun.file(path).text()).toBe('bundle');
    throw new Error('as asked');
  };
  await expect(withBundleFile(new TextEncoder().encode('bundle'), use)).rejects.toThrow('as asked');
  expect(existsSync(dirname(seen))).toBeFalse();
});
