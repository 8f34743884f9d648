/** The program, run to its end: from the source, or the executable that UNDERSTUDY_TEST_BINARY names. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dir, '../..');
/** A start that should fail and does not would go on forever. */
const END_MS = 20_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runProgram(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly within?: readonly string[] } = {},
): Promise<Ended> {
  const binary = process.env.UNDERSTUDY_TEST_BINARY;
  const command = binary ? [resolve(ROOT, binary)] : [process.execPath, join(ROOT, 'src/main.ts')];
  const child = Bun.spawn([...(options.within ?? []), ...command, ...args], {
    env: { PATH: process.env.PATH ?? '', ...options.env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: END_MS,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  return { code: child.exitCode, stdout, stderr };
}

/** Every file of a folder with its bytes and its times of change: equal before and after means that nothing was touched. */
export function toPicture(directory: string): Record<string, string> {
  const picture: Record<string, string> = {};
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, name);
    const stat = statSync(path);
    const hash = stat.isFile() ? Bun.hash(readFileSync(path)).toString(16) : 'folder';
    picture[name] = `${hash} ${stat.mtimeMs}`;
  }
  return picture;
}
