/** What becomes of runs that are active when the server is killed, or told to stop. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LEASE_SCOPE } from '../../src/runs/leases.ts';
import type { LeaseRecord, RunRecord } from '../../src/runs/run-records.ts';
import type { Store } from '../../src/store/store.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { countRecords, readEverything, useStore } from '../support/stored.ts';
import * as steps from '../support/upstream-steps.ts';
import { toNames } from './event-reader.ts';
import {
  createApi,
  type Json,
  type RunApi,
  toEnvironment,
  toFunction,
  toLastRun,
  useThread,
} from './run-fixture.ts';

const TOOLS = [toFunction('get_weather')];
const OWN_TENANT = 'default';

describe('a killed server', () => {
  /** The model's server of before the kill, where every answer stops; and of after it, where all come to their end. */
  let before: ScriptedUpstream;
  let after: ScriptedUpstream;
  let dataDirectory: string;
  let server: TestServer;
  let api: RunApi;
  /** The runs as they were when the server was killed, by the name of their case. */
  const left = new Map<string, Json>();
  /** Ids of the messages and steps that were announced before. */
  const announced = new Map<string, string[]>();

  const CALL = steps.callTool('get_weather', { city: 'Oslo' }, { id: 'call_1' });
  const HALF_A_CALL = steps.chunk({
    choices: [
      {
        index: 0,
        delta: {
          tool_calls: [
            {
              index: 0,
              id: 'call_1',
              type: 'function',
              function: { name: 'get_weather', arguments: '{"ci' },
            },
          ],
        },
      },
    ],
  });

  interface Case {
    readonly before: readonly (readonly steps.Step[])[];
    readonly after: readonly (readonly steps.Step[])[];
    /** The event after which the server may die. */
    readonly until: string;
    readonly headers?: Readonly<Record<string, string>>;
    /** Whether the first turn's calls are answered before. */
    readonly isAnswered?: boolean;
  }
  const CASES: Readonly<Record<string, Case>> = {
    message: {
      before: [[steps.say('Half'), steps.hang()]],
      after: [[steps.say('Half and whole')]],
      until: 'thread.message.delta',
    },
    wordless: {
      before: [[steps.hang()]],
      after: [[steps.say('Here I am')]],
      until: 'thread.run.in_progress',
    },
    'call after text': {
      before: [[steps.say('Let me see'), HALF_A_CALL, steps.hang()]],
      after: [[steps.say('Let me see'), CALL], [steps.say('Cold')]],
      until: 'thread.run.step.delta',
    },
    'call, then text': {
      before: [[HALF_A_CALL, steps.hang()]],
      after: [[steps.say('No call after all')]],
      until: 'thread.run.step.delta',
    },
    'text, then call': {
      before: [[steps.say('Perhaps'), steps.hang()]],
      after: [[CALL], [steps.say('Cold')]],
      until: 'thread.message.delta',
    },
    'call after text, alone': {
      before: [[steps.say('Let me see'), HALF_A_CALL, steps.hang()]],
      after: [[CALL], [steps.say('Cold')]],
      until: 'thread.run.step.delta',
    },
    'text after call': {
      before: [[HALF_A_CALL, steps.say('While I ask'), steps.hang()]],
      after: [[steps.say('Never mind')]],
      until: 'thread.message.delta',
    },
    answered: {
      before: [[CALL], [steps.say('It'), steps.hang()]],
      after: [[CALL], [steps.say('It is cold')]],
      until: 'thread.run.requires_action',
      isAnswered: true,
    },
    waiting: {
      before: [[steps.say('Let me see'), CALL]],
      after: [[CALL], [steps.say('It is cold')]],
      until: 'thread.run.requires_action',
    },
    overdue: { before: [[CALL]], after: [[CALL]], until: 'thread.run.requires_action' },
    'own key': {
      before: [[steps.say('Half'), steps.hang()]],
      after: [[steps.say('Half and whole')]],
      until: 'thread.message.delta',
      headers: { authorization: 'Bearer sk-of-the-request' },
    },
    cancelling: {
      before: [[steps.say('Half'), steps.hang()]],
      after: [[steps.say('Half and whole')]],
      until: 'thread.message.delta',
    },
    'ten times': {
      before: [[steps.say('Half'), steps.hang()]],
      after: [[steps.say('Half and whole')]],
      until: 'thread.message.delta',
    },
  };

  async function begin(own: RunApi, name: string, given: Case): Promise<void> {
    before.script(name, ...given.before);
    const model = after.script(name, ...given.after);
    const headers = 'headers' in given ? { ...given.headers, 'base-url': before.url } : {};
    const reader = await own.openRun(model, { tools: TOOLS }, headers);
    const seen = await reader.readTo(given.until);
    void reader.rest().catch(() => undefined);
    const run = toLastRun(seen);
    if (given.isAnswered === true) {
      await own.submit(run, () => '-3');
      await before.waitForRequest((request) => request.model === model && hasOutputs(request.body));
      await own.waitFor(run, 'in_progress');
    }
    left.set(name, await own.getRun(run));
    const opened = seen.filter(({ event }) => /^thread\.(message|run\.step)\.created$/.test(event));
    announced.set(
      name,
      opened.map(({ data }) => data.id),
    );
  }

  function hasOutputs(body: Json): boolean {
    return body.messages.some((message: Json) => message.role === 'tool');
  }

  /** What only a kill at one moment leaves behind, written as that kill would leave it. */
  async function arrange(): Promise<void> {
    await useStore(dataDirectory, arrangeIn);
  }

  async function arrangeIn(store: Store): Promise<void> {
    const change = async (name: string, toChange: (run: RunRecord) => Partial<RunRecord>): Promise<void> => {
      const { id, thread_id: parent } = toLeft(name);
      const scope = { tenant: OWN_TENANT, parent };
      const found = await store.get<RunRecord>('runs', scope, id);
      if (found === null) throw new Error(`the run of the case '${name}' is lost`);
      await store.update<RunRecord>('runs', scope, id, toChange(found.record));
    };
    await change('cancelling', () => ({ status: 'cancelling' }));
    await change('ten times', ({ internal }) => ({ internal: { ...internal, attempts: 10 } }));
    await store.update<LeaseRecord>('leases', LEASE_SCOPE, toLeft('overdue').id, { until_ms: 1 });
  }

  function toLeft(name: string): Json {
    return left.get(name) ?? {};
  }

  beforeAll(async () => {
    [before, after] = await Promise.all([startScriptedUpstream(), startScriptedUpstream()]);
    dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-restart-'));
    const first = await startServer({ dataDirectory, env: toEnvironment(before) });
    const own = createApi(first);
    await Promise.all(Object.entries(CASES).map(([name, given]) => begin(own, name, given)));
    await first.kill();
    await arrange();
    server = await startServer({ dataDirectory, env: toEnvironment(after) });
    api = createApi(server);
  });

  afterAll(async () => {
    await server.stop();
    await Promise.all([before.close(), after.close()]);
    await rm(dataDirectory, { recursive: true, force: true });
  });

  /** The messages of the assistant and the steps: each message has its step, and nothing is open. */
  async function readParts(run: Json): Promise<{ answers: Json[]; stored: Json[] }> {
    const [messages, stored] = await Promise.all([api.listMessages(run.thread_id), api.listSteps(run)]);
    const answers = messages.filter(({ role }) => role === 'assistant');
    const told = stored.filter(({ type }) => type === 'message_creation');
    expect(told.map((step) => step.step_details.message_creation.message_id)).toEqual(
      answers.map(({ id }) => id),
    );
    if (run.status !== 'requires_action') {
      for (const { status } of [...answers, ...stored]) expect(status).not.toBe('in_progress');
    }
    return { answers, stored };
  }

  function toTexts(answers: readonly Json[]): string[] {
    return answers.map((message) => message.content[0].text.value);
  }

  /** What the model is sent with its newest request in this case. */
  function toLastBody(name: string): Json {
    return after.requestsFor(`script:${name}`).at(-1)?.body;
  }

  test('a message that had begun is written anew under its own id, whole and once', async () => {
    const run = await api.waitFor(toLeft('message'), 'completed');
    const { answers, stored } = await readParts(run);
    expect(toTexts(answers)).toEqual(['Half and whole']);
    expect([stored[0].id, answers[0].id]).toEqual(announced.get('message') ?? []);
    expect(stored).toHaveLength(1);
    await useThread(api, run.thread_id);
  });

  test('a run whose model had not said a word is answered', async () => {
    const run = await api.waitFor(toLeft('wordless'), 'completed');
    expect(toTexts((await readParts(run)).answers)).toEqual(['Here I am']);
  });

  test('a text that was complete before a call began stands once, in the thread and for the model', async () => {
    const waiting = await api.waitFor(toLeft('call after text'), 'requires_action');
    const { answers, stored } = await readParts(waiting);
    expect(toTexts(answers)).toEqual(['Let me see']);
    expect(stored.map(({ type }) => type)).toEqual(['message_creation', 'tool_calls']);
    const [text, call] = stored;
    expect([text.id, answers[0].id, call.id]).toEqual(announced.get('call after text') ?? []);
    expect([text.status, answers[0].status, call.status]).toEqual(['completed', 'completed', 'in_progress']);
    await api.submit(waiting, () => '-3');
    const run = await api.waitFor(waiting, 'completed');
    expect(toTexts((await readParts(run)).answers)).toEqual(['Let me see', 'Cold']);
    expect(toLastBody('call after text').messages[1]).toMatchObject({ content: 'Let me see' });
  });

  test('a text that was complete and is not said again stays as it was', async () => {
    const waiting = await api.waitFor(toLeft('call after text, alone'), 'requires_action');
    await api.submit(waiting, () => '-3');
    const run = await api.waitFor(waiting, 'completed');
    expect(toTexts((await readParts(run)).answers)).toEqual(['Let me see', 'Cold']);
    expect(toLastBody('call after text, alone').messages[1]).toMatchObject({ content: 'Let me see' });
  });

  test('of a call and a text that were both under way nothing stays open', async () => {
    const run = await api.waitFor(toLeft('text after call'), 'completed');
    const { answers, stored } = await readParts(run);
    expect(toTexts(answers)).toEqual(['Never mind']);
    expect(stored).toHaveLength(1);
  });

  test('a call that had begun and is not made again leaves no step behind', async () => {
    const run = await api.waitFor(toLeft('call, then text'), 'completed');
    const { answers, stored } = await readParts(run);
    expect(toTexts(answers)).toEqual(['No call after all']);
    expect(stored).toHaveLength(1);
  });

  test('a message that had begun and is not written again leaves neither message nor step behind', async () => {
    const waiting = await api.waitFor(toLeft('text, then call'), 'requires_action');
    const { answers, stored } = await readParts(waiting);
    expect(answers).toEqual([]);
    expect(stored.map(({ type }) => type)).toEqual(['tool_calls']);
    await api.submit(waiting);
    const run = await api.waitFor(waiting, 'completed');
    expect(toTexts((await readParts(run)).answers)).toEqual(['Cold']);
  });

  test('outputs that were given are not asked for again, and reach the model', async () => {
    const run = await api.waitFor(toLeft('answered'), 'completed');
    expect(toTexts((await readParts(run)).answers)).toEqual(['It is cold']);
    expect(toLastBody('answered').messages.at(-1)).toEqual({
      role: 'tool',
      tool_call_id: 'call_1',
      content: '-3',
    });
  });

  test('a run that waits for outputs still waits, and goes on with them', async () => {
    const waiting = await api.getRun(toLeft('waiting'));
    expect(waiting).toEqual(toLeft('waiting'));
    await api.submit(waiting, () => '-3');
    const run = await api.waitFor(waiting, 'completed');
    expect(toTexts((await readParts(run)).answers)).toEqual(['Let me see', 'It is cold']);
  });

  test('a wait that ended while the server was away is over', async () => {
    const run = await api.waitFor(toLeft('overdue'), 'expired');
    expect((await readParts(run)).stored).toMatchObject([{ status: 'expired' }]);
    await useThread(api, run.thread_id);
  });

  test('a run whose key came with the request fails, and says why', async () => {
    const run = await api.waitFor(toLeft('own key'), 'failed');
    expect(run.last_error).toMatchObject({ code: 'server_error' });
    expect(run.last_error.message).toMatch(/restarted.*key.*no UNDERSTUDY_SECRET/);
    const { answers, stored } = await readParts(run);
    expect(answers).toMatchObject([
      { status: 'incomplete', incomplete_details: { reason: 'run_failed' }, content: [{ type: 'text' }] },
    ]);
    expect(stored).toMatchObject([{ status: 'failed', last_error: { code: 'server_error' } }]);
    expect(after.requestsFor('script:own key')).toEqual([]);
    await useThread(api, run.thread_id);
  });

  test('a run that was being cancelled is cancelled, and the model is not asked', async () => {
    const run = await api.waitFor(toLeft('cancelling'), 'cancelled');
    const { answers, stored } = await readParts(run);
    expect(answers).toMatchObject([
      { status: 'incomplete', incomplete_details: { reason: 'run_cancelled' } },
    ]);
    expect(stored).toMatchObject([{ status: 'cancelled' }]);
    expect(after.requestsFor('script:cancelling')).toEqual([]);
    await useThread(api, run.thread_id);
  });

  test('a run that the server did not outlive ten times is given up', async () => {
    const run = await api.waitFor(toLeft('ten times'), 'failed');
    expect(run.last_error.message).toContain('10 times');
    expect(after.requestsFor('script:ten times')).toEqual([]);
    await useThread(api, run.thread_id);
  });

  test('a key of a request is nowhere on the disk', async () => {
    expect(await readEverything(dataDirectory)).not.toContain('sk-of-the-request');
  });
});

