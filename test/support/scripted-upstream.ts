/**
 * A model's server for the tests: real HTTP, the true Chat Completions wire format, and any misbehaviour.
 *
 * The request says what it gets, so one server serves all tests at once:
 *
 * - `script:NAME`: what `upstream.script(NAME, …)` was given. A script is one list of steps a turn; the turn is the
 *   number of assistant messages after the last user message, so a run with tool rounds is scripted without state.
 *   The last turn serves all further ones. `upstream.script(…)` gives back the model's name.
 * - `paced:COUNT@RATE`: COUNT tokens, RATE of them a second (0: at once).
 * - any other name: a short friendly answer.
 *
 * Steps are made with the functions of `upstream-steps.ts`. What is not said is filled in: role chunk, finish
 * reason, usage (when asked for) and `[DONE]`. Without `stream` the same steps make one JSON document.
 * `/embeddings` answers with vectors that follow from the text, `/models` with a list.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { playTurn } from './upstream-reply.ts';
import { pace, type Step, say } from './upstream-steps.ts';

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The parsed body; null where there was none, the text where it was no JSON. */
  readonly body: unknown;
  readonly model: string | null;
  /** Settles when the answer is over: `complete`, or `aborted` where the client left or the script broke it off. */
  readonly ended: Promise<'complete' | 'aborted'>;
}

export type Script = (body: string, headers: RecordedRequest['headers']) => readonly (readonly Step[])[];

export interface ScriptedUpstream {
  /** Base URL with its version, for `OPENAI_BASE_URL`. */
  readonly url: string;
  readonly requests: readonly RecordedRequest[];
  /** TCP connections: now, and ever. */
  readonly connections: { readonly open: number; readonly total: number };
  /** Requests that are being answered now. */
  readonly activeCount: number;
  /** Registers a script, its turns each a list of steps, and gives back the model's name. */
  script(name: string, ...turns: readonly (readonly Step[])[]): string;
  /** A script whose turns follow from what is asked: it is given the body of each request, and its headers. */
  scriptBy(name: string, script: Script): string;
  /** Requests with this model's name. */
  requestsFor(model: string): readonly RecordedRequest[];
  /** The first request, past or to come, for which this holds. Rejects after `timeoutMs`. */
  waitForRequest(
    predicate: (request: RecordedRequest) => boolean,
    timeoutMs?: number,
  ): Promise<RecordedRequest>;
  close(): Promise<void>;
}

export interface UpstreamStartOptions {
  readonly port?: number;
  /** Requests remembered, the newest ones; 0 for load. */
  readonly requestsMax?: number;
  readonly models?: readonly string[];
}

interface Waiter {
  readonly predicate: (request: RecordedRequest) => boolean;
  readonly resolve: (request: RecordedRequest) => void;
}

const BODY_BYTES_MAX = 64 * 1024 * 1024;
const WAIT_MS = 5_000;

export async function startScriptedUpstream(options: UpstreamStartOptions = {}): Promise<ScriptedUpstream> {
  const { requestsMax = 10_000, models = ['scripted-model'] } = options;
  const requests: RecordedRequest[] = [];
  const waiters = new Set<Waiter>();
  const scripts = new Map<string, Script>();
  /** How often each failing step has been used: `fail(…, { times })` counts down over requests. */
  const failures = new Map<Step, number>();
  const connections = { open: 0, total: 0 };
  let activeCount = 0;

  const addScript = (name: string, script: Script): string => {
    if (scripts.has(name)) {
      throw new Error(`The script '${name}' is there already: name each after its test.`);
    }
    scripts.set(name, script);
    return `script:${name}`;
  };

  const record = (request: RecordedRequest): void => {
    if (requestsMax > 0) requests.push(request);
    if (requests.length > requestsMax) requests.shift();
    for (const waiter of [...waiters]) if (waiter.predicate(request)) waiter.resolve(request);
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = parseBody(await readBody(request));
    const model = isRecord(body) && typeof body.model === 'string' ? body.model : null;
    activeCount += 1;
    const ended = new Promise<'complete' | 'aborted'>((resolve) => {
      response.once('close', () => {
        activeCount -= 1;
        resolve(response.writableFinished ? 'complete' : 'aborted');
      });
    });
    const path = request.url ?? '/';
    record({ method: request.method ?? 'GET', path, headers: request.headers, body, model, ended });
    if (path.endsWith('/models') && request.method === 'GET') return sendModels(response, models);
    if (request.method !== 'POST' || !isRecord(body)) return sendJson(response, 404, NOT_FOUND);
    const steps = takeFailures(chooseSteps(body, model, scripts, request.headers), failures);
    await playTurn({ path, body, steps, response });
  };

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) sendJson(response, 500, { error: { message: String(error) } });
      else response.destroy();
    });
  });
  server.on('connection', (socket) => {
    connections.open += 1;
    connections.total += 1;
    socket.once('close', () => {
      connections.open -= 1;
    });
  });
  const port = await listen(server, options.port ?? 0);

  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    connections,
    get activeCount() {
      return activeCount;
    },
    script: (name, ...turns) => addScript(name, () => turns),
    scriptBy: addScript,
    requestsFor: (model) => requests.filter((request) => request.model === model),
    waitForRequest: (predicate, timeoutMs = WAIT_MS) =>
      waitForRequest({ requests, waiters, predicate, timeoutMs }),
    close: () => closeServer(server),
  };
}

