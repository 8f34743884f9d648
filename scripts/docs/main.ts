/** `npm run docs`: writes the tables of the pages in `docs` anew that are made from the code. */

import { join } from 'node:path';
import { renewApiPage } from './api.ts';
import { renewCompatibilityPage } from './compatibility.ts';
import { renewPage } from './configuration.ts';
import { renewMetricsPage } from './metrics.ts';

const FOLDER = join(import.meta.dir, '../../docs');
const PAGES: Readonly<Record<string, (page: string) => string | Promise<string>>> = Object.freeze({
  'configuration.md': renewPage,
  'compatibility.md': renewCompatibilityPage,
  'metrics.md': renewMetricsPage,
  'api.md': renewApiPage,
});

for (const [name, renew] of Object.entries(PAGES)) {
  const path = join(FOLDER, name);
  const before = await Bun.file(path).text();
  const after = await renew(before);
  if (after !== before) await Bun.write(path, after);
  console.log(after === before ? `docs/${name} is as it should be.` : `docs/${name} is written.`);
}
