/** One server with one scripted upstream behind it, and the few calls that every test of runs makes. */

import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import {
  type Answer,
  type ServerOptions,
  startServer,
  type TestServer,
  waitUntil,
} from '../support/server.ts';
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
  /** POSTs and expects 200. */
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Json>;
  /** POSTs, whatever is answered. */
  tryPost(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** GETs and expects 200. */
  get(path: string): Promise<Json>;
  /** Answers an assistant's id. */
  createAssistant(model: string, fields?: object): Promise<string>;
  /** A thread of user messages, one that greets unless told otherwise. Answers its id. */
  createThread(...texts: readonly string[]): Promise<string>;
  /** A run on a thread of its own. */
  createRun(model: string, fields?: object): Promise<Json>;
  /** Starts a streamed run on a thread of its own; create-and-run, so that it begins with the thread. */
  openRun(model: string, fields?: object, headers?: Record<string, string>): Promise<EventReader>;
  /** The same, read to its end. */
  streamRun(model: string, fields?: object): Promise<SeenEvent[]>;
  open(path: string, body: object, headers?: Record<string, string>): Promise<EventReader>;
  getRun(run: Json): Promise<Json>;
  /** Oldest first. */
  listSteps(run: Json): Promise<Json[]>;
  /** Oldest first. */
  listMessages(threadId: string): Promise<Json[]>;
  /** Waits until the run has this status. Errors: it has ended in another one. */
  waitFor(run: Json, status: string, withinMs?: number): Promise<Json>;
  /** Waits until the run has ended or waits for its client. */
  waitForRest(run: Json, withinMs?: number): Promise<Json>;
  /** Answers every open call with `toOutput(call)`. */
  submit(run: Json, toOutput?: (call: Json) => string): Promise<Json>;
}

const ENDS = ['completed', 'incomplete', 'failed', 'cancelled', 'expired'];

export function toRunPath(run: Json): string {
  return `/v1/threads/${run.thread_id}/runs/${run.id}`;
}

/** One output for each open call. */
export function toOutputs(run: Json, toOutput = (call: Json) => `output of ${call.function.name}`): object[] {
  const { tool_calls: calls } = run.required_action.submit_tool_outputs;
  return calls.map((call: Json) => ({ tool_call_id: call.id, output: toOutput(call) }));
}

export function createApi(server: TestServer): RunApi {
  const poll = async (run: Json, what: string, isRight: (found: Json) => boolean, withinMs = 10_000) => {
    let found: Json = null;
    const condition = async (): Promise<boolean> => {
      found = await api.getRun(run);
      return isRight(found);
    };
    await waitUntil(what, condition, withinMs);
    return found;
  };
  const api: RunApi = {
    async post(path, body = {}, headers = {}) {
      return toJson(await api.tryPost(path, body, headers), `POST ${path}`);
    },
    tryPost: (path, body = {}, headers = {}) => server.call('POST', path, body, headers),
    async get(path) {
      return toJson(await server.call('GET', path), `GET ${path}`);
    },
    async createAssistant(model, fields = {}) {
      return (await api.post('/v1/assistants', { model, ...fields })).id;
    },
    async createThread(...texts) {
      const contents = texts.length === 0 ? ['Hello.'] : texts;
      const messages = contents.map((content) => ({ role: 'user', content }));
      return (await api.post('/v1/threads', { messages })).id;
    },
    async createRun(model, fields = {}) {
      const assistantId = await api.createAssistant(model);
      const threadId = await api.createThread();
      return api.post(`/v1/threads/${threadId}/runs`, { assistant_id: assistantId, ...fields });
    },
    async openRun(model, fields = {}, headers = {}) {
      const assistantId = await api.createAssistant(model);
      const thread = { messages: [{ role: 'user', content: 'Hello.' }] };
      return api.open('/v1/threads/runs', { assistant_id: assistantId, thread, ...fields }, headers);
    },
    async streamRun(model, fields) {
      return (await api.openRun(model, fields)).rest();
    },
    open: (path, body, headers = {}) =>
      openEvents({ url: `${server.url}${path}`, body: { ...body, stream: true }, headers }),
    getRun: (run) => api.get(toRunPath(run)),
    async listSteps(run) {
      return (await api.get(`${toRunPath(run)}/steps?order=asc&limit=100`)).data;
    },
    async listMessages(threadId) {
      return (await api.get(`/v1/threads/${threadId}/messages?order=asc&limit=100`)).data;
    },
    waitFor(run, status, withinMs) {
      const isRight = (found: Json): boolean => {
        if (found.status === status) return true;
        if (!ENDS.includes(found.status)) return false;
        throw new Error(`the run is ${found.status}, not ${status}: ${JSON.stringify(found.last_error)}`);
      };
      return poll(run, `run ${run.id} is ${status}`, isRight, withinMs);
    },
    waitForRest(run, withinMs) {
      const isRight = ({ status }: Json) => ENDS.includes(status) || status === 'requires_action';
      return poll(run, `run ${run.id} rests`, isRight, withinMs);
    },
    submit: (run, toOutput) =>
      api.post(`${toRunPath(run)}/submit_tool_outputs`, { tool_outputs: toOutputs(run, toOutput) }),
  };
  return api;
}

function toJson(answer: Answer, what: string): Json {
  if (answer.status !== 200) throw new Error(`${what} answered ${answer.status}: ${answer.text}`);
  return answer.json;
}

/** The run of a stream's events, as it was last announced. */
export function toLastRun(events: readonly SeenEvent[]): Json {
  const last = events.findLast(({ data }) => data.object === 'thread.run');
  if (last === undefined) throw new Error('the stream announced no run');
  return last.data;
}

/** Runs something on the thread to its end: nothing holds it any more. Errors: the thread is not free. */
export async function useThread(api: RunApi, threadId: string): Promise<void> {
  const assistantId = await api.createAssistant('plain-model');
  await api.post(`/v1/threads/${threadId}/messages`, { role: 'user', content: 'Are you free?' });
  const run = await api.post(`/v1/threads/${threadId}/runs`, { assistant_id: assistantId });
  await api.waitFor(run, 'completed');
}
