/** `npm run docs`: writes the tables of the pages in `docs` anew that are made from the code. */

import { join } from 'node:path';
import { renewPage } from './configuration.ts';
import { renewMetricsPage } from './metrics.ts';

const FOLDER = join(import.meta.dir, '../../docs');
const PAGES: Readonly<Record<string, (page: string) => string>> = Object.freeze({
  'configuration.md': renewPage,
  'metrics.md': renewMetricsPage,
});

for (const [name, renew] of Object.entries(PAGES)) {
  const path = join(FOLDER, name);
  const before = await Bun.file(path).text();
  const after = renew(before);
  if (after !== before) await Bun.write(path, after);
  console.log(after === before ? `docs/${name} is as it should be.` : `docs/${name} is written.`);
}
