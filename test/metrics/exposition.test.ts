import { describe, expect, test } from 'bun:test';
import { createPlainMemory } from '../../src/metrics/cell-memory.ts';
import { createMetricsCollector } from '../../src/metrics/collector.ts';
import { createMetrics, MEMORY_BYTES } from '../../src/metrics/create-metrics.ts';
import { chooseFormat, type ExpositionFormat, renderFamilies } from '../../src/metrics/exposition.ts';
import { getSpec, SERIES_NAMES, toUnit } from '../../src/metrics/series.ts';
import { findPrometheusParser, parsePage } from './prometheus.ts';

const python = await findPrometheusParser();
if (python.path === null) console.warn(`Prometheus' parser is not tried: ${python.reason}.`);

/** A label that needs every escape there is. */
const ODD = 'back\\slash "quoted"\nline';

function renderSample(format: ExpositionFormat): string {
  const collector = createMetricsCollector();
  const memory = createPlainMemory(MEMORY_BYTES);
  const metrics = createMetrics(memory, { isPrimary: false });
  collector.addWorker(1, memory);
  metrics.counter('http_requests_total', { handler: '/v1/files', method: 'GET', status: '2xx' }).add(3);
  metrics.counter('understudy_tokens_total', { provider: ODD, kind: 'prompt' }).add(7);
  metrics.gauge('understudy_runs_active', {}).set(Number.NaN);
  metrics.gauge('understudy_requests_in_flight', {}).set(Number.POSITIVE_INFINITY);
  const seconds = metrics.distribution('understudy_search_duration_seconds', { mode: 'hybrid' });
  for (const value of [0.0005, 0.3, 99]) seconds.observe(value);
  metrics.distribution('http_request_size_bytes', { handler: '/v1/files' }).observe(1234);
  return collector.render(format);
}

describe.skipIf(python.path === null)("Prometheus' own parser", () => {
  for (const format of ['text', 'openmetrics'] as const) {
    test(`reads every declared series with its type and help, in ${format}`, async () => {
      const families = await parsePage(python.path ?? '', renderSample(format), format);
      const found = new Map(families.map((family) => [family.name, family]));
      for (const name of SERIES_NAMES) {
        const { type, help } = getSpec(name);
        // Both parsers name a counter without its end.
        const family = found.get(name.replace(/_total$/, ''));
        expect([name, family?.type, family?.help]).toEqual([name, type, help]);
        if (format === 'openmetrics') expect([name, family?.unit]).toEqual([name, toUnit(name) ?? '']);
      }
      expect(families).toHaveLength(SERIES_NAMES.length);
    });

    test(`reads labels, numbers that are none, buckets and sums as they were counted, in ${format}`, async () => {
      const families = await parsePage(python.path ?? '', renderSample(format), format);
      const samples = families.flatMap((family) => family.samples);
      const find = (name: string, labels: Record<string, string>) =>
        samples.find((one) => one[0] === name && Bun.deepEquals(one[1], labels))?.[2];
      expect(find('http_requests_total', { handler: '/v1/files', method: 'GET', status: '2xx' })).toBe('3.0');
      expect(find('understudy_tokens_total', { provider: ODD, kind: 'prompt' })).toBe('7.0');
      expect(find('understudy_runs_active', {})).toBe('nan');
      expect(find('understudy_requests_in_flight', {})).toBe('inf');
      const name = 'understudy_search_duration_seconds';
      expect(find(`${name}_bucket`, { mode: 'hybrid', le: '0.0005' })).toBe('1.0');
      expect(find(`${name}_bucket`, { mode: 'hybrid', le: '0.25' })).toBe('1.0');
      expect(find(`${name}_bucket`, { mode: 'hybrid', le: '10.0' })).toBe('2.0');
      expect(find(`${name}_bucket`, { mode: 'hybrid', le: '+Inf' })).toBe('3.0');
      expect(find(`${name}_count`, { mode: 'hybrid' })).toBe('3.0');
      expect(Number(find(`${name}_sum`, { mode: 'hybrid' }))).toBeCloseTo(99.3005);
      expect(find('http_request_size_bytes_sum', { handler: '/v1/files' })).toBe('1234.0');
      expect(find('http_request_size_bytes_count', { handler: '/v1/files' })).toBe('1.0');
    });
  }
});

describe('the text of a page', () => {
  test('ends OpenMetrics with its mark and nothing behind it, and the text format without one', () => {
    expect(renderSample('openmetrics').endsWith('\n# EOF\n')).toBe(true);
    expect(renderSample('text')).not.toContain('# EOF');
    expect(renderFamilies([], 'openmetrics')).toBe('# EOF\n');
  });

  test('spells the bounds of buckets alike in both formats, so that a series stays the same', () => {
    const toBounds = (page: string) => [...page.matchAll(/le="([^"]+)"/g)].map((match) => match[1]);
    expect(toBounds(renderSample('text'))).toEqual(toBounds(renderSample('openmetrics')));
    expect(toBounds(renderSample('text'))).toContain('1.0');
  });
});

describe('the format', () => {
  test.each([
    [null, 'text'],
    ['*/*', 'text'],
    ['text/plain', 'text'],
    ['application/openmetrics-text', 'openmetrics'],
    [
      'application/openmetrics-text;version=1.0.0;charset=utf-8;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      'openmetrics',
    ],
    ['application/openmetrics-text; version="1.0.0"', 'openmetrics'],
    ['application/openmetrics-text;q=0.2,text/plain;q=0.9', 'text'],
    ['application/openmetrics-text;q=0', 'text'],
    ['application/openmetrics-text;version=9.0.0', 'text'],
    ['text/html,*/*;q=0.8', 'text'],
    ['application/json', 'text'],
  ] as const)('of a client that accepts %p is %s', (accept, format) => {
    expect(chooseFormat(accept)).toBe(format);
  });
});
