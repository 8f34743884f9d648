/**
 * `npm run build`: compiles the single executable for this machine. Further flags are passed on. `npm run build:all` makes those for others.
 */

import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './setup/child.mjs';
import { prepare, ROOT, say } from './setup/install.mjs';

export const BINARY = `dist/understudy${process.platform === 'win32' ? '.exe' : ''}`;

/** The program, and what it runs on threads of its own: each is found by its path in the executable. */
export const ENTRY_POINTS = [
  'src/main.ts',
  'src/store/sqlite/thread.ts',
  'src/store/sqlite/blob-thread.ts',
  'src/vector/sqlite/write-thread.ts',
  'src/vector/sqlite/read-thread.ts',
];
/** Names stay: errors are told apart by them in logs. A `bunfig.toml` that lies where the program is started is none of its own. What
 * is imported when it is first needed stays out of memory until then only where it is a piece of its own. */
const FLAGS = ['--minify-syntax', '--minify-whitespace', '--no-compile-autoload-bunfig', '--splitting'];
/**
 * Halves the time to the first answer. Deeper than one level of functions it would be half as large again, and the start no faster:
 * what a start runs is mostly there. It is the same for every machine.
 */
const BYTECODE = ['--bytecode', '--format=esm', '--bytecode-depth=1'];
const BUILD_TIMEOUT_MS = 5 * 60_000;

/**
 * Answers the exit code.
 * @param {string} bun
 * @param {string[]} args
 */
export async function build(bun, args) {
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  const code = await compile(bun, BINARY, args);
  if (code === 0) console.log(`${BINARY}: ${toMegabytes(statSync(join(ROOT, BINARY)).size)}`);
  return code;
}

/**
 * Answers the exit code.
 * @param {string} bun
 * @param {string} path Of the executable, from the project's folder.
 * @param {readonly string[]} args More flags: what is given wins.
 * @param {number} [output] The file descriptor that gets what Bun prints.
 */
export async function compile(bun, path, args, output) {
  const command = ['build', '--compile', ...FLAGS, ...BYTECODE, ...ENTRY_POINTS, '--outfile', path, ...args];
  return await runToEnd(bun, command, {
    cwd: ROOT,
    timeoutMs: BUILD_TIMEOUT_MS,
    ...(output === undefined ? {} : { output }),
  });
}

/** @param {number} bytes */
export function toMegabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exit(await build(await prepare(), process.argv.slice(2)));
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
