/** A worker's part in counting: into memory that the primary sees, or told to it again and again. */

import type { Fleet } from '../cluster/fleet.ts';
import { type Log, toLogFields } from '../log.ts';
import { createPlainMemory, toUsedBytes } from './cell-memory.ts';
import { createMetrics, MEMORY_BYTES } from './create-metrics.ts';
import type { ExpositionFormat } from './exposition.ts';
import type { Metrics } from './metrics.ts';
import { METRICS_FILE_VARIABLE, METRICS_PAGE, METRICS_SNAPSHOT } from './metrics-part.ts';
import { openSharedMemory } from './shared-memory.ts';

/** What a worker without shared memory may lose when it is killed. */
const SNAPSHOT_MS = 1_000;

export interface WorkerMetrics {
  readonly metrics: Metrics;
  /** The page of all processes. Errors: `FleetError` where the primary does not answer. */
  renderPage(format: ExpositionFormat): Promise<string>;
  stop(): void;
}

export interface WorkerMetricsDeps {
  readonly fleet: Pick<Fleet, 'ask'>;
  readonly log: Log;
  readonly environment: Record<string, string | undefined>;
}

export function openWorkerMetrics({ fleet, log, environment }: WorkerMetricsDeps): WorkerMetrics {
  const path = environment[METRICS_FILE_VARIABLE];
  // Not for the processes that this one may start.
  delete environment[METRICS_FILE_VARIABLE];
  const shared = path === undefined ? null : openSharedMemory(path);
  const memory = shared ?? createPlainMemory(MEMORY_BYTES);
  const metrics = createMetrics(memory, { isPrimary: false });

  const tell = async (): Promise<void> => {
    if (shared !== null) return;
    await fleet.ask(METRICS_SNAPSHOT, Buffer.from(toUsedBytes(memory)).toString('base64'));
  };
  let isTelling = false;
  const tellQuietly = (): void => {
    if (isTelling) return;
    isTelling = true;
    tell()
      .catch((error) => log.debug('counters not told', toLogFields(error)))
      .finally(() => {
        isTelling = false;
      });
  };
  const timer = shared === null ? setInterval(tellQuietly, SNAPSHOT_MS) : null;
  timer?.unref();

  return {
    metrics,
    async renderPage(format) {
      await tell();
      const page = await fleet.ask(METRICS_PAGE, format);
      if (typeof page !== 'string') throw new Error('The primary answered with something that is no page.');
      return page;
    },
    stop() {
      if (timer !== null) clearInterval(timer);
    },
  };
}
