/**
 * Pieces of a picture. All pictures have one style sheet, which knows light and dark, and a sheet of paper of their own, so that they can be
 * read wherever they are shown. They are shown by `<img>`: no script, no font and no link is in them.
 */

import { escapeHtml } from '../../site/highlight.ts';

/** The same text in every picture: the site allows exactly this one. */
export const STYLE = [
  'text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;font-size:13px;fill:#1d2129}',
  '.title{font-size:16px;font-weight:650}.strong{font-weight:650}.small{font-size:11.5px}.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:12px}',
  '.quiet{fill:#59616e}.on{fill:#fff}.paper{fill:#fff}.shade{fill:#f3f4f7;stroke:#dfe3e8}.box{fill:#fff;stroke:#b9c1cc}.line{stroke:#dfe3e8;fill:none}',
  '.label{stroke:#fff;stroke-width:4px;stroke-linejoin:round;paint-order:stroke}.arrow{stroke:#59616e;fill:none;stroke-width:1.4}.head{fill:#59616e}.own{fill:#3451c7}.other{fill:#aeb6c2}.ownline{stroke:#3451c7;fill:none;stroke-width:2}',
  '.own-soft{fill:#e8ecfb;stroke:#9aa9e6}.warn{fill:#b3541e}.warnline{stroke:#b3541e;fill:none;stroke-width:2}.warn-soft{fill:#fdf0e6;stroke:#e0a97e}.good-soft{fill:#e7f4ec;stroke:#8cc4a2}.dash{stroke-dasharray:4 4}',
  '@media (prefers-color-scheme:dark){text{fill:#e3e6ea}.quiet{fill:#9aa3af}.on{fill:#14171c}.paper{fill:#14171c}.shade{fill:#1c2027;stroke:#2c323b}.box{fill:#14171c;stroke:#4a5362}.line{stroke:#2c323b}',
  '.label{stroke:#14171c}.arrow{stroke:#9aa3af}.head{fill:#9aa3af}.own{fill:#8ea6ff}.other{fill:#5b6472}.ownline{stroke:#8ea6ff}.own-soft{fill:#1f2745;stroke:#5468b8}.warn{fill:#f0a26b}.warnline{stroke:#f0a26b}.warn-soft{fill:#33241a;stroke:#8a5a37}.good-soft{fill:#18291f;stroke:#3f7a56}}',
].join('');

/** A usual letter of the style's fonts, as a part of its size: enough to keep texts apart. */
const LETTER_WIDTH = 0.56;
const FONT_SIZE = 13;

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** For who cannot see it: what it is called, and what it says. */
  readonly title: string;
  readonly description: string;
  readonly parts: readonly string[];
}

export function toSvg({ width, height, title, description, parts }: Picture): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${escapeHtml(title)}</title>`,
    `<desc id="desc">${escapeHtml(description)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="${width}" height="${height}" rx="8"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

export interface TextStyle {
  /** Names of the style sheet. */
  readonly as?: string;
  readonly anchor?: 'start' | 'middle' | 'end';
}

export function toText(x: number, y: number, text: string, { as, anchor = 'start' }: TextStyle = {}): string {
  const named = as === undefined ? '' : ` class="${as}"`;
  const anchored = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  return `<text x="${toNumber(x)}" y="${toNumber(y)}"${named}${anchored}>${escapeHtml(text)}</text>`;
}

export function toRect(x: number, y: number, width: number, height: number, as: string, radius = 4): string {
  return `<rect class="${as}" x="${toNumber(x)}" y="${toNumber(y)}" width="${toNumber(width)}" height="${toNumber(height)}" rx="${radius}"/>`;
}

/** A line through points. */
export function toLine(points: readonly (readonly [number, number])[], as: string): string {
  const path = points.map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${toNumber(x)} ${toNumber(y)}`).join('');
  return `<path class="${as}" d="${path}"/>`;
}

/** How wide a text is at most, in pixels. */
export function toWidth(text: string, size = FONT_SIZE): number {
  return text.length * LETTER_WIDTH * size;
}

/** Tenths of a pixel are seen by nobody. */
function toNumber(value: number): string {
  return String(Math.round(value * 10) / 10);
}
