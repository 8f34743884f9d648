/** HTML: what a reader of the page sees, with headings, lists and tables. Scripts, styles, menus and hidden parts are left out. */

import { Parser } from 'htmlparser2';
import { createTextBuilder, type ReadText, type TextBuilder, toLine } from '../read-text.ts';
import { createFlow, type Flow } from './html-flow.ts';
import { createTables, type Tables } from './tables.ts';
import { type Attributes, checkDepth } from './xml-events.ts';

const SKIPPED = new Set(
  (
    'script style noscript template svg math canvas iframe object embed applet audio video nav menu select datalist ' +
    'button input textarea map'
  ).split(' '),
);
const BLOCKS = new Set(
  (
    'address article aside blockquote body center details dialog dd div dl dt fieldset figcaption figure footer form ' +
    'header hgroup hr html legend main p pre section summary caption'
  ).split(' '),
);
/** After these a blank line follows. */
const PARAGRAPHS = new Set('p blockquote pre dl figure section article'.split(' '));
const HEADING = /^h([1-6])$/;
const INDENTS_MAX = 8;

export function readHtml(html: string): ReadText {
  const builder = createTextBuilder();
  const title = writeHtml(html, builder);
  return builder.finish(title);
}

/** Writes the page's text; answers its title. */
export function writeHtml(html: string, builder: TextBuilder): string | null {
  const page = createPage(builder);
  const parser = new Parser(
    { onopentag: page.open, onclosetag: page.close, ontext: page.text },
    { decodeEntities: true },
  );
  parser.write(html);
  parser.end();
  builder.endParagraph();
  return page.title();
}

/** What is shown and what is not, and the title. */
function createPage(builder: TextBuilder) {
  const tables = createTables(builder);
  const flow = createFlow(builder, tables);
  const elements = createElements(builder, flow, tables);
  let depth = 0;
  /** The depth of the element that is left out with all in it; 0 outside of one. */
  let skippedAt = 0;
  let title: string | null = null;
  let isTitle = false;
  return {
    title: (): string | null => title,
    open(name: string, attributes: Attributes): void {
      depth += 1;
      checkDepth(depth);
      if (name === 'title' && title === null) {
        isTitle = true;
        title = '';
      } else if (skippedAt === 0 && isLeftOut(name, attributes)) skippedAt = depth;
      if (skippedAt === 0) elements.open(name, attributes);
    },
    close(name: string): void {
      if (name === 'title') isTitle = false;
      if (skippedAt === 0) elements.close(name);
      else if (skippedAt === depth) skippedAt = 0;
      depth -= 1;
    },
    text(value: string): void {
      if (isTitle) title = (title ?? '') + value;
      else if (skippedAt === 0) flow.text(value);
    },
  };
}

function isLeftOut(name: string, attributes: Attributes): boolean {
  if (SKIPPED.has(name) || 'hidden' in attributes) return true;
  if (attributes['aria-hidden'] === 'true' || /^(?:navigation|menu|menubar)$/.test(attributes.role ?? ''))
    return true;
  return /(?:display\s*:\s*none|visibility\s*:\s*hidden)/i.test(attributes.style ?? '');
}

interface Elements {
  open(name: string, attributes: Attributes): void;
  close(name: string): void;
}

/** What each element does to the text. */
function createElements(builder: TextBuilder, flow: Flow, tables: Tables): Elements {
  const lists = createLists(flow);
  return {
    open(name, attributes) {
      const level = HEADING.exec(name)?.[1];
      if (level !== undefined) flow.openHeading(Number(level));
      else if (name === 'br') flow.lineBreak();
      else if (name === 'li') lists.openItem();
      else if (name === 'ol' || name === 'ul') lists.open(name === 'ol', attributes.start);
      else if (name === 'img') flow.text(attributes.alt === undefined ? '' : ` ${toLine(attributes.alt)} `);
      else if (name === 'table') {
        if (tables.depth === 0) flow.endParagraph();
        tables.open();
      } else if (name === 'tr') tables.openRow();
      else if (name === 'td' || name === 'th') tables.openCell();
      else if (BLOCKS.has(name)) {
        flow.endBlock(PARAGRAPHS.has(name));
        if (name === 'pre') flow.openPre();
      }
    },
    close(name) {
      if (HEADING.test(name)) flow.closeHeading();
      else if (name === 'li') flow.endLine();
      else if (name === 'ol' || name === 'ul') lists.close();
      else if (name === 'table') {
        tables.close();
        flow.endLine();
        if (tables.depth === 0) builder.endParagraph();
      } else if (name === 'tr') {
        tables.closeRow();
        flow.endLine();
      } else if (name === 'td' || name === 'th') tables.closeCell();
      else if (BLOCKS.has(name)) {
        if (name === 'pre') flow.closePre();
        flow.endBlock(PARAGRAPHS.has(name));
      }
    },
  };
}

interface Lists {
  open(isOrdered: boolean, start: string | undefined): void;
  close(): void;
  openItem(): void;
}

function createLists(flow: Flow): Lists {
  const lists: { isOrdered: boolean; next: number }[] = [];
  return {
    open(isOrdered, start) {
      flow.endBlock(lists.length === 0);
      lists.push({ isOrdered, next: Number.parseInt(start ?? '1', 10) || 1 });
    },
    close() {
      lists.pop();
      flow.endBlock(lists.length === 0);
    },
    openItem() {
      flow.endLine();
      const list = lists.at(-1);
      const indent = '  '.repeat(Math.min(INDENTS_MAX, Math.max(0, lists.length - 1)));
      flow.mark(list?.isOrdered === true ? `${indent}${list.next}. ` : `${indent}- `);
      if (list !== undefined) list.next += 1;
    },
  };
}
