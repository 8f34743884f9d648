import { describe, expect, test } from 'bun:test';
import { createPlainMemory, readEntries, toUsedBytes } from '../../src/metrics/cell-memory.ts';
import { createMetricsCollector } from '../../src/metrics/collector.ts';
import { createMetrics, createPlainMetrics, MEMORY_BYTES } from '../../src/metrics/create-metrics.ts';
import type { Metrics } from '../../src/metrics/metrics.ts';
import { getSpec, SERIES_NAMES } from '../../src/metrics/series.ts';
import { sumSamples } from './prometheus.ts';

interface Worker {
  readonly metrics: Metrics;
  readonly memory: Uint8Array;
}

function createWorker(memory = createPlainMemory(MEMORY_BYTES)): Worker {
  return { metrics: createMetrics(memory, { isPrimary: false }), memory };
}

const REQUEST = { handler: '/v1/files', method: 'GET', status: '2xx' } as const;

describe('the numbers of several workers', () => {
  test('are added up, and those of a worker that has ended stay when another takes its place', () => {
    const collector = createMetricsCollector();
    const [first, second, successor] = [createWorker(), createWorker(), createWorker()];
    const one = collector.addWorker(1, first.memory);
    collector.addWorker(2, second.memory);
    first.metrics.counter('http_requests_total', REQUEST).add(5);
    first.metrics.distribution('understudy_search_duration_seconds', { mode: 'hybrid' }).observe(0.5);
    second.metrics.counter('http_requests_total', REQUEST).add(2);
    expect(sumSamples(collector.render('text'), 'http_requests_total')).toBe(7);

    collector.retire(one);
    expect(sumSamples(collector.render('text'), 'http_requests_total')).toBe(7);
    collector.addWorker(1, successor.memory);
    successor.metrics.counter('http_requests_total', REQUEST).add();
    successor.metrics.distribution('understudy_search_duration_seconds', { mode: 'hybrid' }).observe(0.5);
    const page = collector.render('text');
    expect(sumSamples(page, 'http_requests_total')).toBe(8);
    expect(sumSamples(page, 'understudy_search_duration_seconds_count')).toBe(2);
    expect(sumSamples(page, 'understudy_search_duration_seconds_sum')).toBe(1);
    expect(sumSamples(page, 'understudy_search_duration_seconds_bucket', 'le="0.5"')).toBe(2);
  });

  test('count a worker once, however often it is retired', () => {
    const collector = createMetricsCollector();
    const { metrics, memory } = createWorker();
    const worker = collector.addWorker(1, memory);
    metrics.counter('http_requests_total', REQUEST).add(3);
    collector.retire(worker);
    collector.retire(worker);
    const page = collector.render('text');
    expect(sumSamples(page, 'http_requests_total')).toBe(3);
    expect(sumSamples(page, 'understudy_workers')).toBe(0);
  });

  test('have the gauges of the living alone: their sum, the greatest where that is declared, or one for each', () => {
    const collector = createMetricsCollector();
    const [first, second] = [createWorker(), createWorker()];
    const one = collector.addWorker(1, first.memory);
    collector.addWorker(2, second.memory);
    for (const [{ metrics }, value] of [[first, 4] as const, [second, 3] as const]) {
      metrics.gauge('understudy_runs_active', {}).set(value);
      metrics.gauge('understudy_provider_circuits_open', { provider: 'openai' }).set(value);
      metrics.gauge('understudy_resident_memory_bytes', {}).set(value);
    }
    const before = collector.render('text');
    expect(sumSamples(before, 'understudy_runs_active')).toBe(7);
    expect(sumSamples(before, 'understudy_provider_circuits_open')).toBe(4);
    expect(sumSamples(before, 'understudy_resident_memory_bytes', 'worker="2"')).toBe(3);
    collector.retire(one);
    const after = collector.render('text');
    expect(sumSamples(after, 'understudy_runs_active')).toBe(3);
    expect(sumSamples(after, 'understudy_provider_circuits_open')).toBe(3);
    expect(sumSamples(after, 'understudy_resident_memory_bytes', 'worker="1"')).toBe(0);
  });

  test('never fall, whichever workers come and go', () => {
    const collector = createMetricsCollector();
    let last = 0;
    let expected = 0;
    for (let round = 1; round <= 50; round += 1) {
      const { metrics, memory } = createWorker();
      const worker = collector.addWorker((round % 4) + 1, memory);
      metrics.counter('http_requests_total', REQUEST).add(round);
      expected += round;
      const now = sumSamples(collector.render('text'), 'http_requests_total');
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
      collector.retire(worker);
      expect(sumSamples(collector.render('text'), 'http_requests_total')).toBe(expected);
    }
  });

  test('leave out a memory of another build, or one that is broken, and keep the rest', () => {
    const collector = createMetricsCollector();
    const { metrics, memory } = createWorker();
    metrics.counter('http_requests_total', REQUEST).add(3);
    collector.addWorker(1, memory);
    const foreign = createWorker();
    foreign.metrics.counter('http_requests_total', REQUEST).add(100);
    foreign.memory[4] = (foreign.memory[4] ?? 0) ^ 0xff;
    collector.addWorker(2, foreign.memory);
    const broken = createWorker();
    broken.metrics.counter('http_requests_total', REQUEST).add(100);
    // The first entry says that it is longer than the memory.
    new DataView(broken.memory.buffer).setUint32(20, 0xffff_ffff, true);
    collector.addWorker(3, broken.memory);
    collector.addWorker(4, new Uint8Array(3));
    expect(sumSamples(collector.render('text'), 'http_requests_total')).toBe(3);
  });
});

