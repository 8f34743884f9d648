/** A collector of traces that keeps what it is sent: OTLP over HTTP, as JSON. */

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly isError: boolean;
}

export interface TraceCollector extends AsyncDisposable {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  readonly spans: readonly CollectedSpan[];
  /** What describes the services that sent them. */
  readonly resources: readonly Readonly<Record<string, unknown>>[];
  readonly headers: readonly Headers[];
  /** Everything as it came. */
  readonly bodies: readonly string[];
  /** From now on it refuses. */
  fail(): void;
}

interface WireAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly WireAttribute[];
  readonly status: { readonly code?: number };
}

interface WireBody {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly WireAttribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

const STATUS_ERROR = 2;

export function startTraceCollector(): TraceCollector {
  const spans: CollectedSpan[] = [];
  const resources: Record<string, unknown>[] = [];
  const headers: Headers[] = [];
  const bodies: string[] = [];
  let isFailing = false;
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const text = await request.text();
      if (isFailing) return new Response('no', { status: 400 });
      if (new URL(request.url).pathname !== '/v1/traces') return new Response('', { status: 404 });
      headers.push(request.headers);
      bodies.push(text);
      for (const { resource, scopeSpans } of (JSON.parse(text) as WireBody).resourceSpans) {
        resources.push(toAttributes(resource.attributes));
        spans.push(...scopeSpans.flatMap((scope) => scope.spans.map(toSpan)));
      }
      return Response.json({});
    },
  });
  return {
    url: server.url.href.replace(/\/$/, ''),
    spans,
    resources,
    headers,
    bodies,
    fail() {
      isFailing = true;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function toSpan(span: WireSpan): CollectedSpan {
  const { traceId, spanId, parentSpanId = '', name, kind } = span;
  const isError = span.status.code === STATUS_ERROR;
  return { traceId, spanId, parentSpanId, name, kind, attributes: toAttributes(span.attributes), isError };
}

function toAttributes(given: readonly WireAttribute[]): Record<string, string | number | boolean> {
  return Object.fromEntries(given.map(({ key, value }) => [key, Object.values(value)[0] ?? '']));
}
