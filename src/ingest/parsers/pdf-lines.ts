/** Lines of a page as paragraphs: what was broken for the page's width is put together again, words too. */

import { type TextBuilder, toLine } from '../read-text.ts';

export interface Line {
  readonly text: string;
  /** In the page's units, from its bottom. */
  readonly y: number;
  readonly left: number;
  readonly right: number;
  /** Of the letters. */
  readonly height: number;
  /** Whether it is parted into cells. */
  readonly isRow: boolean;
}

/** What stands between the cells of a row. */
export const CELL_MARK = ' | ';

/** Larger letters than the body's by this are a heading. */
const HEADING_RATIO = 1.15;
const HEADING_LENGTH_MAX = 200;
/** Lines further apart than this, in heights and in distances that are usual on the page, are paragraphs. */
const PARAGRAPH_GAP = 1.6;
const PARAGRAPH_USUAL_GAP = 1.25;
/** Distances above this, in heights, are none between lines of a paragraph, however widely they are set. */
const LINE_GAP_MAX = 3.2;
/** A line is full, and so goes on in the next, if its end is this near to the widest line's. */
const FULL_LINE = 0.86;
/** Shorter lines, in heights, are entries of a list rather than parts of a sentence. */
const LINE_WIDTH_MIN = 14;

/** The height that most letters have. */
export function findBodyHeight(lines: Iterable<Line>): number {
  const counts = new Map<number, number>();
  for (const { height, text } of lines) {
    const key = Math.round(height * 2) / 2;
    counts.set(key, (counts.get(key) ?? 0) + text.length);
  }
  let body = 0;
  let most = 0;
  for (const [height, count] of counts) {
    if (count > most) {
      body = height;
      most = count;
    }
  }
  return body;
}

/** Writes the lines of a page, which stand in the order of reading. */
export function writeLines(builder: TextBuilder, lines: readonly Line[], bodyHeight: number): void {
  const rightEdges = findRightEdges(lines);
  const usualGap = findUsualGap(lines);
  for (let i = 0; i < lines.length; ) {
    const level = toHeadingLevel(lines[i], bodyHeight);
    let end = i + 1;
    if (level !== null) {
      while (
        end < lines.length &&
        toHeadingLevel(lines[end], bodyHeight) === level &&
        isSameBlock(lines[end - 1], lines[end], usualGap)
      ) {
        end += 1;
      }
      const text = toLine(
        lines
          .slice(i, end)
          .map((line) => line.text)
          .join(' '),
      );
      if (text.length <= HEADING_LENGTH_MAX) {
        builder.heading(level, text);
        i = end;
        continue;
      }
      end = i + 1;
    }
    let text = lines[i]?.text.trim() ?? '';
    while (
      end < lines.length &&
      goesOn(lines[end - 1], lines[end], { rightEdge: rightEdges[end - 1] ?? 0, bodyHeight, usualGap })
    ) {
      text = joinLines(text, lines[end]?.text.trim() ?? '');
      end += 1;
    }
    const previous = lines[i - 1];
    if (previous === undefined || !isSameBlock(previous, lines[i], usualGap)) builder.endParagraph();
    else builder.endLine();
    builder.write(text);
    i = end;
  }
  builder.endParagraph();
}

/** Of each line, the right edge of the widest line in its column nearby. */
function findRightEdges(lines: readonly Line[]): number[] {
  const NEAR = 8;
  return lines.map((line, i) => {
    let edge = line.right;
    for (const other of lines.slice(Math.max(0, i - NEAR), i + NEAR + 1)) {
      if (Math.abs(other.left - line.left) < 4 * line.height) edge = Math.max(edge, other.right);
    }
    return edge;
  });
}

function toHeadingLevel(line: Line | undefined, bodyHeight: number): number | null {
  if (line === undefined || line.isRow || bodyHeight === 0 || !/\p{L}/u.test(line.text)) return null;
  const ratio = line.height / bodyHeight;
  if (ratio < HEADING_RATIO || line.text.length > HEADING_LENGTH_MAX) return null;
  if (ratio >= 1.7) return 1;
  return ratio >= 1.35 ? 2 : 3;
}

/** The middle one of the distances between lines; 0 where there are none. */
function findUsualGap(lines: readonly Line[]): number {
  const gaps: number[] = [];
  for (const [i, line] of lines.entries()) {
    const gap = (lines[i - 1]?.y ?? 0) - line.y;
    if (i > 0 && gap > 0.5 * line.height && gap < LINE_GAP_MAX * line.height) gaps.push(gap);
  }
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1] ?? 0;
}

/** Whether the second stands right below the first. */
function isSameBlock(first: Line | undefined, second: Line | undefined, usualGap: number): boolean {
  if (first === undefined || second === undefined) return false;
  const gap = first.y - second.y;
  const widest = Math.max(
    PARAGRAPH_GAP * Math.max(first.height, second.height),
    PARAGRAPH_USUAL_GAP * usualGap,
  );
  return gap >= -0.2 * first.height && gap <= widest;
}

const ITEM_START = /^(?:[•◦▪‣●○■□–—*·-]\s|\(?\d{1,3}[.)]\s|\(?[a-z][.)]\s)/u;

interface PageMeasures {
  readonly rightEdge: number;
  readonly bodyHeight: number;
  readonly usualGap: number;
}

/** Whether the second line continues the first one's paragraph: there, or at the top of the next column. */
function goesOn(
  first: Line | undefined,
  second: Line | undefined,
  { rightEdge, bodyHeight, usualGap }: PageMeasures,
): boolean {
  if (first === undefined || second === undefined) return false;
  if (toHeadingLevel(second, bodyHeight) !== null || ITEM_START.test(second.text)) return false;
  if (first.isRow || second.isRow || first.right - first.left < LINE_WIDTH_MIN * first.height) return false;
  const isNextColumn = first.y < second.y && /[\p{Ll},\u00ad-]$/u.test(first.text.trim());
  if (!isSameBlock(first, second, usualGap) && !isNextColumn) return false;
  const width = rightEdge - first.left;
  return width > 0 && (first.right - first.left) / width >= FULL_LINE;
}

const WIDE = /[\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef\u3000-\u30ff]/;

function joinLines(first: string, second: string): string {
  // A soft hyphen stands only where a word was parted; a plain one mostly, if a small letter follows.
  if (first.endsWith('\u00ad')) return first.slice(0, -1) + second;
  if (/\p{Ll}[-\u2010]$/u.test(first) && /^\p{Ll}/u.test(second)) return first.slice(0, -1) + second;
  const isWide =
    WIDE.test(first.slice(-1)) && WIDE.test(second.slice(0, 1)) && !/[\uac00-\ud7a3]/.test(first.slice(-1));
  return isWide ? first + second : `${first} ${second}`;
}
