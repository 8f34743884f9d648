/** Word documents: paragraphs, headings by style, lists with their numbers, tables, foot- and endnotes, headers, footers, text boxes. */

import { createTextBuilder, type ReadText, type TextBuilder, toLine } from '../read-text.ts';
import { createListNumbers, type ListNumbers, readNumbering } from './docx-numbering.ts';
import { findMainPart, readOfficeTitle, readRelations } from './office-parts.ts';
import { createTables, type Tables } from './tables.ts';
import { type Attributes, findAttribute, readXml, readXmlText, type XmlHandler } from './xml-events.ts';
import type { Zip } from './zip.ts';

/** Headings deeper than this are text. */
const HEADING_LEVELS_MAX = 9;
/** A style is based on others, which may be a circle. */
const STYLE_CHAIN_MAX = 20;

interface Style {
  readonly level: number | null;
  readonly base: string | null;
  readonly numbering: { readonly id: string; readonly level: number } | null;
}

type Styles = ReadonlyMap<string, Style>;

export async function readDocx(zip: Zip): Promise<ReadText> {
  const main = findMainPart(zip, 'word/document.xml');
  const relations = readRelations(zip, main);
  const findPart = (kind: string): string =>
    relations.find((relation) => relation.kind === kind)?.target ?? '';
  const styles = readStyles(zip.readSmall(findPart('styles')));
  const numbers = createListNumbers(readNumbering(zip.readSmall(findPart('numbering'))));
  const notes = new Map([
    ...(await readNotes(zip, findPart('footnotes'), 'footnote')),
    ...(await readNotes(zip, findPart('endnotes'), 'endnote')),
  ]);
  const builder = createTextBuilder();
  await readXml(zip.readText(main), createBody(builder, { styles, numbers, notes }));
  builder.endParagraph();
  await writeMargins(zip, relations, builder);
  return builder.finish(readOfficeTitle(zip));
}

/** Headers and footers, each text once, behind the document. */
async function writeMargins(
  zip: Zip,
  relations: ReturnType<typeof readRelations>,
  builder: TextBuilder,
): Promise<void> {
  const seen = new Set<string>();
  for (const { kind, target } of relations) {
    if (kind !== 'header' && kind !== 'footer') continue;
    const part = createTextBuilder();
    await readXml(
      zip.readText(target),
      createBody(part, { styles: new Map(), numbers: null, notes: new Map() }),
    );
    const text = part.finish().text.trim();
    // Page numbers alone are no text.
    if (!/\p{L}{2}/u.test(text) || seen.has(text)) continue;
    seen.add(text);
    builder.endParagraph();
    builder.write(text);
  }
  builder.endLine();
}

// ——— Styles ———

function readStyles(xml: string | null): Styles {
  const styles = new Map<string, Style>();
  if (xml === null) return styles;
  let id = '';
  let level: number | null = null;
  let base: string | null = null;
  let listId: string | null = null;
  let listLevel = 0;
  readXmlText(xml, {
    open(name, attributes) {
      const value = findAttribute(attributes, 'val') ?? '';
      if (name === 'style') {
        id = findAttribute(attributes, 'styleId') ?? '';
        level = null;
        base = null;
        listId = null;
        listLevel = 0;
      } else if (name === 'name') level ??= toNamedLevel(value);
      else if (name === 'basedOn') base = value;
      else if (name === 'outlineLvl') level ??= toOutlineLevel(value);
      else if (name === 'numId') listId = value;
      else if (name === 'ilvl') listLevel = Number(value) || 0;
    },
    close(name) {
      if (name !== 'style') return;
      styles.set(id, { level, base, numbering: listId === null ? null : { id: listId, level: listLevel } });
    },
  });
  return styles;
}

function toNamedLevel(name: string): number | null {
  if (/^title$/i.test(name)) return 1;
  const level = /^heading (\d)$/i.exec(name)?.[1];
  return level === undefined ? null : Number(level);
}

function toOutlineLevel(value: string): number | null {
  const level = Number(value) + 1;
  return value !== '' && level >= 1 && level <= HEADING_LEVELS_MAX ? level : null;
}

function findInStyles<T>(styles: Styles, id: string, pick: (style: Style) => T | null): T | null {
  let style = styles.get(id);
  for (let i = 0; i < STYLE_CHAIN_MAX && style !== undefined; i += 1) {
    const found = pick(style);
    if (found !== null) return found;
    style = styles.get(style.base ?? '');
  }
  return null;
}

// ——— Notes ———

/** Texts of foot- or endnotes by kind and id. */
async function readNotes(zip: Zip, part: string, kind: 'footnote' | 'endnote'): Promise<Map<string, string>> {
  const notes = new Map<string, string>();
  let id: string | null = null;
  let text = '';
  let isText = false;
  await readXml(zip.readText(part), {
    open(name, attributes) {
      if (name === kind) {
        // Separators have a type.
        id = findAttribute(attributes, 'type') === undefined ? (findAttribute(attributes, 'id') ?? '') : null;
        text = '';
      } else if (name === 't') isText = true;
      else if (name === 'p' || name === 'tab') text += ' ';
    },
    close(name) {
      if (name === 't') isText = false;
      if (name === kind && id !== null && toLine(text) !== '') notes.set(`${kind} ${id}`, toLine(text));
    },
    text(value) {
      if (isText) text += value;
    },
  });
  return notes;
}

// ——— The body ———

interface BodyParts {
  readonly styles: Styles;
  readonly numbers: ListNumbers | null;
  readonly notes: ReadonlyMap<string, string>;
}

interface Paragraph {
  text: string;
  style: string;
  level: number | null;
  listId: string | null;
  listLevel: number | null;
  readonly notes: string[];
}

