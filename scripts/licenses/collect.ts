/**
 * All that the executable has in it, with its licence: by the bundler's list, so that nothing is forgotten, and nothing is named that is not
 * there. Throws where a package has no text of its licence, or a licence that nobody has allowed: so such an executable is never built.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LicenseEntry } from '../../src/licenses/license-entry.ts';
import { ALLOWED_LICENSES, isAllowed } from './allowed.ts';
import { type BundledPackage, findPackages, toPlainText } from './packages.ts';
import { RUNTIME_NAME, readRuntime, readRuntimeParts } from './runtime.ts';
import { findWorks } from './works.ts';

/** An entry with what only those who make lists of it want to know. */
export interface CollectedEntry extends Omit<LicenseEntry, 'text'> {
  /** Its key in `package-lock.json`; null where it is no package of npm. */
  readonly lockKey: string | null;
  readonly texts: readonly string[];
}

/** Texts for packages that bring none: where each is, from the project's folder. */
export const SUPPLIED: Readonly<Record<string, string>> = Object.freeze({
  // Of one repository with the packages that it serves, and under the licence of that.
  '@ai-sdk/provider-utils': 'node_modules/@ai-sdk/provider/LICENSE',
  // Its own file says that the text is elsewhere.
  '@workflow/serde': 'LICENSE',
  // That of https://github.com/dqbd/tiktoken; the ranks are OpenAI's.
  'js-tiktoken': 'scripts/licenses/texts/js-tiktoken.txt',
});

export function collectLicenses(root: string, inputs: readonly string[]): CollectedEntry[] {
  const supplied = Object.fromEntries(
    Object.entries(SUPPLIED).map(([name, path]) => [name, readFileSync(join(root, path), 'utf8')]),
  );
  const packages = findPackages(root, inputs, supplied);
  checkPackages(packages);
  const [runtime, parts] = toRuntimeEntries(root);
  return [
    toOwnEntry(root),
    runtime,
    ...packages.map(toPackageEntry),
    ...findWorks(root, inputs).map(({ text, ...work }) => ({ ...work, lockKey: null, texts: [text] })),
    ...parts,
  ];
}

/** Throws, with all that is wrong. */
export function checkPackages(packages: readonly BundledPackage[]): void {
  const problems = packages.flatMap(({ name, version, license, texts }) => {
    const title = `${name} ${version}`;
    if (!isAllowed(license)) {
      const said = license === '' ? 'no licence' : `the licence ${license}`;
      return [`${title} has ${said}; allowed are ${ALLOWED_LICENSES.join(', ')}.`];
    }
    return texts.length === 0 ? [`${title} brings no text of its licence, and none is supplied.`] : [];
  });
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

function toOwnEntry(root: string): CollectedEntry {
  const { name, version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const text = toPlainText(readFileSync(join(root, 'LICENSE'), 'utf8'));
  return { name, version, license, within: null, url: null, lockKey: null, texts: [text] };
}

function toRuntimeEntries(root: string): [runtime: CollectedEntry, parts: CollectedEntry[]] {
  const { version, text } = readRuntime(root);
  const runtime: CollectedEntry = {
    name: RUNTIME_NAME,
    version,
    license: 'MIT',
    within: null,
    url: 'https://github.com/oven-sh/bun/blob/main/LICENSE.md',
    lockKey: `node_modules/${RUNTIME_NAME}`,
    texts: [text],
  };
  const parts = readRuntimeParts(process.versions).map(({ text: own, ...part }) => ({
    ...part,
    within: RUNTIME_NAME,
    lockKey: null,
    texts: own === null ? [] : [own],
  }));
  return [runtime, parts];
}

function toPackageEntry({ name, version, license, folder, texts }: BundledPackage): CollectedEntry {
  const url = `https://www.npmjs.com/package/${name}/v/${version}`;
  return { name, version, license, within: null, url, lockKey: folder, texts };
}
