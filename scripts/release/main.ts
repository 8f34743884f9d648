/** `npm run release`, once Bun is there: see `scripts/release.mjs`. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ENTRY_POINTS } from '../build.mjs';
import { bundleInputs } from '../licenses/bundle-inputs.ts';
import { collectLicenses } from '../licenses/collect.ts';
import { readSection } from './changelog.ts';
import { checkRelease, toTag } from './checks.ts';
import { type Git, openGit } from './git.ts';
import { type ReleaseOptions, readOptions, USAGE } from './options.ts';
import { CHECKSUMS, type Making, PARTS, writeChecksums } from './parts.ts';
import { VERSION_PLACES, writeVersions } from './places.ts';

const ROOT = resolve(import.meta.dir, '../..');
const EPOCH = /^\d{1,11}$/;

/** Answers the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv);
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  const git = openGit(ROOT);
  const checks = checkRelease(ROOT, options.version, git);
  for (const { about, problem } of checks) {
    console.log(problem === null ? `ok      ${about}` : `wrong   ${about}: ${problem}`);
  }
  const isReady = checks.every(({ problem }) => problem === null);
  if (!options.isRun) {
    printPlan(options);
    return isReady ? 0 : 1;
  }
  if (!isReady) return 1;
  const changed = writeVersions(ROOT, options.version);
  console.log(
    changed.length === 0 ? 'The version stands everywhere already.' : `Wrote ${changed.join(', ')}.`,
  );
  const folder = await make(options, git);
  if (options.isTagged) {
    if (changed.length > 0) git.commit(changed, `Release ${options.version}`);
    git.tag(toTag(options.version), `understudy ${options.version}`);
    console.log(`Tagged ${toTag(options.version)}.`);
  }
  printNext(options, changed, folder);
  return 0;
}

/** Answers the folder, from the project's. */
async function make({ version, parts, targets }: ReleaseOptions, git: Git): Promise<string> {
  const place = `dist/release/${version}`;
  const folder = join(ROOT, place);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const section = readSection(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'), version);
  const making: Making = {
    root: ROOT,
    bun: process.execPath,
    version,
    seconds: toSeconds(process.env.SOURCE_DATE_EPOCH, section?.date ?? null),
    folder,
    targets,
    entries: collectLicenses(ROOT, await bundleInputs(ROOT, ENTRY_POINTS)),
    listFiles: git.listFiles,
  };
  for (const part of parts) {
    console.log(`Making: ${part}`);
    await PARTS[part](making);
  }
  writeFileSync(join(folder, 'NOTES.md'), `${section?.text ?? ''}\n`);
  for (const name of writeChecksums(folder)) console.log(`  ${place}/${name}`);
  return place;
}

/** What the environment says, or the beginning of the day that the changelog names. */
function toSeconds(epoch: string | undefined, date: string | null): number {
  if (epoch !== undefined && epoch !== '') {
    if (!EPOCH.test(epoch)) throw new Error(`SOURCE_DATE_EPOCH is seconds since 1970, not '${epoch}'.`);
    return Number(epoch);
  }
  if (date === null) throw new Error('CHANGELOG.md gives the version no date.');
  return Date.parse(date) / 1000;
}

function printPlan({ version, parts, targets }: ReleaseOptions): void {
  const places = [...new Set(VERSION_PLACES.map(({ file }) => file))];
  console.log(`\nWith --run, ${version} is written into ${places.join(', ')},`);
  const which = targets.length === 0 ? 'for all systems' : `for ${targets.join(', ')}`;
  const named = parts.map((part) => (part === 'executables' ? `executables ${which}` : part));
  console.log(`and dist/release/${version} gets: ${named.join(', ')}, NOTES.md, ${CHECKSUMS}.`);
  console.log(
    `With --tag, that is committed then, and tagged ${toTag(version)}. Nothing has been changed now.`,
  );
}

function printNext({ version, isTagged }: ReleaseOptions, changed: readonly string[], folder: string): void {
  const commit = changed.length === 0 ? [] : [`git commit -m "Release ${version}" -- ${changed.join(' ')}`];
  const tag = [...commit, `git tag -a ${toTag(version)} -m "understudy ${version}"`];
  const commands = [
    `(cd ${folder} && sha256sum -c ${CHECKSUMS})`,
    ...(isTagged ? [] : tag),
    `git push origin HEAD ${toTag(version)}`,
    `npm publish ${folder}/understudy-client-${version}.tgz`,
    `python3 -m twine upload ${folder}/understudy_client-${version}*`,
    `docker build -t understudy:${version} .`,
  ];
  console.log(`\nNothing is published. What comes next, if it is right:\n`);
  for (const command of commands) console.log(`  ${command}`);
  console.log(`\nand a release of ${toTag(version)} with the files of ${folder}; its text is NOTES.md.`);
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  console.error(`understudy: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
