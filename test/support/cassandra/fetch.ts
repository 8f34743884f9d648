/** Brings Cassandra's jars into the cache folder, once for a machine. */

import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  areJarsThere,
  COMPLETE_MARKER,
  findMaven,
  findMissing,
  readVersion,
  toJarFolder,
} from './requirements.ts';

const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
/** 70 MB; a slow line takes its time. */
const FETCH_TIMEOUT_MS = 10 * 60_000;
const PROGRESS_MS = 5_000;

/**
 * The folder with the jars. Idempotent, and safe where several processes do it at once: each copies into a folder of
 * its own, and the first to finish gives its folder the name. Errors: what is missing on the machine; Maven's own.
 */
export async function fetchCassandra(): Promise<string> {
  const folder = toJarFolder();
  if (areJarsThere()) return folder;
  const missing = findMissing();
  const maven = findMaven();
  if (missing !== null || maven === null) throw new Error(`Cassandra cannot be fetched: ${missing}`);
  await mkdir(dirname(folder), { recursive: true });
  const partial = `${folder}.partial-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
  try {
    await copyJars(maven, partial);
    await writeFile(join(partial, COMPLETE_MARKER), '');
    await moveIntoPlace(partial, folder);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return folder;
}

async function copyJars(maven: string, partial: string): Promise<void> {
  say(`fetching Cassandra ${readVersion()} with mvn, about 70 MB; this happens once`);
  await mkdir(partial);
  const child = Bun.spawn(
    [
      maven,
      '-q',
      '-B',
      '-f',
      join(import.meta.dir, 'pom.xml'),
      PLUGIN,
      `-DoutputDirectory=${partial}`,
      '-DincludeScope=runtime',
    ],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', timeout: FETCH_TIMEOUT_MS, killSignal: 'SIGKILL' },
  );
  const progress = setInterval(() => void sayProgress(partial), PROGRESS_MS);
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]).finally(() => clearInterval(progress));
  if (code !== 0) throw new Error(`mvn could not fetch Cassandra (exit code ${code}):\n${output}${errors}`);
}

async function sayProgress(partial: string): Promise<void> {
  const names = await readdir(partial).catch(() => []);
  say(names.length === 0 ? 'mvn is downloading' : `${names.length} jars copied`);
}

async function moveIntoPlace(partial: string, folder: string): Promise<void> {
  // Without the marker it is the rest of something that somebody deleted by half.
  if (existsSync(folder) && !areJarsThere()) await rm(folder, { recursive: true, force: true });
  try {
    await rename(partial, folder);
  } catch (error) {
    // Another process was first; its jars are the same.
    if (!areJarsThere()) throw error;
  }
  say(`Cassandra ${readVersion()} is in ${folder}`);
}

function say(text: string): void {
  console.error(`understudy tests: ${text}`);
}
