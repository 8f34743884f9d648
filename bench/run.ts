/**
 * All figures, or those that are named, each in a process of its own: `npm run bench -- first-token --quick`. With `--save` what is
 * measured is kept in `bench/results`, from which `npm run docs` makes `docs/benchmarks.md`.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { liftCallLimit } from './harness.ts';

// Every figure inherits it.
liftCallLimit();

const NOT_FIGURES = new Set(['run.ts', 'harness.ts']);

const args = process.argv.slice(2);
const flags = args.filter((arg) => arg.startsWith('-'));
const named = args.filter((arg) => !arg.startsWith('-'));
const all = readdirSync(import.meta.dir)
  .filter((name) => name.endsWith('.ts') && !NOT_FIGURES.has(name))
  .map((name) => name.slice(0, -3))
  .sort();
const unknown = named.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`There is no figure ${unknown.join(', ')}. There are: ${all.join(', ')}.`);
  process.exit(2);
}

let failures = 0;
for (const name of named.length > 0 ? named : all) {
  console.log(`\n— ${name} —`);
  const child = Bun.spawn([process.execPath, join(import.meta.dir, `${name}.ts`), ...flags], {
    stdout: 'inherit',
    stderr: 'inherit',
  });
  if ((await child.exited) !== 0) failures += 1;
}
process.exit(failures === 0 ? 0 : 1);
