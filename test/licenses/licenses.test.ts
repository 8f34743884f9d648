/** What the executable says of its own contents: by the bundler's list, complete, and small. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ENTRY_POINTS } from '../../scripts/build.mjs';
import { isAllowed } from '../../scripts/licenses/allowed.ts';
import { bundleInputs } from '../../scripts/licenses/bundle-inputs.ts';
import { checkPackages, SUPPLIED } from '../../scripts/licenses/collect.ts';
import { readNotices } from '../../scripts/licenses/notices.ts';
import { packLicenses } from '../../scripts/licenses/pack.ts';
import { findPackages, readOwnLicenses } from '../../scripts/licenses/packages.ts';
import { readBundledLicenses } from '../../src/licenses/bundled.ts';
import type { LicenseEntry } from '../../src/licenses/license-entry.ts';
import { printLicenses } from '../../src/licenses/print-licenses.ts';

const ROOT = resolve(import.meta.dir, '../..');
/** In Base64, as it stands in the executable. */
const PACKED_CHARACTERS_MAX = 40_000;
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

describe('the licences of this build', () => {
  let inputs: string[];
  let entries: LicenseEntry[];

  beforeAll(async () => {
    inputs = await bundleInputs(ROOT, ENTRY_POINTS);
    entries = readBundledLicenses();
  });

  const find = (name: string): LicenseEntry | undefined => entries.find((entry) => entry.name === name);

  test('name every package that a file of the bundle comes from, and no other', () => {
    const bundled = inputs
      .flatMap((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [])
      .sort();
    const named = entries.filter(({ url }) => url?.startsWith('https://www.npmjs.com/') === true);
    const packages = named.filter(({ within }) => within === null).map(({ name }) => name);
    expect([...new Set(packages)]).toEqual([...new Set(bundled)]);
    // What a package of ours brings along is in it; what only builds and tests need is not.
    expect(packages).toContain('@smithy/core');
    for (const name of ['marked', 'typescript', 'sqlite-vec', 'domhandler'])
      expect(packages).not.toContain(name);
  });

  test('give each package its text, under a licence that somebody has allowed', () => {
    for (const { name, version, license, text, within } of entries) {
      if (within === 'bun') continue;
      expect({ name, isAllowed: isAllowed(license) }).toEqual({ name, isAllowed: true });
      expect({ name, hasText: text.length > 200 }).toEqual({ name, hasText: true });
      expect({ name, text: /copyright|permission is hereby granted|licen[cs]e/i.test(text) }).toEqual({
        name,
        text: true,
      });
      if (name !== 'Adobe CMap Resources') expect(version).toMatch(/^\d+\.\d+\.\d+/);
    }
  });

  test('say of Bun what it has in itself, with the texts of the LGPL, and addresses for the others', () => {
    expect(find('bun')).toMatchObject({ version: MANIFEST.devDependencies.bun, license: 'MIT' });
    const parts = entries.filter(({ within }) => within === 'bun');
    expect(parts.length).toBeGreaterThan(40);
    for (const { name, license, text, url } of parts) {
      expect({ name, url: url?.startsWith('https://') }).toEqual({ name, url: true });
      if (license.startsWith('LGPL')) expect(text).toContain('GENERAL PUBLIC LICENSE');
    }
    expect(find('WebKit (JavaScriptCore)')).toMatchObject({
      version: process.versions.webkit,
      license: 'LGPL-2.0-or-later',
    });
    expect(find('SQLite')).toMatchObject({ version: process.versions.sqlite, license: 'public domain' });
  });

  test('keep the notices of code that a package has copied', () => {
    expect(find('elysia')?.text).toContain('Evgeny Poberezkin');
    expect(find('postal-mime')?.text).toContain('Jon Leighton');
    expect(find('cassandra-driver')?.text).toContain('The Closure Library');
    expect(find('@ai-sdk/provider-utils')?.text).toContain('Stefan Terdell');
    expect(find('swagger-ui-dist')?.text).toContain('DOMPurify');
    expect(find('Snowball')?.text).toContain('Dr Martin Porter');
    expect(find('pdf.js')).toMatchObject({ license: 'Apache-2.0', within: 'unpdf' });
    expect(find('Adobe CMap Resources')?.text).toStartWith('Copyright 1990-2009 Adobe');
    expect(entries[0]).toMatchObject({
      name: 'understudy',
      version: MANIFEST.version,
      license: 'Apache-2.0',
    });
  });

  test('are a small part of the executable', () => {
    expect(packLicenses().length).toBeLessThan(PACKED_CHARACTERS_MAX);
  });

  test('are supplied by us only for packages that bring none themselves', () => {
    const packages = findPackages(ROOT, inputs, {});
    for (const name of Object.keys(SUPPLIED)) {
      const found = packages.filter((one) => one.name === name);
      expect({ name, isBundled: found.length > 0 }).toEqual({ name, isBundled: true });
      for (const { folder } of found) expect(readOwnLicenses(join(ROOT, folder))).toEqual([]);
    }
  });

  test('are printed as text, each text once, as a table, and as JSON', () => {
    const text = printLicenses(entries, 'text');
    for (const { name, version } of entries)
      expect(text).toContain(version === null ? name : `${name} ${version}`);
    expect(
      text.split('TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION').length - 1,
    ).toBeLessThan(12);
    const table = printLicenses(entries, 'summary').trimEnd().split('\n');
    expect(table).toHaveLength(entries.length + 1);
    expect(table.find((line) => line.startsWith('zod '))).toMatch(/^zod +\d+\.\d+\.\d+ +MIT$/);
    expect(JSON.parse(printLicenses(entries, 'json'))).toEqual(entries);
  });
});

describe('a package', () => {
  const TERMS = 'Whoever has this may do with it what is said here. '.repeat(5).trim();
  let root: string;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'understudy-licenses-'));
    write(
      'main.ts',
      "import { a } from 'good';\nimport { b } from 'unused';\nimport type { C } from 'typed';\nexport const c: C = a;\nconsole.log(c);\n",
    );
    add(
      'good',
      { license: 'MIT' },
      "import { d } from 'deep';\nexport const a = d + Math.random();",
      'MIT License\n\nCopyright (c) 2020 Good\n',
    );
    add('good/node_modules/deep', { license: 'GPL-3.0' }, 'export const d: number = 1;', 'GPL');
    add('unused', { license: 'MIT', sideEffects: false }, 'export const b = 2;', 'MIT');
    add('typed', { license: 'MIT', types: 'index.d.ts' }, 'export {};', 'MIT');
    write('node_modules/typed/index.d.ts', 'export type C = number;');
  });

  afterAll(() => rmSync(root, { recursive: true, force: true }));

  function write(path: string, text: string): void {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }

  function add(name: string, manifest: object, code: string, license: string | null): void {
    const folder = `node_modules/${name}`;
    const own = { name: name.split('/').at(-1), version: '1.2.3', main: 'index.js', ...manifest };
    write(`${folder}/package.json`, JSON.stringify(own));
    write(`${folder}/index.js`, code.replace(': number', ''));
    if (license !== null) write(`${folder}/LICENSE`, `${license}\n${TERMS}`);
  }

  test('is found where it is used, however deep, and not where nothing of it is in the bundle', async () => {
    const inputs = await bundleInputs(root, ['main.ts']);
    expect(findPackages(root, inputs, {}).map(({ name }) => name)).toEqual(['deep', 'good']);
  });

  test('under a licence that is not allowed stops the build, by name', async () => {
    const inputs = await bundleInputs(root, ['main.ts']);
    expect(() => checkPackages(findPackages(root, inputs, {}))).toThrow('deep 1.2.3 has the licence GPL-3.0');
  });

  test('without a text, or without a licence at all, stops the build', () => {
    add('bare', { license: 'MIT' }, '', null);
    add('silent', {}, '', 'Text');
    add('pointer', { license: 'MIT' }, '', null);
    write('node_modules/pointer/LICENSE', 'See the LICENSE file in the root of this repository.');
    const inputs = ['bare', 'silent', 'pointer'].map((name) => `node_modules/${name}/index.js`);
    const check = () => checkPackages(findPackages(root, inputs, {}));
    expect(check).toThrow('bare 1.2.3 brings no text of its licence');
    expect(check).toThrow('silent 1.2.3 has no licence');
    expect(check).toThrow('pointer 1.2.3 brings no text of its licence');
    expect(() =>
      checkPackages(findPackages(root, inputs.slice(0, 1), { bare: 'MIT License' })),
    ).not.toThrow();
  });

  test('has the licences of what lies in its folders, and of what stands in its files, once each', () => {
    add(
      'copier',
      { license: 'ISC' },
      '/*!\n * Copyright (c) 2020 Good\n * Licensed under MIT.\n */',
      'Copyright (c) 2020 Good',
    );
    write('node_modules/copier/vendor/other/LICENSE.md', `Copyright (c) 2001 Other\r\n${TERMS}\r\n`);
    write('node_modules/copier/more.js', '/**\n * @license MIT\n * Copyright (c) 2002 Third\n */\n');
    write('node_modules/copier/lib.js', '');
    write('node_modules/copier/lib.js.LICENSE.txt', 'Copyright (c) 2003 Fourth');
    const files = ['index.js', 'more.js', 'lib.js'].map((file) => `node_modules/copier/${file}`);
    const [found] = findPackages(root, files, {});
    expect(found?.texts).toEqual([
      `Copyright (c) 2020 Good\n${TERMS}`,
      `In other:\n\nCopyright (c) 2001 Other\n${TERMS}`,
      'Copyright (c) 2003 Fourth',
      '@license MIT\nCopyright (c) 2002 Third',
    ]);
  });
});

test('an expression is allowed where one of its choices is, with all that the choice names', () => {
  const expressions = ['MIT', '(AFL-2.1 OR BSD-3-Clause)', 'MIT AND ISC', 'GPL-2.0', 'MIT AND GPL-2.0', ''];
  expect(expressions.map(isAllowed)).toEqual([true, true, true, false, false, false]);
});

test('a long comment that happens to say copyright is no notice', () => {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-notices-'));
  const file = join(folder, 'a.js');
  writeFileSync(
    file,
    `/* the copyright of ${'x'.repeat(11_000)} is licensed under */\n/* Copyright is a word. */`,
  );
  expect(readNotices(file, [])).toEqual([]);
  rmSync(folder, { recursive: true });
});
