/** A span for each request of the API, below that of whoever sent it. */

import { parseTraceparent, TRACEPARENT_HEADER, type TraceContext } from '../tracing/trace-context.ts';
import { NO_TRACING, type Span, type Tracing } from '../tracing/tracing.ts';
import { toPath } from './manners.ts';

export interface RequestSpans {
  begin(request: Request): void;
  /** `route` is the path's template; null: none matched. A stream's span ends with its beginning: the run below it tells the rest. */
  end(request: Request, route: string | null, status: number): void;
  /** Null where nobody traces. */
  find(request: Request): TraceContext | null;
}

const SERVER_FAULT = 500;

export function createRequestSpans(tracing: Tracing): RequestSpans {
  if (tracing === NO_TRACING) {
    return { begin: () => undefined, end: () => undefined, find: () => null };
  }
  const spans = new WeakMap<Request, Span>();
  return {
    begin(request) {
      const attributes = { 'http.request.method': request.method, 'url.path': toPath(request) };
      const parent = parseTraceparent(request.headers.get(TRACEPARENT_HEADER));
      spans.set(request, tracing.start(request.method, { kind: 'server', parent, attributes }));
    },
    end(request, route, status) {
      const span = spans.get(request);
      if (span === undefined) return;
      if (route !== null) span.rename(`${request.method} ${route}`);
      span.set({ 'http.route': route ?? undefined, 'http.response.status_code': status });
      span.end(status >= SERVER_FAULT ? String(status) : null);
    },
    find: (request) => spans.get(request)?.context ?? null,
  };
}
