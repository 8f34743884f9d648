/** The generated files on the disk. */

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes the folder hold these files and no others. Answers the names of those that it changed. */
export async function writeFiles(folder: string, files: ReadonlyMap<string, string>): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const changed: string[] = [];
  for (const old of await readdir(folder)) {
    if (files.has(old)) continue;
    await rm(join(folder, old));
    changed.push(old);
  }
  for (const [name, text] of files) {
    const file = Bun.file(join(folder, name));
    if ((await file.exists()) && (await file.text()) === text) continue;
    await file.write(text);
    changed.push(name);
  }
  return changed;
}
