/** What a parser makes of a document: plain text with marks, and the builder that every parser writes it with. */

import { DocumentError } from './document-reader.ts';

export interface ReadText {
  readonly text: string;
  /** What the document calls itself. */
  readonly title: string | null;
  /** Where each page begins, ascending; none where the format has no pages. */
  readonly pages: readonly PageMark[];
  /** Ascending. */
  readonly headings: readonly HeadingMark[];
  /** Offsets at which the text is better not cut: behind a heading, behind the first row of a table. Ascending. */
  readonly joints: readonly number[];
}

export interface PageMark {
  readonly start: number;
  /** From 1. */
  readonly page: number;
}

export interface HeadingMark {
  readonly start: number;
  /** From 1, the highest. */
  readonly level: number;
  readonly text: string;
}

/** In UTF-16 units. More is no text that anybody reads, but a bomb. */
export const TEXT_LENGTH_MAX = 128 * 1024 * 1024;
/** Headings beyond this are text like any other. */
const HEADINGS_MAX = 100_000;
const HEADING_LENGTH_MAX = 200;
/** Small writes are put together once they are so many: fewer, larger strings to join at the end. */
const PARTS_MAX = 4096;

export interface TextBuilder {
  /** Where the next character will stand. */
  readonly length: number;
  /** Appends as it is. Throws where the text becomes too long. */
  write(text: string): void;
  /** Ends the line, if one is open. */
  endLine(): void;
  /** Ends the paragraph: a blank line follows what was written. */
  endParagraph(): void;
  /** The heading on a line of its own; nothing where it is blank. */
  heading(level: number, text: string): void;
  /** Marks what was already written at `start` as a heading. */
  markHeading(start: number, level: number, text: string): void;
  /** What follows stands on this page. */
  page(page: number): void;
  /** Better not to cut here. */
  joint(): void;
  finish(title?: string | null): ReadText;
}

export function createTextBuilder(lengthMax = TEXT_LENGTH_MAX): TextBuilder {
  let whole = '';
  let parts: string[] = [];
  let length = 0;
  /** Line ends at the end of what was written: 2 after a blank line, and at the beginning. */
  let lineEnds = 2;
  const pages: PageMark[] = [];
  const headings: HeadingMark[] = [];
  const joints: number[] = [];

  const write = (text: string): void => {
    if (text === '') return;
    length += text.length;
    if (length > lengthMax) {
      throw new DocumentError(
        'invalid_file',
        `The file holds more than ${lengthMax} characters of text, more than can be read.`,
      );
    }
    parts.push(text);
    if (parts.length >= PARTS_MAX) {
      whole += parts.join('');
      parts = [];
    }
    lineEnds = text.endsWith('\n\n')
      ? 2
      : text === '\n'
        ? Math.min(2, lineEnds + 1)
        : text.endsWith('\n')
          ? 1
          : 0;
  };
  const endLine = (): void => {
    if (lineEnds === 0) write('\n');
  };
  const endParagraph = (): void => {
    endLine();
    if (lineEnds === 1) write('\n');
  };
  const markHeading = (start: number, level: number, text: string): void => {
    const shown = toLine(text).slice(0, HEADING_LENGTH_MAX);
    if (shown !== '' && headings.length < HEADINGS_MAX) headings.push({ start, level, text: shown });
  };
  return {
    get length() {
      return length;
    },
    write,
    endLine,
    endParagraph,
    heading(level, text) {
      const line = toLine(text);
      if (line === '') return;
      endParagraph();
      markHeading(length, level, line);
      write(line);
      endParagraph();
      joints.push(length);
    },
    markHeading,
    page(page) {
      pages.push({ start: length, page });
    },
    joint() {
      joints.push(length);
    },
    finish(title = null) {
      const shown = title === null ? '' : toLine(title).slice(0, HEADING_LENGTH_MAX);
      // Halves of characters, which some documents hold, are stored by no database.
      const text = (whole + parts.join('')).toWellFormed();
      return { text, title: shown === '' ? null : shown, pages, headings, joints };
    },
  };
}

/** White space to single spaces. */
export function toLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** Text without marks. */
export function toReadText(text: string): ReadText {
  return { text, title: null, pages: [], headings: [], joints: [] };
}