describe('a server that is told to stop', () => {
  let upstream: ScriptedUpstream;
  let dataDirectory: string;

  beforeAll(async () => {
    upstream = await startScriptedUpstream();
    dataDirectory = await mkdtemp(join(tmpdir(), 'understudy-drain-'));
  });

  afterAll(async () => {
    await upstream.close();
    await rm(dataDirectory, { recursive: true, force: true });
  });

  function start(drainSeconds: number, env = toEnvironment(upstream)): Promise<TestServer> {
    return startServer({ dataDirectory, env, flags: ['--drain-seconds', String(drainSeconds)] });
  }

  function countLeases(): Promise<number> {
    return countRecords(dataDirectory, 'leases');
  }

  test('lets a run that streams come to its end', async () => {
    const server = await start(10);
    const model = upstream.script('drained', [steps.say('one'), steps.wait(700), steps.say(' two')]);
    const reader = await createApi(server).openRun(model);
    const seen = await reader.readTo('thread.message.delta');
    const stopped = server.stop();
    const rest = await reader.rest();
    expect(toNames([...seen, ...rest]).at(-1)).toBe('thread.run.completed');
    expect(await stopped).toBe(0);
    expect(await countLeases()).toBe(0);
  });

  test('leaves a run that takes longer to the next start, and tells whoever reads it', async () => {
    const first = await start(0);
    const model = upstream.script('handed-over', [steps.say('Half'), steps.hang()]);
    const reader = await createApi(first).openRun(model);
    const run = toLastRun(await reader.readTo('thread.message.delta'));
    const stopped = first.stop();
    const rest = await reader.rest();
    expect(toNames(rest)).toEqual(['error']);
    expect(rest[0]?.data).toMatchObject({ code: 'service_unavailable', type: 'server_error' });
    expect(await stopped).toBe(0);
    const later = await startScriptedUpstream();
    later.script('handed-over', [steps.say('Half and whole')]);
    const second = await start(10, toEnvironment(later));
    try {
      const api = createApi(second);
      await api.waitFor(run, 'completed');
      const [, answer, ...others] = await api.listMessages(run.thread_id);
      expect(answer).toMatchObject({ status: 'completed', content: [{ text: { value: 'Half and whole' } }] });
      expect(others).toEqual([]);
      await useThread(api, run.thread_id);
    } finally {
      await second.stop();
      await later.close();
    }
    expect(await countLeases()).toBe(0);
  });
});
