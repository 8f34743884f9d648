/** Two servers on one store: what one has begun the other goes on with, answers and cancels. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type RecordedRequest,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../support/scripted-upstream.ts';
import { startServer, type TestServer, waitUntil } from '../support/server.ts';
import { readEverything, readRecords } from '../support/stored.ts';
import * as steps from '../support/upstream-steps.ts';
import { toNames } from './event-reader.ts';
import {
  createApi,
  type Json,
  OPERATOR_KEY,
  toEnvironment,
  toFunction,
  toLastRun,
  toOutputs,
  toRunPath,
  useThread,
} from './run-fixture.ts';

const SECRET = 'a-secret-of-both-servers';
const KEY = 'sk-zq-of-the-request';
const HEADERS = { authorization: `Bearer ${KEY}`, 'LLM-PARAM-temperature': '0.25' };
const EMBEDDING_HEADERS = {
  'embedding-model': 'text-embedding-3-small',
  'EMBEDDING-PARAM-api-key': KEY,
};
const OPERATOR = `Bearer ${OPERATOR_KEY}`;
/** What one server does to a run is noticed by the other in this time; a busy machine gets some more. */
const NOTICED_MS = 4_000;

let upstream: ScriptedUpstream;
let dataDirectory: string;
let servers: TestServer[];

beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(() => upstream.close());

beforeEach(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-two-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await rm(dataDirectory, { recursive: true, force: true });
});

/** Two servers with these secrets; null: without one. */
async function startBoth(...secrets: readonly (string | null)[]) {
  const [first, second] = await Promise.all(
    secrets.map(async (secret) => {
      const own = secret === null ? {} : { UNDERSTUDY_SECRET: secret };
      const server = await startServer({ dataDirectory, env: { ...toEnvironment(upstream), ...own } });
      servers.push(server);
      return { server, api: createApi(server) };
    }),
  );
  if (first === undefined || second === undefined) throw new Error('two servers were started');
  return { first, second };
}

/** A model that stops amid its first answer, and gives each later one in full. */
function scriptHalf(name: string): string {
  let asked = 0;
  return upstream.scriptBy(name, () => {
    asked += 1;
    return [asked === 1 ? [steps.say('Half'), steps.hang()] : [steps.say('Half and whole')]];
  });
}

function toAsked({ headers, body }: RecordedRequest) {
  const { temperature } = body as { temperature?: number };
  return { authorization: headers.authorization, temperature };
}

async function readLeases(): Promise<Json[]> {
  return (await readRecords(dataDirectory, 'leases')).map(({ document }) => document);
}

