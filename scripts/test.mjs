/**
 * `npm test`: type check, lint, then the tests; closed by the line `N passed, N failed`.
 *
 * `npm test -- test/routes` runs the tests of one folder or file alone; `--only-faults` those that kill processes and
 * take their time; `--binary` those that drive a server, against the compiled executable.
 *
 * What needs Cassandra is left out unless it is asked for: by name, by UNDERSTUDY_TEST_CASSANDRA=host:port, by
 * REQUIRE_CASSANDRA=1, or by `--cassandra`, which runs the suites of the engines on Cassandra and those that drive a server with
 * its data there, beside a node of their own unless one is named. `--astra` runs the suites of Astra, and those that drive a server from
 * the outside with its data in databases of an emulated Astra. With REQUIRE_CASSANDRA=1 as well, a skipped test has failed.
 */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY, build } from './build.mjs';
import { NODE_VARIABLE, startNode } from './setup/cassandra-node.mjs';
import { runToEnd } from './setup/child.mjs';
import { prepare, ROOT, say } from './setup/install.mjs';
import { addResults, judgeRun, toClosingLine, toResults } from './setup/results.mjs';

/** The slow suites have their own script. */
const FAULTS = 'test/faults';
/** Those of them that wait most of the time, for leases to run out and sweeps to come: they run beside the others. */
const PATIENT_FAULTS = ['takeover', 'clock-jumps', 'slow-disk'];
/** Half of the time of all the others: most of it is waiting for servers, so they run beside the rest. */
const FIRST_LANE = [
  'acceptance',
  'examples',
  'runs',
  'retrieval',
  'cluster',
  'check',
  'tracing',
  'mover',
  'verify',
];
/** What drives a server from the outside. */
const BLACK_BOX = ['test/acceptance', 'test/routes'];
/** What drives a server from the outside, or reads what it has stored by `test/support/stored.ts`. */
const STORE_BLIND = [
  ...BLACK_BOX,
  'test/runs',
  'test/retrieval',
  'test/cluster/serve.test.ts',
  'test/access/isolation.test.ts',
  'test/access/key-access.test.ts',
  'test/access/key-secrecy.test.ts',
  'test/access/stored-bytes.test.ts',
];
/** Files that ask for Cassandra call this. */
const ASKS_FOR_CASSANDRA = 'cassandraOrSkip(';
/** A test that waits without a bound of its own ends here. */
const TEST_TIMEOUT_MS = 60_000;
/** Everything ends here, whatever hangs. */
const ALL_TIMEOUT_MS = 14 * 60_000;

const OWN_OPTIONS = ['--binary', '--only-faults', '--cassandra', '--astra'];

async function main() {
  const given = process.argv.slice(2);
  const isAgainstBinary = given.includes('--binary');
  const args = given.filter((arg) => !OWN_OPTIONS.includes(arg));
  const deadline = Date.now() + ALL_TIMEOUT_MS;
  const bun = await prepare();
  let results = toResults(0, 0, 0);
  if (given.length === 0) {
    const typeCheck = ['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'];
    results = addResults(results, await check(bun, 'type check', typeCheck, deadline));
    const lint = ['node_modules/@biomejs/biome/bin/biome', 'check', '.'];
    results = addResults(results, await check(bun, 'lint', lint, deadline));
  }
  /** @type {Record<string, string>} */
  const env = {};
  if (isAgainstBinary) {
    await buildIfStale(bun);
    env.UNDERSTUDY_TEST_BINARY = BINARY;
  }
  const isNamed = namesTests(args);
  const tests = [...(isNamed ? [] : toFolders(given)), ...args];
  if (given.includes('--astra')) {
    env.UNDERSTUDY_TEST_STORE = 'astra';
    const ran = await runTests(bun, tests, env, deadline);
    results = addResults(results, isCassandraRequired() ? refuseSkips(ran) : ran);
  } else if (given.includes('--cassandra')) {
    // Suites of faults have nodes of their own, and say where their servers' data is.
    if (!given.includes('--only-faults')) env.UNDERSTUDY_TEST_STORE = 'cassandra';
    results = addResults(results, await runOnCassandra(bun, tests, env, deadline));
  } else {
    if (!isNamed && !isCassandraWanted()) env[NODE_VARIABLE] = 'none';
    const lanes = isNamed ? [tests] : toLanes(given).map((files) => [...files, ...args]);
    const ran = await Promise.all(lanes.map((files) => runTests(bun, files, env, deadline)));
    for (const one of ran) results = addResults(results, one);
  }
  console.log(toClosingLine(results));
  return results.failed === 0 ? 0 : 1;
}

/**
 * Whether the arguments say which tests to run, beside options such as `-t NAME`.
 * @param {readonly string[]} args
 */
function namesTests(args) {
  const [first] = args;
  return (first !== undefined && !first.startsWith('-')) || args.some((arg) => existsSync(join(ROOT, arg)));
}

