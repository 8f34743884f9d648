/** The Python client as a source archive and a wheel, by the build tool that its `pyproject.toml` names, in an environment of its own. */

import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runToEnd } from '../setup/child.mjs';

/** What makes the same archives of the same files: another version may write other ones. */
const HATCHLING = 'hatchling==1.33.0';
const CACHE = 'node_modules/.cache/understudy-release';
const PIP = ['-m', 'pip', '--quiet', '--disable-pip-version-check'];
const STEP_MS = 120_000;

/** Throws where there is no Python, or a step fails. */
export async function buildPythonPackages(root: string, folder: string, seconds: number): Promise<void> {
  const python = await findPython(root);
  await run([python, '-m', 'hatchling', 'build', '--directory', folder], join(root, 'clients/python'), {
    SOURCE_DATE_EPOCH: String(seconds),
    PYTHONDONTWRITEBYTECODE: '1',
  });
}

async function findPython(root: string): Promise<string> {
  const environment = join(root, CACHE, HATCHLING.replace('==', '-'));
  const python = join(environment, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const stamp = join(environment, 'installed');
  if (existsSync(stamp)) return python;
  const system = Bun.which('python3') ?? Bun.which('python');
  if (system === null)
    throw new Error('There is no Python here, which makes the Python packages: leave them out by --only.');
  rmSync(environment, { recursive: true, force: true });
  await run([system, '-m', 'venv', environment], root);
  await run([python, ...PIP, 'install', HATCHLING], root);
  writeFileSync(stamp, HATCHLING);
  return python;
}

async function run(command: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<void> {
  const [program = '', ...args] = command;
  const options = { cwd, env: { ...process.env, ...env }, timeoutMs: STEP_MS, output: process.stderr.fd };
  const code = await runToEnd(program, args, options);
  if (code !== 0) throw new Error(`'${command.join(' ')}' ended with code ${code}.`);
}
