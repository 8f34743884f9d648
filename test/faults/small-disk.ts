/** A disk of a few MiB: memory that is mounted as one. Needs Linux, and the right to mount. */

import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallDisk {
  readonly directory: string;
  /** Takes all the space that is left. */
  fill(): void;
  /** Gives back what `fill` has taken. */
  clear(): void;
  /** Unmounts it. What is on it is gone. */
  remove(): Promise<void>;
}

const BALLAST_BYTES = 64 * 1024;
/** Blocks of one size less each time, so that nothing is left. */
const BLOCKS = [BALLAST_BYTES, 4096, 1];
const WRITES_MAX = 1_000_000;

/** Null where this process may not mount. */
export async function mountSmallDisk(mib: number): Promise<SmallDisk | null> {
  const directory = await mkdtemp(join(tmpdir(), 'understudy-disk-'));
  const mounted = Bun.spawnSync(
    ['mount', '-t', 'tmpfs', '-o', `size=${mib}m`, 'understudy-test', directory],
    {
      stdout: 'ignore',
      stderr: 'ignore',
    },
  );
  if (mounted.exitCode !== 0) {
    await rm(directory, { recursive: true, force: true });
    return null;
  }
  const ballast = join(directory, 'ballast');
  return {
    directory,
    fill() {
      const file = openSync(ballast, 'a');
      try {
        for (const bytes of BLOCKS) writeUntilFull(file, new Uint8Array(bytes).fill(1));
      } finally {
        closeSync(file);
      }
    },
    clear: () => rmSync(ballast, { force: true }),
    async remove() {
      Bun.spawnSync(['umount', '--lazy', directory]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function writeUntilFull(file: number, block: Uint8Array): void {
  for (let count = 0; count < WRITES_MAX; count += 1) {
    try {
      if (writeSync(file, block) < block.byteLength) return;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return;
      throw error;
    }
  }
  throw new Error('The disk does not fill up.');
}
