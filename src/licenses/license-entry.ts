/** What the executable is made of, and under which licences. */

export interface LicenseEntry {
  readonly name: string;
  /** A version, or the commit where the work has none; null where neither is known. */
  readonly version: string | null;
  /** By SPDX where it has a name there: `MIT`, `(MIT OR Apache-2.0)`. */
  readonly license: string;
  /** The entry that it is part of: `unpdf`; null where the executable has it directly. */
  readonly within: string | null;
  /** Where it comes from, or where its licence can be read; null where the text is all there is. */
  readonly url: string | null;
  /** All of it, notices too. Empty only where `url` leads to it. */
  readonly text: string;
}

/** As it is embedded: each text once. */
export interface PackedLicenses {
  readonly entries: readonly (Omit<LicenseEntry, 'text'> & {
    /** Places in `texts`; they stand one after the other. */
    readonly texts: readonly number[];
  })[];
  readonly texts: readonly string[];
}

/** Between the texts of one entry. */
export const TEXT_SEPARATOR = `\n\n${'-'.repeat(20)}\n\n`;

export function toEntries({ entries, texts }: PackedLicenses): LicenseEntry[] {
  return entries.map(({ texts: places, ...entry }) => ({
    ...entry,
    text: places.map((place) => texts[place] ?? '').join(TEXT_SEPARATOR),
  }));
}