const NOT_FOUND = Object.freeze({ error: { message: 'Not found.', type: 'invalid_request_error' } });

function waitForRequest(options: {
  requests: readonly RecordedRequest[];
  waiters: Set<Waiter>;
  predicate: Waiter['predicate'];
  timeoutMs: number;
}): Promise<RecordedRequest> {
  const found = options.requests.find(options.predicate);
  if (found !== undefined) return Promise.resolve(found);
  return new Promise((resolve, reject) => {
    const waiter: Waiter = {
      predicate: options.predicate,
      resolve(request) {
        options.waiters.delete(waiter);
        clearTimeout(timer);
        resolve(request);
      },
    };
    const timer = setTimeout(() => {
      options.waiters.delete(waiter);
      reject(new Error(`The upstream got no such request in ${options.timeoutMs} ms.`));
    }, options.timeoutMs);
    options.waiters.add(waiter);
  });
}

function chooseSteps(
  body: Readonly<Record<string, unknown>>,
  model: string | null,
  scripts: ReadonlyMap<string, Script>,
  headers: RecordedRequest['headers'],
): readonly Step[] {
  const paced = /^paced:(\d+)@(\d+(?:\.\d+)?)$/.exec(model ?? '');
  if (paced !== null) {
    const tokens = Array.from({ length: Number(paced[1]) }, (_, i) => (i === 0 ? 'token' : ` token${i}`));
    const rate = Number(paced[2]);
    return rate === 0 ? [say(...tokens)] : [pace(rate), say(...tokens)];
  }
  if (model === null || !model.startsWith('script:')) return [say('Hello from the scripted upstream.')];
  const script = scripts.get(model.slice('script:'.length));
  if (script === undefined) throw new Error(`No script for the model '${model}'.`);
  const turns = script(JSON.stringify(body), headers);
  return turns[Math.min(countTurns(body.messages), turns.length - 1)] ?? [];
}

/** Assistant messages after the last user message: 0 when a run begins, one more with each round of tools. */
function countTurns(messages: unknown): number {
  let count = 0;
  for (const message of Array.isArray(messages) ? messages : []) {
    if (!isRecord(message)) continue;
    if (message.role === 'user') count = 0;
    if (message.role === 'assistant') count += 1;
  }
  return count;
}

/** Drops the failing steps that have been used up. */
function takeFailures(steps: readonly Step[], failures: Map<Step, number>): readonly Step[] {
  for (const [at, step] of steps.entries()) {
    if (step.kind !== 'status') return steps.slice(at);
    const used = failures.get(step) ?? 0;
    if (used < step.times) {
      failures.set(step, used + 1);
      return [step];
    }
  }
  return [];
}

function sendModels(response: ServerResponse, models: readonly string[]): void {
  const data = models.map((id) => ({ id, object: 'model', created: 1_700_000_000, owned_by: 'scripted' }));
  sendJson(response, 200, { object: 'list', data });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request) {
    bytes += piece.length;
    if (bytes > BODY_BYTES_MAX) throw new Error('The body is too large.');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function parseBody(text: string): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', backlog: 1024 }, () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
