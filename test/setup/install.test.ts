import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findInstalled, ROOT } from '../../scripts/setup/install.mjs';
import { findPinnedBun, readMachine, toPackageNames } from '../../scripts/setup/pinned-bun.mjs';

const LINUX = { platform: 'linux', arch: 'x64', isMusl: false };
const PROGRAM_BYTES = 2 * 1024 * 1024;

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'understudy-install-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, content: unknown): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content));
}

function writeProgram(path: string): string {
  write(path, '');
  truncateSync(join(root, path), PROGRAM_BYTES);
  return join(root, path);
}

describe('the pinned Bun', () => {
  test.each([
    [LINUX, ['bun-linux-x64']],
    [{ ...LINUX, isMusl: true }, ['bun-linux-x64-musl', 'bun-linux-x64']],
    [{ ...LINUX, arch: 'arm64' }, ['bun-linux-aarch64']],
    [{ ...LINUX, platform: 'darwin', arch: 'arm64' }, ['bun-darwin-aarch64']],
    [{ ...LINUX, platform: 'win32' }, ['bun-windows-x64']],
    [{ ...LINUX, arch: 'mips' }, []],
    [{ ...LINUX, platform: 'sunos' }, []],
  ] as const)('for %o comes from %p', (machine, names) => {
    expect(toPackageNames(machine)).toEqual([...names]);
  });

  test("is where its package's script puts it", () => {
    const program = writeProgram('node_modules/bun/bin/bun.exe');
    expect(findPinnedBun(root, LINUX)).toBe(program);
  });

  test("is in the platform's package where the script did not run", () => {
    write('node_modules/bun/bin/bun.exe', 'echo "the script did not run"');
    const program = writeProgram('node_modules/@oven/bun-linux-x64/bin/bun');
    expect(findPinnedBun(root, LINUX)).toBe(program);
  });

  test('of another platform is none', () => {
    writeProgram('node_modules/@oven/bun-darwin-aarch64/bin/bun');
    expect(findPinnedBun(root, LINUX)).toBeNull();
  });

  test('is the one that runs this test, where it runs by npm test', () => {
    expect(findPinnedBun(ROOT, readMachine())).not.toBeNull();
    expect(findInstalled(ROOT)).not.toBeNull();
  });
});

describe('an installation', () => {
  const LOCK = {
    packages: {
      '': { name: 'small' },
      'node_modules/apple': { version: '1.0.0', integrity: 'sha512-apple' },
      'node_modules/@pear/core': { version: '2.0.0', integrity: 'sha512-pear' },
      'node_modules/@pear/for-another-machine': { version: '2.0.0', integrity: 'sha512-x', optional: true },
    },
  };

  const install = (stamp: 'ours' | 'npm' | 'none'): string => {
    write('package-lock.json', LOCK);
    write('node_modules/apple/package.json', { version: '1.0.0' });
    write('node_modules/@pear/core/package.json', { version: '2.0.0' });
    if (stamp === 'ours') {
      const lock = createHash('sha256').update(JSON.stringify(LOCK)).digest('hex');
      write('node_modules/.installed.json', { lock });
    }
    const { '': _, ...packages } = LOCK.packages;
    if (stamp === 'npm') write('node_modules/.package-lock.json', { packages });
    return writeProgram('node_modules/bun/bin/bun.exe');
  };

  test.each(['ours', 'npm'] as const)('that was finished (%s) is used as it is', (stamp) => {
    const program = install(stamp);
    expect(findInstalled(root)).toBe(program);
  });

  test('that was broken off is not used', () => {
    install('none');
    expect(findInstalled(root)).toBeNull();
  });

  test.each(['ours', 'npm'] as const)('of an older lock file (%s) is not used', (stamp) => {
    install(stamp);
    const apple = { version: '1.0.1', integrity: 'sha512-newer' };
    write('package-lock.json', { packages: { ...LOCK.packages, 'node_modules/apple': apple } });
    expect(findInstalled(root)).toBeNull();
  });

  test.each(['ours', 'npm'] as const)('from which a package was deleted (%s) is not used', (stamp) => {
    install(stamp);
    rmSync(join(root, 'node_modules/apple'), { recursive: true });
    expect(findInstalled(root)).toBeNull();
  });

  test('in which a package has another version is not used', () => {
    install('ours');
    write('node_modules/apple/package.json', { version: '3.0.0' });
    expect(findInstalled(root)).toBeNull();
  });

  test('without a program for this machine is not used', () => {
    install('ours');
    rmSync(join(root, 'node_modules/bun'), { recursive: true });
    expect(findInstalled(root)).toBeNull();
  });

  test('that was never made is not used', () => {
    expect(findInstalled(root)).toBeNull();
  });
});
