/**
 * `npm run build:all`: the executables for every system, in `dist/`, with their checksums in `SHA256SUMS`.
 *
 * An executable is Bun itself with the program behind it, so each needs the Bun of its system. npm brings those from the registry that it
 * is set to use, once, and each is compared with what `package-lock.json` says of it. `npm run build:all -- linux-arm64` makes one alone.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile, toMegabytes } from './build.mjs';
import { runToEnd } from './setup/child.mjs';
import { findNpm, prepare, ROOT, say } from './setup/install.mjs';
import { findPinnedBun, readMachine, toPackageNames } from './setup/pinned-bun.mjs';

/**
 * @typedef {import('./setup/pinned-bun.mjs').Machine} Machine
 * @typedef {{ name: string, machine: Machine }} Target
 */

/** @type {readonly Target[]} */
export const TARGETS = Object.freeze([
  { name: 'linux-x64', machine: { platform: 'linux', arch: 'x64', isMusl: false } },
  { name: 'linux-arm64', machine: { platform: 'linux', arch: 'arm64', isMusl: false } },
  { name: 'linux-x64-musl', machine: { platform: 'linux', arch: 'x64', isMusl: true } },
  { name: 'linux-arm64-musl', machine: { platform: 'linux', arch: 'arm64', isMusl: true } },
  { name: 'macos-x64', machine: { platform: 'darwin', arch: 'x64', isMusl: false } },
  { name: 'macos-arm64', machine: { platform: 'darwin', arch: 'arm64', isMusl: false } },
  { name: 'windows-x64', machine: { platform: 'win32', arch: 'x64', isMusl: false } },
]);

const CACHE = 'node_modules/.cache/understudy-bun';
/** Some 50 MB on a slow line. */
const FETCH_TIMEOUT_MS = 10 * 60_000;
const UNPACK_TIMEOUT_MS = 2 * 60_000;

/**
 * Answers the exit code.
 * @param {string} bun
 * @param {readonly string[]} names Of targets; none means all.
 */
export async function buildAll(bun, names) {
  const targets = toTargets(names);
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  const sums = [];
  for (const [index, { name, machine }] of targets.entries()) {
    const path = `dist/understudy-${name}${machine.platform === 'win32' ? '.exe' : ''}`;
    const runtime = await fetchRuntime(machine);
    const code = await compile(
      bun,
      path,
      [`--target=${toBunTarget(machine)}`, `--compile-executable-path=${runtime}`],
      process.stderr.fd,
    );
    if (code !== 0) return code;
    sums.push(`${await hashFile(join(ROOT, path), 'sha256', 'hex')}  ${basename(path)}`);
    console.log(
      `${index + 1} of ${targets.length}  ${path}: ${toMegabytes(statSync(join(ROOT, path)).size)}`,
    );
  }
  // A list of some would read as if the others were gone.
  if (targets.length === TARGETS.length) {
    writeFileSync(join(ROOT, 'dist/SHA256SUMS'), `${sums.join('\n')}\n`);
    console.log('dist/SHA256SUMS: check with `sha256sum -c SHA256SUMS` in dist.');
  }
  return 0;
}

/** @param {readonly string[]} names */
function toTargets(names) {
  for (const name of names) {
    if (!TARGETS.some((target) => target.name === name)) {
      const known = TARGETS.map((target) => target.name).join(', ');
      throw new Error(`There is no target '${name}'. There are ${known}.`);
    }
  }
  return names.length === 0 ? TARGETS : TARGETS.filter(({ name }) => names.includes(name));
}

/** @param {Machine} machine */
export function toBunTarget({ platform, arch, isMusl }) {
  const system = platform === 'win32' ? 'windows' : platform;
  return `bun-${system}-${arch}${isMusl ? '-musl' : ''}`;
}

/**
 * The path of the pinned Bun for another machine.
 * @param {Machine} machine
 */
async function fetchRuntime(machine) {
  const [pkg = ''] = toPackageNames(machine);
  const { version, integrity } = readLocked(`@oven/${pkg}`);
  const program = machine.platform === 'win32' ? 'bun.exe' : 'bun';
  const installed = findPinnedBun(ROOT, machine);
  if (installed !== null && isThisMachine(machine)) return installed;
  const folder = join(ROOT, CACHE, `${pkg}-${version}`);
  const path = join(folder, 'package/bin', program);
  if (existsSync(path)) return path;
  say(`Fetching @oven/${pkg} ${version}.`);
  mkdirSync(join(ROOT, CACHE), { recursive: true });
  const draft = mkdtempSync(join(ROOT, CACHE, 'draft-'));
  try {
    const archive = await fetchPackage(`@oven/${pkg}@${version}`, draft);
    const [algorithm = ''] = integrity.split('-');
    const found = `${algorithm}-${await hashFile(archive, algorithm, 'base64')}`;
    if (found !== integrity) throw new Error(`@oven/${pkg} ${version} is not what package-lock.json names.`);
    unpack(archive, draft);
    chmodSync(join(draft, 'package/bin', program), 0o755);
    rmSync(archive);
    rmSync(folder, { recursive: true, force: true });
    // At once: what was broken off is never taken for whole.
    renameSync(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return path;
}

/** @param {Machine} machine */
function isThisMachine(machine) {
  const own = readMachine();
  return machine.platform === own.platform && machine.arch === own.arch && machine.isMusl === own.isMusl;
}

/**
 * @param {string} name
 * @returns {{ version: string, integrity: string }}
 */
function readLocked(name) {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
  const entry = packages[`node_modules/${name}`];
  if (entry === undefined) throw new Error(`package-lock.json does not name ${name}.`);
  return entry;
}

/**
 * The path of the package's archive.
 * @param {string} spec
 * @param {string} folder
 */
async function fetchPackage(spec, folder) {
  const npm = findNpm();
  if (npm === null)
    throw new Error('There is no npm here to fetch with. It comes with Node.js; see the README.');
  const [program = '', ...first] = npm;
  const args = [...first, 'pack', spec, '--pack-destination', folder, '--loglevel=error', '--ignore-scripts'];
  const code = await runToEnd(program, args, {
    cwd: ROOT,
    timeoutMs: FETCH_TIMEOUT_MS,
    output: process.stderr.fd,
    shell: program.endsWith('.cmd'),
  });
  if (code !== 0) throw new Error(`${spec} cannot be fetched (${code}). What went wrong stands above.`);
  const [, scope = '', rest = ''] = /^@([^/]+)\/(.+)@/.exec(spec) ?? [];
  return join(folder, `${scope}-${rest}-${spec.slice(spec.lastIndexOf('@') + 1)}.tgz`);
}

/**
 * By `tar`, which Linux, macOS and Windows bring.
 * @param {string} archive
 * @param {string} folder
 */
function unpack(archive, folder) {
  const { status, stderr, error } = spawnSync('tar', ['-xzf', archive, '-C', folder], {
    encoding: 'utf8',
    timeout: UNPACK_TIMEOUT_MS,
  });
  if (status !== 0) throw new Error(`tar cannot unpack ${archive}: ${error?.message ?? stderr.trim()}`);
}

/**
 * @param {string} path
 * @param {string} algorithm
 * @param {'hex' | 'base64'} encoding
 */
async function hashFile(path, algorithm, encoding) {
  const hash = createHash(algorithm);
  for await (const piece of createReadStream(path)) hash.update(piece);
  return hash.digest(encoding);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exit(await buildAll(await prepare(), process.argv.slice(2)));
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
