/** `npm run docs:site -- FOLDER`: writes the site as files, for any web server that serves `FOLDER` at its root (`dist/site`). */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { makeSite, toBytes } from './build.ts';

const folder = resolve(process.argv[2] ?? 'dist/site');
const files = makeSite();
for (const [path, file] of files) {
  const name = file.type === 'text/html' ? `${path}/index.html` : path;
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), toBytes(file));
}
console.log(`${files.size} files in ${folder}.`);
