/** Running text of a page: blanks as the page shows them, lines, paragraphs, headings; in a cell all is one line. */

import type { TextBuilder } from '../read-text.ts';
import type { Tables } from './tables.ts';

export interface Flow {
  text(value: string): void;
  /** The mark of a list's item. */
  mark(value: string): void;
  lineBreak(): void;
  endLine(): void;
  endParagraph(): void;
  endBlock(isParagraph: boolean): void;
  openHeading(level: number): void;
  closeHeading(): void;
  /** Blanks and line ends are kept until it is closed. */
  openPre(): void;
  closePre(): void;
}

export function createFlow(builder: TextBuilder, tables: Tables): Flow {
  let heading: { level: number; text: string } | null = null;
  let preDepth = 0;
  /** A blank was read that is written only if text follows. */
  let isBlankDue = false;
  let isLineOpen = false;

  const isOneLine = (): boolean => heading !== null || tables.isInCell;
  const put = (text: string): void => {
    if (heading !== null) heading.text += text;
    else if (tables.isInCell) tables.put(text);
    else builder.write(text);
  };
  const endLine = (): void => {
    isBlankDue = false;
    isLineOpen = false;
    if (isOneLine()) put(' ');
    else builder.endLine();
  };
  const endParagraph = (): void => {
    endLine();
    if (!isOneLine()) builder.endParagraph();
  };
  return {
    text(value) {
      if (preDepth > 0) {
        put(value);
        isLineOpen = true;
        return;
      }
      const words = value.replace(/[\s\u200b]+/g, ' ');
      const bare = words.trim();
      if (bare === '') {
        isBlankDue ||= isLineOpen && words !== '';
        return;
      }
      if (isLineOpen && (isBlankDue || words.startsWith(' '))) put(' ');
      put(bare);
      isLineOpen = true;
      isBlankDue = words.endsWith(' ');
    },
    mark: put,
    lineBreak() {
      if (preDepth > 0) put('\n');
      else if (isLineOpen || isOneLine()) endLine();
      // A second one is a blank line.
      else builder.endParagraph();
    },
    endLine,
    endParagraph,
    endBlock(isParagraph) {
      if (isParagraph) endParagraph();
      else endLine();
    },
    openHeading(level) {
      endParagraph();
      if (!tables.isInCell) heading = { level, text: '' };
    },
    closeHeading() {
      const closed = heading;
      heading = null;
      isBlankDue = false;
      isLineOpen = false;
      if (closed !== null) builder.heading(closed.level, closed.text);
    },
    openPre() {
      preDepth += 1;
    },
    closePre() {
      preDepth = Math.max(0, preDepth - 1);
    },
  };
}
