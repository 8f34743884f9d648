/** `understudy licenses`, from the source and from the executable: whoever has the program has the licences. */

import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dir, '../..');
const RUN_MS = 30_000;
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

function run(...flags: string[]): { status: number | null; stdout: string; stderr: string } {
  const binary = process.env.UNDERSTUDY_TEST_BINARY;
  const [program = '', ...args] =
    binary === undefined ? [process.execPath, join(ROOT, 'src/main.ts')] : [resolve(ROOT, binary)];
  return spawnSync(program, [...args, 'licenses', ...flags], {
    // Far from the project: nothing of it may be looked for.
    cwd: tmpdir(),
    env: { PATH: process.env.PATH ?? '' },
    encoding: 'utf8',
    timeout: RUN_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
}

test('prints every licence with its text, wherever it is started', () => {
  const { status, stdout, stderr } = run();
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain('GNU LIBRARY GENERAL PUBLIC LICENSE');
  expect(stdout).toContain('zod');
  const table = run('--summary').stdout.split('\n');
  expect(table[0]).toMatch(/^name +version +licence$/);
  const entries = JSON.parse(run('--json').stdout);
  expect(entries).toHaveLength(table.length - 2);
  expect(entries[0]).toMatchObject({ name: 'understudy', license: 'Apache-2.0' });
});

test('has no other flags, and takes no words', () => {
  expect(run('--sumary').stderr).toContain('Did you mean --summary?');
  expect(run('zod')).toMatchObject({ status: 2, stderr: expect.stringContaining('one word too many') });
});
