/** One installation at a time: two would delete what the other one writes. */

import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const BEAT_MS = 2_000;
/** A lock without a sign of life for so long belongs to nobody; its holder may have been on another machine. */
const STALE_MS = 60_000;
const POLL_MS = 200;
const WAIT_MAX_MS = 15 * 60_000;

/**
 * Does the work while holding the lock. Throws where the lock cannot be had within 15 minutes.
 * @template T
 * @param {string} path The lock file.
 * @param {() => void} onWait Called once, where somebody else holds the lock.
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withInstallLock(path, onWait, work) {
  await take(path, onWait);
  const beat = setInterval(() => touch(path), BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    rmSync(path, { force: true });
  }
}

/**
 * @param {string} path
 * @param {() => void} onWait
 */
async function take(path, onWait) {
  const deadline = Date.now() + WAIT_MAX_MS;
  let isTold = false;
  while (!tryToTake(path)) {
    if (isAbandoned(path)) {
      breakLock(path);
      continue;
    }
    if (Date.now() > deadline)
      throw new Error(`Another installation holds ${path}. Delete it if there is none.`);
    if (!isTold) onWait();
    isTold = true;
    await sleep(POLL_MS);
  }
}

/** @param {string} path */
function tryToTake(path) {
  try {
    writeFileSync(path, JSON.stringify({ pid: process.pid, host: hostname() }), { flag: 'wx' });
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** @param {string} path */
function isAbandoned(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  if (Date.now() - stat.mtimeMs > STALE_MS) return true;
  try {
    const { pid, host } = JSON.parse(readFileSync(path, 'utf8'));
    return host === hostname() && !isAlive(pid);
  } catch {
    // Just being written, or just gone.
    return false;
  }
}

/**
 * Of several that find the same lock abandoned, one moves it away.
 * @param {string} path
 */
function breakLock(path) {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
  rmSync(aside, { force: true });
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !isCode(error, 'ESRCH');
  }
}

/** @param {string} path */
function touch(path) {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // Somebody took the lock for abandoned, while this process was stopped. The end will tell.
  }
}

/**
 * @param {unknown} error
 * @param {string} code
 */
function isCode(error, code) {
  return error instanceof Error && 'code' in error && error.code === code;
}
