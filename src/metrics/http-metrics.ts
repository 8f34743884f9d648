/** Every request, counted once when it has its reply, or the beginning of a streamed one. */

import type { ErrorCode } from '../errors.ts';
import type { Counter, Distribution, Metrics } from './metrics.ts';
import { NO_HANDLER } from './series.ts';

/** What becomes known of a request while it is handled. */
export interface RequestNote {
  /** By `performance.now()`. */
  readonly startedMs: number;
  /** As the router has it: `/v1/threads/:thread_id`; null: none matched. */
  route: string | null;
  /** Of the reply's body; 0 where it streams. */
  replyBytes: number;
}

export interface HttpMeter {
  begin(): RequestNote;
  /** The reply is there. Called once for each `begin`. */
  end(note: RequestNote, request: Request, response: Response): void;
  failed(code: ErrorCode): void;
}

interface HandlerCells {
  readonly requestBytes: Distribution;
  readonly responseBytes: Distribution;
  readonly methods: Map<string, MethodCells>;
}

interface MethodCells {
  readonly seconds: Distribution;
  /** By the first digit of the status. */
  readonly statuses: (Counter | undefined)[];
}

export function createHttpMeter(metrics: Metrics): HttpMeter {
  const inFlight = metrics.gauge('understudy_requests_in_flight', {});
  const all = metrics.distribution('http_request_duration_highr_seconds', {});
  // By route: all routes are known, so neither map grows beyond them.
  const handlers = new Map<string | null, HandlerCells>();

  const toHandlerCells = (route: string | null): HandlerCells => {
    const known = handlers.get(route);
    if (known !== undefined) return known;
    const handler = toHandler(route);
    const made: HandlerCells = {
      requestBytes: metrics.distribution('http_request_size_bytes', { handler }),
      responseBytes: metrics.distribution('http_response_size_bytes', { handler }),
      methods: new Map(),
    };
    handlers.set(route, made);
    return made;
  };

  const toMethodCells = (cells: HandlerCells, route: string | null, given: string): MethodCells => {
    const method = METHODS.has(given) ? given : OTHER_METHOD;
    const known = cells.methods.get(method);
    if (known !== undefined) return known;
    const handler = toHandler(route);
    const seconds = metrics.distribution('http_request_duration_seconds', { handler, method });
    const made: MethodCells = { seconds, statuses: [] };
    cells.methods.set(method, made);
    return made;
  };

  return {
    begin() {
      inFlight.add(1);
      return { startedMs: performance.now(), route: null, replyBytes: 0 };
    },
    end({ startedMs, route, replyBytes }, request, response) {
      const seconds = (performance.now() - startedMs) / 1000;
      inFlight.add(-1);
      all.observe(seconds);
      const cells = toHandlerCells(route);
      cells.requestBytes.observe(toLength(request.headers.get('content-length')));
      cells.responseBytes.observe(countBytes(replyBytes, request, response));
      const byMethod = toMethodCells(cells, route, request.method);
      byMethod.seconds.observe(seconds);
      const digit = Math.floor(response.status / 100);
      const counter = byMethod.statuses[digit] ?? countRequests(metrics, route, request.method, digit);
      byMethod.statuses[digit] = counter;
      counter.add();
    },
    failed: (code) => metrics.counter('understudy_errors_total', { code }).add(),
  };
}

function countRequests(metrics: Metrics, route: string | null, method: string, digit: number): Counter {
  const handler = toHandler(route);
  return metrics.counter('http_requests_total', { handler, method, status: `${digit}xx` });
}

/** Anybody may call with a method of his own making. */
const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']);
const OTHER_METHOD = 'other';

/** `/v1/threads/:thread_id` is `/v1/threads/{thread_id}`. */
export function toHandler(route: string | null): string {
  if (route === null || route === '') return NO_HANDLER;
  return route.replace(/:([A-Za-z_]+)/g, '{$1}').replace(/\*$/, '{path}');
}

/** What is asked for its headers alone has no body. */
function countBytes(replyBytes: number, request: Request, response: Response): number {
  if (request.method === 'HEAD') return 0;
  return replyBytes > 0 ? replyBytes : toLength(response.headers.get('content-length'));
}

function toLength(header: string | null): number {
  const length = header === null ? 0 : Number(header);
  return Number.isSafeInteger(length) && length >= 0 ? length : 0;
}
