/** Every place where the version stands. A release writes all of them; a test finds those that are not here. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface VersionPlace {
  /** From the project's folder. */
  readonly file: string;
  /** What stands around the version, which is the group `version`. Matches once. */
  readonly pattern: RegExp;
}

export const VERSION_PLACES: readonly VersionPlace[] = Object.freeze([
  { file: 'package.json', pattern: /^ {2}"version": "(?<version>[^"]+)",$/m },
  { file: 'package-lock.json', pattern: /^ {2}"version": "(?<version>[^"]+)",$/m },
  {
    file: 'package-lock.json',
    pattern: /^ {4}"": \{\n {6}"name": "understudy",\n {6}"version": "(?<version>[^"]+)",$/m,
  },
  { file: 'clients/python/pyproject.toml', pattern: /^version = "(?<version>[^"]+)"$/m },
  { file: 'deploy/helm/understudy/Chart.yaml', pattern: /^version: (?<version>\S+)$/m },
  { file: 'deploy/helm/understudy/Chart.yaml', pattern: /^appVersion: "(?<version>[^"]+)"$/m },
]);

/** The version at each place, in order. Throws where a place is not there. */
export function readVersions(root: string): string[] {
  return VERSION_PLACES.map(
    (place) => findVersion(readFileSync(join(root, place.file), 'utf8'), place).version,
  );
}

/** Answers the files that it changed, each once. */
export function writeVersions(root: string, version: string): string[] {
  const changed = new Set<string>();
  for (const place of VERSION_PLACES) {
    const path = join(root, place.file);
    const text = readFileSync(path, 'utf8');
    const found = findVersion(text, place);
    if (found.version === version) continue;
    writeFileSync(path, text.slice(0, found.at) + version + text.slice(found.at + found.version.length));
    changed.add(place.file);
  }
  return [...changed];
}

function findVersion(text: string, { file, pattern }: VersionPlace): { version: string; at: number } {
  const [match, another] = text.matchAll(new RegExp(pattern.source, 'dgm'));
  const version = match?.groups?.version;
  const at = match?.indices?.groups?.version?.[0];
  if (version === undefined || at === undefined)
    throw new Error(`${file} has no version where it should be.`);
  if (another !== undefined) throw new Error(`${file} has two versions where one should be.`);
  return { version, at };
}

const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/;

/** Three numbers: so npm, Python and Helm read it alike. */
export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

/** Negative where `a` comes before `b`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  const at = [0, 1, 2].find((place) => left?.[place] !== right?.[place]);
  return at === undefined ? 0 : (left?.[at] ?? 0) - (right?.[at] ?? 0);
}
