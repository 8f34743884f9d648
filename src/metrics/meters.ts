/** Everything of a worker that counts, put together. */

import type { BeginCall, StreamMeter } from '../providers/call-meter.ts';
import type { OutboundCall } from '../providers/outbound/upstream.ts';
import type { RunMeter } from '../runs/run-meter.ts';
import {
  type CircuitMeter,
  createCallMeters,
  createCircuitMeter,
  createOutboundMeter,
} from './call-metrics.ts';
import { createHttpMeter, type HttpMeter } from './http-metrics.ts';
import type { Metrics } from './metrics.ts';
import { createRunMeter } from './run-metrics.ts';
import { createStreamMeters } from './stream-metrics.ts';
import { createUsageMeter, type UsageMeter } from './usage-meter.ts';

export interface Meters {
  readonly metrics: Metrics;
  readonly http: HttpMeter;
  readonly runs: RunMeter;
  readonly circuits: CircuitMeter;
  readonly beginCall: BeginCall;
  readonly meterRunStream: () => StreamMeter;
  readonly noteOutbound: (call: OutboundCall) => void;
  readonly noteRetry: (provider: string) => void;
  readonly noteIngest: (outcome: string, seconds: number) => void;
}

/** `usageMeters` are told of each call's tokens, too. */
export function createMeters(metrics: Metrics, usageMeters: readonly UsageMeter[] = []): Meters {
  const usage = createUsageMeter(metrics, usageMeters);
  const runStreams = createStreamMeters(metrics, 'run');
  return {
    metrics,
    http: createHttpMeter(metrics),
    runs: createRunMeter(metrics),
    circuits: createCircuitMeter(metrics),
    beginCall: createCallMeters(usage, createStreamMeters(metrics, 'relay')),
    // The time to a run's first token is the run's, whether or not somebody listens.
    meterRunStream: () => runStreams(null),
    noteOutbound: createOutboundMeter(metrics),
    noteRetry: (provider) => metrics.counter('understudy_provider_retries_total', { provider }).add(),
    noteIngest(outcome, seconds) {
      metrics.counter('understudy_ingest_files_total', { outcome }).add();
      metrics.distribution('understudy_ingest_duration_seconds', { outcome }).observe(seconds);
    },
  };
}
