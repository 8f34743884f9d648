/** The worker's ports, each timed; and what is measured of the worker again and again. */

import type { CircuitView } from '../providers/outbound/circuit.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Store } from '../store/store.ts';
import type { VectorIndex } from '../vector/vector-index.ts';
import type { Meters } from './meters.ts';
import { startProcessMetrics } from './process-metrics.ts';
import { meterBlobStore, meterStore, meterVectorIndex } from './store-metrics.ts';

export interface StorePorts {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly index: VectorIndex;
}

export function meterPorts(
  { store, blobs, index }: StorePorts,
  { metrics }: Pick<Meters, 'metrics'>,
): StorePorts {
  return {
    store: meterStore(store, metrics),
    blobs: meterBlobStore(blobs, metrics),
    index: meterVectorIndex(index, metrics),
  };
}

export interface WorkerGauges {
  readonly getCircuits: () => readonly CircuitView[];
  readonly getIngestLoad: () => { readonly waiting: number; readonly active: number };
  /** Databases of Astra that are open; null: there are none. */
  readonly countSessions: (() => number) | null;
}

/** Measures until `stop` is called. */
export function startWorkerGauges(
  { metrics, circuits }: Pick<Meters, 'metrics' | 'circuits'>,
  gauges: WorkerGauges,
): { stop(): void } {
  const waiting = metrics.gauge('understudy_ingest_queue_files', {});
  const active = metrics.gauge('understudy_ingest_active_files', {});
  const sessions = metrics.gauge('understudy_astra_sessions', {});
  return startProcessMetrics(metrics, {
    measuresLag: true,
    alsoSample() {
      circuits.sample(gauges.getCircuits());
      const load = gauges.getIngestLoad();
      waiting.set(load.waiting);
      active.set(load.active);
      sessions.set(gauges.countSessions?.() ?? 0);
    },
  });
}
