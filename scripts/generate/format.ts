/** The project's formatter, on a text. */

import { join } from 'node:path';

const ROOT = join(import.meta.dir, '..', '..');
const BIOME = join(ROOT, 'node_modules', '.bin', 'biome');

/** Formats TypeScript as the project does for a file at `path`, imports in order. Errors: Biome's own words. */
export async function formatSource(path: string, text: string): Promise<string> {
  const biome = Bun.spawn([BIOME, 'check', '--write', `--stdin-file-path=${path}`], {
    cwd: ROOT,
    stdin: new Blob([text]),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [formatted, complaint, exitCode] = await Promise.all([
    new Response(biome.stdout).text(),
    new Response(biome.stderr).text(),
    biome.exited,
  ]);
  if (exitCode !== 0) throw new Error(`${path}: the formatter failed: ${complaint}`);
  return formatted;
}
