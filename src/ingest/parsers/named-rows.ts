/**
 * Rows of a table with the names of its columns. A row alone must tell what its values are, wherever a chunk begins:
 * where the first row names the columns, every other is written `name: value | name: value`.
 */

import { type TextBuilder, toLine } from '../read-text.ts';
import { writeRow } from './tables.ts';

/** Names longer than this are no names. */
const NAME_LENGTH_MAX = 80;
/** Rows that are looked at for the names. */
const LEAD_ROWS_MAX = 10;

export interface NamedRows {
  add(cells: readonly string[]): void;
  /** Writes what is still held back. */
  end(): void;
}

/** The first rows of a sheet may be its title: names are the first row with at least two cells, if it looks like names. */
export function createNamedRows(builder: TextBuilder): NamedRows {
  let names: readonly string[] | null = null;
  /** The row that may hold the names, until one follows that they fit. */
  let held: readonly string[] | null = null;
  let leadRows = 0;

  const addRow = (cells: readonly string[]): void => {
    if (names !== null) writeNamed(builder, names, cells);
    else writeRow(builder, cells);
  };
  return {
    add(row) {
      const cells = row.map(toLine);
      while (cells.at(-1) === '') cells.pop();
      if (cells.length === 0) return;
      if (names === null && held === null && leadRows < LEAD_ROWS_MAX && areNames(cells)) {
        held = cells;
        return;
      }
      leadRows += 1;
      if (held !== null) {
        const filled = cells.filter((cell) => cell !== '').length;
        if (filled >= 1 && cells.length <= held.length + 1) names = held;
        writeRow(builder, held);
        builder.joint();
        held = null;
      }
      addRow(cells);
    },
    end() {
      if (held !== null) writeRow(builder, held);
      held = null;
    },
  };
}

/** At least two, each different from the others, short, with a letter, and none a number or a date. */
function areNames(cells: readonly string[]): boolean {
  const filled = cells.filter((cell) => cell !== '');
  if (filled.length < 2 || filled.length < cells.length * 0.6) return false;
  if (new Set(filled.map((name) => name.toLowerCase())).size < filled.length) return false;
  const worded = filled.filter((name) => /\p{L}/u.test(name) && !/^\d{4}-\d\d-\d\d/.test(name));
  return (
    worded.length >= filled.length * 0.6 &&
    filled.every((name) => name.length <= NAME_LENGTH_MAX && !name.endsWith('.'))
  );
}

function writeNamed(builder: TextBuilder, names: readonly string[], cells: readonly string[]): void {
  const shown: string[] = [];
  for (const [i, cell] of cells.entries()) {
    if (cell === '') continue;
    const name = names[i] ?? '';
    shown.push(name === '' ? cell : `${name}: ${cell}`);
  }
  builder.endLine();
  builder.write(`${shown.join(' | ')}\n`);
}
