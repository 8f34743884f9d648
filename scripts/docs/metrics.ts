/** The tables of `docs/metrics.md`, made from the one table of series: `src/metrics/series.ts`. */

import {
  getSpec,
  type LabelBound,
  SERIES_NAMES,
  type SeriesName,
  type SeriesSpec,
} from '../../src/metrics/series.ts';
import { toTable } from './table.ts';

const BEGIN = '<!-- series: made by `npm run docs` -->';
const END = '<!-- end of series -->';
/** Values that are told one by one; of longer lists the first ones are. */
const VALUES_SHOWN_MAX = 12;

/** The page with its tables as they should be. Errors: where the page lacks the place for them. */
export function renewMetricsPage(page: string): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`The page has no place for the series: ${BEGIN} … ${END}`);
  return `${page.slice(0, from + BEGIN.length)}\n\n${toSeriesText()}\n\n${page.slice(to)}`;
}

function toSeriesText(): string {
  const rows = SERIES_NAMES.map((name) => {
    const spec = getSpec(name);
    return [code(name), toTypeText(spec), Object.keys(spec.labels).map(code).join(', '), spec.help];
  });
  const series = toTable(['series', 'type', 'labels', 'what it is'], rows);
  const labels = toTable(['label', 'of', 'values'], toLabelRows());
  return `${series}\n\n### Labels\n\n${labels}`;
}

function toTypeText({ type, merge = 'sum' }: SeriesSpec): string {
  if (type !== 'gauge' || merge === 'sum') return type;
  return merge === 'max' ? 'gauge, the greatest' : 'gauge, by worker';
}

/** A row for each label and set of values, with the series that have it. */
function toLabelRows(): string[][] {
  const rows = new Map<string, { label: string; bound: LabelBound; names: SeriesName[] }>();
  for (const name of SERIES_NAMES) {
    for (const [label, bound] of Object.entries(getSpec(name).labels)) {
      const key = JSON.stringify([label, bound]);
      const row = rows.get(key) ?? { label, bound, names: [] };
      row.names.push(name);
      rows.set(key, row);
    }
  }
  return [...rows.values()].map(({ label, bound, names }) => [
    code(label),
    names.map(code).join(', '),
    toValues(bound),
  ]);
}

function toValues(bound: LabelBound): string {
  if (typeof bound === 'number') return `at most ${bound}, the rest under ${code('other')}`;
  const shown = bound.slice(0, VALUES_SHOWN_MAX).map(code).join(', ');
  return bound.length > VALUES_SHOWN_MAX ? `${shown} and ${bound.length - VALUES_SHOWN_MAX} more` : shown;
}

function code(text: string): string {
  return `\`${text}\``;
}
