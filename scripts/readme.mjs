/**
 * Does what README.md says, as somebody who has just cloned the project: every command of its blocks, in their order, in a copy of the
 * tracked files, with a home and package caches that are empty; then the program that it shows, before and after the change.
 * Closed by the line `N passed, N failed`. `node scripts/readme.mjs`, 1 to 2 minutes.
 *
 * Commands that `.ci/run` runs by itself are not run again here.
 */

import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { isServer, readBlocks, readChange, readCommands } from './readme/commands.mjs';
import { toClosingLine, toResults } from './setup/results.mjs';

const ROOT = resolve(import.meta.dirname, '..');
const COMMAND_MS = 240_000;
const READY_MS = 240_000;
const STOP_MS = 30_000;
const POLL_MS = 100;
const DEFAULT_PORT = 8700;
/** What a developer's machine has, and a newcomer's has not. */
const FOREIGN_VARIABLE = /^(UNDERSTUDY_|npm_|BUN_|.*_(API_)?KEY$|.*_TOKEN$|.*_BASE_URL$)/;
/** Where packages come from is the machine's business. */
const KEPT_VARIABLE = /^npm_config_(registry|.*proxy|cafile)$/i;

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

const results = toResults(0, 0, 0);
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const checked = readFileSync(join(ROOT, '.ci/run'), 'utf8')
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .map((line) => line.trim());
const folder = mkdtempSync(join(tmpdir(), 'understudy-readme-'));
const clone = join(folder, 'understudy');
/** @type {ChildProcess | null} */
let server = null;

try {
  copyTree();
  const env = await toNewcomer();
  for (const { language, text, line } of readBlocks(readme)) {
    if (language === 'sh') {
      for (const command of readCommands(text)) {
        if (isRunByCi(command)) console.log(`left  ${command}: .ci/run runs it`);
        else await attempt(command, () => execute(command, env));
      }
    }
    if (language === 'diff') {
      const { before, after } = readChange(text);
      await attempt(`the program of line ${line}, before`, () => compile(before));
      await attempt(`the program of line ${line}, after`, () => runProgram(after, env));
    }
  }
} finally {
  await stopServer();
  rmSync(folder, { recursive: true, force: true });
}
if (results.passed === 0) results.failed += 1;
console.log(toClosingLine(results));
process.exit(results.failed === 0 ? 0 : 1);

/** @param {string} command */
function isRunByCi(command) {
  return checked.some((line) => line === `run ${command}` || line.endsWith(` run ${command}`));
}

/**
 * @param {string} name
 * @param {() => void | Promise<void>} action
 */
