/** `understudy licenses`: the three ways of printing them. */

import type { LicenseEntry } from './license-entry.ts';

const RULE = '='.repeat(80);

export type LicensesForm = 'text' | 'summary' | 'json';

export function printLicenses(entries: readonly LicenseEntry[], form: LicensesForm): string {
  if (form === 'json') return `${JSON.stringify(entries, null, 2)}\n`;
  return form === 'summary' ? toTable(entries) : toFullText(entries);
}

/** One line an entry; what is part of another one says of which. */
function toTable(entries: readonly LicenseEntry[]): string {
  const rows = entries.map(({ name, version, license, within }) => [
    name,
    version ?? '',
    license,
    within === null ? '' : `in ${within}`,
  ]);
  const header = ['name', 'version', 'licence', ''];
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Everything. Those that have the same text share it. */
function toFullText(entries: readonly LicenseEntry[]): string {
  const byText = Map.groupBy(
    entries.filter(({ text }) => text !== ''),
    ({ text }) => text,
  );
  const sections = [...byText].map(
    ([text, sharing]) => `${RULE}\n${sharing.map(toHeading).join('')}${RULE}\n\n${text}\n\n`,
  );
  const elsewhere = entries.filter(({ text }) => text === '').map(toHeading);
  if (elsewhere.length > 0) {
    sections.push(`${RULE}\nLicences that can be read at the addresses beside them\n${RULE}\n\n`);
    sections.push(elsewhere.join(''));
  }
  return sections.join('');
}

function toHeading({ name, version, license, within, url }: LicenseEntry): string {
  const title = version === null ? name : `${name} ${version}`;
  const place = within === null ? '' : `, in ${within}`;
  return `${title} (${license}${place})${url === null ? '' : ` ${url}`}\n`;
}
