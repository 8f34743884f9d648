/** Which pages the site has, in the order of its navigation, and where each stands. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dir, '../..');
/** The site's own folder on the server. */
export const SITE_PATH = '/docs';

export interface Page {
  /** The file, from the project's folder: `docs/start.md`. */
  readonly file: string;
  /** Where it is served: `/docs/start`. */
  readonly path: string;
  readonly group: string;
  readonly text: string;
}

const HOME = 'docs/README.md';
const GROUPS: readonly (readonly [string, readonly string[]])[] = Object.freeze([
  ['Overview', [HOME]],
  ['Begin', ['docs/start.md', 'docs/migrating.md', 'docs/client.md', 'docs/compatibility.md']],
  ['Use', ['docs/providers.md', 'docs/retrieval.md', 'docs/rehearsal.md', 'docs/api.md']],
  [
    'Run',
    [
      'docs/deployment.md',
      'docs/kubernetes.md',
      'docs/configuration.md',
      'docs/security.md',
      'docs/cassandra.md',
      'docs/moving.md',
      'docs/metrics.md',
      'docs/traces.md',
    ],
  ],
  ['Inside', ['ARCHITECTURE.md', 'docs/benchmarks.md', 'docs/decisions/README.md']],
]);
/** Pages that nobody has put into a group. */
const OTHERS = 'More';
/** Each record of a decision is a page, which the list of them leads to. */
const RECORD = /^docs\/decisions\/\d{4}-.*\.md$/;

/** `/docs/api` is the page that tries requests, so the reference has a name of its own. */
const NAMES: Readonly<Record<string, string>> = Object.freeze({
  [HOME]: '',
  'docs/api.md': 'reference',
  'ARCHITECTURE.md': 'architecture',
  'docs/decisions/README.md': 'decisions',
});

/** Every page of `docs`, and those beside it that the groups name. Those that are not listed come last. */
export function readPages(root: string = ROOT): Page[] {
  const grouped = GROUPS.flatMap(([group, files]) => files.map((file) => ({ group, file })));
  const known = new Set(grouped.map(({ file }) => file));
  const others = readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md') && !known.has(`docs/${name}`))
    .sort()
    .map((name) => ({ group: OTHERS, file: `docs/${name}` }));
  const records = readdirSync(join(root, 'docs/decisions'))
    .map((name) => `docs/decisions/${name}`)
    .filter((file) => RECORD.test(file))
    .sort()
    .map((file) => ({ group: OTHERS, file }));
  return [...grouped, ...others, ...records]
    .filter(({ file }) => existsSync(join(root, file)))
    .map(({ group, file }) => ({
      group,
      file,
      path: toPagePath(file),
      text: readFileSync(join(root, file), 'utf8'),
    }));
}

/** Whether the navigation of each page names it. */
export function isListed({ file }: Pick<Page, 'file'>): boolean {
  return !RECORD.test(file);
}

function toPagePath(file: string): string {
  const name = NAMES[file] ?? file.replace(/^docs\//, '').replace(/\.md$/, '');
  return name === '' ? SITE_PATH : `${SITE_PATH}/${name}`;
}
