/** Tables as lines: a row is a line, a table within a cell is a part of that cell. */

import { type TextBuilder, toLine } from '../read-text.ts';

/** Cells of a row beyond this are left out: no table has them, but a bomb has. */
export const CELLS_MAX = 16_384;

/** A row as a line, its cells parted by bars; nothing where all are blank. Answers whether anything was written. */
export function writeRow(builder: TextBuilder, cells: readonly string[]): boolean {
  const shown = cells.map(toLine);
  while (shown.at(-1) === '') shown.pop();
  if (shown.length === 0) return false;
  builder.endLine();
  builder.write(`${shown.join(' | ')}\n`);
  return true;
}

/** The tables that are open, as a parser meets their beginnings and ends. What is not open need not be closed. */
export interface Tables {
  /** How many are open, one within the other. */
  readonly depth: number;
  /** Whether what is read belongs to a cell. */
  readonly isInCell: boolean;
  /** Appends to the open cell. */
  put(text: string): void;
  open(): void;
  close(): void;
  openRow(): void;
  /** `count`: how often the row stands there. */
  closeRow(count?: number): void;
  openCell(): void;
  /** `count`: how often the cell stands there; `text`: what it holds instead of what was put into it. */
  closeCell(count?: number, text?: string): void;
}

interface Table {
  cells: string[];
  /** Null between cells. */
  cell: string | null;
  isFirstRow: boolean;
}

/** `write` takes the rows of outermost tables; by default they are lines, and none is parted from the first. */
export function createTables(builder: TextBuilder, write?: (cells: readonly string[]) => void): Tables {
  const open: Table[] = [];

  const writeCells = (table: Table): void => {
    if (write !== undefined) write(table.cells);
    else if (writeRow(builder, table.cells) && table.isFirstRow) {
      builder.joint();
      table.isFirstRow = false;
    }
  };
  const closeCell = (count = 1, text?: string): void => {
    const table = open.at(-1);
    if (table === undefined || table.cell === null) return;
    for (let i = 0; i < count && table.cells.length < CELLS_MAX; i += 1) table.cells.push(text ?? table.cell);
    table.cell = null;
  };
  const closeRow = (count = 1): void => {
    closeCell();
    const table = open.at(-1);
    if (table === undefined || table.cells.length === 0) return;
    const outer = open.at(-2);
    if (outer !== undefined) outer.cell = `${outer.cell ?? ''} ${table.cells.map(toLine).join(' ')} `;
    else for (let i = 0; i < count; i += 1) writeCells(table);
    table.cells = [];
  };
  const openTable = (): void => {
    open.push({ cells: [], cell: null, isFirstRow: true });
  };
  return {
    get depth() {
      return open.length;
    },
    get isInCell() {
      return open.at(-1)?.cell != null;
    },
    put(text) {
      const table = open.at(-1);
      if (table !== undefined && table.cell !== null) table.cell += text;
    },
    open: openTable,
    close() {
      closeRow();
      open.pop();
    },
    openRow() {
      if (open.length === 0) openTable();
      closeRow();
    },
    closeRow,
    openCell() {
      if (open.length === 0) openTable();
      closeCell();
      const table = open.at(-1);
      if (table !== undefined) table.cell = '';
    },
    closeCell,
  };
}
