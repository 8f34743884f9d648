/** The parts of a release: each makes its files in the release's folder. */

import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toEntries } from '../../src/licenses/license-entry.ts';
import { printLicenses } from '../../src/licenses/print-licenses.ts';
import { buildAll, TARGETS } from '../build-all.mjs';
import { buildClient } from '../build-client.mjs';
import type { CollectedEntry } from '../licenses/collect.ts';
import { toPacked } from '../licenses/pack.ts';
import { toPackageNames } from '../setup/pinned-bun.mjs';
import { type ArchivedFile, toArchive } from './archive.ts';
import type { PartName } from './options.ts';
import { buildPythonPackages } from './python.ts';
import { toSbom } from './sbom.ts';

export interface Making {
  readonly root: string;
  /** The pinned Bun. */
  readonly bun: string;
  readonly version: string;
  /** Since 1970: the time in all that is made. */
  readonly seconds: number;
  /** Where the files go; it is there. */
  readonly folder: string;
  readonly targets: readonly string[];
  readonly entries: readonly CollectedEntry[];
  readonly listFiles: (folder: string) => string[];
}

export const PARTS: Readonly<Record<PartName, (making: Making) => Promise<void>>> = Object.freeze({
  executables: makeExecutables,
  client: makeClient,
  python: ({ root, folder, seconds }: Making) => buildPythonPackages(root, folder, seconds),
  chart: makeChart,
  sbom: makeSbom,
  licenses: async ({ folder, entries }: Making) => {
    writeFileSync(join(folder, 'LICENSES.txt'), toLicensesText(entries));
  },
});

export const CHECKSUMS = 'SHA256SUMS';
const CHART = 'deploy/helm/understudy';
/** What lies beside the program in its archive. */
const COMPANIONS: readonly string[] = Object.freeze(['LICENSE', 'CHANGELOG.md']);

async function makeExecutables(making: Making): Promise<void> {
  const { root, bun, version, seconds, folder, targets, entries } = making;
  const code = await buildAll(bun, targets);
  if (code !== 0) throw new Error(`The executables cannot be built (${code}). What went wrong stands above.`);
  const texts = COMPANIONS.map((name) => ({ name, bytes: readFileSync(join(root, name)) }));
  texts.push({ name: 'LICENSES.txt', bytes: Buffer.from(toLicensesText(entries)) });
  for (const { name, machine } of TARGETS.filter(
    (one) => targets.length === 0 || targets.includes(one.name),
  )) {
    const suffix = machine.platform === 'win32' ? '.exe' : '';
    const title = `understudy-${version}-${name}`;
    const program = readFileSync(join(root, `dist/understudy-${name}${suffix}`));
    const files: ArchivedFile[] = [
      { path: `${title}/understudy${suffix}`, bytes: program, isExecutable: true },
      ...texts.map((text) => ({ path: `${title}/${text.name}`, bytes: text.bytes, isExecutable: false })),
    ];
    writeFileSync(join(folder, `${title}.tar.gz`), toArchive(files, seconds));
  }
}

async function makeClient({ bun, version, seconds, folder }: Making): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'understudy-client-'));
  try {
    await buildClient(bun, work);
    // npm wants all of it in a folder of this name.
    const files = readdirSync(work).map((name) => toFile(join(work, name), `package/${name}`));
    writeFileSync(join(folder, `understudy-client-${version}.tgz`), toArchive(files, seconds));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function makeChart({ root, version, seconds, folder, listFiles }: Making): Promise<void> {
  const files = listFiles(CHART).map((path) =>
    toFile(join(root, path), `understudy${path.slice(CHART.length)}`),
  );
  writeFileSync(join(folder, `understudy-chart-${version}.tgz`), toArchive(files, seconds));
}

async function makeSbom({ root, version, seconds, folder, entries }: Making): Promise<void> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const runtimePackages = TARGETS.map(({ machine }) => `@oven/${toPackageNames(machine)[0]}`);
  const sbom = toSbom({ entries, locked: packages, runtimePackages, seconds });
  writeFileSync(join(folder, `understudy-${version}.cdx.json`), `${JSON.stringify(sbom, null, 2)}\n`);
}

function toLicensesText(entries: readonly CollectedEntry[]): string {
  return printLicenses(toEntries(toPacked(entries)), 'text');
}

function toFile(from: string, path: string): ArchivedFile {
  return { path, bytes: readFileSync(from), isExecutable: false };
}

/** Writes the checksums of all files of a folder, in the form of `sha256sum`, and answers their names. */
export function writeChecksums(folder: string): string[] {
  const names = readdirSync(folder)
    .filter((name) => name !== CHECKSUMS)
    .sort();
  const lines = names.map((name) => `${hashFile(join(folder, name))}  ${name}\n`);
  writeFileSync(join(folder, CHECKSUMS), lines.join(''));
  return names;
}

function hashFile(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
