/** `understudy copy`, in a process of its own. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dir, '../..');

export interface CopyResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CopyProcess {
  kill(signal: 'SIGINT' | 'SIGKILL'): void;
  readonly ended: Promise<CopyResult>;
}

export function startCopy(flags: readonly string[]): CopyProcess {
  const binary = process.env.UNDERSTUDY_TEST_BINARY;
  const program =
    binary === undefined || binary === ''
      ? [process.execPath, join(ROOT, 'src/main.ts')]
      : [resolve(ROOT, binary)];
  const child = Bun.spawn([...program, 'copy', ...flags], {
    cwd: ROOT,
    env: { PATH: process.env.PATH ?? '' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const collect = async (): Promise<CopyResult> => {
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  };
  return { kill: (signal) => child.kill(signal), ended: collect() };
}

export function copy(from: string, to: string, ...flags: readonly string[]): Promise<CopyResult> {
  return startCopy(['--from', `sqlite:${from}`, '--to', `sqlite:${to}`, ...flags]).ended;
}

/** Directories that are removed behind the tests. */
export async function makeDirectories<N extends string>(
  ...names: readonly N[]
): Promise<Record<N, string> & { remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'understudy-copy-'));
  const paths = Object.fromEntries(names.map((name) => [name, join(root, name)])) as Record<N, string>;
  return { ...paths, remove: () => rm(root, { recursive: true, force: true }) };
}

/** How many records the report says were copied, and how many were there. */
export function readCounts({ stdout }: CopyResult): { copied: number; present: number } {
  const read = (pattern: RegExp): number => Number((pattern.exec(stdout)?.[1] ?? '0').replaceAll(',', ''));
  return {
    copied: read(/^ {2}([\d,]+) records, /m),
    present: read(/^ {2}([\d,]+) records were there already\./m),
  };
}
