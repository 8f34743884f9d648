/**
 * What a Cassandra node of the tests' own needs of the machine. Asked synchronously: a test file must know before it
 * registers its suites.
 */

import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const POM = join(import.meta.dir, 'pom.xml');
/** Cassandra 5.0 runs on 11 and 17; the security manager that it installs is gone from later ones. */
const JAVA_MIN = 11;
const JAVA_MAX = 17;
const VERSION_TIMEOUT_MS = 20_000;
/** Written last: a copy that was broken off has none. */
export const COMPLETE_MARKER = 'complete';

/** The version that `pom.xml` names, so that there is one place to change it. */
export function readVersion(): string {
  const version = /<artifactId>cassandra-all<\/artifactId>\s*<version>([^<]+)</.exec(
    readFileSync(POM, 'utf8'),
  );
  if (version?.[1] === undefined) throw new Error(`${POM} names no version of cassandra-all`);
  return version[1];
}

/** The folder with the jars, whether it is there or not. */
export function toJarFolder(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const root = process.env.UNDERSTUDY_TEST_CACHE || join(cache, 'understudy-test');
  return join(root, `cassandra-${readVersion()}`);
}

export function areJarsThere(): boolean {
  return existsSync(join(toJarFolder(), COMPLETE_MARKER));
}

/** JAVA_HOME's where that is set, as Maven has it. */
export function findJava(): string | null {
  const home = process.env.JAVA_HOME;
  if (home !== undefined && home !== '') {
    const path = join(home, 'bin', 'java');
    if (existsSync(path)) return path;
  }
  return Bun.which('java');
}

export function findMaven(): string | null {
  return Bun.which('mvn');
}

/** What is missing to start a node, as a sentence; null where nothing is. Starts `java -version` once a call. */
export function findMissing(): string | null {
  const java = findJava();
  if (java === null) return `there is no java (${JAVA_MIN} to ${JAVA_MAX}; 17 is best) in JAVA_HOME or PATH`;
  const version = readJavaVersion(java);
  if (version === null) return `${java} does not tell its version`;
  if (version < JAVA_MIN || version > JAVA_MAX) {
    return `${java} is Java ${version}; Cassandra ${readVersion()} needs ${JAVA_MIN} to ${JAVA_MAX}`;
  }
  if (!areJarsThere() && findMaven() === null) {
    return `there is no mvn in PATH to fetch Cassandra ${readVersion()} with, and ${toJarFolder()} has not been filled yet`;
  }
  return null;
}

/** `17.0.15` is 17; the versions up to 8 called themselves `1.8`. */
function readJavaVersion(java: string): number | null {
  const { stderr } = Bun.spawnSync([java, '-version'], {
    stdout: 'ignore',
    stderr: 'pipe',
    timeout: VERSION_TIMEOUT_MS,
  });
  const match = /version "(?:1\.)?(\d+)/.exec(stderr.toString());
  return match === null ? null : Number(match[1]);
}
