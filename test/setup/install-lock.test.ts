import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { withInstallLock } from '../../scripts/setup/install-lock.mjs';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'understudy-lock-'));
  path = join(folder, 'install.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const nothing = () => undefined;

describe('the lock of an installation', () => {
  test('lets one at a time do its work, and all of them in the end', async () => {
    let inside = 0;
    let insideMax = 0;
    let waited = 0;
    const work = async () => {
      inside += 1;
      insideMax = Math.max(insideMax, inside);
      await Bun.sleep(5);
      inside -= 1;
      return 'done';
    };
    const wait = () => {
      waited += 1;
    };
    const results = await Promise.all([1, 2, 3, 4].map(() => withInstallLock(path, wait, work)));
    expect(results).toEqual(['done', 'done', 'done', 'done']);
    expect(insideMax).toBe(1);
    expect(waited).toBe(3);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is released where the work fails', async () => {
    const fail = async () => {
      throw new Error('no network');
    };
    await expect(withInstallLock(path, nothing, fail)).rejects.toThrow('no network');
    expect(await withInstallLock(path, nothing, async () => 7)).toBe(7);
  });

  test('of a process that has died is taken over at once', async () => {
    const dead = Bun.spawn([process.execPath, '--version'], { stdout: 'ignore' });
    await dead.exited;
    writeFileSync(path, JSON.stringify({ pid: dead.pid, host: hostname() }));
    expect(await withInstallLock(path, nothing, async () => existsSync(path))).toBe(true);
  });

  test('of a living process is waited for', async () => {
    writeFileSync(path, JSON.stringify({ pid: process.pid, host: hostname() }));
    const order: string[] = [];
    const release = () => {
      order.push('waits');
      rmSync(path);
    };
    await withInstallLock(path, release, async () => order.push('works'));
    expect(order).toEqual(['waits', 'works']);
  });

  test('of another machine is taken over once it shows no sign of life', async () => {
    writeFileSync(path, JSON.stringify({ pid: 1, host: 'elsewhere' }));
    const longAgo = new Date(Date.now() - 120_000);
    utimesSync(path, longAgo, longAgo);
    expect(await withInstallLock(path, nothing, async () => 'mine')).toBe('mine');
  });
});
