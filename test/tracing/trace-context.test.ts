import { describe, expect, test } from 'bun:test';
import { readTracingConfig } from '../../src/config/tracing-config.ts';
import { parseTraceparent, toTraceparent } from '../../src/tracing/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('a traceparent', () => {
  test('is read and written as the standard has it', () => {
    for (const isSampled of [true, false]) {
      const text = `00-${TRACE}-${SPAN}-0${isSampled ? 1 : 0}`;
      expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, isSampled });
      expect(toTraceparent({ traceId: TRACE, spanId: SPAN, isSampled })).toBe(text);
    }
  });

  test('of a version to come is read as far as it is known', () => {
    expect(parseTraceparent(`01-${TRACE}-${SPAN}-03-more`)).toEqual({
      traceId: TRACE,
      spanId: SPAN,
      isSampled: true,
    });
  });

  test.each([
    null,
    '',
    'nonsense',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
  ])('that is none begins a trace anew: %p', (text) => {
    expect(parseTraceparent(text)).toBeNull();
  });
});

describe('where traces go', () => {
  const read = (env: Record<string, string>) => {
    const problems: string[] = [];
    return { config: readTracingConfig(env, problems), problems };
  };

  test('nowhere unless a collector is named, or where that is switched off', () => {
    const collector = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318/' };
    expect(read({}).config).toBeNull();
    expect(read({ ...collector, OTEL_SDK_DISABLED: 'true' }).config).toBeNull();
    expect(read({ ...collector, OTEL_TRACES_EXPORTER: 'none' }).config).toBeNull();
    expect(read(collector).config?.url).toBe('http://127.0.0.1:4318/v1/traces');
  });

  test('by the variables that everybody has', () => {
    const { config, problems } = read({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces.example/here',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%3Db, x-other=c',
      OTEL_SERVICE_NAME: 'assistants',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment=test',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
    });
    expect(problems).toEqual([]);
    expect(config).toMatchObject({
      url: 'https://traces.example/here',
      resource: { 'service.name': 'assistants', 'deployment.environment': 'test' },
      sampledPart: 0.25,
    });
    expect(config?.headers['x-key']?.reveal()).toBe('a=b');
    expect(config?.headers['x-other']?.reveal()).toBe('c');
    expect(JSON.stringify(config)).not.toContain('a=b');
  });

  test.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, 'must be a URL'],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'over HTTP'],
    [{ OTEL_EXPORTER_OTLP_HEADERS: 'sk-secret' }, 'OTEL_EXPORTER_OTLP_HEADERS must be pairs'],
    [{ OTEL_BSP_SCHEDULE_DELAY: '2s' }, 'a number of milliseconds'],
    [{ OTEL_TRACES_SAMPLER: 'jaeger_remote' }, 'OTEL_TRACES_SAMPLER must be'],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '5' }, 'from 0 to 1'],
  ])('says what is wrong with %p, and shows no key', (env, expected) => {
    const { problems } = read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', ...env });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(expected);
    expect(problems[0]).not.toContain('sk-secret');
  });
});