describe('what is counted in memory', () => {
  test('is there for a reader from the moment of counting, and a copy of it is as good', () => {
    const { metrics, memory } = createWorker();
    const cell = metrics.counter('http_requests_total', REQUEST);
    const read = (bytes: Uint8Array) =>
      [...readEntries(bytes)].find((entry) => entry.name === 'http_requests_total')?.cells[0];
    cell.add();
    expect(read(memory)).toBe(1);
    cell.add(2);
    expect(read(memory)).toBe(3);
    expect(read(Uint8Array.from(toUsedBytes(memory)))).toBe(3);
  });

  test('goes to one series of what was dropped when the memory is full, and never fails', () => {
    const { metrics, memory } = createWorker(createPlainMemory(8 * 1024));
    for (let at = 0; at < 200; at += 1) {
      metrics
        .distribution('http_request_duration_seconds', { handler: `/v1/${at}`, method: 'GET' })
        .observe(1);
    }
    const collector = createMetricsCollector();
    collector.addWorker(1, memory);
    const page = collector.render('text');
    const kept = sumSamples(page, 'http_request_duration_seconds_count');
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(200);
    expect(kept + sumSamples(page, 'understudy_metrics_dropped_total')).toBe(200);
  });

  test("keeps within a label's bound: further values are counted together", () => {
    const memory = createPlainMemory(MEMORY_BYTES);
    const metrics = createPlainMetrics(memory);
    for (let at = 0; at < 10_000; at += 1) {
      metrics.counter('understudy_tokens_total', { provider: `p${at}`, kind: 'prompt' }).add();
      metrics.counter('understudy_errors_total', { code: `code${at}` }).add();
    }
    const entries = [...readEntries(memory)];
    const tokens = entries.filter((entry) => entry.name === 'understudy_tokens_total');
    expect(tokens).toHaveLength(257);
    expect(tokens.reduce((sum, entry) => sum + (entry.cells[0] ?? 0), 0)).toBe(10_000);
    const errors = entries.filter(
      (entry) => entry.name === 'understudy_errors_total' && entry.cells[0] !== 0,
    );
    expect(errors.map((entry) => [entry.labels, entry.cells[0]])).toEqual([[['other'], 10_000]]);
  });

  test('has room for every series with every value that a busy server can come to', () => {
    const memory = createPlainMemory(MEMORY_BYTES);
    const metrics = createPlainMetrics(memory);
    const routes = Array.from({ length: 120 }, (_, at) => `/v1/threads/{thread_id}/some_resource_${at}`);
    const providers = Array.from({ length: 60 }, (_, at) => `provider_${at}`);
    for (const name of SERIES_NAMES) fillSeries(metrics, name, routes, providers);
    const dropped = [...readEntries(memory)].find(({ name }) => name === 'understudy_metrics_dropped_total');
    expect(dropped?.cells[0]).toBe(0);
  });
});

function fillSeries(
  metrics: Metrics,
  name: (typeof SERIES_NAMES)[number],
  routes: readonly string[],
  providers: readonly string[],
): void {
  const { type, labels } = getSpec(name);
  let sets: Record<string, string>[] = [{}];
  for (const [label, bound] of Object.entries(labels)) {
    const few = label === 'method' ? ['GET', 'POST'] : bound;
    const values = typeof few === 'number' ? (label === 'handler' ? routes : providers) : few;
    sets = sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value })));
  }
  for (const set of sets) {
    if (type === 'counter') metrics.counter(name as 'understudy_errors_total', set as { code: string });
    else if (type === 'gauge') metrics.gauge(name as 'understudy_streams_open', set as { kind: string });
    else metrics.distribution(name as 'understudy_search_duration_seconds', set as { mode: string });
  }
}
