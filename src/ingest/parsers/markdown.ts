/** Markdown: kept as it is; headings are marked, and the title of its front matter. */

import type { HeadingMark, ReadText } from '../read-text.ts';

const HEADING_LENGTH_MAX = 200;
const HEADINGS_MAX = 100_000;
const FRONT_MATTER_LENGTH_MAX = 64 * 1024;

export function readMarkdown(text: string): ReadText {
  const headings: HeadingMark[] = [];
  const joints: number[] = [];
  let fence: string | null = null;
  let previous = { start: 0, line: '' };
  for (let start = findBodyStart(text); start < text.length && headings.length < HEADINGS_MAX; ) {
    const lineEnd = text.indexOf('\n', start);
    const end = lineEnd < 0 ? text.length : lineEnd + 1;
    // Of a longer line, the beginning tells what it is.
    const line = text.slice(start, Math.min(end, start + 2 * HEADING_LENGTH_MAX)).trimEnd();
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark !== undefined && (fence === null || (mark.startsWith(fence) && line.trim() === mark))) {
      fence = fence === null ? mark : null;
    } else if (fence === null) {
      const heading = toHeading(start, line) ?? toUnderlined(previous, line);
      if (heading !== null) {
        headings.push(heading);
        joints.push(end, skipBlankLines(text, end));
      }
    }
    previous = { start, line };
    start = end;
  }
  const title = findTitle(text) ?? null;
  return { text, title, pages: [], headings, joints };
}

function toHeading(start: number, line: string): HeadingMark | null {
  const match = /^ {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?$/.exec(line);
  const text = toPlain(match?.[2] ?? '');
  return match === null || text === '' ? null : { start, level: match[1]?.length ?? 1, text };
}

/** A line that the next underlines. */
function toUnderlined(previous: { start: number; line: string }, line: string): HeadingMark | null {
  const level = /^ {0,3}=+$/.test(line) ? 1 : /^ {0,3}-{2,}$/.test(line) ? 2 : 0;
  const text = toPlain(previous.line);
  if (level === 0 || text === '' || /^\s*(?:[#>|]|[-*+] |\d+[.)] )/.test(previous.line)) return null;
  return { start: previous.start, level, text };
}

/** Without emphasis, links and code marks. */
function toPlain(text: string): string {
  return text
    .slice(0, HEADING_LENGTH_MAX)
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\{#[^}]*\}\s*$/, '')
    .replace(/[*`]+/g, '')
    .trim();
}

function skipBlankLines(text: string, from: number): number {
  const blank = /[ \t\r\n]*\n/y;
  blank.lastIndex = from;
  const match = blank.exec(text);
  return from + (match?.[0].length ?? 0);
}

const FRONT_MATTER = /^---[ \t]*\r?\n([\s\S]*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/;

function findBodyStart(text: string): number {
  return FRONT_MATTER.exec(text.slice(0, FRONT_MATTER_LENGTH_MAX))?.[0].length ?? 0;
}

function findTitle(text: string): string | undefined {
  const fields = FRONT_MATTER.exec(text.slice(0, FRONT_MATTER_LENGTH_MAX))?.[1] ?? '';
  const title = /^title[ \t]*:[ \t]*(.+)$/im.exec(fields)?.[1]?.trim();
  return title?.replace(/^(["'])(.*)\1$/, '$2').slice(0, HEADING_LENGTH_MAX);
}
