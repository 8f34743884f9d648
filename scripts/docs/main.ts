/** `npm run docs`: writes the tables of the pages in `docs` anew that are made from the code or from measurements, and the pictures. */

import { join } from 'node:path';
import { renewApiPage } from './api.ts';
import { renewBenchmarksPage } from './benchmarks.ts';
import { renewCompatibilityPage } from './compatibility.ts';
import { renewPage } from './configuration.ts';
import { renewMetricsPage } from './metrics.ts';
import { drawPictures } from './pictures/pictures.ts';

const FOLDER = join(import.meta.dir, '../../docs');
const PAGES: Readonly<Record<string, (page: string) => string | Promise<string>>> = Object.freeze({
  'configuration.md': renewPage,
  'compatibility.md': renewCompatibilityPage,
  'metrics.md': renewMetricsPage,
  'api.md': renewApiPage,
  'benchmarks.md': (page) => renewBenchmarksPage(page),
});

async function write(name: string, before: string | null, after: string): Promise<void> {
  if (after !== before) await Bun.write(join(FOLDER, name), after);
  console.log(after === before ? `docs/${name} is as it should be.` : `docs/${name} is written.`);
}

for (const [name, renew] of Object.entries(PAGES)) {
  const before = await Bun.file(join(FOLDER, name)).text();
  await write(name, before, await renew(before));
}
for (const [file, picture] of Object.entries(drawPictures())) {
  const name = `pictures/${file}`;
  const drawn = Bun.file(join(FOLDER, name));
  await write(name, (await drawn.exists()) ? await drawn.text() : null, picture);
}
