/**
 * The licences of all that the executable has in it. They are gathered by a macro: while the executable is built, from the bundler's own list
 * of what it put in, and while Bun reads this module where the program runs from the source.
 */

import { packLicenses } from '../../scripts/licenses/pack.ts' with { type: 'macro' };
import { type LicenseEntry, type PackedLicenses, toEntries } from './license-entry.ts';

/** JSON, compressed by zstd, in Base64. */
const PACKED: string = packLicenses();

export function readBundledLicenses(): LicenseEntry[] {
  const bytes = Bun.zstdDecompressSync(Buffer.from(PACKED, 'base64'));
  return toEntries(JSON.parse(bytes.toString()) as PackedLicenses);
}
