/** The outcome as a table for people, as JSON for programs, as Markdown for pages. */

import { type Line, OUTCOMES, type Outcome } from './outcome.ts';

export type Form = 'table' | 'json' | 'markdown';

export interface Report {
  readonly baseUrl: string;
  readonly model: string;
  readonly lines: readonly Line[];
  /** Ids of what could not be taken away. */
  readonly left: readonly string[];
}

export function toReportText(report: Report, form: Form): string {
  if (form === 'json')
    return `${JSON.stringify({ ...report, counts: countOutcomes(report.lines) }, null, 2)}\n`;
  return form === 'markdown' ? toMarkdown(report) : toTable(report);
}

export function countOutcomes(lines: readonly Line[]): Record<Outcome, number> {
  const count = (outcome: Outcome): number => lines.filter((line) => line.outcome === outcome).length;
  return {
    ok: count('ok'),
    failed: count('failed'),
    'not there': count('not there'),
    skipped: count('skipped'),
  };
}

function toTable({ lines, left }: Report): string {
  const shown = lines.map((line) => ({ ...line, name: toName(line) }));
  const width = Math.max(0, ...shown.map(({ name }) => name.length));
  const rows = shown.map(({ name, outcome, durationMs, detail }) => {
    const took = outcome === 'skipped' ? '' : `${Math.round(durationMs)} ms`;
    return `${outcome.padEnd(9)}  ${name.padEnd(width)}  ${took.padStart(9)}  ${detail}`.trimEnd();
  });
  const remains = left.length === 0 ? [] : [`Not taken away: ${left.join(', ')}.`];
  return `${[...rows, '', toSummary(lines), ...remains].join('\n')}\n`;
}

function toName({ title, event }: Line): string {
  return event === null ? title : `  ${event}`;
}

/** For a terminal: written over the one before. */
export function toProgress({ title, outcome }: Line): string {
  return `\r\x1b[K${outcome}  ${title}\r`;
}

export function toSummary(lines: readonly Line[]): string {
  const counts = countOutcomes(lines);
  return `${OUTCOMES.map((outcome) => `${counts[outcome]} ${outcome}`).join(', ')}.`;
}

/** A table for each group. Without times: the same server gives the same page. */
function toMarkdown({ lines }: Report): string {
  const groups = [...new Set(lines.map(({ group }) => group))];
  const tables = groups.map((group) => {
    const rows = lines
      .filter((line) => line.group === group)
      .map(({ title, operation, event, outcome, detail }) => [
        event === null ? toTitleCell(title) : `… \`${event}\``,
        event === null && operation !== null ? `\`${operation}\`` : '',
        outcome,
        toCell(detail),
      ]);
    return `### ${group}\n\n${toAligned(['call or event', 'operation', 'outcome', 'remark'], rows)}`;
  });
  return `${tables.join('\n\n')}\n\n${toSummary(lines)}\n`;
}

/** `POST /threads, streamed`: the call as code, the rest as it is. */
function toTitleCell(title: string): string {
  return toCell(title.replace(/^[A-Z]+ \/[^\s,]*/, (call) => `\`${call}\``));
}

function toCell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function toAligned(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const toLine = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [
    toLine(head),
    `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`,
    ...rows.map(toLine),
  ].join('\n');
}
