/** Traces for OpenTelemetry collectors, over OTLP/HTTP, by the official packages. Loaded only where a collector is configured. */

import {
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { type Log, toLogFields } from '../log.ts';
import type { TraceContext } from './trace-context.ts';
import type { Attributes, SpanKind as Kind, Span, Tracing } from './tracing.ts';

export interface OtlpSettings {
  /** Where spans are posted to, with its path. */
  readonly url: string;
  /** For the collector, such as its key. */
  readonly headers: Readonly<Record<string, string>>;
  /** `service.name` and whatever else describes this server. */
  readonly resource: Readonly<Record<string, string>>;
  /** The part of the traces that begin here that are kept: 0 to 1. Of others whoever began them decides. */
  readonly sampledPart: number;
  /** Between two posts. */
  readonly delayMs: number;
}

export interface OtlpDeps {
  readonly version: string;
  readonly log: Pick<Log, 'warn'>;
}

const EXPORT_TIMEOUT_MS = 10_000;
const CLOSE_MS = 5_000;
/** Spans that wait for the collector; what comes on top is lost, and nobody waits for it. */
const QUEUE_MAX = 8_192;
const BATCH_MAX = 512;
/** A collector that is away is told of once in a while. */
const WARN_EVERY_MS = 60_000;

const KINDS: Readonly<Record<Kind, SpanKind>> = Object.freeze({
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
});

export function createOtlpTracing(settings: OtlpSettings, deps: OtlpDeps): Tracing {
  const exporter = new OTLPTraceExporter({
    url: settings.url,
    headers: { ...settings.headers },
    timeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const processor = new BatchSpanProcessor({
    exporter: watchFailures(exporter, deps.log),
    maxQueueSize: QUEUE_MAX,
    maxExportBatchSize: BATCH_MAX,
    scheduledDelayMillis: settings.delayMs,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ ...settings.resource }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(settings.sampledPart) }),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('understudy', deps.version);
  return {
    start(name, { kind = 'internal', parent = null, attributes = {} } = {}) {
      const context = parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, toRemote(parent));
      const span = tracer.startSpan(name, { kind: KINDS[kind], attributes: toDefined(attributes) }, context);
      return toSpan(span);
    },
    async close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, CLOSE_MS);
      // A collector that is away has been told of.
      await Promise.race([provider.shutdown().catch(() => undefined), promise]);
      clearTimeout(timer);
    },
  };
}

function toSpan(span: OtelSpan): Span {
  const { traceId, spanId, traceFlags } = span.spanContext();
  const context: TraceContext = { traceId, spanId, isSampled: (traceFlags & TraceFlags.SAMPLED) !== 0 };
  let isEnded = false;
  return {
    context,
    set: (attributes) => void span.setAttributes(toDefined(attributes)),
    rename: (name) => void span.updateName(name),
    end(problem = null) {
      if (isEnded) return;
      isEnded = true;
      if (problem !== null) {
        span.setAttribute('error.type', problem);
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

function toRemote({ traceId, spanId, isSampled }: TraceContext) {
  const traceFlags = isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return { traceId, spanId, traceFlags, isRemote: true };
}

function toDefined(attributes: Attributes): Record<string, string | number | boolean> {
  const defined: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) defined[name] = value;
  return defined;
}

type Exporter = ConstructorParameters<typeof BatchSpanProcessor>[0]['exporter'];

/** The packages tell of failures where nobody looks. */
function watchFailures(exporter: Exporter, log: Pick<Log, 'warn'>): Exporter {
  let warnedAtMs = Number.NEGATIVE_INFINITY;
  return {
    export(spans, resultCallback) {
      exporter.export(spans, (result) => {
        const nowMs = performance.now();
        if (result.error !== undefined && nowMs - warnedAtMs > WARN_EVERY_MS) {
          warnedAtMs = nowMs;
          const { error } = toLogFields(result.error);
          log.warn('traces not taken by the collector', { error });
        }
        resultCallback(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => await exporter.forceFlush?.(),
  };
}
