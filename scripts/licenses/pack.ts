/** The licences as the executable has them in it. Imported as a macro by `src/licenses/bundled.ts`: synchronous, and what it answers is plain. */

import { resolve } from 'node:path';
import type { PackedLicenses } from '../../src/licenses/license-entry.ts';
import { listBundleInputs } from './bundle-inputs.ts';
import { type CollectedEntry, collectLicenses } from './collect.ts';

const ROOT = resolve(import.meta.dir, '../..');
const ZSTD_LEVEL = 19;

/** JSON, compressed by zstd, in Base64. */
export function packLicenses(): string {
  const packed = toPacked(collect());
  return Buffer.from(Bun.zstdCompressSync(JSON.stringify(packed), { level: ZSTD_LEVEL })).toString('base64');
}

function collect(): CollectedEntry[] {
  try {
    return collectLicenses(ROOT, listBundleInputs());
  } catch (error) {
    // Of an error in a macro Bun says that there was one, and not which.
    console.error(error instanceof Error ? error.message : error);
    throw error;
  }
}

/** Each text once: half of all packages have the same one. */
export function toPacked(entries: readonly CollectedEntry[]): PackedLicenses {
  const texts = [...new Set(entries.flatMap((entry) => entry.texts))];
  return {
    texts,
    entries: entries.map(({ lockKey: _, texts: own, ...entry }) => ({
      ...entry,
      texts: own.map((text) => texts.indexOf(text)),
    })),
  };
}
