/** The command line of `npm run release`. */

import { parseArgs } from 'node:util';
import { TARGETS } from '../build-all.mjs';
import { isVersion } from './places.ts';

export const PART_NAMES = ['executables', 'client', 'python', 'chart', 'sbom', 'licenses'] as const;
export type PartName = (typeof PART_NAMES)[number];

export interface ReleaseOptions {
  readonly version: string;
  /** Whether anything is written and made; else it is only said what would be. */
  readonly isRun: boolean;
  readonly isTagged: boolean;
  /** Empty means all. */
  readonly targets: readonly string[];
  readonly parts: readonly PartName[];
}

export const USAGE = `usage: npm run release -- VERSION [options]

Without options nothing is changed: it says what keeps the version from being released, and what would be made.

  --run            Write the version wherever it stands, and make everything in dist/release/VERSION.
  --tag            Then commit, and tag vVERSION. With it --run is meant.
  --target NAME    Only the executable for this system; may be repeated. ${TARGETS.map(({ name }) => name).join(', ')}.
  --only PART      Only this part; may be repeated. ${PART_NAMES.join(', ')}.
  --help           Print this text.

SOURCE_DATE_EPOCH sets the time in the archives and lists; without it that is the date of the version in CHANGELOG.md.
Nothing is published: the commands for that are printed at the end.
`;

/** Null where help is asked for. Throws where the command line makes no sense. */
export function readOptions(argv: readonly string[]): ReleaseOptions | null {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      run: { type: 'boolean', default: false },
      tag: { type: 'boolean', default: false },
      target: { type: 'string', multiple: true, default: [] },
      only: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const [version, ...more] = positionals;
  if (version === undefined || more.length > 0) throw new Error(`Which version? One is wanted.\n\n${USAGE}`);
  if (!isVersion(version)) throw new Error(`A version is three numbers, 1.2.3, not '${version}'.`);
  for (const target of values.target) {
    if (!TARGETS.some(({ name }) => name === target))
      throw new Error(`There is no target '${target}'.\n\n${USAGE}`);
  }
  return {
    version,
    isRun: values.run || values.tag,
    isTagged: values.tag,
    targets: values.target,
    parts: values.only.length === 0 ? PART_NAMES : values.only.map(toPartName),
  };
}

function toPartName(text: string): PartName {
  const name = PART_NAMES.find((one) => one === text);
  if (name === undefined) throw new Error(`There is no part '${text}'.\n\n${USAGE}`);
  return name;
}