describe('a server that dies in the middle of an answer', () => {
  test('is followed by the other one, with the key and the parameters of the request', async () => {
    const { first, second } = await startBoth(SECRET, SECRET);
    const model = scriptHalf('sealed');
    const reader = await first.api.openRun(model, {}, HEADERS);
    const seen = await reader.readTo('thread.message.delta');
    void reader.rest().catch(() => undefined);
    const announced = seen.find(({ event }) => event === 'thread.message.created')?.data.id;
    expect((await readLeases())[0].kept_headers.sealed).toStartWith('v1.');
    await first.server.kill();
    expect(await readEverything(dataDirectory)).not.toContain(KEY);
    const run = await second.api.waitFor(toLastRun(seen), 'completed');
    const asked = { authorization: `Bearer ${KEY}`, temperature: 0.25 };
    expect(upstream.requestsFor(model).map(toAsked)).toEqual([asked, asked]);
    const [, ...answers] = await second.api.listMessages(run.thread_id);
    expect(answers).toMatchObject([{ id: announced, content: [{ text: { value: 'Half and whole' } }] }]);
    expect(await second.api.listSteps(run)).toHaveLength(1);
    expect(await readLeases()).toEqual([]);
    await useThread(second.api, run.thread_id);
    expect(await readEverything(dataDirectory)).not.toContain(KEY);
    expect(servers.map((server) => server.output()).join()).not.toContain(KEY);
  });

  for (const [name, secrets, reason] of [
    ['no secret', [null, null], /no UNDERSTUDY_SECRET/],
    ['a secret that the other one does not have', [SECRET, `${SECRET}!`], /another UNDERSTUDY_SECRET/],
    ['a secret where the other one has none', [SECRET, null], /another UNDERSTUDY_SECRET/],
  ] as const) {
    test(`with ${name}: a run with a key of its own fails and says why, and the operator's is not used`, async () => {
      const { first, second } = await startBoth(...secrets);
      const model = scriptHalf(`unsealed, ${name}`);
      const reader = await first.api.openRun(model, {}, HEADERS);
      const begun = toLastRun(await reader.readTo('thread.message.delta'));
      void reader.rest().catch(() => undefined);
      await first.server.kill();
      const run = await second.api.waitFor(begun, 'failed');
      expect(run.last_error).toMatchObject({ code: 'server_error' });
      expect(run.last_error.message).toMatch(reason);
      expect(upstream.requestsFor(model)).toHaveLength(1);
      const disk = await readEverything(dataDirectory);
      expect(disk).not.toContain(KEY);
      await useThread(second.api, run.thread_id);
    });
  }

  test('is followed with the operator’s key and the request’s temperature, which need no secret', async () => {
    const { first, second } = await startBoth(null, null);
    const model = scriptHalf('open');
    const headers = { authorization: 'Bearer understudy', 'LLM-PARAM-temperature': '0.25' };
    const reader = await first.api.openRun(model, {}, headers);
    const begun = toLastRun(await reader.readTo('thread.message.delta'));
    void reader.rest().catch(() => undefined);
    await first.server.kill();
    await second.api.waitFor(begun, 'completed');
    const asked = { authorization: OPERATOR, temperature: 0.25 };
    expect(upstream.requestsFor(model).map(toAsked)).toEqual([asked, asked]);
  });
});

