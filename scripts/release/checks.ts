/** What keeps a version from being released. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findChangelogProblem } from './changelog.ts';
import type { Git } from './git.ts';
import { compareVersions, readVersions, VERSION_PLACES } from './places.ts';

export interface Check {
  readonly about: string;
  /** What is wrong; null where nothing is. */
  readonly problem: string | null;
}

const FILES_SHOWN_MAX = 5;

export function toTag(version: string): string {
  return `v${version}`;
}

/** All of them, whatever the others say. */
export function checkRelease(root: string, version: string, git: Pick<Git, 'status' | 'hasTag'>): Check[] {
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  return [
    { about: 'the tree is clean', problem: findTreeProblem(git.status()) },
    { about: 'CHANGELOG.md says what is in it', problem: findChangelogProblem(changelog, version) },
    {
      about: 'the version is the same in all places, and goes up',
      problem: findVersionProblem(root, version),
    },
    {
      about: 'there is no tag of it',
      problem: git.hasTag(toTag(version)) ? `${toTag(version)} is there already.` : null,
    },
  ];
}

function findTreeProblem(status: string): string | null {
  if (status === '') return null;
  const lines = status.split('\n');
  const shown = lines.slice(0, FILES_SHOWN_MAX).map((line) => line.slice(3));
  const rest = lines.length > shown.length ? ` and ${lines.length - shown.length} more` : '';
  return `Not committed: ${shown.join(', ')}${rest}.`;
}

function findVersionProblem(root: string, version: string): string | null {
  const versions = readVersions(root);
  const [current = ''] = versions;
  const odd = versions.findIndex((one) => one !== current);
  if (odd >= 0) return `${VERSION_PLACES[odd]?.file} has ${versions[odd]}, package.json ${current}.`;
  return compareVersions(version, current) < 0
    ? `It is below ${current}, which stands in package.json.`
    : null;
}
