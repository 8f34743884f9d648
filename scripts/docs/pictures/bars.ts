/** Bars that lie, one below the other, in groups: how a figure stands beside others. */

import { toShown } from '../../../bench/support/results.ts';
import { toLine, toRect, toSvg, toText, toWidth } from './svg.ts';

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Of this project. */
  readonly isOwn?: boolean;
  /** Drawn as a mark on the bar's row. */
  readonly aim?: number;
  /** Instead of the value with its unit. */
  readonly shown?: string;
  /** Further marks on the row, in the bar's unit: percentiles. */
  readonly marks?: readonly { readonly name: string; readonly value: number }[];
}

export interface BarGroup {
  /** Empty where there is one group only. */
  readonly name: string;
  readonly bars: readonly Bar[];
}

export interface BarPlot {
  readonly title: string;
  /** The unit, and which way is better. */
  readonly subtitle: string;
  readonly unit: string;
  readonly isLogarithmic: boolean;
  readonly groups: readonly BarGroup[];
  /** Machine, date, and whether it was a quick run. */
  readonly footer: string;
}

const WIDTH = 760;
const MARGIN = 24;
const HEAD = 66;
const BAR = 20;
const ROW = 32;
const GROUP = 30;
const AXIS = 26;
const FOOT = 30;
/** What a tick of the scale needs. */
const TICK = 64;
/** Bold letters are so much wider. */
const BOLD = 1.08;

/** A value's place, from 0 to 1. */
type Scale = (value: number) => number;

export function drawBars(plot: BarPlot): string {
  const bars = plot.groups.flatMap((group) => group.bars);
  const labels = Math.max(...bars.map(({ label }) => toWidth(label) * BOLD));
  const values = Math.max(...bars.map((bar) => toWidth(toBarText(bar, plot.unit)) * BOLD));
  const left = MARGIN + labels + 12;
  const room = WIDTH - MARGIN - values - left;
  const { scale, ticks } = toScale(bars, plot.isLogarithmic, room / TICK);
  const parts: string[] = [
    toText(MARGIN, 32, plot.title, { as: 'title' }),
    toText(MARGIN, 52, plot.subtitle, { as: 'quiet' }),
  ];
  const rows: string[] = [];
  let y = HEAD;
  for (const { name, bars: members } of plot.groups) {
    if (name !== '') {
      rows.push(toText(MARGIN, y + 18, name, { as: 'strong' }));
      y += GROUP;
    }
    for (const bar of members) {
      rows.push(...drawRow(bar, plot.unit, left, y + (ROW - BAR) / 2, room, scale));
      y += ROW;
    }
  }
  for (const tick of ticks) {
    const x = left + room * scale(tick);
    parts.push(
      toLine(
        [
          [x, HEAD],
          [x, y + 4],
        ],
        'line',
      ),
    );
    parts.push(toText(x, y + 19, toShown(tick, ''), { as: 'small quiet', anchor: 'middle' }));
  }
  const height = y + AXIS + FOOT;
  parts.push(...rows, toText(MARGIN, height - 14, plot.footer, { as: 'small quiet' }));
  return toSvg({ width: WIDTH, height, title: plot.title, description: describe(plot), parts });
}

function drawRow(bar: Bar, unit: string, left: number, y: number, room: number, scale: Scale): string[] {
  const { label, value, isOwn = false, aim, marks = [] } = bar;
  const middle = y + BAR / 2 + 4.5;
  const width = Math.max(2, room * scale(value));
  const last = Math.max(value, ...marks.map((mark) => mark.value));
  const parts = [
    toText(left - 10, middle, label, { as: isOwn ? 'strong' : 'quiet', anchor: 'end' }),
    toRect(left, y, width, BAR, isOwn ? 'own' : 'other', 2),
  ];
  const end = left + room * scale(last);
  if (marks.length > 0) {
    const line = y + BAR / 2;
    parts.push(
      toLine(
        [
          [left + width, line],
          [end, line],
        ],
        isOwn ? 'ownline' : 'arrow',
      ),
    );
    for (const mark of marks) {
      const x = left + room * scale(mark.value);
      parts.push(
        toLine(
          [
            [x, line - 5],
            [x, line + 5],
          ],
          isOwn ? 'ownline' : 'arrow',
        ),
      );
    }
  }
  if (aim !== undefined) {
    const x = left + room * scale(aim);
    parts.push(
      toLine(
        [
          [x, y - 4],
          [x, y + BAR + 4],
        ],
        'warnline',
      ),
    );
  }
  parts.push(
    toText(Math.max(end, left + width) + 8, middle, toBarText(bar, unit), {
      as: isOwn ? 'strong label' : 'quiet label',
    }),
  );
  return parts;
}

function toBarText({ value, shown }: Bar, unit: string): string {
  return shown ?? toShown(value, unit);
}

function toScale(
  bars: readonly Bar[],
  isLogarithmic: boolean,
  ticksMax: number,
): { scale: Scale; ticks: readonly number[] } {
  const values = bars.flatMap(({ value, aim, marks = [] }) => [
    value,
    ...(aim === undefined ? [] : [aim]),
    ...marks.map((mark) => mark.value),
  ]);
  const max = Math.max(...values);
  if (!isLogarithmic) {
    const step = toStep(max, ticksMax);
    const count = Math.ceil(max / step);
    const top = Math.max(max, step * Math.floor(max / step));
    const ticks = Array.from({ length: count + 1 }, (_, at) => at * step).filter((tick) => tick <= top);
    return { scale: (value) => Math.max(0, value) / top, ticks };
  }
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.log10(max);
  const ticks = Array.from({ length: Math.floor(high) - low + 1 }, (_, at) => 10 ** (low + at));
  return { scale: (value) => (Math.log10(value) - low) / (high - low), ticks };
}

/** A step of 1, 2 or 5 times a power of ten, so that there are not too many. */
function toStep(max: number, ticksMax: number): number {
  const power = 10 ** Math.floor(Math.log10(max));
  const steps = [power / 10, power / 5, power / 2, power, power * 2];
  return steps.find((step) => max / step <= ticksMax) ?? power * 5;
}

/** The plot in words, for who cannot see it. */
function describe({ subtitle, unit, groups }: BarPlot): string {
  const texts = groups.map(({ name, bars }) => {
    const values = bars.map(({ label, value }) => `${label} ${toShown(value, unit)}`).join(', ');
    return name === '' ? values : `${name}: ${values}`;
  });
  return `${subtitle}. ${texts.join('. ')}.`;
}
