/** Runs, as the engine that works on them tells of them. */

import type { RunMeter } from '../runs/run-meter.ts';
import type { Metrics } from './metrics.ts';

const ENDINGS: Readonly<Record<string, string>> = Object.freeze({
  'thread.run.completed': 'completed',
  'thread.run.incomplete': 'incomplete',
  'thread.run.failed': 'failed',
  'thread.run.cancelled': 'cancelled',
  'thread.run.expired': 'expired',
});

export function createRunMeter(metrics: Metrics): RunMeter {
  const started = metrics.counter('understudy_runs_started_total', {});
  const takeovers = metrics.counter('understudy_run_takeovers_total', {});
  const active = metrics.gauge('understudy_runs_active', {});
  const firstToken = metrics.distribution('understudy_time_to_first_token_seconds', { kind: 'run' });
  return {
    begin({ origin, createdMs, nowMs }) {
      const begunMs = performance.now();
      // A run that is new has its time by the finer clock: the record counts whole seconds.
      const beforeMs = origin === 'new' ? 0 : Math.max(0, nowMs - createdMs);
      let hasSpoken = origin !== 'new';
      active.add(1);
      if (origin === 'new') started.add();
      if (origin === 'taken_over') takeovers.add();
      return {
        event(name) {
          if (!hasSpoken && (name === 'thread.message.delta' || name === 'thread.run.step.delta')) {
            hasSpoken = true;
            firstToken.observe((performance.now() - begunMs) / 1000);
          }
          const status = ENDINGS[name];
          if (status === undefined) return;
          metrics.counter('understudy_runs_ended_total', { status }).add();
          const seconds = (beforeMs + performance.now() - begunMs) / 1000;
          metrics.distribution('understudy_run_duration_seconds', { status }).observe(seconds);
        },
        end: () => active.add(-1),
      };
    },
  };
}
