/** Python with packages, in environments of their own that are kept beside the packages of the project. */

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { withInstallLock } from '../../scripts/setup/install-lock.mjs';

const CACHE = resolve(import.meta.dir, '../../node_modules/.cache');
/** For each step: a registry that cannot be reached must not hold up the other tests for long. */
const INSTALL_MS = 120_000;
const PIP = ['-m', 'pip', '--quiet', '--disable-pip-version-check', '--retries', '1', '--timeout', '15'];
const UV = 'uv==0.13.9';
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
  return makeOnce(folder, () => makeEnvironment(folder, name, [], [`${name}==${version}`, ...others]));
}

/**
 * Python with exactly these packages, each pinned: what they depend on is among them, or is not needed. `name` says what it is for. Or
 * why there is none here.
 */
export async function findPythonWithList(name: string, packages: readonly string[]): Promise<Python> {
  const folder = join(CACHE, `python-${name}-${Bun.hash(packages.join('\n')).toString(36)}`);
  return makeOnce(folder, () => makeEnvironment(folder, name, ['--no-deps'], packages));
}

/**
 * A folder with exactly these packages, each pinned, for `PYTHONPATH`: what they depend on is among them, or is not needed. `python` has
 * pip. Or why there is none.
 */
export async function findPythonFolder(
  python: string,
  name: string,
  packages: readonly string[],
): Promise<Python> {
  const folder = join(CACHE, `python-${name}-${Bun.hash(packages.join('\n')).toString(36)}`);
  return makeOnce(folder, async () => {
    const reason = await installPackages(python, ['--no-deps', '--upgrade', '--target', folder], packages);
    return toPython(folder, name, reason);
  });
}

/** Two lanes of tests may want the same folder at once: one makes it, the other waits. A stamp says that it is whole. */
async function makeOnce(folder: string, make: () => Promise<Python>): Promise<Python> {
  const stamp = join(folder, 'installed');
  const program = join(folder, 'bin/python');
  const find = (): Python | null =>
    existsSync(stamp) ? { path: existsSync(program) ? program : folder, reason: null } : null;
  const found = find();
  if (found !== null) return found;
  await mkdir(CACHE, { recursive: true });
  const sayWaiting = () => console.log('Another process is installing packages of Python; waiting for it.');
  return withInstallLock(`${folder}.lock`, sayWaiting, async () => {
    const python = find() ?? (await make());
    if (python.path !== null) await Bun.write(stamp, '');
    return python;
  });
}

async function makeEnvironment(
  folder: string,
  name: string,
  options: readonly string[],
  packages: readonly string[],
): Promise<Python> {
  const python = Bun.which('python3');
  if (python === null) return { path: null, reason: 'there is no python3 on this machine' };
  const program = join(folder, 'bin/python');
  const reason =
    (await tryCommand([python, '-m', 'venv', '--clear', folder])) ??
    (await installPackages(program, options, packages));
  return toPython(program, name, reason);
}

function toPython(path: string, name: string, reason: string | null): Python {
  return reason === null
    ? { path, reason }
    : { path: null, reason: `the package ${name} cannot be installed: ${reason}` };
}

/**
 * By uv, which takes a tenth of pip's time; by pip where there is no uv for this machine, or only pip's own settings know the way to the
 * packages. Null, or why it failed.
 */
async function installPackages(
  python: string,
  options: readonly string[],
  packages: readonly string[],
): Promise<string | null> {
  const uv = join(dirname(python), 'uv');
  if (!existsSync(uv)) await tryCommand([python, ...PIP, 'install', '--no-compile', UV]);
  const isDone =
    existsSync(uv) &&
    (await tryCommand([uv, 'pip', 'install', '--quiet', '--python', python, ...options, ...packages])) ===
      null;
  return isDone ? null : tryCommand([python, ...PIP, 'install', '--no-compile', ...options, ...packages]);
}

/** Null, or why it failed. */
async function tryCommand(command: readonly string[]): Promise<string | null> {
  const child = Bun.spawn([...command], { stdout: 'pipe', stderr: 'pipe', timeout: INSTALL_MS });
  // Debian's Python says on stdout that it cannot make environments.
  const [printed, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0) return null;
  const reason = child.signalCode === null ? `${printed}\n${errors}`.trim() : 'it took too long';
  return reason.slice(-REASON_CHARACTERS_MAX);
}
