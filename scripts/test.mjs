/**
 * `npm test`: type check, lint, then the tests; closed by the line `N passed, N failed`.
 *
 * `npm test -- test/routes` runs the tests of one folder or file alone; `--only-faults` those that kill processes and
 * take their time; `--binary` those that drive a server, against the compiled executable.
 */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY, build } from './build.mjs';
import { runToEnd } from './setup/child.mjs';
import { prepare, ROOT, say } from './setup/install.mjs';
import { addResults, readJunit, toClosingLine, toResults } from './setup/results.mjs';

/** The slow suites have their own script. */
const FAULTS = 'test/faults';
/** What drives a server from the outside. */
const BLACK_BOX = ['test/acceptance', 'test/routes'];
/** A test that waits without a bound of its own ends here. */
const TEST_TIMEOUT_MS = 60_000;
/** Everything ends here, whatever hangs. */
const ALL_TIMEOUT_MS = 14 * 60_000;

async function main() {
  const args = process.argv.slice(2);
  const options = args.filter((arg) => arg.startsWith('-'));
  const isAgainstBinary = options.includes('--binary');
  const paths = args.filter((arg) => !arg.startsWith('-'));
  const bun = await prepare();
  const isEverything = paths.length === 0 && !isAgainstBinary && !options.includes('--only-faults');
  let results = toResults(0, 0, 0);
  if (isEverything) {
    results = addResults(
      results,
      await check(bun, 'type check', ['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.']),
    );
    results = addResults(
      results,
      await check(bun, 'lint', ['node_modules/@biomejs/biome/bin/biome', 'check', '.']),
    );
  }
  /** @type {Record<string, string>} */
  const env = {};
  if (isAgainstBinary) {
    await buildIfStale(bun);
    env.UNDERSTUDY_TEST_BINARY = BINARY;
  }
  const chosen = paths.length > 0 ? paths : toFolders(options);
  const passedOn = options.filter((option) => option !== '--binary' && option !== '--only-faults');
  results = addResults(results, await runTests(bun, [...chosen, ...passedOn], env));
  console.log(toClosingLine(results));
  return results.failed === 0 && results.passed > 0 ? 0 : 1;
}

/** @param {readonly string[]} options */
function toFolders(options) {
  if (options.includes('--binary')) return BLACK_BOX.filter((folder) => existsSync(join(ROOT, folder)));
  if (options.includes('--only-faults')) return [FAULTS];
  return readdirSync(join(ROOT, 'test'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && `test/${entry.name}` !== FAULTS)
    .map((entry) => `test/${entry.name}/`);
}

/**
 * A check counts as one test.
 * @param {string} bun
 * @param {string} name
 * @param {string[]} args
 */
async function check(bun, name, args) {
  const code = await runToEnd(bun, args, { cwd: ROOT, timeoutMs: ALL_TIMEOUT_MS });
  console.log(`${name}: ${code === 0 ? 'passed' : 'FAILED'}`);
  return code === 0 ? toResults(1, 0, 0) : toResults(0, 1, 0);
}

/**
 * @param {string} bun
 * @param {string[]} args
 * @param {Record<string, string>} env
 */
async function runTests(bun, args, env) {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-results-'));
  const report = join(folder, 'junit.xml');
  const flags = ['--timeout', String(TEST_TIMEOUT_MS), '--reporter=junit', `--reporter-outfile=${report}`];
  try {
    const code = await runToEnd(bun, ['test', ...flags, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      timeoutMs: ALL_TIMEOUT_MS,
    });
    const results = existsSync(report) ? readJunit(readFileSync(report, 'utf8')) : toResults(0, 0, 0);
    // A file that cannot be loaded, or a run that crashed, is in no report.
    return code !== 0 && results.failed === 0 ? addResults(results, toResults(0, 1, 0)) : results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} bun */
async function buildIfStale(bun) {
  const path = join(ROOT, BINARY);
  if (existsSync(path) && statSync(path).mtimeMs > newestOf(join(ROOT, 'src'))) return;
  say('Building the executable.');
  const code = await build(bun, []);
  if (code !== 0) throw new Error('The executable could not be built.');
}

/** @param {string} folder */
function newestOf(folder) {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return Math.max(...names.map((name) => statSync(join(folder, name)).mtimeMs));
}

main().then(
  (code) => process.exit(code),
  (error) => {
    say(error instanceof Error ? error.message : String(error));
    console.log(toClosingLine(toResults(0, 1, 0)));
    process.exit(1);
  },
);
