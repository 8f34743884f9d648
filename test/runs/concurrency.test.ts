/** Many clients at once: one active run a thread, one answer to its calls, and nobody in another's way. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { waitUntil } from '../support/server.ts';
import * as steps from '../support/upstream-steps.ts';
import { joinDeltas } from './event-reader.ts';
import {
  type Json,
  type RunFixture,
  startFixture,
  toFunction,
  toLastRun,
  toOutputs,
  toRunPath,
  useThread,
} from './run-fixture.ts';

let fixture: RunFixture;

beforeAll(async () => {
  fixture = await startFixture();
});

afterAll(() => fixture.stop());

const TOOLS = [toFunction('get_weather')];

function script(name: string, ...turns: readonly (readonly steps.Step[])[]): string {
  return fixture.upstream.script(name, ...turns);
}

describe('one thread', () => {
  for (const count of [2, 20]) {
    test(`takes exactly one of ${count} runs created at once, and tells the others which it is`, async () => {
      const { api } = fixture;
      const model = script(`claim-${count}`, [steps.say('a'), steps.hang()]);
      const assistant = await api.createAssistant(model);
      const threadId = await api.createThread();
      const body = {
        assistant_id: assistant,
        additional_messages: [{ role: 'user', content: 'Of the one that wins.' }],
      };
      const answers = await Promise.all(
        Array.from({ length: count }, () => api.tryPost(`/v1/threads/${threadId}/runs`, body)),
      );
      const [run, ...others] = answers.filter(({ status }) => status === 200).map(({ json }) => json);
      expect(others).toEqual([]);
      for (const { status, json } of answers) {
        if (status === 200) continue;
        expect(status).toBe(400);
        expect(json.error).toEqual({
          message: `Thread ${threadId} already has an active run ${run.id}.`,
          type: 'invalid_request_error',
          param: null,
          code: null,
        });
      }
      // What the losers brought along is not written.
      const messages = (await api.listMessages(threadId)).filter(({ role }) => role === 'user');
      expect(messages).toHaveLength(2);
      expect((await api.get(`/v1/threads/${threadId}/runs`)).data.map(({ id }: Json) => id)).toEqual([
        run.id,
      ]);
      await api.post(`${toRunPath(run)}/cancel`);
      await api.waitFor(run, 'cancelled');
      await useThread(api, threadId);
    });
  }

  test('takes no message while a run is active, and takes it as soon as the run has ended', async () => {
    const { api } = fixture;
    const model = script('closed', [steps.callTool('get_weather', {})], [steps.say('It'), steps.hang()]);
    const run = toLastRun(await api.streamRun(model, { tools: TOOLS }));
    const path = `/v1/threads/${run.thread_id}/messages`;
    const message = { role: 'user', content: 'May I?' };
    const expectRefused = async (): Promise<void> => {
      const { status, json } = await api.tryPost(path, message);
      expect(status).toBe(400);
      expect(json.error.message).toBe(
        `Can't add messages to ${run.thread_id} while a run ${run.id} is active.`,
      );
    };
    await expectRefused();
    const reader = await api.open(`${toRunPath(run)}/submit_tool_outputs`, { tool_outputs: toOutputs(run) });
    await reader.readTo('thread.message.delta');
    await expectRefused();
    await api.post(`${toRunPath(run)}/cancel`);
    await reader.rest();
    expect((await api.post(path, message)).content[0].text.value).toBe('May I?');
  });

  test('is free when its stream says that the run has ended', async () => {
    const { api } = fixture;
    const assistant = await api.createAssistant(script('free', [steps.say('a b c')]));
    const threadId = await api.createThread();
    for (let round = 0; round < 20; round += 1) {
      const reader = await api.open(`/v1/threads/${threadId}/runs`, { assistant_id: assistant });
      await reader.readTo('thread.run.completed');
      await api.post(`/v1/threads/${threadId}/messages`, { role: 'user', content: `round ${round}` });
      await reader.rest();
    }
  });

  test('can be deleted while its run is active: the model is let go, and the stream ends', async () => {
    const { api, server, upstream } = fixture;
    const model = script('deleted', [steps.say('Once'), steps.hang()]);
    const reader = await api.openRun(model);
    const run = toLastRun(await reader.readTo('thread.message.delta'));
    const answer = await server.call('DELETE', `/v1/threads/${run.thread_id}`);
    expect(answer.json).toEqual({ id: run.thread_id, object: 'thread.deleted', deleted: true });
    await reader.rest();
    expect(await upstream.requestsFor(model)[0]?.ended).toBe('aborted');
    expect((await server.call('GET', toRunPath(run))).status).toBe(404);
  });
});

describe('the outputs of one run', () => {
  test('are taken from exactly one of those who give them at once, and the model hears of them once', async () => {
    const { api, upstream } = fixture;
    const model = script('outputs', [steps.callTool('get_weather', {})], [steps.say('ok')]);
    const run = toLastRun(await api.streamRun(model, { tools: TOOLS }));
    const path = `${toRunPath(run)}/submit_tool_outputs`;
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        api.tryPost(path, { tool_outputs: toOutputs(run, () => `of ${index}`) }),
      ),
    );
    const winners = answers.flatMap(({ status }, index) => (status === 200 ? [index] : []));
    expect(winners).toHaveLength(1);
    for (const { status } of answers) expect([200, 400]).toContain(status);
    await api.waitFor(run, 'completed');
    const [step] = await api.listSteps(run);
    expect(step.step_details.tool_calls[0].function.output).toBe(`of ${winners[0]}`);
    const bodies = upstream.requestsFor(model).map(({ body }) => body as Json);
    expect(bodies).toHaveLength(2);
    expect(bodies[1].messages.at(-1).content).toBe(`of ${winners[0]}`);
  });

  test('that leave a call out, or name one that was never made, change nothing', async () => {
    const { api } = fixture;
    const calls = ['a', 'b'].map((id) => ({ name: 'get_weather', arguments: {}, id: `call_${id}` }));
    const model = script('outputs-wrong', [steps.callTools(calls)], [steps.say('ok')]);
    const run = toLastRun(await api.streamRun(model, { tools: TOOLS }));
    const path = `${toRunPath(run)}/submit_tool_outputs`;
    const [first, second] = toOutputs(run);
    const wrong = [
      [],
      [first],
      [first, { tool_call_id: 'call_never', output: 'x' }],
      [first, second, { tool_call_id: 'call_never', output: 'x' }],
      [first, first],
    ];
    for (const outputs of wrong) {
      const { status, json } = await api.tryPost(path, { tool_outputs: outputs });
      expect(status).toBe(400);
      expect(json.error.param).toStartWith('tool_outputs');
    }
    expect(await api.getRun(run)).toEqual(run);
    await api.submit(run);
    await api.waitFor(run, 'completed');
  });
});

describe('a client', () => {
  test('that leaves in the middle does not stop its run', async () => {
    const { api, upstream } = fixture;
    const model = script('left', [steps.say('a b c'), steps.wait(300), steps.say(' d e f')]);
    const reader = await api.openRun(model);
    const run = toLastRun(await reader.readTo('thread.message.delta'));
    reader.leave();
    await api.waitFor(run, 'completed');
    const [, message] = await api.listMessages(run.thread_id);
    expect(message).toMatchObject({ status: 'completed', content: [{ text: { value: 'a b c d e f' } }] });
    expect(await upstream.requestsFor(model)[0]?.ended).toBe('complete');
    await useThread(api, run.thread_id);
  });

  test('that leaves while the model is silent does not stop its run, and the outputs can come from another', async () => {
    const { api } = fixture;
    const model = script(
      'left-early',
      [steps.wait(300), steps.callTool('get_weather', {})],
      [steps.say('It is warm')],
    );
    const reader = await api.openRun(model, { tools: TOOLS });
    const run = toLastRun(await reader.readTo('thread.run.in_progress'));
    reader.leave();
    await api.submit(await api.waitFor(run, 'requires_action'));
    await api.waitFor(run, 'completed');
  });

  /** Asks for a stream and then reads nothing of it. */
  async function openUnread(assistant: string): Promise<Socket> {
    const { hostname, port } = new URL(fixture.server.url);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.pause();
    const body = JSON.stringify({ assistant_id: assistant, stream: true });
    const head = [
      'POST /v1/threads/runs HTTP/1.1',
      `host: ${hostname}:${port}`,
      'content-type: application/json',
    ];
    socket.write([...head, `content-length: ${Buffer.byteLength(body)}`, '', body].join('\r\n'));
    return socket;
  }

  /** The runs of an assistant, each on one of the newest threads. */
  async function findRuns(assistant: string): Promise<Json[]> {
    const { api } = fixture;
    const { data: threads } = await api.get('/v1/threads?limit=100');
    const runs = await Promise.all(
      threads.map(async ({ id }: Json) => (await api.get(`/v1/threads/${id}/runs`)).data),
    );
    return runs.flat().filter((run: Json) => run.assistant_id === assistant);
  }

  test('that does not read holds up neither its own run nor those of others', async () => {
    const { api } = fixture;
    // More than the buffers of a connection take, and more than the server keeps for one reader.
    const long = Array.from({ length: 600 }, (_, index) => `${index} ${'x'.repeat(20_000)} `);
    const assistant = await api.createAssistant(script('unread', [steps.say(...long)]));
    const sockets = await Promise.all([1, 2, 3].map(() => openUnread(assistant)));
    try {
      const model = script('beside', [steps.pace(50), steps.say('one two three four five six')]);
      const events = await api.streamRun(model);
      expect(toLastRun(events).status).toBe('completed');
      expect([...joinDeltas(events).values()]).toEqual(['one two three four five six']);
      let unread: Json[] = [];
      await waitUntil('the runs that nobody reads are there', async () => {
        unread = await findRuns(assistant);
        return unread.length === sockets.length;
      });
      for (const run of unread) {
        await api.waitFor(run, 'completed', 20_000);
        const [message] = await api.listMessages(run.thread_id);
        expect(message.content[0].text.value).toBe(long.join(''));
      }
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  test('of many, each hears of its own run only', async () => {
    const { api } = fixture;
    const names = Array.from({ length: 40 }, (_, index) => `own-${index}`);
    await Promise.all(
      names.map(async (name) => {
        const text = `${name} says ${name} and nothing else`;
        const events = await api.streamRun(script(name, [steps.pace(500), steps.say(text)]));
        expect([...joinDeltas(events).values()]).toEqual([text]);
        const run = toLastRun(events);
        for (const { data } of events) {
          if (data.run_id !== undefined) expect(data.run_id).toBe(run.id);
          if (data.thread_id !== undefined) expect(data.thread_id).toBe(run.thread_id);
        }
      }),
    );
  });
});