/** What is open of a document's body. */
interface Body {
  readonly builder: TextBuilder;
  readonly tables: Tables;
  /** A text box stands within a paragraph, and has its own. */
  readonly paragraphs: Paragraph[];
  readonly parts: BodyParts;
  noteCount: number;
}

function createBody(builder: TextBuilder, parts: BodyParts): XmlHandler {
  const body: Body = { builder, tables: createTables(builder), paragraphs: [], parts, noteCount: 0 };
  let isText = false;
  /** Depth of elements that repeat what stands elsewhere: the fallback for old programs, what was deleted. */
  let skipped = 0;
  return {
    open(name, attributes) {
      if (skipped > 0 || isSkipped(name)) skipped += 1;
      else if (name === 't') isText = true;
      else openElement(body, name, attributes);
    },
    close(name) {
      if (skipped > 0) skipped -= 1;
      else if (name === 't') isText = false;
      else closeElement(body, name);
    },
    text(text) {
      if (isText && skipped === 0) putText(body, text);
    },
  };
}

function openElement(body: Body, name: string, attributes: Attributes): void {
  const { builder, tables, paragraphs } = body;
  if (name === 'p') {
    paragraphs.push({ text: '', style: '', level: null, listId: null, listLevel: null, notes: [] });
  } else if (name === 'tbl') {
    if (tables.depth === 0) builder.endParagraph();
    tables.open();
  } else if (name === 'tr') tables.openRow();
  else if (name === 'tc') tables.openCell();
  else openParagraphPart(body, name, attributes);
}

function closeElement({ builder, tables, paragraphs, parts }: Body, name: string): void {
  if (name === 'p') {
    const paragraph = paragraphs.pop();
    if (paragraph === undefined) return;
    if (tables.isInCell) tables.put(toCellText(paragraph, parts));
    else writeParagraph(builder, paragraph, parts);
  } else if (name === 'tc') tables.closeCell();
  else if (name === 'tr') tables.closeRow();
  else if (name === 'tbl') {
    tables.close();
    if (tables.depth === 0) builder.endParagraph();
  }
}

function openParagraphPart(body: Body, name: string, attributes: Attributes): void {
  const paragraph = body.paragraphs.at(-1);
  if (paragraph === undefined) return;
  const value = findAttribute(attributes, 'val') ?? '';
  if (name === 'pStyle') paragraph.style = value;
  else if (name === 'outlineLvl') paragraph.level = toOutlineLevel(value);
  else if (name === 'numId') paragraph.listId = value;
  else if (name === 'ilvl') paragraph.listLevel = Number(value) || 0;
  else if (name === 'tab' && findAttribute(attributes, 'pos') === undefined) paragraph.text += '\t';
  else if (name === 'br' || name === 'cr') paragraph.text += '\n';
  else if (name === 'noBreakHyphen') paragraph.text += '-';
  else if (name === 'sym') paragraph.text += toSymbol(attributes);
  else if (name === 'footnoteReference' || name === 'endnoteReference') {
    addNote(
      body,
      paragraph,
      `${name.slice(0, -'Reference'.length)} ${findAttribute(attributes, 'id') ?? ''}`,
    );
  }
}

function putText({ paragraphs }: Body, text: string): void {
  const paragraph = paragraphs.at(-1);
  if (paragraph !== undefined) paragraph.text += text;
}

function addNote(body: Body, paragraph: Paragraph, key: string): void {
  const note = body.parts.notes.get(key);
  if (note === undefined) return;
  body.noteCount += 1;
  paragraph.text += `[${body.noteCount}]`;
  paragraph.notes.push(`[${body.noteCount}] ${note}`);
}

const isSkipped = (name: string): boolean =>
  name === 'Fallback' || name === 'del' || name === 'moveFrom' || name === 'rPr';

/** A character of a symbol font; those of the private area are that font's own, and mostly bullets. */
function toSymbol(attributes: Attributes): string {
  const code = Number.parseInt(findAttribute(attributes, 'char') ?? '', 16);
  return code >= 0x20 && code < 0xd800 ? String.fromCharCode(code) : '';
}

function toCellText(paragraph: Paragraph, parts: BodyParts): string {
  return `${toListMark(paragraph, parts)}${paragraph.text}${paragraph.notes.map((note) => ` ${note}`).join('')} `;
}

function writeParagraph(builder: TextBuilder, paragraph: Paragraph, parts: BodyParts): void {
  const level = paragraph.level ?? findInStyles(parts.styles, paragraph.style, (style) => style.level);
  const mark = toListMark(paragraph, parts);
  const text = paragraph.text.trim();
  if (text !== '' && level !== null) builder.heading(level, mark.trimStart() + text);
  else if (text !== '' && mark !== '') {
    builder.endLine();
    builder.write(`${mark}${text}\n`);
  } else if (text !== '') {
    builder.endParagraph();
    builder.write(text);
    builder.endParagraph();
  }
  for (const note of paragraph.notes) {
    builder.endLine();
    builder.write(note);
    builder.endParagraph();
  }
}

/** The item's number or dash, with its indent; empty for what is no item. */
function toListMark(paragraph: Paragraph, { styles, numbers }: BodyParts): string {
  if (numbers === null) return '';
  const ofStyle = findInStyles(styles, paragraph.style, (style) => style.numbering);
  const id = paragraph.listId ?? ofStyle?.id ?? null;
  // 0 takes an item out of its list.
  if (id === null || id === '0' || paragraph.text.trim() === '') return '';
  return numbers.next(id, paragraph.listLevel ?? ofStyle?.level ?? 0);
}
