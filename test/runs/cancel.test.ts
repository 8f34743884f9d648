/** Cancelling, at every moment of a run's life. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as steps from '../support/upstream-steps.ts';
import { type EventReader, findSchemaFaults, toNames } from './event-reader.ts';
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
/** The race of a cancel and an end is run so often, each time with the cancel at another moment. */
const RACES = 60;

function script(name: string, ...turns: readonly (readonly steps.Step[])[]): string {
  return fixture.upstream.script(name, ...turns);
}

/** Reads up to an event, cancels from another connection, and reads to the end. */
async function cancelAt(reader: EventReader, name: string) {
  const seen = await reader.readTo(name);
  const run = toLastRun(seen);
  const answer = await fixture.api.post(`${toRunPath(run)}/cancel`);
  expect(answer).toMatchObject({ id: run.id, status: 'cancelling', cancelled_at: null });
  const rest = await reader.rest();
  expect(findSchemaFaults([{ event: 'thread.run.cancelling', data: answer }, ...rest])).toEqual([]);
  return { run, rest };
}

/** The run is cancelled, says when, and its thread is free. */
async function expectCancelled(run: Json): Promise<Json> {
  const ended = await fixture.api.waitFor(run, 'cancelled');
  expect(ended).toMatchObject({
    required_action: null,
    last_error: null,
    completed_at: null,
    failed_at: null,
  });
  expect(ended.cancelled_at).toBeGreaterThanOrEqual(run.created_at);
  expect(ended.usage).not.toBeNull();
  await useThread(fixture.api, run.thread_id);
  return ended;
}

describe('while the model', () => {
  test('writes a message: it is kept as far as it was told, and the model is let go', async () => {
    const model = script('writing', [steps.say('Once upon'), steps.hang()]);
    const reader = await fixture.api.openRun(model);
    const { run, rest } = await cancelAt(reader, 'thread.message.delta');
    expect(toNames(rest).filter((name) => name !== 'thread.message.delta')).toEqual([
      'thread.run.cancelling',
      'thread.message.incomplete',
      'thread.run.step.cancelled',
      'thread.run.cancelled',
    ]);
    expect(await fixture.upstream.requestsFor(model)[0]?.ended).toBe('aborted');
    const [, message] = await fixture.api.listMessages(run.thread_id);
    expect(message).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'run_cancelled' } });
    expect('Once upon').toStartWith(message.content[0].text.value);
    const [step] = await fixture.api.listSteps(run);
    expect(step).toMatchObject({ status: 'cancelled', completed_at: null, last_error: null });
    expect(step.cancelled_at).toBeGreaterThan(0);
    await expectCancelled(run);
  });

  test('has not said a word yet: nothing is left of it', async () => {
    const model = script('silent', [steps.hang()]);
    const reader = await fixture.api.openRun(model);
    const asked = fixture.upstream.waitForRequest((request) => request.model === model);
    const seen = await reader.readTo('thread.run.in_progress');
    const upstreamCall = await asked;
    const run = toLastRun(seen);
    await fixture.api.post(`${toRunPath(run)}/cancel`);
    expect(toNames(await reader.rest())).toEqual(['thread.run.cancelling', 'thread.run.cancelled']);
    expect(await upstreamCall.ended).toBe('aborted');
    expect(await fixture.api.listSteps(run)).toEqual([]);
    await expectCancelled(run);
  });

  test('makes a call: its step is cancelled, and nothing is asked for', async () => {
    const call = steps.callTool('get_weather', { city: 'Oslo' });
    const model = script('calling', [call, steps.hang()]);
    const reader = await fixture.api.openRun(model, { tools: TOOLS });
    const { run, rest } = await cancelAt(reader, 'thread.run.step.delta');
    expect(toNames(rest).slice(-2)).toEqual(['thread.run.step.cancelled', 'thread.run.cancelled']);
    expect(await fixture.api.listSteps(run)).toMatchObject([{ type: 'tool_calls', status: 'cancelled' }]);
    await expectCancelled(run);
  });

  test('is waited for before another try: the wait ends at once', async () => {
    const model = script('backing-off', [steps.fail(429, { retryAfter: '25' })]);
    const run = await fixture.api.createRun(model);
    await fixture.upstream.waitForRequest((request) => request.model === model);
    const sinceMs = performance.now();
    await fixture.api.post(`${toRunPath(run)}/cancel`);
    await expectCancelled(run);
    expect(performance.now() - sinceMs).toBeLessThan(10_000);
    expect(fixture.upstream.requestsFor(model)).toHaveLength(1);
  });

  test('goes on after the outputs: the answered step stays completed', async () => {
    const model = script('resumed', [steps.callTool('get_weather', {})], [steps.say('It'), steps.hang()]);
    const waiting = toLastRun(await fixture.api.streamRun(model, { tools: TOOLS }));
    const path = `${toRunPath(waiting)}/submit_tool_outputs`;
    const reader = await fixture.api.open(path, { tool_outputs: toOutputs(waiting) });
    await cancelAt(reader, 'thread.message.delta');
    const stored = await fixture.api.listSteps(waiting);
    expect(stored.map(({ status }) => status)).toEqual(['completed', 'cancelled']);
    await expectCancelled(waiting);
  });
});