/** @param {readonly string[]} options */
function toFolders(options) {
  if (options.includes('--cassandra')) return toCassandraFiles(options);
  if (options.includes('--astra')) return ['test/astra/', ...BLACK_BOX];
  if (options.includes('--binary')) return [...BLACK_BOX, 'test/check'];
  if (options.includes('--only-faults')) return [FAULTS];
  return readdirSync(join(ROOT, 'test'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && `test/${entry.name}` !== FAULTS)
    .map((entry) => `test/${entry.name}/`);
}

/**
 * What runs side by side. A node of Cassandra is for one lane.
 * @param {readonly string[]} options
 */
function toLanes(options) {
  if (options.includes('--only-faults')) return toFaultLanes();
  const folders = toFolders(options);
  if (options.includes('--binary') || isCassandraWanted()) return [folders];
  const isFirst = (/** @type {string} */ folder) => FIRST_LANE.some((name) => folder === `test/${name}/`);
  return [folders.filter(isFirst), folders.filter((folder) => !isFirst(folder))];
}

/** The suites of faults, in two lanes. */
function toFaultLanes() {
  const files = readdirSync(join(ROOT, FAULTS))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `./${FAULTS}/${name}`);
  const isPatient = (/** @type {string} */ file) =>
    PATIENT_FAULTS.some((name) => file.endsWith(`/${name}.test.ts`));
  return [files.filter(isPatient), files.filter((file) => !isPatient(file))];
}

/** @param {readonly string[]} options */
function toCassandraFiles(options) {
  if (options.includes('--binary')) return BLACK_BOX;
  const isAboutFaults = options.includes('--only-faults');
  const names = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' });
  const asking = names
    .map((name) => `test/${name.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.test.ts') && path.startsWith(FAULTS) === isAboutFaults)
    .filter((path) => readFileSync(join(ROOT, path), 'utf8').includes(ASKS_FOR_CASSANDRA))
    .map((path) => `./${path}`);
  return isAboutFaults ? asking : [...asking, ...STORE_BLIND];
}

function isCassandraRequired() {
  return process.env.REQUIRE_CASSANDRA === '1';
}

function isCassandraWanted() {
  return isCassandraRequired() || Boolean(process.env[NODE_VARIABLE]);
}

/**
 * Beside the node that is named, or one that ends with them.
 * @param {string} bun
 * @param {string[]} args
 * @param {Record<string, string>} env
 * @param {number} deadline
 */
async function runOnCassandra(bun, args, env, deadline) {
  const node = process.env[NODE_VARIABLE] ? null : await startNode(bun);
  const named = node === null ? {} : { [NODE_VARIABLE]: node.contactPoint };
  try {
    const results = await runTests(bun, args, { ...env, ...named }, deadline);
    return isCassandraRequired() ? refuseSkips(results) : results;
  } finally {
    await node?.stop();
  }
}

/** @param {import('./setup/results.mjs').Results} results */
function refuseSkips({ passed, failed, skipped }) {
  if (skipped > 0) say(`REQUIRE_CASSANDRA=1: ${skipped} tests were skipped, and count as failed.`);
  return toResults(passed, failed + skipped, 0);
}

/**
 * A check counts as one test.
 * @param {string} bun
 * @param {string} name
 * @param {string[]} args
 * @param {number} deadline
 */
async function check(bun, name, args, deadline) {
  const code = await runToEnd(bun, args, { cwd: ROOT, timeoutMs: deadline - Date.now() });
  console.log(`${name}: ${code === 0 ? 'passed' : 'FAILED'}`);
  return code === 0 ? toResults(1, 0, 0) : toResults(0, 1, 0);
}

/**
 * @param {string} bun
 * @param {string[]} args
 * @param {Record<string, string>} env
 * @param {number} deadline
 */
async function runTests(bun, args, env, deadline) {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-results-'));
  const report = join(folder, 'junit.xml');
  // A developer's `.env` is for the server that he runs, not for the tests.
  const flags = ['--no-env-file', '--timeout', String(TEST_TIMEOUT_MS)];
  const reporter = ['--reporter=junit', `--reporter-outfile=${report}`];
  try {
    const code = await runToEnd(bun, ['test', ...flags, ...reporter, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      timeoutMs: deadline - Date.now(),
    });
    return judgeRun(code, existsSync(report) ? readFileSync(report, 'utf8') : null);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} bun */
async function buildIfStale(bun) {
  const path = join(ROOT, BINARY);
  const sources = ['src', 'scripts', 'docs', 'ARCHITECTURE.md', 'package.json', 'package-lock.json'].map(
    (name) => newestOf(join(ROOT, name)),
  );
  if (existsSync(path) && statSync(path).mtimeMs > Math.max(...sources)) return;
  say('Building the executable.');
  const code = await build(bun, []);
  if (code !== 0) throw new Error('The executable could not be built.');
}

/** @param {string} path A file, or a folder with all that is in it. */
function newestOf(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return Math.max(...names.map((name) => statSync(join(path, name)).mtimeMs));
}

main().then(
  (code) => process.exit(code),
  (error) => {
    say(error instanceof Error ? error.message : String(error));
    console.log(toClosingLine(toResults(0, 1, 0)));
    process.exit(1);
  },
);
