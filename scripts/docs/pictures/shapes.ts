/** Boxes and arrows of the drawn pictures. */

import { toLine, toRect, toText, toWidth } from './svg.ts';

const LINE = 17;
const HEAD = 7;
const PADDING = 12;
/** The size of `small` in the style sheet. */
const SMALL = 11.5;

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly lines?: readonly string[];
  readonly as?: string;
}

/** A box with its title, and lines below it. Errors: a text that is wider than the box. */
export function toBox({ x, y, width, height, title, lines = [], as = 'box' }: Box): string[] {
  const widest = Math.max(toWidth(title), ...lines.map((line) => toWidth(line, SMALL)));
  if (widest > width - PADDING) throw new Error(`'${title}' does not go into its box.`);
  const top = y + PADDING + 10;
  return [
    toRect(x, y, width, height, as, 6),
    toText(x + PADDING, top, title, { as: 'strong' }),
    ...lines.map((line, at) => toText(x + PADDING, top + (at + 1) * LINE, line, { as: 'small quiet' })),
  ];
}

/** A line with a head at its last point. */
export function toArrow(points: readonly (readonly [number, number])[], as = 'arrow'): string[] {
  const [from, to] = points.slice(-2);
  if (from === undefined || to === undefined) throw new Error('An arrow needs two points.');
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  const at = (back: number, side: number): string => {
    const x = to[0] - back * Math.cos(angle) + side * Math.sin(angle);
    const y = to[1] - back * Math.sin(angle) - side * Math.cos(angle);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  };
  const end = [to[0] - HEAD * Math.cos(angle), to[1] - HEAD * Math.sin(angle)] as const;
  const head = as.includes('warn') ? 'warn' : 'head';
  return [
    toLine([...points.slice(0, -1), end], as),
    `<path class="${head}" d="M${at(0, 0)}L${at(HEAD + 1, 4)}L${at(HEAD + 1, -4)}Z"/>`,
  ];
}

/** An arrow that is told what goes along it. */
export function toMessage(from: number, to: number, y: number, text: string, as?: string): string[] {
  return [
    ...toArrow(
      [
        [from, y],
        [to, y],
      ],
      as,
    ),
    toText((from + to) / 2, y - 6, text, { as: 'small label', anchor: 'middle' }),
  ];
}
