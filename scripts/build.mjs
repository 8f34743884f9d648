/**
 * `npm run build`: compiles the single executable. `-- --target=bun-linux-arm64` and the like are passed on.
 */

import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './setup/child.mjs';
import { prepare, ROOT, say } from './setup/install.mjs';

export const BINARY = `dist/understudy${process.platform === 'win32' ? '.exe' : ''}`;

/** The program, and what it runs on threads of its own: each is found by its path in the executable. */
const ENTRY_POINTS = [
  'src/main.ts',
  'src/store/sqlite/thread.ts',
  'src/store/sqlite/blob-thread.ts',
  'src/vector/sqlite/write-thread.ts',
  'src/vector/sqlite/read-thread.ts',
];
/** Names stay: errors are told apart by them in logs. A `bunfig.toml` that lies where the program is started is none of its own. What
 * is imported when it is first needed stays out of memory until then only where it is a piece of its own. */
const FLAGS = ['--minify-syntax', '--minify-whitespace', '--no-compile-autoload-bunfig', '--splitting'];
/** Halves the time to the first answer, for 4 MiB. Made for this machine, so not for others. */
const BYTECODE = ['--bytecode', '--format=esm'];
const BUILD_TIMEOUT_MS = 5 * 60_000;

/**
 * Answers the exit code.
 * @param {string} bun
 * @param {string[]} args
 */
export async function build(bun, args) {
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  const isForElsewhere = args.some((arg) => arg.startsWith('--target'));
  const flags = isForElsewhere ? FLAGS : [...FLAGS, ...BYTECODE];
  // What is given wins: `--outfile` of another target, for one.
  const command = ['build', '--compile', ...flags, ...ENTRY_POINTS, '--outfile', BINARY, ...args];
  const code = await runToEnd(bun, command, { cwd: ROOT, timeoutMs: BUILD_TIMEOUT_MS });
  if (code === 0) {
    const { size } = statSync(join(ROOT, BINARY));
    console.log(`${BINARY}: ${(size / 1024 / 1024).toFixed(1)} MiB`);
  }
  return code;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.exit(await build(await prepare(), process.argv.slice(2)));
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
