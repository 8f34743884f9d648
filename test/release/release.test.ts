/** `npm run release`, in a copy of the project with a history of its own. Executables and Python packages are left out: those take minutes. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import Ajv from 'ajv';
import { toArchive } from '../../scripts/release/archive.ts';
import { findChangelogProblem, readSection } from '../../scripts/release/changelog.ts';
import { readOptions } from '../../scripts/release/options.ts';
import { compareVersions, isVersion, readVersions, VERSION_PLACES } from '../../scripts/release/places.ts';
import type { Component } from '../../scripts/release/sbom.ts';

const ROOT = resolve(import.meta.dir, '../..');
const SCHEMAS = join(ROOT, 'node_modules/@cyclonedx/cyclonedx-library/res/schema');
const STEP_MS = 60_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const DATE = '2030-01-31';
const OLD = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version as string;
const NEW = '9.8.7';
const FAST = ['--only', 'client', '--only', 'chart', '--only', 'sbom', '--only', 'licenses'];

let copy: string;
/** What programs keep for their user stays out of the copy. */
let home: string;

function run(program: string, args: readonly string[], cwd: string, env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: { PATH: process.env.PATH ?? '', HOME: home, ...env },
    encoding: 'utf8',
    timeout: STEP_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  return { status, stdout, stderr };
}

const git = (...args: string[]) => run('git', args, copy).stdout.trim();
const release = (...args: string[]) => run(process.execPath, ['scripts/release/main.ts', ...args], copy);
const read = (path: string) => readFileSync(join(copy, path), 'utf8');

/** What is, or will be, under version control, as it is now. */
function copyProject(): void {
  const { stdout } = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  for (const path of new Set(stdout.split('\0'))) {
    if (path === '' || !/^(?:src|scripts|clients|deploy|docs)\/|^[^/]+$/.test(path)) continue;
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    // Deleted, and not yet committed.
    if (!existsSync(join(ROOT, path))) continue;
    cpSync(join(ROOT, path), join(copy, path));
  }
}

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'understudy-release-'));
  home = mkdtempSync(join(tmpdir(), 'understudy-release-home-'));
  copyProject();
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  writeFileSync(join(copy, '.gitignore'), 'node_modules\ndist/\n');
  git('init', '--quiet');
  git('config', 'user.name', 'Somebody');
  git('config', 'user.email', 'somebody@example.com');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'All');
}, STEP_MS);

afterAll(() => {
  for (const folder of [copy, home]) rmSync(folder, { recursive: true, force: true });
});

describe('what is not ready', () => {
  test('is said, all of it, and nothing is changed', () => {
    writeFileSync(join(copy, 'src/forgotten.ts'), '');
    const { status, stdout } = release(NEW);
    expect(status).toBe(1);
    expect(stdout).toContain('Not committed: src/forgotten.ts');
    expect(stdout).toContain(`CHANGELOG.md has no section '## [${NEW}] - YYYY-MM-DD'`);
    expect(stdout).toContain('With --run');
    rmSync(join(copy, 'src/forgotten.ts'));
    expect(git('status', '--porcelain')).toBe('');
  });

  test('is not made, whatever else is asked for', () => {
    const { status, stdout } = release(NEW, '--tag', ...FAST);
    expect([status, stdout.includes('Making')]).toEqual([1, false]);
    expect([git('status', '--porcelain'), git('tag')]).toEqual(['', '']);
  });
});

