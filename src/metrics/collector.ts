/** All processes' numbers in one place: the primary's. */

import { createPlainMemory } from './cell-memory.ts';
import { createMetrics, MEMORY_BYTES } from './create-metrics.ts';
import { type ExpositionFormat, renderFamilies } from './exposition.ts';
import { addRetired, createTotals, mergeFamilies } from './merge.ts';
import type { Metrics } from './metrics.ts';

export interface CollectedWorker {
  readonly slot: number;
  /** What it counts into, or the last that it told. */
  memory: Uint8Array;
}

export interface MetricsCollector {
  /** For what the primary itself counts. */
  readonly own: Metrics;
  /** `slot` is the successor's, too. */
  addWorker(slot: number, memory: Uint8Array): CollectedWorker;
  /** The worker counts no more; what it had counted stays. Idempotent. */
  retire(worker: CollectedWorker): void;
  render(format: ExpositionFormat): string;
}

/** `refresh` is called before each page, to bring `own` up to date. */
export function createMetricsCollector(
  options: { readonly refresh?: (own: Metrics) => void; readonly memory?: Uint8Array } = {},
): MetricsCollector {
  const memory = options.memory ?? createPlainMemory(MEMORY_BYTES);
  const own = createMetrics(memory, { isPrimary: true });
  const workers = new Set<CollectedWorker>();
  const retired = createTotals();
  const living = own.gauge('understudy_workers', {});
  return {
    own,
    addWorker(slot, workerMemory) {
      const worker = { slot, memory: workerMemory };
      workers.add(worker);
      living.set(workers.size);
      return worker;
    },
    retire(worker) {
      if (!workers.delete(worker)) return;
      addRetired(retired, worker.memory);
      living.set(workers.size);
    },
    render(format) {
      options.refresh?.(own);
      const sources = [...workers].map((worker) => ({ worker: String(worker.slot), memory: worker.memory }));
      return renderFamilies(mergeFamilies(retired, [...sources, { worker: 'primary', memory }]), format);
    },
  };
}
