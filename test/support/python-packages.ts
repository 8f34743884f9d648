/** Python with one package, in an environment of its own that is kept beside the packages of the project. */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const CACHE = resolve(import.meta.dir, '../../node_modules/.cache');
/** For each step: a registry that cannot be reached must not hold up the other tests for long. */
const INSTALL_MS = 120_000;
const PIP = ['-m', 'pip', '--quiet', '--disable-pip-version-check', '--retries', '1', '--timeout', '15'];
const REASON_CHARACTERS_MAX = 300;

export type Python =
  | { readonly path: string; readonly reason: null }
  | { readonly path: null; readonly reason: string };

/**
 * Python with the package at this version, pinned as everything else; or why there is none here. `others` are further
 * packages: `pytest==9.2.0`.
 */
export async function findPythonWith(
  name: string,
  version: string,
  others: readonly string[] = [],
): Promise<Python> {
  const folder = join(CACHE, ['python', name, version, ...others].join('-').replaceAll('==', '-'));
  const program = join(folder, 'bin/python');
  const stamp = join(folder, 'installed');
  if (existsSync(stamp)) return { path: program, reason: null };
  const python = Bun.which('python3');
  if (python === null) return { path: null, reason: 'there is no python3 on this machine' };
  const steps = [
    [python, '-m', 'venv', '--clear', folder],
    [program, ...PIP, 'install', `${name}==${version}`, ...others],
  ];
  for (const command of steps) {
    const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe', timeout: INSTALL_MS });
    // Debian's Python says on stdout that it cannot make environments.
    const [printed, errors, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0) {
      const reason = child.signalCode === null ? `${printed}\n${errors}`.trim() : 'it took too long';
      return {
        path: null,
        reason: `the package ${name} cannot be installed: ${reason.slice(-REASON_CHARACTERS_MAX)}`,
      };
    }
  }
  await Bun.write(stamp, version);
  return { path: program, reason: null };
}