test('a run that searches files goes on searching them with the key of its own that it came with', async () => {
  const { first, second } = await startBoth(SECRET, SECRET);
  const form = new FormData();
  form.append('purpose', 'assistants');
  form.append('file', new File(['The lighthouse keeper counts ships.'], 'keeper.txt'));
  const file = await first.api.post('/v1/files', form);
  const store = await first.api.post('/v1/vector_stores', { file_ids: [file.id] }, EMBEDDING_HEADERS);
  await waitUntil('the file is read', async () => {
    const { file_counts: counts } = await first.api.get(`/v1/vector_stores/${store.id}`);
    return counts.completed === 1;
  });
  let asked = 0;
  const search = steps.callTool('file_search', { queries: ['ships'] });
  const model = upstream.scriptBy('searching', () => {
    asked += 1;
    return asked === 1 ? [[steps.say('Half'), steps.hang()]] : [[search], [steps.say('Ships.')]];
  });
  const tools = {
    tools: [{ type: 'file_search' }],
    tool_resources: { file_search: { vector_store_ids: [store.id] } },
  };
  const reader = await first.api.openRun(model, tools, EMBEDDING_HEADERS);
  const begun = toLastRun(await reader.readTo('thread.message.delta'));
  void reader.rest().catch(() => undefined);
  const before = upstream.requests.filter(({ path }) => path.endsWith('/embeddings')).length;
  await first.server.kill();
  const run = await second.api.waitFor(begun, 'completed');
  const questions = upstream.requests.filter(({ path }) => path.endsWith('/embeddings')).slice(before);
  expect(questions.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${KEY}`]);
  expect(upstream.requestsFor(model).map((request) => toAsked(request).authorization)).toEqual(
    Array.from({ length: 3 }, () => OPERATOR),
  );
  const [step] = await second.api.listSteps(run);
  expect(step.step_details.tool_calls[0].file_search.results).toHaveLength(1);
  expect(await readEverything(dataDirectory)).not.toContain(KEY);
});

describe('a run that waits for its client', () => {
  const call = steps.callTool('get_weather', { city: 'Oslo' }, { id: 'call_1' });
  const TOOLS = { tools: [toFunction('get_weather')] };

  test('takes its outputs on the other server, which goes on with the key that was kept', async () => {
    const { first, second } = await startBoth(SECRET, SECRET);
    const model = upstream.script('answered-elsewhere', [call], [steps.say('Cold')]);
    const reader = await first.api.openRun(model, TOOLS, HEADERS);
    const waiting = toLastRun(await reader.rest());
    const path = `${toRunPath(waiting)}/submit_tool_outputs`;
    const later = await second.api.open(path, { tool_outputs: toOutputs(waiting, () => '-3') });
    expect(toNames(await later.rest()).at(-1)).toBe('thread.run.completed');
    const asked = { authorization: `Bearer ${KEY}`, temperature: 0.25 };
    expect(upstream.requestsFor(model).map(toAsked)).toEqual([asked, asked]);
    const again = await first.api.tryPost(path, { tool_outputs: toOutputs(waiting) });
    expect(again.status).toBe(400);
    expect(await readLeases()).toEqual([]);
  });

  test('goes on with the headers that came with the outputs, where there are any, after a death too', async () => {
    const { first, second } = await startBoth(SECRET, SECRET);
    let asked = 0;
    const model = upstream.scriptBy('answered-with-another-key', () => {
      asked += 1;
      return [[call], asked === 2 ? [steps.say('It'), steps.hang()] : [steps.say('It is cold')]];
    });
    const reader = await second.api.openRun(model, TOOLS, HEADERS);
    const waiting = toLastRun(await reader.rest());
    const path = `${toRunPath(waiting)}/submit_tool_outputs`;
    const other = 'sk-zq-of-the-outputs';
    const body = { tool_outputs: toOutputs(waiting, () => '-3') };
    const later = await first.api.open(path, body, { authorization: `Bearer ${other}` });
    await later.readTo('thread.message.delta');
    void later.rest().catch(() => undefined);
    await first.server.kill();
    await second.api.waitFor(waiting, 'completed');
    const mine = { authorization: `Bearer ${other}`, temperature: undefined };
    expect(upstream.requestsFor(model).map(toAsked).slice(1)).toEqual([mine, mine]);
    const stored = await second.api.listSteps(waiting);
    expect(stored.map(({ type, status }) => [type, status])).toEqual([
      ['tool_calls', 'completed'],
      ['message_creation', 'completed'],
    ]);
    expect(await readEverything(dataDirectory)).not.toContain(other);
  });

  test('is cancelled by the other server', async () => {
    const { first, second } = await startBoth(null, null);
    const model = upstream.script('waits-for-cancel', [call], [steps.say('never')]);
    const waiting = toLastRun(await first.api.streamRun(model, TOOLS));
    await second.api.post(`${toRunPath(waiting)}/cancel`);
    await first.api.waitFor(waiting, 'cancelled');
    await useThread(first.api, waiting.thread_id);
  });
});

test('a cancel by the other server soon ends the work and the stream of the one that has the run', async () => {
  const { first, second } = await startBoth(null, null);
  // Whatever looks at runs at intervals has just looked when the second one begins.
  for (const name of ['cancelled-elsewhere', 'cancelled-elsewhere-next']) {
    const model = upstream.script(name, [steps.say('Half'), steps.hang()]);
    const reader = await first.api.openRun(model);
    const run = toLastRun(await reader.readTo('thread.message.delta'));
    const sinceMs = performance.now();
    await second.api.post(`${toRunPath(run)}/cancel`);
    expect(toNames(await reader.rest()).at(-1)).toBe('thread.run.cancelled');
    expect(performance.now() - sinceMs).toBeLessThan(NOTICED_MS);
    expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');
    await useThread(second.api, run.thread_id);
  }
});
