/** Installs what `package-lock.json` names, where that has not been done yet, and finds the pinned Bun. */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './child.mjs';
import { withInstallLock } from './install-lock.mjs';
import { findPinnedBun, linkPinnedBun, readMachine } from './pinned-bun.mjs';

/** The project's folder. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

const LOCK_FILE = '.install.lock';
/** On a slow line, 100 MB take their time. */
const INSTALL_TIMEOUT_MS = 30 * 60_000;
/** Written last: an installation that was broken off has none. */
const STAMP = 'node_modules/.installed.json';
/** npm's own, of which the same holds. */
const NPM_STAMP = 'node_modules/.package-lock.json';

/**
 * The path of the pinned Bun, after everything that the project needs is there. Throws where that cannot be done.
 * @returns {Promise<string>}
 */
export async function prepare() {
  const program =
    findInstalled(ROOT) ?? (await withInstallLock(join(ROOT, LOCK_FILE), sayWaiting, installOnce));
  try {
    linkPinnedBun(ROOT, program);
  } catch {
    // The folder may belong to somebody else. The link is for those who call Bun by hand.
  }
  return program;
}

async function installOnce() {
  // Somebody else may have done it, while this process waited.
  const done = findInstalled(ROOT);
  if (done !== null) return done;
  rmSync(join(ROOT, STAMP), { force: true });
  const command = findInstaller();
  say(`Installing the packages of package-lock.json (${command.slice(0, 2).join(' ')}). This happens once.`);
  await run(command);
  const program = findPinnedBun(ROOT, readMachine());
  if (program === null) {
    throw new Error(`Bun has no program for this machine (${process.platform} ${process.arch}).`);
  }
  writeFileSync(join(ROOT, STAMP), JSON.stringify({ lock: hashLock(ROOT) }));
  const installed = findInstalled(ROOT);
  if (installed === null)
    throw new Error('The packages are not what package-lock.json names, even after installing.');
  return installed;
}

function sayWaiting() {
  say('Another process is installing; waiting for it.');
}

/**
 * The pinned Bun's path where all is installed as the lock file says, else null.
 * @param {string} root
 * @returns {string | null}
 */
export function findInstalled(root) {
  try {
    const lock = readJson(join(root, 'package-lock.json'));
    const isFinished = readStamp(root) === hashLock(root) || isNpmFinished(root, lock);
    if (!isFinished || !isEachPackageThere(root, lock)) return null;
    return findPinnedBun(root, readMachine());
  } catch {
    return null;
  }
}

/** @param {string} root */
function readStamp(root) {
  return existsSync(join(root, STAMP)) ? readJson(join(root, STAMP)).lock : null;
}

/** @param {string} root */
function hashLock(root) {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
}

/**
 * Whether somebody ran npm by hand, to its end, with this lock file.
 * @param {string} root
 * @param {any} lock
 */
function isNpmFinished(root, lock) {
  if (!existsSync(join(root, NPM_STAMP))) return false;
  const { packages } = readJson(join(root, NPM_STAMP));
  return toRequired(lock).every(([path, entry]) => packages[path]?.integrity === entry.integrity);
}

/**
 * Reads each package's own description: folders get deleted, and lock files changed, by hand.
 * @param {string} root
 * @param {any} lock
 */
function isEachPackageThere(root, lock) {
  return toRequired(lock).every(
    ([path, entry]) => readJson(join(root, path, 'package.json')).version === entry.version,
  );
}

/**
 * The packages that every machine needs; the optional ones are those of single platforms.
 * @param {any} lock
 * @returns {[string, any][]}
 */
function toRequired(lock) {
  return Object.entries(lock.packages).filter(
    ([path, entry]) => path !== '' && !entry.optional && !entry.devOptional,
  );
}

/**
 * npm where there is one, else the Bun that runs this very file.
 * @returns {string[]}
 */
function findInstaller() {
  // Development packages are needed whatever NODE_ENV says: Bun is one of them. No package's script needs to run.
  const npmFlags = [
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    // Packages for development may want a newer Node.js than the one that only installs them.
    '--loglevel=error',
  ];
  const npm = findNpm();
  if (npm !== null) return [...npm, ...npmFlags];
  if (process.versions.bun) {
    // `--no-save`: package-lock.json stays the one lock file.
    return [process.execPath, 'install', '--frozen-lockfile', '--no-save', '--ignore-scripts'];
  }
  throw new Error('There is no npm here to install with. It comes with Node.js; see the README.');
}

/**
 * The command that is npm, or null where there is none.
 * @returns {string[] | null}
 */
export function findNpm() {
  const { npm_execpath: npmScript } = process.env;
  if (npmScript !== undefined && /npm-cli\.c?js$/.test(npmScript) && !process.versions.bun) {
    return [process.execPath, npmScript];
  }
  const npm = findInPath(process.platform === 'win32' ? 'npm.cmd' : 'npm');
  return npm === null ? null : [npm];
}

/** @param {string} name */
function findInPath(name) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

/**
 * What it prints goes to stderr: stdout belongs to the program that is started afterwards.
 * @param {string[]} command
 */
async function run([program = '', ...args]) {
  const code = await runToEnd(program, args, {
    cwd: ROOT,
    timeoutMs: INSTALL_TIMEOUT_MS,
    output: process.stderr.fd,
    shell: program.endsWith('.cmd'),
  });
  if (code !== 0)
    throw new Error(`The packages could not be installed (${code}). What went wrong stands above.`);
}

/** @param {string} path */
function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** @param {string} text */
export function say(text) {
  console.error(`understudy: ${text}`);
}