async function attempt(name, action) {
  const startedAt = performance.now();
  try {
    await action();
    results.passed += 1;
    console.log(`ok    ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
  } catch (error) {
    results.failed += 1;
    console.log(`FAILED ${name}: ${error instanceof Error ? error.message : error}`);
  }
}

/** What a clone would hold: with what is not committed yet, without what git ignores. */
function copyTree() {
  const listed = spawnSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { cwd: ROOT });
  if (listed.status !== 0) throw new Error(`git ls-files: ${listed.stderr}`);
  for (const name of listed.stdout.toString().split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(clone, name)), { recursive: true });
    cpSync(join(ROOT, name), join(clone, name), { verbatimSymlinks: true, force: true });
  }
}

/** @returns {Promise<NodeJS.ProcessEnv>} */
async function toNewcomer() {
  const home = join(folder, 'home');
  mkdirSync(home);
  /** @type {NodeJS.ProcessEnv} */
  const env = { HOME: home, npm_config_cache: join(home, 'npm'), BUN_INSTALL_CACHE_DIR: join(home, 'bun') };
  for (const [name, value] of Object.entries(process.env)) {
    if (KEPT_VARIABLE.test(name) || (!FOREIGN_VARIABLE.test(name) && name !== 'HOME')) env[name] = value;
  }
  // `npm run` puts the folders of packages in front: a newcomer has none.
  env.PATH = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((entry) => !entry.includes('node_modules'))
    .join(delimiter);
  if (!(await isFree(DEFAULT_PORT))) {
    const port = await findFreePort();
    console.log(`Port ${DEFAULT_PORT} is taken on this machine: ${port} instead, by variables.`);
    env.UNDERSTUDY_PORT = String(port);
    env.UNDERSTUDY_URL = `http://127.0.0.1:${port}`;
  }
  return env;
}

/**
 * @param {string} command
 * @param {NodeJS.ProcessEnv} env
 */
async function execute(command, env) {
  if (isServer(command)) return startServer(command, env);
  const { status, signal, stdout, stderr } = spawnSync(command, {
    shell: true,
    cwd: clone,
    env,
    timeout: COMMAND_MS,
  });
  if (status !== 0) throw new Error(`it ended with ${signal ?? status}:\n${stdout}${stderr}`);
}

/**
 * Waits until it says that it is ready to work.
 * @param {string} command
 * @param {NodeJS.ProcessEnv} env
 */
async function startServer(command, env) {
  await stopServer();
  // A group of its own: the shell between would keep the signal to itself.
  const child = spawn(command, { shell: true, cwd: clone, env, detached: true });
  server = child;
  let output = '';
  child.stdout?.on('data', (bytes) => {
    output += bytes;
  });
  child.stderr?.on('data', (bytes) => {
    output += bytes;
  });
  const url = env.UNDERSTUDY_URL ?? `http://127.0.0.1:${DEFAULT_PORT}`;
  for (const end = performance.now() + READY_MS; performance.now() < end; ) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${output}`);
    const ready = await fetch(`${url}/ready`).catch(() => null);
    if (ready?.ok) return;
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  throw new Error(`it was not ready after ${READY_MS / 1000} s:\n${output}`);
}

async function stopServer() {
  const child = server;
  server = null;
  if (child?.pid === undefined || child.exitCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  process.kill(-child.pid, 'SIGTERM');
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}

/**
 * The program as it was: it has the types that it always had. Where it is sent is no more.
 * @param {string} program
 */
function compile(program) {
  const file = join(clone, 'before.ts');
  writeFileSync(file, program);
  const bun = join(clone, 'node_modules/.bin/bun');
  const options = ['--noEmit', '--ignoreConfig', '--strict', '--skipLibCheck', '--module', 'esnext'];
  const more = ['--moduleResolution', 'bundler', '--target', 'esnext', '--types', 'bun', file];
  const tsc = join(clone, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(bun, [tsc, ...options, ...more], { cwd: clone, timeout: COMMAND_MS });
  if (status !== 0) throw new Error(String(stdout));
}

/**
 * @param {string} program
 * @param {NodeJS.ProcessEnv} env
 */
function runProgram(program, env) {
  compile(program);
  const url = env.UNDERSTUDY_URL ?? `http://127.0.0.1:${DEFAULT_PORT}`;
  const file = join(clone, 'after.ts');
  writeFileSync(file, program.replaceAll(`http://127.0.0.1:${DEFAULT_PORT}`, url));
  const { status, stdout, stderr } = spawnSync(join(clone, 'node_modules/.bin/bun'), [file], {
    cwd: clone,
    env,
    timeout: COMMAND_MS,
  });
  if (status !== 0) throw new Error(`it ended with ${status}:\n${stdout}${stderr}`);
  if (!String(stdout).includes('rehearsal')) throw new Error(`it printed no answer:\n${stdout}${stderr}`);
}

/** @param {number} port */
function isFree(port) {
  return new Promise((done) => {
    const probe = createServer();
    probe.once('error', () => done(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)));
  });
}

/** @returns {Promise<number>} */
function findFreePort() {
  return new Promise((done, failed) => {
    const probe = createServer();
    probe.once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === 'object' && address ? done(address.port) : failed(new Error('no port')),
      );
    });
  });
}
