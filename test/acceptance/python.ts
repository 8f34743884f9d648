/** The Python client, in an environment of its own that is kept beside the packages. */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** As pinned as everything else. */
const OPENAI_VERSION = '3.57.0';
const FOLDER = resolve(import.meta.dir, `../../node_modules/.cache/python-openai-${OPENAI_VERSION}`);
const PROGRAM = join(FOLDER, 'bin/python');
const STAMP = join(FOLDER, 'installed');
const INSTALL_MS = 150_000;

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
    [PROGRAM, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `openai==${OPENAI_VERSION}`],
  ];
  for (const command of steps) {
    const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe', timeout: INSTALL_MS });
    const [errors, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    if (code !== 0)
      return { path: null, reason: `the Python client cannot be installed: ${errors.slice(-300)}` };
  }
  await Bun.write(STAMP, OPENAI_VERSION);
  return { path: PROGRAM, reason: null };
}
