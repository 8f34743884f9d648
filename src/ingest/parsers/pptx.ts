/** Slides: each is a page, its title a heading, its notes behind it. */

import { createTextBuilder, type ReadText, type TextBuilder, toLine } from '../read-text.ts';
import { findMainPart, readOfficeTitle, readRelations } from './office-parts.ts';
import { createTables, type Tables } from './tables.ts';
import { type Attributes, findAttribute, readXml, type XmlHandler } from './xml-events.ts';
import type { Zip } from './zip.ts';

/** More are not made by people. */
const SLIDES_MAX = 10_000;
/** Placeholders that repeat on every slide. */
const REPEATED = new Set(['sldNum', 'dt', 'ftr', 'hdr', 'sldImg']);

export async function readPptx(zip: Zip): Promise<ReadText> {
  const main = findMainPart(zip, 'ppt/presentation.xml');
  const builder = createTextBuilder();
  const slides = await findSlides(zip, main);
  for (const [index, slide] of slides.entries()) {
    builder.endParagraph();
    builder.page(index + 1);
    await writeSlide(zip, slide, builder);
  }
  builder.endLine();
  return builder.finish(readOfficeTitle(zip));
}

/** Parts of the slides in the order in which they are shown. */
async function findSlides(zip: Zip, main: string): Promise<string[]> {
  const relations = new Map(readRelations(zip, main).map(({ id, target }) => [id, target]));
  const slides: string[] = [];
  await readXml(zip.readText(main), {
    open(name, attributes) {
      if (name !== 'sldId' || slides.length >= SLIDES_MAX) return;
      const target = relations.get(attributes['r:id'] ?? '');
      if (target !== undefined) slides.push(target);
    },
  });
  return slides;
}

async function writeSlide(zip: Zip, slide: string, builder: TextBuilder): Promise<void> {
  await readXml(zip.readText(slide), createShapes(builder, 'slide'));
  for (const { kind, target } of readRelations(zip, slide)) {
    if (kind === 'diagramData') await readXml(zip.readText(target), createShapes(builder, 'diagram'));
    if (kind !== 'notesSlide') continue;
    const notes = createTextBuilder();
    await readXml(zip.readText(target), createShapes(notes, 'notes'));
    const text = notes.finish().text.trim();
    if (text === '') continue;
    builder.endParagraph();
    builder.write(`Notes: ${text}`);
    builder.endParagraph();
  }
}

/** What is open of a slide. */
interface Slide {
  readonly builder: TextBuilder;
  readonly tables: Tables;
  readonly part: 'slide' | 'notes' | 'diagram';
  /** What kind of place the shape fills; null where it fills none. */
  placeholder: string | null;
  title: string;
  paragraph: string | null;
}

function createShapes(builder: TextBuilder, part: Slide['part']): XmlHandler {
  const slide: Slide = {
    builder,
    tables: createTables(builder),
    part,
    placeholder: null,
    title: '',
    paragraph: null,
  };
  let isText = false;
  let skipped = 0;
  return {
    open(name, attributes) {
      if (skipped > 0 || name === 'Fallback' || (name === 'fld' && isRepeated(attributes.type))) skipped += 1;
      else if (name === 't') isText = true;
      else openElement(slide, name, attributes);
    },
    close(name) {
      if (skipped > 0) skipped -= 1;
      else if (name === 't') isText = false;
      else closeElement(slide, name);
    },
    text(text) {
      if (isText && skipped === 0 && slide.paragraph !== null) slide.paragraph += text;
    },
  };
}

function openElement(slide: Slide, name: string, attributes: Attributes): void {
  const { builder, tables } = slide;
  if (name === 'ph') slide.placeholder = attributes.type ?? 'body';
  else if (name === 'p' && !REPEATED.has(slide.placeholder ?? '')) slide.paragraph = '';
  else if (name === 'br' && slide.paragraph !== null) slide.paragraph += '\n';
  else if (name === 'tbl') tables.open();
  else if (name === 'tr') tables.openRow();
  else if (name === 'tc') tables.openCell();
  else if (name === 'cNvPr' && slide.part === 'slide') {
    const alt = toLine(findAttribute(attributes, 'descr') ?? '');
    if (alt !== '' && !/\.(?:png|jpe?g|gif|emf|wmf)$/i.test(alt)) builder.write(`${alt}\n`);
  }
}

function closeElement(slide: Slide, name: string): void {
  const { builder, tables } = slide;
  if (name === 'p') closeParagraph(slide);
  else if (name === 'tc') tables.closeCell();
  else if (name === 'tr') tables.closeRow();
  else if (name === 'tbl') tables.close();
  else if (name === 'sp' || name === 'graphicFrame') {
    if (toLine(slide.title) === '') builder.endParagraph();
    else builder.heading(1, slide.title);
    slide.title = '';
    slide.placeholder = null;
  }
}

function closeParagraph(slide: Slide): void {
  const text = slide.paragraph?.trim() ?? '';
  slide.paragraph = null;
  if (text === '') return;
  if (slide.tables.isInCell) slide.tables.put(`${text} `);
  else if (isTitle(slide.placeholder) && slide.part === 'slide') slide.title += ` ${text}`;
  else {
    slide.builder.endLine();
    slide.builder.write(`${text}\n`);
  }
}

const isTitle = (placeholder: string | null): boolean =>
  placeholder === 'title' || placeholder === 'ctrTitle';
const isRepeated = (field: string | undefined): boolean =>
  field === 'slidenum' || field?.startsWith('datetime') === true;
