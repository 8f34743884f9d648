/** Whether the files that the configuration was read from hold something else now. */

import { createHash } from 'node:crypto';
import type { ReadFile } from './config-sources.ts';

export interface ConfigWatch {
  /** Reads a file for the configuration, and remembers what it held. Throws what reading throws. */
  readonly readFile: ReadFile;
  /** Forgets all files: the configuration is about to be read anew. */
  begin(): void;
  /** Reads them all again: links that lead elsewhere now, as Kubernetes makes them, count as well. */
  hasChanged(): boolean;
}

/** A configuration names a handful; more are not watched. */
const FILES_MAX = 1_000;
const MISSING = 'missing';

export function createConfigWatch(readFile: ReadFile): ConfigWatch {
  const seen = new Map<string, string>();
  const readDigest = (path: string): string => {
    try {
      return toDigest(readFile(path));
    } catch {
      return MISSING;
    }
  };
  return {
    readFile(path) {
      if (seen.size < FILES_MAX) seen.set(path, MISSING);
      const text = readFile(path);
      if (seen.has(path)) seen.set(path, toDigest(text));
      return text;
    },
    begin() {
      seen.clear();
    },
    hasChanged() {
      return [...seen].some(([path, digest]) => readDigest(path) !== digest);
    },
  };
}

/** Not the text: keys are not kept in memory longer than they are used. */
function toDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
