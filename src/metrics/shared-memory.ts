/**
 * Memory that the primary and one worker share: a file that both have mapped. What a worker counted is there after it was
 * killed, at whatever moment.
 */

import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatMemory, isMemory } from './cell-memory.ts';

export interface SharedMemory {
  /** Of the file, for the worker. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Removes the file, once the worker has it mapped or will not any more; the memory stays. Idempotent. */
  release(): void;
}

/** Held in memory where there is such a folder; any other will do, for the file is gone again when the worker is up. */
export function toSharedFolders(dataDirectory: string | null): readonly string[] {
  return ['/dev/shm', tmpdir(), ...(dataDirectory === null ? [] : [dataDirectory])];
}

/** What processes that were killed as they started have left. No worker that still starts is so old. */
const LEFT_MS = 600_000;

/** Removes files that nobody will map any more. */
export function removeLeftMemory(folders: readonly string[], nowMs: number): void {
  for (const folder of folders) {
    for (const name of listQuietly(folder)) {
      if (!FILE_NAME.test(name)) continue;
      const path = join(folder, name);
      const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? nowMs;
      if (nowMs - made > LEFT_MS) removeQuietly(path);
    }
  }
}

const FILE_NAME = /^understudy-\d+-[0-9a-f-]{36}\.metrics$/;

function listQuietly(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** In the first folder that takes it. Null where files cannot be mapped, or no folder takes one. */
export function createSharedMemory(folders: readonly string[], sizeBytes: number): SharedMemory | null {
  // Windows keeps a file that is mapped, and has no such folder.
  if (process.platform === 'win32') return null;
  for (const folder of folders) {
    const path = join(folder, `understudy-${process.pid}-${randomUUID()}.metrics`);
    const bytes = tryMapNew(path, sizeBytes);
    if (bytes !== null) return { path, bytes, release: () => rmSync(path, { force: true }) };
  }
  return null;
}

function tryMapNew(path: string, sizeBytes: number): Uint8Array | null {
  try {
    // Written, and not just made as long: where space is short it must be missed here, not at the first write to a page.
    writeFileSync(path, new Uint8Array(sizeBytes), { flag: 'wx', mode: 0o600 });
    const bytes = Bun.mmap(path, { shared: true });
    formatMemory(bytes);
    return bytes;
  } catch {
    removeQuietly(path);
    return null;
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It was never made, is removed by whoever made it, or is another user's.
  }
}

/**
 * The worker's side. Null where the file is not there, or was made by another build. The file is removed at once: nobody else needs it,
 * and whoever made it may be killed at any moment.
 */
export function openSharedMemory(path: string): Uint8Array | null {
  try {
    const bytes = Bun.mmap(path, { shared: true });
    if (!isMemory(bytes)) return null;
    removeQuietly(path);
    return bytes;
  } catch {
    return null;
  }
}
