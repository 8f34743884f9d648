/** One server with one scripted upstream behind it, and the few calls that every test of runs makes. */

import { type Answer, type ServerOptions, startServer, type TestServer, waitUntil } from '../support/server.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { type EventReader, openEvents, type SeenEvent } from './event-reader.ts';

// biome-ignore lint/suspicious/noExplicitAny: what the wire brings is looked into by the tests.
export type Json = any;

export interface RunFixture {
  readonly server: TestServer;
  readonly upstream: ScriptedUpstream;
  readonly api: RunApi;
  stop(): Promise<void>;
}

/** The operator's key, as the server is given it. */
export const OPERATOR_KEY = 'sk-operator-0123456789';

export async function startFixture(options: ServerOptions = {}): Promise<RunFixture> {
  const upstream = await startScriptedUpstream();
  const server = await startServer({ ...options, env: { ...toEnvironment(upstream), ...options.env } });
  return {
    server,
    upstream,
    api: createApi(server),
    async stop() {
      await server.stop();
      await upstream.close();
    },
  };
}

export function toEnvironment(upstream: ScriptedUpstream): Record<string, string> {
  return { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: OPERATOR_KEY };
}

/** A function tool that takes any object. */
export function toFunction(name: string, extra: object = {}): object {
  return { type: 'function', function: { name, parameters: { type: 'object', properties: {} }, ...extra } };
}

export interface RunApi {
  readonly server: TestServer;
  /** POSTs and expects 200. */
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Json>;
  /** GETs and expects 200. */
  get(path: string): Promise<Json>;
  /** An assistant's id. */
  createAssistant(model: string, fields?: object): Promise<string>;
  /** A thread's id; it holds one user message unless told otherwise. */
  createThread(...texts: readonly string[]): Promise<string>;
  /** A thread and a run on it, in one: for tests that need no more. */
  begin(model: string, fields?: object): Promise<{ threadId: string; assistantId: string }>;
  stream(path: string, body: object, headers?: Record<string, string>): Promise<EventReader>;
  /** A streamed run to its end. */
  streamRun(threadId: string, body: object, headers?: Record<string, string>): Promise<SeenEvent[]>;
  getRun(run: Json): Promise<Json>;
  /** Oldest first. */
  listSteps(run: Json): Promise<Json[]>;
  /** Oldest first. */
  listMessages(threadId: string): Promise<Json[]>;
  /** Waits until the run has this status. Errors: it came to rest in another one. */
  waitFor(run: Json, status: string, withinMs?: number): Promise<Json>;
  /** Answers every open call with `toOutput(call)`. */
  submit(run: Json, toOutput?: (call: Json) => string): Promise<Json>;
}

const RESTS = ['completed', 'incomplete', 'failed', 'cancelled', 'expired', 'requires_action'];

export function createApi(server: TestServer): RunApi {
  const expectOk = (answer: Answer, what: string): Json => {
    if (answer.status !== 200) throw new Error(`${what} answered ${answer.status}: ${answer.text}`);
    return answer.json;
  };
  const toPath = (run: Json): string => `/v1/threads/${run.thread_id}/runs/${run.id}`;
  const api: RunApi = {
    server,
    async post(path, body = {}, headers = {}) {
      return expectOk(await server.call('POST', path, body, headers), `POST ${path}`);
    },
    async get(path) {
      return expectOk(await server.call('GET', path), `GET ${path}`);
    },
    async createAssistant(model, fields = {}) {
      return (await api.post('/v1/assistants', { model, ...fields })).id;
    },
    async createThread(...texts) {
      const contents = texts.length === 0 ? ['Hello.'] : texts;
      const messages = contents.map((content) => ({ role: 'user', content }));
      return (await api.post('/v1/threads', { messages })).id;
    },
    async begin(model, fields = {}) {
      const [assistantId, threadId] = await Promise.all([
        api.createAssistant(model, fields),
        api.createThread(),
      ]);
      return { assistantId, threadId };
    },
    stream: (path, body, headers = {}) =>
      openEvents({ url: `${server.url}${path}`, body: { ...body, stream: true }, headers }),
    async streamRun(threadId, body, headers) {
      return (await api.stream(`/v1/threads/${threadId}/runs`, body, headers)).rest();
    },
    getRun: (run) => api.get(toPath(run)),
    async listSteps(run) {
      return (await api.get(`${toPath(run)}/steps?order=asc&limit=100`)).data;
    },
    async listMessages(threadId) {
      return (await api.get(`/v1/threads/${threadId}/messages?order=asc&limit=100`)).data;
    },
    async waitFor(run, status, withinMs = 10_000) {
      let found: Json = null;
      await waitUntil(
        `run ${run.id} is ${status}`,
        async () => {
          found = await api.getRun(run);
          if (found.status === status) return true;
          if (RESTS.includes(found.status) && found.status !== 'requires_action') {
            throw new Error(`the run is ${found.status}, not ${status}: ${JSON.stringify(found.last_error)}`);
          }
          return false;
        },
        withinMs,
      );
      return found;
    },
    async submit(run, toOutput = (call) => `output of ${call.function.name}`) {
      const { tool_calls: calls } = run.required_action.submit_tool_outputs;
      return api.post(`${toPath(run)}/submit_tool_outputs`, {
        tool_outputs: calls.map((call: Json) => ({ tool_call_id: call.id, output: toOutput(call) })),
      });
    },
  };
  return api;
}

/** Waits until the run is at an end or waits for its client. */
export async function waitForRest(api: RunApi, run: Json, withinMs = 10_000): Promise<Json> {
  let found: Json = null;
  await waitUntil(
    `run ${run.id} rests`,
    async () => {
      found = await api.getRun(run);
      return RESTS.includes(found.status);
    },
    withinMs,
  );
  return found;
}

/** Whether another run can be made on the thread and comes to its end: nothing holds the thread any more. */
export async function expectFree(api: RunApi, threadId: string): Promise<void> {
  const assistantId = await api.createAssistant('plain-model');
  const run = await api.post(`/v1/threads/${threadId}/runs`, { assistant_id: assistantId });
  await api.waitFor(run, 'completed');
}
