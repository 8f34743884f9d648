/** Counting into a memory: cells are looked up once for each set of label values, and are plain numbers from then on. */

import { type CellMemory, createCellMemory, createPlainMemory, KEY_SEPARATOR } from './cell-memory.ts';
import type { Counter, Distribution, Gauge, Metrics } from './metrics.ts';
import { getSpec, type LabelBound, OTHER, SERIES_NAMES, type SeriesName, type SeriesSpec } from './series.ts';

/** For one worker: several times what all series take with every label set that a busy server comes to. */
export const MEMORY_BYTES = 1024 * 1024;
const VALUE_LENGTH_MAX = 100;

/** A process of its own, or a test: the numbers are kept in plain memory. */
export function createPlainMetrics(memory = createPlainMemory(MEMORY_BYTES)): Metrics {
  return createMetrics(memory, { isPrimary: false });
}

/**
 * `memory` is empty, and written to by nobody else. The primary's own series begin in the primary, the others in the workers.
 */
export function createMetrics(memory: Uint8Array, { isPrimary }: { readonly isPrimary: boolean }): Metrics {
  const cells = createCellMemory(memory);
  const dropped = new CellCounter(cells.allocate(DROPPED, '') ?? new Float64Array(1));
  const series = new Map(SERIES_NAMES.map((name) => [name, new SeriesCells(cells, name)]));
  for (const name of SERIES_NAMES) {
    const isOwn = (getSpec(name).isPrimaryOnly === true) === isPrimary;
    if (!isOwn || name === DROPPED) continue;
    for (const labels of toInitialSets(getSpec(name))) series.get(name)?.find(labels);
  }

  return {
    counter(name, labels) {
      const found = series.get(name)?.find(labels);
      return found == null ? dropped : new CellCounter(found);
    },
    gauge(name, labels) {
      const found = series.get(name)?.find(labels);
      return found == null ? new DroppedGauge(dropped) : new CellGauge(found);
    },
    distribution(name, labels) {
      const found = series.get(name)?.find(labels);
      if (found == null) return new DroppedDistribution(dropped);
      return new CellDistribution(found, getSpec(name).buckets ?? []);
    },
  };
}

const DROPPED = 'understudy_metrics_dropped_total';
/** Label sets of one series that are there before anything is counted. */
const INITIAL_SETS_MAX = 32;

/**
 * What a series begins with: all its label sets, where they are few and known. A counter that is there with 0 has a rate when it
 * first counts; one that comes with 1 has none.
 */
function toInitialSets({ type, labels, merge }: SeriesSpec): readonly Readonly<Record<string, string>>[] {
  const names = Object.entries(labels);
  // What is set from the outside shows nothing before it is.
  if (merge === 'by_worker') return [];
  if (names.length > 0 && type !== 'counter' && type !== 'gauge') return [];
  let sets: readonly Readonly<Record<string, string>>[] = [{}];
  for (const [name, bound] of names) {
    if (typeof bound === 'number') return [];
    sets = sets.flatMap((set) => bound.map((value) => ({ ...set, [name]: value })));
  }
  return sets.length <= INITIAL_SETS_MAX ? sets : [];
}

/** The label sets of one series that have been asked for. */
class SeriesCells {
  readonly #memory: CellMemory;
  readonly #name: SeriesName;
  readonly #labels: readonly (readonly [string, LabelBound])[];
  readonly #seen: readonly Set<string>[];
  readonly #cells = new Map<string, Float64Array>();

  constructor(memory: CellMemory, name: SeriesName) {
    this.#memory = memory;
    this.#name = name;
    this.#labels = Object.entries(getSpec(name).labels);
    this.#seen = this.#labels.map(() => new Set<string>());
  }

  /** Null where the memory is full. */
  find(labels: Readonly<Record<string, string>>): Float64Array | null {
    const key = this.#labels
      .map(([label, bound], at) => this.#toBounded(labels[label] ?? '', bound, at))
      .join(KEY_SEPARATOR);
    const found = this.#cells.get(key);
    if (found !== undefined) return found;
    const made = this.#memory.allocate(this.#name, key);
    if (made !== null) this.#cells.set(key, made);
    return made;
  }

  #toBounded(value: string, bound: LabelBound, at: number): string {
    if (typeof bound !== 'number') return bound.includes(value) ? value : OTHER;
    const plain = value.slice(0, VALUE_LENGTH_MAX).replaceAll(KEY_SEPARATOR, ' ');
    const seen = this.#seen[at];
    if (seen === undefined || seen.has(plain)) return plain;
    if (seen.size >= bound) return OTHER;
    seen.add(plain);
    return plain;
  }
}

class CellCounter implements Counter {
  readonly #cells: Float64Array;

  constructor(cells: Float64Array) {
    this.#cells = cells;
  }

  add(amount = 1): void {
    const cells = this.#cells;
    cells[0] = (cells[0] ?? 0) + amount;
  }
}

class CellGauge implements Gauge {
  readonly #cells: Float64Array;

  constructor(cells: Float64Array) {
    this.#cells = cells;
  }

  set(value: number): void {
    this.#cells[0] = value;
  }

  add(amount: number): void {
    const cells = this.#cells;
    cells[0] = (cells[0] ?? 0) + amount;
  }
}

class CellDistribution implements Distribution {
  readonly #cells: Float64Array;
  readonly #buckets: readonly number[];

  constructor(cells: Float64Array, buckets: readonly number[]) {
    this.#cells = cells;
    this.#buckets = buckets;
  }

  observe(value: number): void {
    const cells = this.#cells;
    const buckets = this.#buckets;
    let at = 0;
    // Most values are small, and there are a score of buckets at most.
    while (at < buckets.length && value > (buckets[at] ?? 0)) at += 1;
    cells[at] = (cells[at] ?? 0) + 1;
    const sumAt = buckets.length + 1;
    cells[sumAt] = (cells[sumAt] ?? 0) + value;
  }
}

class DroppedGauge implements Gauge {
  readonly #dropped: Counter;

  constructor(dropped: Counter) {
    this.#dropped = dropped;
  }

  set(): void {
    this.#dropped.add();
  }

  add(): void {
    this.#dropped.add();
  }
}

class DroppedDistribution implements Distribution {
  readonly #dropped: Counter;

  constructor(dropped: Counter) {
    this.#dropped = dropped;
  }

  observe(): void {
    this.#dropped.add();
  }
}
