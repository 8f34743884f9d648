/** The HTTP surface: what holds for every request stands here, what holds for one resource in `routes/`. */

import { cors } from '@elysiajs/cors';
import { Elysia } from 'elysia';
import { RATE_HEADERS } from './access/limits/rate-headers.ts';
import { ApiError, toErrorBody } from './errors.ts';
import { toLogFields } from './log.ts';
import type { HttpMeter, RequestNote } from './metrics/http-metrics.ts';
import { registerAssistants } from './routes/assistants.ts';
import { registerDocs } from './routes/docs.ts';
import { registerFileBatches } from './routes/file-batches.ts';
import { registerFiles } from './routes/files.ts';
import { registerHealth } from './routes/health.ts';
import {
  checkBeta,
  checkPath,
  findMethods,
  type HostCheck,
  toPath,
  toUnsupportedMethod,
} from './routes/manners.ts';
import { registerMessages } from './routes/messages.ts';
import { registerMetrics } from './routes/metrics.ts';
import { registerModelEndpoints } from './routes/model-endpoints.ts';
import { registerPassedThrough } from './routes/passed-through.ts';
import { REQUEST_ID_HEADER, type ResponseSettings } from './routes/request.ts';
import type { RequestSpans } from './routes/request-spans.ts';
import type { RouteDeps } from './routes/route-deps.ts';
import { registerRuns } from './routes/runs.ts';
import { registerSteps } from './routes/steps.ts';
import { registerThreads } from './routes/threads.ts';
import { registerUploads } from './routes/uploads.ts';
import { registerVectorStoreFiles } from './routes/vector-store-files.ts';
import { registerVectorStores } from './routes/vector-stores.ts';
import { StoreError } from './store/store.ts';

/** The version of the REST API, as OpenAI's servers say it in every answer. */
const OPENAI_VERSION = '2020-10-01';

export interface ServerDeps extends RouteDeps {
  readonly version: string;
  readonly spans: RequestSpans;
  /** Refuses requests under a foreign name. Errors: 403. */
  readonly checkHost: HostCheck;
  /** Awaited before requests of the API are handled, where letting them in takes a while. Errors: 401, 403, 429, 503. */
  readonly admit?: (request: Request, route: string, headers: ResponseSettings['headers']) => Promise<void>;
  /** Shown all routes of the server, once. Errors: whatever is wrong with them; there is no server then. */
  readonly checkRoutes?: (routes: readonly { readonly method: string; readonly path: string }[]) => void;
  /** Pages that may use the API: `https://app.example`, or `*`. Empty: none. */
  readonly corsOrigins: readonly string[];
}

export type HttpHandler = (request: Request) => Response | Promise<Response>;

/** Who is told of every request. */
interface Watchers {
  readonly http: HttpMeter;
  readonly notes: WeakMap<Request, RequestNote>;
  readonly spans: RequestSpans;
}

export function createServer(deps: ServerDeps): HttpHandler {
  const notes = new WeakMap<Request, RequestNote>();
  const app = new Elysia({ name: 'understudy' });

  const setHeaders = (note: RequestNote | undefined, set: ResponseSettings): void => {
    const since = note?.startedMs;
    set.headers['openai-processing-ms'] = since === undefined ? 0 : Math.round(performance.now() - since);
  };

  app
    .onRequest(({ set }) => {
      set.headers[REQUEST_ID_HEADER] = deps.ids.create('request');
      set.headers['openai-version'] = OPENAI_VERSION;
      set.headers['x-understudy-version'] = deps.version;
    })
    .onAfterHandle(({ request, set, route, responseValue }) => {
      const note = notes.get(request);
      setHeaders(note, set);
      if (note !== undefined) note.route = route;
      if (responseValue instanceof Response) takeHeaders(responseValue, set);
      if (isPlain(responseValue)) return toText(note, responseValue, set);
      if (typeof responseValue === 'string') noteText(note, responseValue);
      return undefined;
    })
    .onError(({ request, set, error, code, route }) => {
      const note = notes.get(request);
      // What no route matched has the name of none, whatever the router calls it.
      if (note !== undefined && code !== 'NOT_FOUND') note.route = route ?? null;
      setHeaders(note, set);
      const shown = code === 'NOT_FOUND' ? toUnknownUrl(app, request, set) : toShown(error);
      logFailure(deps, request, set, shown);
      set.status = shown instanceof ApiError ? shown.status : 500;
      if (shown instanceof ApiError && shown.retryAfterMs !== undefined) {
        set.headers['retry-after'] = String(Math.ceil(shown.retryAfterMs / 1000));
      }
      deps.http.failed(shown instanceof ApiError ? shown.code : 'server_error');
      return toText(note, toErrorBody(shown), set);
    });

  if (deps.corsOrigins.length > 0) {
    app.use(
      cors({ origin: toOrigins(deps.corsOrigins), credentials: false, exposeHeaders: EXPOSED_HEADERS }),
    );
  }
  // After the headers for other origins: without those a page could not read why it was refused.
  app.onRequest(({ request }) => {
    deps.checkHost(request);
    checkPath(request);
    checkBeta(request);
  });
  const { admit } = deps;
  if (admit !== undefined) {
    app.onBeforeHandle(async ({ request, route, set }) => {
      if (isTenantPath(request)) await admit(request, route, set.headers);
    });
  }
  registerAssistants(app, deps);
  registerThreads(app, deps);
  registerMessages(app, deps);
  registerRuns(app, deps);
  registerSteps(app, deps);
  registerFiles(app, deps);
  registerUploads(app, deps);
  registerVectorStores(app, deps);
  registerVectorStoreFiles(app, deps);
  registerFileBatches(app, deps);
  registerModelEndpoints(app, deps);
  registerPassedThrough(app, deps);
  registerHealth(app, deps);
  registerMetrics(app, deps);
  registerDocs(app, deps.version);
  deps.checkRoutes?.(app.routes);
  return watch(app.fetch, { http: deps.http, notes, spans: deps.spans });
}

