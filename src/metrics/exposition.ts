/** The page that Prometheus reads: its text format 0.0.4, or OpenMetrics 1.0.0 where that is asked for. */

import type { Family, Sample } from './merge.ts';
import { getSpec, toUnit } from './series.ts';

export type ExpositionFormat = 'text' | 'openmetrics';

export const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = Object.freeze({
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
});

const OPENMETRICS_TYPE = 'application/openmetrics-text';
const PLAIN_TYPES = new Set(['text/plain', 'text/*', '*/*']);
/** Parts of an `accept` that are looked at. */
const ACCEPT_PARTS_MAX = 32;

/** What an `accept` header prefers; the text format where it leaves the choice, as Prometheus' own libraries do. */
export function chooseFormat(accept: string | null): ExpositionFormat {
  let open = 0;
  let plain = 0;
  for (const part of (accept ?? '').split(',', ACCEPT_PARTS_MAX)) {
    const [type = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    const version = findParameter(parameters, 'version');
    const quality = toQuality(findParameter(parameters, 'q'));
    if (type === OPENMETRICS_TYPE && (version === null || version === '1.0.0' || version === '0.0.1')) {
      open = Math.max(open, quality);
    } else if (PLAIN_TYPES.has(type)) {
      plain = Math.max(plain, quality);
    }
  }
  return open > 0 && open >= plain ? 'openmetrics' : 'text';
}

function findParameter(parameters: readonly string[], name: string): string | null {
  const found = parameters.find((text) => text.startsWith(`${name}=`));
  return found === undefined ? null : found.slice(name.length + 1).replaceAll('"', '');
}

function toQuality(text: string | null): number {
  const quality = text === null ? 1 : Number(text);
  return quality >= 0 && quality <= 1 ? quality : 0;
}

export function renderFamilies(families: readonly Family[], format: ExpositionFormat): string {
  const lines: string[] = [];
  for (const family of families) renderFamily(family, format, lines);
  if (format === 'openmetrics') lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function renderFamily(family: Family, format: ExpositionFormat, lines: string[]): void {
  const { name } = family;
  const spec = getSpec(name);
  const isOpen = format === 'openmetrics';
  // OpenMetrics names a counter without the end that its samples have.
  const shown = isOpen && spec.type === 'counter' ? name.replace(/_total$/, '') : name;
  lines.push(`# HELP ${shown} ${escapeHelp(spec.help, isOpen)}`, `# TYPE ${shown} ${spec.type}`);
  const unit = toUnit(name);
  if (isOpen && unit !== null) lines.push(`# UNIT ${shown} ${unit}`);
  for (const sample of family.samples) {
    if (spec.type === 'histogram') renderHistogram(family, sample, spec.buckets ?? [], lines);
    else if (spec.type === 'summary') renderTotals(family, sample, lines);
    else lines.push(`${name}${toLabels(family, sample)} ${toNumber(sample.cells[0] ?? 0)}`);
  }
}

function renderHistogram(family: Family, sample: Sample, buckets: readonly number[], lines: string[]): void {
  const { name } = family;
  let count = 0;
  for (const [at, bound] of [...buckets, Number.POSITIVE_INFINITY].entries()) {
    count += sample.cells[at] ?? 0;
    lines.push(`${name}_bucket${toLabels(family, sample, toBound(bound))} ${toNumber(count)}`);
  }
  renderTotals(family, sample, lines);
}

function renderTotals(family: Family, sample: Sample, lines: string[]): void {
  const labels = toLabels(family, sample);
  const sum = sample.cells.at(-1) ?? 0;
  // Counted from the buckets, so that the two never differ, in whatever moment the numbers are read.
  const count = sample.cells.subarray(0, -1).reduce((all, one) => all + one, 0);
  lines.push(
    `${family.name}_sum${labels} ${toNumber(sum)}`,
    `${family.name}_count${labels} ${toNumber(count)}`,
  );
}

function toLabels(family: Family, sample: Sample, bound: string | null = null): string {
  const pairs = family.labelNames.map((name, at) => `${name}="${escapeValue(sample.labels[at] ?? '')}"`);
  if (bound !== null) pairs.push(`le="${bound}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** `1.0` and not `1`: one spelling in both formats, so that a change of format makes no new series. */
function toBound(bound: number): string {
  const text = toNumber(bound);
  return Number.isInteger(bound) && /^\d+$/.test(text) ? `${text}.0` : text;
}

function toNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}

/** The text format has a quotation mark in a help text as it is; OpenMetrics escapes it. */
function escapeHelp(text: string, isOpen: boolean): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return isOpen ? escaped.replaceAll('"', '\\"') : escaped;
}

function escapeValue(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
