/** The npm packages that files of the bundle belong to, with what each says of its licence. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readNotices } from './notices.ts';

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** As its `package.json` has it; empty where it says nothing. */
  readonly license: string;
  /** From the project's folder: the key of it in `package-lock.json`. The first, where npm has put it into several. */
  readonly folder: string;
  /** Its files that are in the bundle. */
  readonly files: readonly string[];
  /** Its own first, then those of what it has copied, then the notices. Empty where it brings none. */
  readonly texts: readonly string[];
}

const PACKAGE_FOLDER = /^((?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+)\//;
const LICENSE_FILE = /^(?:licen[cs]e|copying|unlicense)(?:[.-].*)?$/i;
const NOTICE_FILE = /^notice(?:\..*)?$/i;
/** Less says only where the text is; the header of the Apache License has 560 characters. */
const LICENSE_CHARACTERS_MIN = 200;
/** Folders below a package: licences of copied code lie beside it. */
const DEPTH_MAX = 8;

/**
 * `inputs` are paths from `root`, with slashes; `supplied` are texts for packages that bring none, by name. Sorted by name.
 */
export function findPackages(
  root: string,
  inputs: readonly string[],
  supplied: Readonly<Record<string, string>>,
): BundledPackage[] {
  const byFolder = Map.groupBy(
    inputs.filter((path) => PACKAGE_FOLDER.test(path)),
    (path) => PACKAGE_FOLDER.exec(path)?.[1] ?? '',
  );
  const packages = new Map<string, BundledPackage>();
  for (const [folder, files] of byFolder) {
    const found = readPackage(root, folder, files, supplied);
    const key = `${found.name} ${found.version}`;
    const same = packages.get(key);
    // npm has put the same package into several folders.
    if (same === undefined) packages.set(key, found);
    else packages.set(key, { ...same, files: [...same.files, ...files] });
  }
  return [...packages].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, found]) => found);
}

function readPackage(
  root: string,
  folder: string,
  files: readonly string[],
  supplied: Readonly<Record<string, string>>,
): BundledPackage {
  const path = join(root, folder);
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  if (typeof name !== 'string' || typeof version !== 'string') {
    throw new Error(`${folder}/package.json has no name, or no version.`);
  }
  const own = readOwnLicenses(path);
  if (own.length === 0 && supplied[name] !== undefined) own.push(supplied[name]);
  const ownTexts = [...own, ...readFiles(path, NOTICE_FILE), ...readCopiedLicenses(path)].map(toPlainText);
  const beside = files.map((file) => join(root, `${file}.LICENSE.txt`)).filter((file) => existsSync(file));
  const others = [
    ...beside.map((file) => toPlainText(readFileSync(file, 'utf8'))),
    ...files.flatMap((file) => readNotices(join(root, file), ownTexts)),
  ];
  return {
    name,
    version,
    license: typeof license === 'string' ? license : '',
    folder,
    files,
    texts: own.length === 0 ? [] : [...new Set([...ownTexts, ...others])],
  };
}

/** Of a package's folder, or of one in it. */
export function readOwnLicenses(path: string): string[] {
  return readFiles(path, LICENSE_FILE).filter((text) => text.length >= LICENSE_CHARACTERS_MIN);
}

function readFiles(path: string, name: RegExp): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isFile() && name.test(entry.name))
    .map((entry) => entry.name)
    .sort()
    .map((file) => readFileSync(join(path, file), 'utf8'));
}

/** The licences of code that lies in folders of a package: it has copied them with the code. */
function readCopiedLicenses(path: string, depth: number = DEPTH_MAX): string[] {
  if (depth === 0) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
    .map((entry) => entry.name)
    .sort()
    .flatMap((name) => {
      const folder = join(path, name);
      const here = readOwnLicenses(folder).map((text) => `In ${name}:\n\n${text}`);
      return [...here, ...readCopiedLicenses(folder, depth - 1)];
    });
}

/** Texts that differ by the ends of their lines alone are the same. */
export function toPlainText(text: string): string {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .join('\n')
    .replace(/^\n+|\n+$/g, '');
}
