/** OpenDocument: texts, sheets (a sheet's name is a heading) and slides (each a page). */

import { DocumentError } from '../document-reader.ts';
import { createTextBuilder, type ReadText, type TextBuilder } from '../read-text.ts';
import { createNamedRows, type NamedRows } from './named-rows.ts';
import { createTables, type Tables } from './tables.ts';
import { type Attributes, findElementText, readXml, type XmlHandler } from './xml-events.ts';
import type { Zip } from './zip.ts';

/** Cells and rows may be declared to be repeated: empty ones by the million. */
const REPEATED_CELLS_MAX = 64;
const REPEATED_ROWS_MAX = 1000;
const SPACES_MAX = 80;
const INDENTS_MAX = 8;

export type OpenDocumentKind = 'odt' | 'ods' | 'odp';

export async function readOpenDocument(zip: Zip, kind: OpenDocumentKind): Promise<ReadText> {
  if (zip.readSmall('META-INF/manifest.xml')?.includes('encryption-data') === true) {
    throw new DocumentError('invalid_file', 'The file is encrypted with a password.');
  }
  const builder = createTextBuilder();
  await readXml(zip.readText('content.xml'), createContent(builder, kind));
  builder.endLine();
  return builder.finish(findElementText(zip.readSmall('meta.xml'), 'title'));
}

/** Parts that are not the document's text. */
const SKIPPED = new Set([
  'tracked-changes',
  'annotation',
  'automatic-styles',
  'styles',
  'scripts',
  'font-face-decls',
  'forms',
  'sequence-decls',
  'note-citation',
  'shapes',
]);

/** What is open of a document's content. */
interface Content {
  readonly builder: TextBuilder;
  readonly kind: OpenDocumentKind;
  readonly tables: Tables;
  /** A note or a frame stands within a paragraph, and has its own. */
  readonly paragraphs: { text: string; level: number | null }[];
  /** Of a workbook: takes the rows of the sheet that is open. */
  sheet: NamedRows;
  pages: number;
  listDepth: number;
  isItemNew: boolean;
  isInNote: boolean;
  /** How often the open row and the open cell stand there. */
  rowCount: number;
  cellCount: number;
  /** Of the open cell, in ISO's form. */
  date: string | null;
}

function createContent(builder: TextBuilder, kind: OpenDocumentKind): XmlHandler {
  const content: Content = {
    builder,
    kind,
    tables:
      kind === 'ods' ? createTables(builder, (cells) => content.sheet.add(cells)) : createTables(builder),
    paragraphs: [],
    sheet: createNamedRows(builder),
    pages: 0,
    listDepth: 0,
    isItemNew: false,
    isInNote: false,
    rowCount: 1,
    cellCount: 1,
    date: null,
  };
  let skipped = 0;
  return {
    open(name, attributes) {
      if (skipped > 0 || SKIPPED.has(name)) skipped += 1;
      else if (name.startsWith('table') || name === 'covered-table-cell')
        openTablePart(content, name, attributes);
      else openElement(content, name, attributes);
    },
    close(name) {
      if (skipped > 0) skipped -= 1;
      else if (name.startsWith('table') || name === 'covered-table-cell') closeTablePart(content, name);
      else closeElement(content, name);
    },
    text(text) {
      if (skipped === 0) putText(content, text.replace(/\s+/g, ' '));
    },
  };
}

function putText({ paragraphs }: Content, text: string): void {
  const paragraph = paragraphs.at(-1);
  if (paragraph !== undefined) paragraph.text += text;
}

function openElement(content: Content, name: string, attributes: Attributes): void {
  const { builder, paragraphs } = content;
  if (name === 'p') paragraphs.push({ text: '', level: null });
  else if (name === 'h') paragraphs.push({ text: '', level: toCount(attributes['text:outline-level'], 9) });
  else if (name === 's') putText(content, ' '.repeat(toCount(attributes['text:c'], SPACES_MAX)));
  else if (name === 'tab') putText(content, '\t');
  else if (name === 'line-break') putText(content, '\n');
  else if (name === 'note-body') {
    putText(content, ' [');
    content.isInNote = true;
  } else if (name === 'list') {
    if (content.listDepth === 0) builder.endParagraph();
    content.listDepth += 1;
  } else if (name === 'list-item') content.isItemNew = true;
  else if (name === 'notes') builder.endParagraph();
  else if (name === 'page' && content.kind === 'odp') {
    builder.endParagraph();
    content.pages += 1;
    builder.page(content.pages);
  }
}

function closeElement(content: Content, name: string): void {
  if (name === 'p' || name === 'h') closeParagraph(content);
  else if (name === 'note-body') {
    putText(content, ']');
    content.isInNote = false;
  } else if (name === 'list') {
    content.listDepth = Math.max(0, content.listDepth - 1);
    if (content.listDepth === 0) content.builder.endParagraph();
  } else if ((name === 'frame' || name === 'custom-shape') && content.kind === 'odp')
    content.builder.endParagraph();
}

function closeParagraph(content: Content): void {
  const { builder, kind, tables, paragraphs } = content;
  const paragraph = paragraphs.pop();
  const text = paragraph?.text.replace(/[ \t]+/g, ' ').trim() ?? '';
  if (paragraph === undefined || text === '') return;
  const outer = paragraphs.at(-1);
  if (outer !== undefined) outer.text += content.isInNote ? text : ` ${text} `;
  else if (tables.isInCell) tables.put(`${text} `);
  else if (paragraph.level !== null) builder.heading(paragraph.level, text);
  else if (content.listDepth > 0) {
    builder.endLine();
    const indent = '  '.repeat(Math.min(INDENTS_MAX, content.listDepth - 1));
    builder.write(`${indent}${content.isItemNew ? '- ' : '  '}${text}\n`);
    content.isItemNew = false;
  } else {
    if (kind === 'odt') builder.endParagraph();
    builder.write(text);
    if (kind === 'odt') builder.endParagraph();
    else builder.endLine();
  }
}

function openTablePart(content: Content, name: string, attributes: Attributes): void {
  const { builder, kind, tables } = content;
  if (name === 'table') {
    if (tables.depth === 0) builder.endParagraph();
    if (kind === 'ods' && tables.depth === 0) {
      builder.heading(1, attributes['table:name'] ?? '');
      content.sheet = createNamedRows(builder);
    }
    tables.open();
  } else if (name === 'table-row') {
    content.rowCount = toCount(attributes['table:number-rows-repeated'], REPEATED_ROWS_MAX);
    tables.openRow();
  } else if (name.endsWith('table-cell')) {
    content.cellCount = toCount(attributes['table:number-columns-repeated'], REPEATED_CELLS_MAX);
    content.date = attributes['office:date-value'] ?? null;
    tables.openCell();
  }
}

function closeTablePart(content: Content, name: string): void {
  const { builder, tables } = content;
  if (name.endsWith('table-cell')) {
    if (content.date === null) tables.closeCell(content.cellCount);
    else tables.closeCell(content.cellCount, content.date.replace(/T00:00:00.*$/, '').replace('T', ' '));
    content.cellCount = 1;
    content.date = null;
  } else if (name === 'table-row') {
    tables.closeRow(content.rowCount);
    content.rowCount = 1;
  } else if (name === 'table') {
    tables.close();
    if (tables.depth > 0) return;
    content.sheet.end();
    builder.endParagraph();
  }
}

function toCount(value: string | undefined, max: number): number {
  const count = Number.parseInt(value ?? '1', 10);
  return Number.isNaN(count) ? 1 : Math.min(Math.max(1, count), max);
}
