/** Libraries that stand between a server and its machine: built from C here, and loaded before all others. Needs Linux and `cc`. */

import { join } from 'node:path';

/** The library's path; null where it cannot be built, or where what is tested does not take it (musl's static programs). */
export function buildPreload(name: 'slow-sync' | 'shifted-clock', directory: string): string | null {
  if (process.platform !== 'linux') return null;
  const library = join(directory, `${name}.so`);
  const source = join(import.meta.dir, `${name}.c`);
  const built = Bun.spawnSync(['cc', '-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], {
    stdout: 'ignore',
    stderr: 'ignore',
  });
  return built.exitCode === 0 ? library : null;
}

export function hasCompiler(): boolean {
  return process.platform === 'linux' && Bun.which('cc') !== null;
}