/** Tells of each request once, whatever becomes of it. */
function watch(handle: HttpHandler, { http, notes, spans }: Watchers): HttpHandler {
  return (request) => {
    const note = http.begin();
    notes.set(request, note);
    spans.begin(request);
    const end = (response: Response): Response => {
      http.end(note, request, response);
      spans.end(request, note.route, response.status);
      return response;
    };
    const answer = handle(request);
    if (answer instanceof Response) return end(answer);
    return answer.then(end, (error: unknown) => {
      end(new Response(null, { status: 500 }));
      throw error;
    });
  };
}

/** The router would make another response around the same body, which costs a stream's beginning more than all that is done for it here. */
function takeHeaders({ headers }: Response, set: ResponseSettings): void {
  if (set.status !== undefined && set.status !== 200) return;
  for (const [name, value] of Object.entries(set.headers)) {
    if (value !== undefined && !headers.has(name)) headers.set(name, String(value));
  }
  set.headers = {};
}

/** The router would do the same, but not tell the length. */
function toText(note: RequestNote | undefined, body: object, set: ResponseSettings): string {
  const text = JSON.stringify(body);
  set.headers['content-type'] ??= 'application/json';
  noteText(note, text);
  return text;
}

function noteText(note: RequestNote | undefined, text: string): void {
  if (note !== undefined) note.replyBytes = Buffer.byteLength(text);
}

/** What the router would write as JSON. */
function isPlain(value: unknown): value is object {
  return (
    typeof value === 'object' && value !== null && (Array.isArray(value) || value.constructor === Object)
  );
}

/** Whether a path is about what belongs to somebody. */
function isTenantPath(request: Request): boolean {
  const path = toPath(request);
  return path.startsWith('/v1/') && path !== '/v1/health';
}

/** What a page may read of an answer. */
const EXPOSED_HEADERS = [
  REQUEST_ID_HEADER,
  'openai-version',
  'openai-processing-ms',
  'retry-after',
  ...RATE_HEADERS,
];

function toOrigins(origins: readonly string[]): true | string[] {
  return origins.includes('*') ? true : [...origins];
}

/** A store that cannot be reached now is no fault of the program's: the client may try again. */
function toShown(error: unknown): unknown {
  if (!(error instanceof StoreError) || error.code !== 'unavailable') return error;
  return new ApiError('service_unavailable', 'The store does not answer now. Try again later.', {
    cause: error,
    retryAfterMs: RETRY_AFTER_MS,
  });
}

const RETRY_AFTER_MS = 1_000;

/** 405 where the path is known with other methods, which `allow` then lists; else 404, in OpenAI's words. */
function toUnknownUrl(app: Elysia, request: Request, set: ResponseSettings): ApiError {
  const path = toPath(request);
  const { method } = request;
  const allowed = findMethods(app.routes, path);
  if (allowed.length === 0) return new ApiError('unknown_url', `Invalid URL (${method} ${path})`);
  set.headers.allow = allowed.join(', ');
  return toUnsupportedMethod(request);
}

/** What a client did wrong is its own affair; what went wrong here is the operator's. */
function logFailure(deps: ServerDeps, request: Request, set: ResponseSettings, error: unknown): void {
  const status = error instanceof ApiError ? error.status : 500;
  const fields = {
    requestId: String(set.headers[REQUEST_ID_HEADER] ?? ''),
    method: request.method,
    path: toPath(request),
    status,
  };
  if (!(error instanceof ApiError) || status >= 500) {
    deps.log.error('request failed', { ...fields, ...toLogFields(error) });
  } else {
    // The message quotes what the client sent, which is nobody's business here.
    deps.log.debug('request refused', { ...fields, code: error.wireCode, param: error.param });
  }
}
