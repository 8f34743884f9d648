/**
 * Where the pinned Bun lies in `node_modules`.
 *
 * The `bun` package holds no program: one of its optional dependencies does, a package for each platform, and a script
 * that runs after the installation moves the program over. Where such scripts do not run (newer versions of npm ask
 * first), the program is still where it came with the platform's package. So both places are looked at.
 */

import { copyFileSync, existsSync, linkSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What stands in for the program until it is moved is a text of some hundred bytes. */
const PROGRAM_BYTES_MIN = 1024 * 1024;

/**
 * @typedef {{ platform: string, arch: string, isMusl: boolean }} Machine
 */

/** @returns {Machine} */
export function readMachine() {
  const { platform, arch } = process;
  return { platform, arch, isMusl: platform === 'linux' && isMuslMachine() };
}

/** Alpine and its like, whose C library is another one. */
function isMuslMachine() {
  if (existsSync('/etc/alpine-release')) return true;
  try {
    const { report } = process;
    // The report would otherwise look up the names of all open connections, which can take seconds.
    if ('excludeNetwork' in report) report.excludeNetwork = true;
    /** @type {any} */
    const content = report.getReport();
    return content?.header !== undefined && content.header.glibcVersionRuntime === undefined;
  } catch {
    return false;
  }
}

/**
 * The packages that may hold a program for this machine, the best one first.
 * @param {Machine} machine
 * @returns {string[]}
 */
export function toPackageNames({ platform, arch, isMusl }) {
  const cpu = { x64: 'x64', arm64: 'aarch64' }[arch];
  if (cpu === undefined) return [];
  switch (platform) {
    case 'linux':
      return isMusl ? [`bun-linux-${cpu}-musl`, `bun-linux-${cpu}`] : [`bun-linux-${cpu}`];
    case 'android':
      return [`bun-linux-${cpu}-android`];
    case 'darwin':
    case 'freebsd':
      return [`bun-${platform}-${cpu}`];
    case 'win32':
      return [`bun-windows-${cpu}`];
    default:
      return [];
  }
}

/**
 * The program's path, or null where it is not installed.
 * @param {string} root The project's folder.
 * @param {Machine} machine
 * @returns {string | null}
 */
export function findPinnedBun(root, machine) {
  const moved = toMovedPath(root);
  if (isProgram(moved)) return moved;
  const name = machine.platform === 'win32' ? 'bun.exe' : 'bun';
  const paths = toPackageNames(machine).map((pkg) => join(root, 'node_modules', '@oven', pkg, 'bin', name));
  return paths.find(isProgram) ?? null;
}

/**
 * Puts the program where `node_modules/.bin/bun` points to, as the package's own script would.
 * @param {string} root
 * @param {string} program
 */
export function linkPinnedBun(root, program) {
  const moved = toMovedPath(root);
  if (moved === program) return;
  for (const path of [moved, join(root, 'node_modules/bun/bin/bunx.exe')]) {
    // Put beside and moved over: what is there may be a link into a cache that other projects use, and another start
    // may be doing the same.
    const beside = `${path}.${process.pid}`;
    try {
      linkSync(program, beside);
    } catch {
      copyFileSync(program, beside);
    }
    renameSync(beside, path);
    // Moving a link over another one of the same file leaves both.
    rmSync(beside, { force: true });
  }
}

/** @param {string} root */
function toMovedPath(root) {
  return join(root, 'node_modules/bun/bin/bun.exe');
}

/** @param {string} path */
function isProgram(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true && stat.size >= PROGRAM_BYTES_MIN;
}
