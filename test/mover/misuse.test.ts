/** What cannot be copied is refused before anything is touched, in words that say why. */

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { startServer } from '../support/server.ts';
import { copy, makeDirectories, startCopy } from './copy-process.ts';
import { makeThreads } from './large-tenant.ts';

let directories: Awaited<
  ReturnType<typeof makeDirectories<'source' | 'copy' | 'empty' | 'missing' | 'link'>>
>;
beforeAll(async () => {
  directories = await makeDirectories('source', 'copy', 'empty', 'missing', 'link');
  await makeThreads(directories.source, 1);
  await mkdir(directories.empty);
  await symlink(directories.source, directories.link);
});
afterAll(() => directories.remove());

test('words that name no store, and stores that are not there', async () => {
  const { source, empty, missing, copy: target } = directories;
  const cases: readonly (readonly [string, string, string])[] = [
    [
      'postgres:x',
      `sqlite:${target}`,
      "--from: 'postgres:x' names no store: write sqlite:DIRECTORY or cassandra:",
    ],
    [source, `sqlite:${target}`, `--from: '${source}' names no store`],
    [`sqlite:${source}`, 'sqlite:', "--to: 'sqlite:' names no store"],
    [`sqlite:${missing}`, `sqlite:${target}`, `--from: There is no directory '${missing}'.`],
    [`sqlite:${empty}`, `sqlite:${target}`, `--from: The directory '${empty}' holds no data of a server`],
    [`sqlite:${source}`, `sqlite:${source}/../source/`, '--from and --to are the same store'],
    [`sqlite:${source}`, `sqlite:${directories.link}`, '--from and --to are the same store'],
  ];
  for (const [from, to, message] of cases) {
    const result = await startCopy(['--from', from, '--to', to]).ended;
    expect([result.code, result.stdout]).toEqual([2, '']);
    expect(result.stderr).toContain(`understudy: ${message}`);
  }
  expect(existsSync(target)).toBe(false);
});

test('flags that are missing, given twice, or belong to another command', async () => {
  const neither = await startCopy([]).ended;
  expect(neither.code).toBe(2);
  expect(neither.stderr).toContain('copy needs --from STORE');
  expect(neither.stderr).toContain('copy needs --to STORE');
  const twice = await copy('a', 'b', '--from', 'sqlite:c');
  expect(twice.stderr).toContain('--from is given 2 times.');
  const system = await copy('a', 'b', '--tenant', '$system');
  expect(system.stderr).toContain("There is no tenant '$system'.");
});

test('a comparison makes no store, and a tenant of whom nothing is there is no success', async () => {
  const { source, missing, copy: target } = directories;
  const compared = await copy(source, missing, '--verify-only');
  expect(compared.code).toBe(2);
  expect(compared.stderr).toContain(`--to: There is no directory '${missing}'.`);
  const nobody = await copy(source, target, '--tenant', 'nobody');
  expect(nobody.code).toBe(1);
  expect(nobody.stdout).toContain("There is nothing of a tenant 'nobody'");
});

test('a directory that a server has in use is neither copied nor copied into', async () => {
  const { source, copy: target, missing } = directories;
  const server = await startServer({ dataDirectory: source });
  try {
    for (const [from, to] of [
      [source, missing],
      [target, source],
    ] as const) {
      const result = await copy(from, to);
      expect(result.code).toBe(1);
      expect(result.stderr).toContain(`'${source}' is in use by another process: stop the server`);
    }
    expect(existsSync(missing)).toBe(false);
    expect((await server.client().beta.assistants.list()).data).toEqual([]);
  } finally {
    await server.stop();
  }
  expect(await copy(source, target)).toMatchObject({ code: 0 });
});
