import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TARGETS, toBunTarget } from '../../scripts/build-all.mjs';
import { toPackageNames } from '../../scripts/setup/pinned-bun.mjs';

const ROOT = join(import.meta.dir, '../..');

test('executables are made for Linux on both processors and both C libraries, for macOS and for Windows', () => {
  expect(TARGETS.map(({ machine }) => toBunTarget(machine))).toEqual([
    'bun-linux-x64',
    'bun-linux-arm64',
    'bun-linux-x64-musl',
    'bun-linux-arm64-musl',
    'bun-darwin-x64',
    'bun-darwin-arm64',
    'bun-windows-x64',
  ]);
});

test('the Bun of each is pinned by its hash, in the version that runs here', async () => {
  const { packages } = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8'));
  for (const { machine } of TARGETS) {
    const [name] = toPackageNames(machine);
    expect(packages[`node_modules/@oven/${name}`]).toMatchObject({
      version: packages['node_modules/bun'].version,
      integrity: expect.stringMatching(/^sha512-/),
    });
  }
});