describe('a release', () => {
  let first: string[];

  beforeAll(() => {
    writeFileSync(
      join(copy, 'CHANGELOG.md'),
      read('CHANGELOG.md').replace(`## [${OLD}]`, `## [${NEW}] - ${DATE}\n\n- Something new.\n\n## [${OLD}]`),
    );
    git('commit', '--quiet', '--all', '--message', 'Say what is new');
    const { status, stdout, stderr } = release(NEW, '--tag', ...FAST);
    expect({ status, stderr, stdout: status === 0 ? '' : stdout }).toEqual({
      status: 0,
      stderr: expect.any(String),
      stdout: '',
    });
    first = read(`dist/release/${NEW}/SHA256SUMS`).trim().split('\n');
  }, STEP_MS);

  const toPath = (name: string) => join(copy, 'dist/release', NEW, name);

  test('has its version in every place, and in no other does the old one stay', () => {
    expect(new Set(readVersions(copy))).toEqual(new Set([NEW]));
    for (const { file } of VERSION_PLACES) {
      const before = readFileSync(join(ROOT, file), 'utf8');
      // Packages may have the same version.
      if (file !== 'package-lock.json')
        expect(before.split(OLD).length).toBeGreaterThan(read(file).split(OLD).length);
    }
    expect(JSON.parse(read('package-lock.json')).packages[''].version).toBe(NEW);
  });

  test('is committed with the files that name the version alone, and tagged', () => {
    expect(git('log', '-1', '--format=%s')).toBe(`Release ${NEW}`);
    expect(git('show', '--name-only', '--format=').split('\n').sort()).toEqual(
      [...new Set(VERSION_PLACES.map(({ file }) => file))].sort(),
    );
    expect(git('cat-file', '-t', `v${NEW}`)).toBe('tag');
    expect(git('status', '--porcelain')).toBe('');
  });

  test('has checksums over all that is in it', () => {
    const named = first.map((line) => line.split('  '));
    expect(named.map(([, name]) => name)).toEqual(
      readdirSync(toPath('.'))
        .filter((name) => name !== 'SHA256SUMS')
        .sort(),
    );
    for (const [sum, name = ''] of named) {
      expect(
        createHash('sha256')
          .update(readFileSync(toPath(name)))
          .digest('hex'),
      ).toBe(sum ?? '');
    }
  });

  test(
    'is the same when it is made again from its tag, and then says what comes next, and does none of it',
    () => {
      git('tag', '--delete', `v${NEW}`);
      const { status, stdout } = release(NEW, '--run', ...FAST);
      expect(status).toBe(0);
      expect(stdout).toContain('Nothing is published');
      expect(stdout).toContain(`git tag -a v${NEW}`);
      expect(git('tag')).toBe('');
      expect(read(`dist/release/${NEW}/SHA256SUMS`).trim().split('\n')).toEqual(first);
      expect(git('status', '--porcelain')).toBe('');
    },
    STEP_MS,
  );

  test('has a list of its contents that the schema of CycloneDX 1.6 accepts', () => {
    const readSchema = (name: string) => JSON.parse(readFileSync(join(SCHEMAS, name), 'utf8'));
    // Of formats only the two matter that we write; both are looked at below.
    const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
    for (const name of ['spdx.SNAPSHOT.schema.json', 'jsf-0.82.SNAPSHOT.schema.json']) {
      ajv.addSchema({ ...readSchema(name), $id: `http://cyclonedx.org/schema/${name}` });
    }
    const validate = ajv.compile(readSchema('bom-1.6.SNAPSHOT.schema.json'));
    const sbom = JSON.parse(readFileSync(toPath(`understudy-${NEW}.cdx.json`), 'utf8'));
    expect(validate(sbom) ? [] : validate.errors).toEqual([]);
    expect(validate({ ...sbom, components: [{ name: 'no type' }] })).toBe(false);
    expect(sbom.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(sbom.metadata.timestamp).toBe(`${DATE}T00:00:00.000Z`);
    expect(sbom.metadata.component).toMatchObject({ name: 'understudy', version: NEW });
    const components = sbom.components as Component[];
    const { packages } = JSON.parse(read('package-lock.json'));
    const elysia = components.find(({ name }) => name === 'elysia');
    expect(elysia).toMatchObject({
      purl: `pkg:npm/elysia@${packages['node_modules/elysia'].version}`,
      licenses: [{ license: { id: 'MIT' } }],
    });
    const hash = Buffer.from(elysia?.hashes?.[0]?.content ?? '', 'hex').toString('base64');
    expect(`sha512-${hash}`).toBe(packages['node_modules/elysia'].integrity);
    const bun = components.find(({ name }) => name === 'bun');
    const inside = bun?.components?.map(({ name }) => name) ?? [];
    expect(inside).toEqual(
      expect.arrayContaining(['SQLite', 'WebKit (JavaScriptCore)', 'bun-linux-x64', 'bun-darwin-aarch64']),
    );
    const needs = new Map(
      sbom.dependencies.map((one: { ref: string; dependsOn: string[] }) => [one.ref, one.dependsOn]),
    );
    expect(needs.get(elysia?.purl)).toContain(
      `pkg:npm/memoirist@${packages['node_modules/memoirist'].version}`,
    );
    expect(new Set(needs.keys()).size).toBe(components.length + 1);
  });
});

test('an archive is read by tar, with its files, their modes and their time, and is the same twice', () => {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-archive-'));
  const files = [
    { path: 'a/text.txt', bytes: Buffer.from('text'), isExecutable: false },
    { path: 'a/program', bytes: Buffer.alloc(1024, 1), isExecutable: true },
    { path: 'a/empty', bytes: Buffer.alloc(0), isExecutable: false },
  ];
  const seconds = Date.parse(DATE) / 1000;
  const archive = toArchive(files, seconds);
  expect(Buffer.compare(archive, toArchive(files.toReversed(), seconds))).toBe(0);
  writeFileSync(join(folder, 'a.tar.gz'), archive);
  const list = run('tar', ['-tvzf', 'a.tar.gz'], folder, { TZ: 'UTC' }).stdout.trim().split('\n');
  expect(list.map((line) => line.replaceAll(/\s+/g, ' '))).toEqual([
    `-rw-r--r-- 0/0 0 ${DATE} 00:00 a/empty`,
    `-rwxr-xr-x 0/0 1024 ${DATE} 00:00 a/program`,
    `-rw-r--r-- 0/0 4 ${DATE} 00:00 a/text.txt`,
  ]);
  expect(() =>
    toArchive([{ path: 'x'.repeat(101), bytes: Buffer.alloc(0), isExecutable: false }], 0),
  ).toThrow('too long');
  rmSync(folder, { recursive: true });
});

test('no file names the version beside those that a release writes', () => {
  const { stdout } = spawnSync(
    'git',
    ['grep', '--cached', '-lF', `"${OLD}"`, '--', ':!bench', ':!test', ':!docs'],
    {
      cwd: ROOT,
      encoding: 'utf8',
    },
  );
  const known = new Set(VERSION_PLACES.map(({ file }) => file));
  expect(stdout.split('\n').filter((file) => file !== '' && !known.has(file))).toEqual([]);
  expect(new Set(readVersions(ROOT))).toEqual(new Set([OLD]));
});

test('the changelog is read by versions, and refused without a date or without a word', () => {
  const text =
    '# Changelog\n\n## [1.1.0] - Unreleased\n\n- A\n\n## [1.0.0] - 2030-01-31\n\n### Fixed\n\n- B\n\n## [0.9.0] - 2029-02-30\n\n## [0.8.0] - 2029-02-03\n\n[1.0.0]: https://example.com\n';
  expect(readSection(text, '1.0.0')).toEqual({ date: '2030-01-31', text: '### Fixed\n\n- B' });
  expect(readSection(text, '1.1.0')).toEqual({ date: null, text: '- A' });
  expect(readSection(text, '1.0')).toBeNull();
  const problems = ['1.0.0', '1.1.0', '2.0.0', '0.9.0', '0.8.0'].map((version) =>
    findChangelogProblem(text, version),
  );
  expect(problems).toEqual([
    null,
    expect.stringContaining('no date'),
    expect.stringContaining('no section'),
    expect.stringContaining('no date'),
    expect.stringContaining('nothing'),
  ]);
});

test('CHANGELOG.md has a section for the version that stands in package.json', () => {
  expect(readSection(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'), OLD)?.text.length).toBeGreaterThan(0);
});

test('versions are three numbers, and are compared as numbers', () => {
  expect(['1.2.3', '0.10.0', '1.2', 'v1.2.3', '1.2.3-rc.1', '01.2.3'].map(isVersion)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
  expect(['0.10.0', '0.9.0', '1.0.0', '0.9.1'].sort(compareVersions)).toEqual([
    '0.9.0',
    '0.9.1',
    '0.10.0',
    '1.0.0',
  ]);
});

test('a command line that makes no sense is refused, and help is no release', () => {
  for (const argv of [
    [],
    ['1'],
    ['1.0.0', '2.0.0'],
    ['1.0.0', '--target', 'amiga'],
    ['1.0.0', '--only', 'tea'],
    ['1.0.0', '--publish'],
  ]) {
    expect(() => readOptions(argv), argv.join(' ')).toThrow();
  }
  expect(readOptions(['--help'])).toBeNull();
  expect(readOptions(['1.0.0'])).toMatchObject({ isRun: false, isTagged: false });
  expect(readOptions(['1.0.0', '--tag'])).toMatchObject({ isRun: true, isTagged: true });
});
