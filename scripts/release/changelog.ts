/** What `CHANGELOG.md` says of a version. */

export interface ChangelogSection {
  /** `2026-01-31`; null where it is said to be unreleased. */
  readonly date: string | null;
  /** What is below the heading, without empty lines around it. */
  readonly text: string;
}

const HEADING = /^## \[?(?<name>[^\]\s]+)\]?(?: - (?<date>\S+))?$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

/** Null where there is no section for the version. */
export function readSection(changelog: string, version: string): ChangelogSection | null {
  const lines = changelog.split('\n');
  const at = lines.findIndex((line) => HEADING.exec(line)?.groups?.name === version);
  if (at < 0) return null;
  const date = HEADING.exec(lines[at] ?? '')?.groups?.date ?? '';
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => line.startsWith('## ') || /^\[[^\]]+\]: /.test(line));
  const text = (end < 0 ? rest : rest.slice(0, end)).join('\n').trim();
  return { date: isDate(date) ? date : null, text };
}

/** 30 February is read as 2 March by some. */
function isDate(text: string): boolean {
  const time = DATE.test(text) ? Date.parse(text) : Number.NaN;
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/** What keeps the version from being released; null where nothing does. */
export function findChangelogProblem(changelog: string, version: string): string | null {
  const section = readSection(changelog, version);
  if (section === null) return `CHANGELOG.md has no section '## [${version}] - YYYY-MM-DD'.`;
  if (section.date === null) return `CHANGELOG.md gives ${version} no date: '## [${version}] - YYYY-MM-DD'.`;
  return section.text === '' ? `CHANGELOG.md says nothing of ${version}.` : null;
}