describe('a run that waits for outputs', () => {
  test('is cancelled with its step, and takes no outputs afterwards', async () => {
    const model = script('waiting', [steps.callTool('get_weather', {})], [steps.say('never')]);
    const waiting = toLastRun(await fixture.api.streamRun(model, { tools: TOOLS }));
    const answer = await fixture.api.post(`${toRunPath(waiting)}/cancel`);
    expect(answer).toMatchObject({ status: 'cancelling', required_action: null });
    const ended = await expectCancelled(waiting);
    expect(ended.usage.total_tokens).toBeGreaterThan(0);
    expect(await fixture.api.listSteps(waiting)).toMatchObject([{ status: 'cancelled' }]);
    const late = await fixture.api.tryPost(`${toRunPath(waiting)}/submit_tool_outputs`, {
      tool_outputs: toOutputs(waiting),
    });
    expect(late.status).toBe(400);
    expect(fixture.upstream.requestsFor(model)).toHaveLength(1);
  });

  test('is either cancelled or answered when both come at once, never both and never stuck', async () => {
    const call = [steps.callTool('get_weather', {})];
    const model = script('both', call, [steps.say('It is warm')]);
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { api } = fixture;
        const waiting = toLastRun(await api.streamRun(model, { tools: TOOLS }));
        const body = { tool_outputs: toOutputs(waiting) };
        const [submitted, cancelled] = await Promise.all([
          api.tryPost(`${toRunPath(waiting)}/submit_tool_outputs`, body),
          api.tryPost(`${toRunPath(waiting)}/cancel`),
        ]);
        expect([200, 400]).toContain(submitted.status);
        expect([200, 400]).toContain(cancelled.status);
        const ended = await api.waitForRest(waiting);
        expect(ended.status).toBe(cancelled.status === 200 ? 'cancelled' : 'completed');
        for (const step of await api.listSteps(waiting)) expect(step.status).not.toBe('in_progress');
        await useThread(api, waiting.thread_id);
      }),
    );
  });
});

describe('a run that has ended', () => {
  const ENDS: readonly [string, readonly steps.Step[]][] = [
    ['completed', [steps.say('done')]],
    ['failed', [steps.fail(401)]],
    ['incomplete', [steps.finish('length')]],
  ];
  for (const [status, turn] of ENDS) {
    test(`cannot be cancelled: ${status}`, async () => {
      const run = await fixture.api.waitFor(await fixture.api.createRun(script(status, turn)), status);
      const answer = await fixture.api.tryPost(`${toRunPath(run)}/cancel`);
      expect(answer.status).toBe(400);
      expect(answer.json.error).toEqual({
        message: `Cannot cancel run with status '${status}'.`,
        type: 'invalid_request_error',
        param: null,
        code: null,
      });
      expect(await fixture.api.getRun(run)).toEqual(run);
    });
  }

  test('cannot be cancelled: cancelled, although a second cancel may come at the same moment', async () => {
    const run = await fixture.api.createRun(script('twice', [steps.say('Once'), steps.hang()]));
    const path = `${toRunPath(run)}/cancel`;
    const answers = await Promise.all([1, 2, 3].map(() => fixture.api.tryPost(path)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400]);
    await expectCancelled(run);
    expect((await fixture.api.tryPost(path)).json.error.message).toContain("'cancelled'");
  });
});

test(`a cancel that races the end of its run, ${RACES} times at ${RACES} moments, always has an end`, async () => {
  const { api } = fixture;
  const assistant = await api.createAssistant(script('race', [steps.pace(400), steps.say('a b c d e')]));
  const outcomes = new Map<string, number>();
  const race = async (index: number): Promise<void> => {
    const threadId = await api.createThread();
    const reader = await api.open(`/v1/threads/${threadId}/runs`, { assistant_id: assistant });
    const run = toLastRun(await reader.readTo('thread.run.created'));
    const events = reader.rest();
    await Bun.sleep(index / 3);
    const answer = await api.tryPost(`${toRunPath(run)}/cancel`);
    const ended = await api.waitForRest(run);
    // Whoever was told that the run is being cancelled sees it cancelled.
    expect(ended.status).toBe(answer.status === 200 ? 'cancelled' : 'completed');
    expect((await events).at(-1)).toEqual({ event: `thread.run.${ended.status}`, data: ended });
    const parts = [...(await api.listSteps(run)), ...(await api.listMessages(threadId))];
    for (const { status } of parts) expect(status).not.toBe('in_progress');
    await useThread(api, threadId);
    outcomes.set(ended.status, (outcomes.get(ended.status) ?? 0) + 1);
  };
  for (let index = 0; index < RACES; index += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, i) => race(index + i)));
  }
  expect([...outcomes.values()].reduce((sum, n) => sum + n, 0)).toBe(RACES);
});
