/** One set of numbers out of those of several processes. */

import { type Entry, readEntries } from './cell-memory.ts';
import { getSpec, SERIES_NAMES, type SeriesName } from './series.ts';

/** One set of label values with its numbers, laid out as in `cell-memory.ts`. */
export interface Sample {
  readonly labels: readonly string[];
  readonly cells: Float64Array;
}

/** All that there is of one series, in the order of the labels. */
export interface Family {
  readonly name: SeriesName;
  /** With `worker` at the end where each has its own sample. */
  readonly labelNames: readonly string[];
  readonly samples: readonly Sample[];
}

/** A process whose numbers count: `1`, `2`, `primary`. */
export interface MergeSource {
  readonly worker: string;
  readonly memory: Uint8Array;
}

/** Numbers by series and label values. */
export type Totals = Map<SeriesName, Map<string, { labels: readonly string[]; cells: Float64Array }>>;

export function createTotals(): Totals {
  return new Map();
}

/** Adds what a process that has ended had counted; its gauges say nothing any more. */
export function addRetired(totals: Totals, memory: Uint8Array): void {
  for (const entry of readEntries(memory)) {
    if (getSpec(entry.name).type !== 'gauge') addEntry(totals, entry, entry.labels);
  }
}

/** The living, and the totals of those that have ended. A series that nobody has counted yet is there without samples. */
export function mergeFamilies(retired: Totals, sources: readonly MergeSource[]): readonly Family[] {
  const totals = createTotals();
  for (const [name, samples] of retired) {
    for (const { labels, cells } of samples.values()) addEntry(totals, { name, labels, cells }, labels);
  }
  for (const { worker, memory } of sources) {
    for (const entry of readEntries(memory)) {
      const isByWorker = getSpec(entry.name).merge === 'by_worker';
      addEntry(totals, entry, isByWorker ? [...entry.labels, worker] : entry.labels);
    }
  }
  return SERIES_NAMES.map((name) => toFamily(name, totals));
}

function toFamily(name: SeriesName, totals: Totals): Family {
  const { labels, merge } = getSpec(name);
  const samples = [...(totals.get(name)?.values() ?? [])].sort((a, b) => compareLabels(a.labels, b.labels));
  const names = Object.keys(labels);
  return { name, labelNames: merge === 'by_worker' ? [...names, 'worker'] : names, samples };
}

function addEntry(totals: Totals, { name, cells }: Entry, labels: readonly string[]): void {
  const samples = totals.get(name) ?? new Map();
  totals.set(name, samples);
  const key = JSON.stringify(labels);
  const found = samples.get(key);
  if (found === undefined) {
    samples.set(key, { labels, cells: Float64Array.from(cells) });
    return;
  }
  const takesMax = getSpec(name).merge === 'max';
  for (const [at, value] of cells.entries()) {
    const before = found.cells[at] ?? 0;
    found.cells[at] = takesMax ? Math.max(before, value) : before + value;
  }
}

function compareLabels(a: readonly string[], b: readonly string[]): number {
  for (const [at, value] of a.entries()) {
    const other = b[at] ?? '';
    if (value !== other) return value < other ? -1 : 1;
  }
  return 0;
}
