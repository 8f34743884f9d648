/** What came of a copy, for people and for a log. */

import type { MoveDeps } from './copier.ts';
import { type Counts, formatBytes, formatCount } from './progress.ts';
import type { TallyRow } from './tallies.ts';
import type { Comparison } from './verifier.ts';

export function toCopyReport(
  { source, destination, tenant }: Pick<MoveDeps, 'source' | 'destination' | 'tenant'>,
  { inserted, present, differing, bytes, chunks }: Counts,
  elapsedMs: number,
): string {
  const lines = [
    `Copied tenant '${tenant}' from ${source.name} to ${destination.name} in ${(elapsedMs / 1000).toFixed(1)} s:`,
    `  ${formatCount(inserted)} records, ${formatBytes(bytes)} of files, ${formatCount(chunks)} chunks of vector stores.`,
  ];
  if (present > 0) lines.push(`  ${formatCount(present)} records were there already.`);
  if (differing > 0) {
    lines.push(
      `  ${formatCount(differing)} records were there already, are not the same, and stayed as they were.`,
    );
  }
  return `${lines.join('\n')}\n`;
}

const KIND_COLUMN = 20;
const COUNT_COLUMN = 12;

export function toComparisonReport({ rows, differences, differenceCount }: Comparison): string {
  if (differenceCount === 0) {
    return [
      'Both sides are the same:',
      ...rows.map((row) => `  ${toCells(row.kind, row.source.count)}  ${row.source.digest}`),
      '',
    ].join('\n');
  }
  const more = differenceCount - differences.length;
  return [
    `The two sides differ in ${formatCount(differenceCount)} ${differenceCount === 1 ? 'place' : 'places'}:`,
    ...differences.map((difference) => `  ${difference}`),
    ...(more > 0 ? [`  … and ${formatCount(more)} more.`] : []),
    'At the source, and at the destination:',
    ...rows.map(toBothSides),
    '',
  ].join('\n');
}

function toBothSides({ kind, source, destination }: TallyRow): string {
  const mark = source.digest === destination.digest ? '' : '  differs';
  const right = `${formatCount(destination.count).padStart(COUNT_COLUMN)}  ${destination.digest}`;
  return `  ${toCells(kind, source.count)}  ${source.digest} ${right}${mark}`;
}

function toCells(kind: string, count: number): string {
  return `${kind.padEnd(KIND_COLUMN)} ${formatCount(count).padStart(COUNT_COLUMN)}`;
}
