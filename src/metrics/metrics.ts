/** The port for counting: whoever counts gets a cell for a set of label values once, and adds to it from then on. */

import type { CounterName, DistributionName, GaugeName, LabelsOf } from './series.ts';

export interface Counter {
  /** Without an amount: one. Never less than nothing. */
  add(amount?: number): void;
}

export interface Gauge {
  set(value: number): void;
  add(amount: number): void;
}

export interface Distribution {
  observe(value: number): void;
}

/** Never fails and never waits: what cannot be kept is counted in `understudy_metrics_dropped_total`. */
export interface Metrics {
  counter<N extends CounterName>(name: N, labels: LabelsOf<N>): Counter;
  gauge<N extends GaugeName>(name: N, labels: LabelsOf<N>): Gauge;
  distribution<N extends DistributionName>(name: N, labels: LabelsOf<N>): Distribution;
}
