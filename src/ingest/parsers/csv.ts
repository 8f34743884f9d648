/** Tables of separated values, as RFC 4180 has them; the separator is found. */

import { createTextBuilder, type ReadText } from '../read-text.ts';
import { createNamedRows } from './named-rows.ts';
import { CELLS_MAX } from './tables.ts';

const SEPARATORS = [',', ';', '\t', '|'] as const;
/** Lines that the separator is told by. */
const SAMPLE_LINES = 20;
const SAMPLE_LENGTH = 64 * 1024;

export function readCsv(text: string, extension: string): ReadText {
  const builder = createTextBuilder();
  const rows = createNamedRows(builder);
  const separator = findSeparator(text, extension);
  for (const row of parseRows(text, separator)) rows.add(row);
  rows.end();
  return builder.finish();
}

/** The one that parts most lines into equally many cells. */
function findSeparator(text: string, extension: string): string {
  if (extension === 'tsv' || extension === 'tab') return '\t';
  const named = /^sep=(.)\r?\n/.exec(text)?.[1];
  if (named !== undefined) return named;
  const lines = text
    .slice(0, SAMPLE_LENGTH)
    .split(/\r\n|\n|\r/, SAMPLE_LINES)
    .filter((line) => line !== '');
  let best: string = ',';
  let bestScore = 0;
  for (const separator of SEPARATORS) {
    const counts = lines.map((line) => line.replace(/"[^"]*"/g, '').split(separator).length - 1);
    const first = counts[0] ?? 0;
    const score = first === 0 ? 0 : counts.filter((count) => count === first).length * 1000 + first;
    if (score > bestScore) {
      best = separator;
      bestScore = score;
    }
  }
  return best;
}

/** Linear; a quote that is never closed takes in the rest, as in any spreadsheet. */
function* parseRows(text: string, separator: string): Generator<string[], void, undefined> {
  let at = /^sep=.\r?\n/.exec(text)?.[0].length ?? 0;
  let row: string[] = [];
  const plain = new RegExp(`[${separator === '|' ? '\\|' : separator}\\r\\n]`, 'g');
  while (at <= text.length) {
    let cell: string;
    if (text[at] === '"') {
      const quoted = readQuoted(text, at);
      cell = quoted.cell;
      at = quoted.end;
    } else cell = '';
    plain.lastIndex = at;
    const end = plain.exec(text)?.index ?? text.length;
    cell += text.slice(at, end);
    if (row.length < CELLS_MAX) row.push(cell);
    at = end + 1;
    if (text[end] === separator) continue;
    if (text[end] === '\r' && text[at] === '\n') at += 1;
    if (end < text.length || row.length > 1 || row[0] !== '') yield row;
    row = [];
  }
}

function readQuoted(text: string, start: number): { cell: string; end: number } {
  let cell = '';
  for (let from = start + 1; ; ) {
    const quote = text.indexOf('"', from);
    if (quote < 0) return { cell: cell + text.slice(from), end: text.length };
    cell += text.slice(from, quote);
    if (text[quote + 1] !== '"') return { cell, end: quote + 1 };
    cell += '"';
    from = quote + 2;
  }
}
