/** What a process tells of itself, measured again and again. */

import { readdirSync, statSync } from 'node:fs';
import type { Metrics } from './metrics.ts';

/** How often memory and processor time are looked at. */
const SAMPLE_MS = 2_000;
/** The timer whose lateness is the event loop's. */
const LAG_MS = 500;
const MICROSECONDS = 1e6;

export interface ProcessSampler {
  /** Brings the numbers up to date. */
  sample(): void;
  stop(): void;
}

/** `alsoSample` is called each time, for gauges that others keep. */
export function startProcessMetrics(
  metrics: Metrics,
  options: { readonly measuresLag: boolean; readonly alsoSample?: () => void },
): ProcessSampler {
  const sample = createSample(metrics);
  const sampleAll = (): void => {
    sample();
    options.alsoSample?.();
  };
  sampleAll();
  const timers = [setInterval(sampleAll, SAMPLE_MS)];
  if (options.measuresLag) timers.push(startLagTimer(metrics));
  // None of them is a reason for the process to live on.
  for (const timer of timers) timer.unref();
  return {
    sample: sampleAll,
    stop() {
      for (const timer of timers) clearInterval(timer);
    },
  };
}

function createSample(metrics: Metrics): () => void {
  const resident = metrics.gauge('understudy_resident_memory_bytes', {});
  const heap = metrics.gauge('understudy_heap_bytes', {});
  const cpu = metrics.counter('process_cpu_seconds_total', {});
  const descriptors = metrics.gauge('process_open_fds', {});
  let countedSeconds = 0;
  return () => {
    const { rss, heapUsed } = process.memoryUsage();
    resident.set(rss);
    heap.set(heapUsed);
    const { user, system } = process.cpuUsage();
    const seconds = (user + system) / MICROSECONDS;
    if (seconds > countedSeconds) cpu.add(seconds - countedSeconds);
    countedSeconds = Math.max(seconds, countedSeconds);
    descriptors.set(countDescriptors());
  };
}

function startLagTimer(metrics: Metrics): ReturnType<typeof setInterval> {
  const lag = metrics.distribution('understudy_event_loop_lag_seconds', {});
  let dueMs = performance.now() + LAG_MS;
  return setInterval(() => {
    const nowMs = performance.now();
    lag.observe(Math.max(0, nowMs - dueMs) / 1000);
    dueMs = nowMs + LAG_MS;
  }, LAG_MS);
}

const DESCRIPTORS = '/proc/self/fd';

/** 0 where the system does not tell. */
function countDescriptors(): number {
  if (process.platform !== 'linux') return 0;
  try {
    // Since Linux 6.2 the folder's size is their number; before, they have to be listed, which takes a while where there are many.
    const { size } = statSync(DESCRIPTORS);
    // One of those that are listed is the folder's own.
    return size > 0 ? size : readdirSync(DESCRIPTORS).length - 1;
  } catch {
    return 0;
  }
}
