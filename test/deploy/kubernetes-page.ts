/** What `docs/kubernetes.md` shows to be copied: values of the chart, and commands. */

import { ROOT, readPages } from '../../scripts/site/pages.ts';
import { type Block, readBlocks } from '../docs/blocks.ts';

const FILE = 'docs/kubernetes.md';
/** What stands behind the language of a block of values. */
const MARK = 'values';
/** The program's path in the image. */
const PROGRAM = '/usr/local/bin/understudy';

const page = readPages(ROOT).find(({ file }) => file === FILE);
if (page === undefined) throw new Error(`There is no ${FILE}.`);
const blocks: readonly Block[] = readBlocks(page);

/** By the name of their block. */
export function readPageValues(): Readonly<Record<string, object>> {
  const values = blocks.filter(({ language, marks }) => language === 'yaml' && marks.includes(MARK));
  return Object.fromEntries(values.map(({ name, text }) => [name, Bun.YAML.parse(text) as object]));
}

export interface PageCommands {
  /** The arguments of each call of the program within a pod. */
  readonly calls: readonly (readonly string[])[];
  /** `deployment`, `statefulset`, `service`: kinds of what is called as the release is. */
  readonly kinds: readonly string[];
  /** What each `--set` names: `image.repository`. */
  readonly set: readonly string[];
}

export function readPageCommands(): PageCommands {
  const lines = blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.replaceAll(/\\\n\s*/g, '').split('\n'));
  const calls = lines
    .filter((line) => line.includes(`-- ${PROGRAM} `))
    .map((line) => line.slice(line.indexOf(PROGRAM) + PROGRAM.length).replace(/\s>.*$/, ''))
    .map((rest) => rest.trim().split(/\s+/));
  const text = lines.join('\n');
  const kinds = [...text.matchAll(/ ([a-z]+)\/understudy(?= |$)/gm)].map(([, kind = '']) => kind);
  const set = [...text.matchAll(/--set ([\w.]+)=/g)].map(([, name = '']) => name);
  return { calls, kinds: [...new Set(kinds)], set: [...new Set(set)] };
}
