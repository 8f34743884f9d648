/** The Python client, in an environment of its own that is kept beside the packages. */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** As pinned as everything else. */
const OPENAI_VERSION = '3.57.0';
const FOLDER = resolve(import.meta.dir, `../../node_modules/.cache/python-openai-${OPENAI_VERSION}`);
const PROGRAM = join(FOLDER, 'bin/python');
const STAMP = join(FOLDER, 'installed');
/** For each step: a registry that cannot be reached must not hold up the other tests for long. */
const INSTALL_MS = 120_000;
const PIP = ['-m', 'pip', '--quiet', '--disable-pip-version-check', '--retries', '1', '--timeout', '15'];
const REASON_CHARACTERS_MAX = 300;

export type Python =
  | { readonly path: string; readonly reason: null }
  | { readonly path: null; readonly reason: string };

/** Python with the official client; or why there is none here, which is no fault of the server's. */
export async function findPython(): Promise<Python> {
  if (existsSync(STAMP)) return { path: PROGRAM, reason: null };
  const python = Bun.which('python3');
  if (python === null) return { path: null, reason: 'there is no python3 on this machine' };
  const steps = [
    [python, '-m', 'venv', '--clear', FOLDER],
    [PROGRAM, ...PIP, 'install', `openai==${OPENAI_VERSION}`],
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
        reason: `the Python client cannot be installed: ${reason.slice(-REASON_CHARACTERS_MAX)}`,
      };
    }
  }
  await Bun.write(STAMP, OPENAI_VERSION);
  return { path: PROGRAM, reason: null };
}
