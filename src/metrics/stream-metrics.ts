/** Streamed replies: how many are open, how long they last, when they begin to say something. */

import type { StreamMeter } from '../providers/call-meter.ts';
import type { Metrics } from './metrics.ts';

export type StreamKind = 'run' | 'relay';

/** A meter for one stream. `askedMs` is when it was asked for, by `performance.now()`; null: its first piece says nothing. */
export type MeterStream = (askedMs: number | null) => StreamMeter;

export function createStreamMeters(metrics: Metrics, kind: StreamKind): MeterStream {
  const open = metrics.gauge('understudy_streams_open', { kind });
  const lasted = metrics.distribution('understudy_stream_duration_seconds', { kind });
  const sent = metrics.counter('understudy_stream_bytes_total', { kind });
  const firstToken = metrics.distribution('understudy_time_to_first_token_seconds', { kind });
  return (askedMs) => {
    let begunMs: number | null = null;
    let hasEnded = false;
    let hasSpoken = askedMs === null;
    return {
      begin() {
        if (begunMs !== null || hasEnded) return;
        begunMs = performance.now();
        open.add(1);
      },
      piece(bytes) {
        sent.add(bytes);
        if (hasSpoken) return;
        hasSpoken = true;
        firstToken.observe((performance.now() - (askedMs ?? 0)) / 1000);
      },
      end() {
        if (begunMs === null || hasEnded) return;
        hasEnded = true;
        open.add(-1);
        lasted.observe((performance.now() - begunMs) / 1000);
      },
    };
  };
}
