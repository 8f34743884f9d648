/** The primary's part in counting: memory for each worker, and the page of all of them. */

import type { FleetPart, WorkerName } from '../cluster/fleet.ts';
import type { Log } from '../log.ts';
import { createPlainMemory, isMemory } from './cell-memory.ts';
import { type CollectedWorker, createMetricsCollector } from './collector.ts';
import { MEMORY_BYTES } from './create-metrics.ts';
import type { ExpositionFormat } from './exposition.ts';
import type { Metrics } from './metrics.ts';
import { startProcessMetrics } from './process-metrics.ts';
import { createSharedMemory, removeLeftMemory, type SharedMemory, toSharedFolders } from './shared-memory.ts';

/** A worker asks for the page. Body: the format. Answer: its text. */
export const METRICS_PAGE = 'metrics-page';
/** A worker without shared memory tells what it has counted. Body: the bytes in base64. Answer: null. */
export const METRICS_SNAPSHOT = 'metrics-snapshot';
/** Where the worker's memory is; absent: it has none that is shared. */
export const METRICS_FILE_VARIABLE = 'UNDERSTUDY_INTERNAL_METRICS';

export interface MetricsPartOptions {
  readonly version: string;
  /** Where memory is shared when nothing better is there; null: nowhere. */
  readonly dataDirectory: string | null;
  readonly log: Log;
  /** Tests choose; by default those of `toSharedFolders`. */
  readonly folders?: readonly string[];
}

export interface MetricsPart extends FleetPart {
  /** For the primary's own counting. */
  readonly own: Metrics;
  render(format: ExpositionFormat): string;
}

/** Stands for what a worker has not told yet. */
const EMPTY_BYTES = 64;

interface Member {
  readonly worker: CollectedWorker;
  readonly shared: SharedMemory | null;
}

export function createMetricsPart(options: MetricsPartOptions): MetricsPart {
  const folders = options.folders ?? toSharedFolders(options.dataDirectory);
  removeLeftMemory(folders, Date.now());
  const members = new Map<number, Member>();
  const slots = new Set<number>();
  const collector = createMetricsCollector({ refresh: () => sampler.sample() });
  const { own } = collector;
  const sampler = startProcessMetrics(own, { measuresLag: false });
  own.gauge('process_start_time_seconds', {}).set(performance.timeOrigin / 1000);
  own.gauge('understudy_build_info', { version: options.version }).set(1);
  const restarts = own.counter('understudy_worker_restarts_total', {});

  const start = ({ serial, slot }: WorkerName): Record<string, string> => {
    const shared = createSharedMemory(folders, MEMORY_BYTES);
    if (shared === null) {
      options.log.debug('a worker counts in memory of its own', { worker: slot });
    }
    const worker = collector.addWorker(slot, shared?.bytes ?? createPlainMemory(EMPTY_BYTES));
    members.set(serial, { worker, shared });
    if (slots.has(slot)) restarts.add();
    slots.add(slot);
    return shared === null ? {} : { [METRICS_FILE_VARIABLE]: shared.path };
  };

  const takeSnapshot = (body: unknown, { serial }: WorkerName): null => {
    const member = members.get(serial);
    const bytes = typeof body === 'string' ? new Uint8Array(Buffer.from(body, 'base64')) : null;
    // Copied, so that it begins where numbers of 8 bytes may begin.
    const memory = bytes === null ? null : new Uint8Array(bytes);
    if (member?.shared === null && memory !== null && isMemory(memory)) member.worker.memory = memory;
    return null;
  };

  return {
    own,
    render: (format) => collector.render(format),
    beforeStart: start,
    onReady: ({ serial }) => members.get(serial)?.shared?.release(),
    onEnded({ serial }) {
      const member = members.get(serial);
      if (member === undefined) return;
      members.delete(serial);
      member.shared?.release();
      collector.retire(member.worker);
    },
    answers: {
      [METRICS_PAGE]: (body) => collector.render(body === 'openmetrics' ? 'openmetrics' : 'text'),
      [METRICS_SNAPSHOT]: takeSnapshot,
    },
  };
}
