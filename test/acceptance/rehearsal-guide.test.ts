/** What `docs/rehearsal.md` promises to those who test their programs with the rehearsal model, seen by a client. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { resolve } from 'node:path';
import OpenAI from 'openai';
import { startServer, type TestServer } from '../support/server.ts';

const GUIDE = resolve(import.meta.dir, '../../docs/rehearsal.md');
const MODEL = 'understudy/rehearsal';
const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

let server: TestServer;
let client: OpenAI;
let assistantId: string;

beforeAll(async () => {
  server = await startServer();
  client = server.client();
  assistantId = (await client.beta.assistants.create({ model: MODEL, tools: [WEATHER] })).id;
});

afterAll(() => server?.stop());

async function rehearse(content: string) {
  const stream = client.beta.threads.createAndRunStream({
    assistant_id: assistantId,
    thread: { messages: [{ role: 'user', content }] },
  });
  const run = await stream.finalRun();
  const [message] = await stream.finalMessages();
  return { run, message };
}

function complete(content: string) {
  return client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content }] });
}

describe('orders, in a run', () => {
  for (const { order, status, code, part } of [
    {
      order: 'say  Two  spaces',
      status: 'completed',
      part: { type: 'text', text: { value: 'Two  spaces' } },
    },
    { order: 'words 3', status: 'completed', part: { type: 'text', text: { value: 'word1 word2 word3' } } },
    { order: 'refuse Not today.', status: 'completed', part: { type: 'refusal', refusal: 'Not today.' } },
    { order: 'fail', status: 'failed', code: 'server_error' },
    { order: 'rate limit', status: 'failed', code: 'rate_limit_exceeded' },
    { order: 'quota', status: 'failed', code: 'rate_limit_exceeded' },
    { order: 'call get_weather {"city": 5}', status: 'requires_action' },
  ]) {
    test(`'${order}' ends it as ${status}${code === undefined ? '' : ` with ${code}`}`, async () => {
      const { run, message } = await rehearse(`rehearsal: ${order}`);
      expect(run.status as string).toBe(status);
      expect(run.last_error?.code as string | undefined).toBe(code);
      if (part === undefined) expect(message).toBeUndefined();
      else expect(message?.content).toMatchObject([part]);
    });
  }

  test("'think' shows nothing and is counted", async () => {
    const silent = await rehearse('rehearsal: say Yes');
    const thoughtful = await rehearse('rehearsal: say Yes\nrehearsal: think one two three');
    expect(thoughtful.message?.content).toEqual(silent.message?.content ?? []);
    const count = (usage: OpenAI.Beta.Threads.Run.Usage | null): number => usage?.completion_tokens ?? -1;
    expect(count(thoughtful.run.usage)).toBe(count(silent.run.usage) + 3);
  });
});

describe('orders, in a chat completion', () => {
  for (const { order, status, code } of [
    { order: 'fail', status: 502, code: 'upstream_error' },
    { order: 'rate limit', status: 429, code: 'rate_limit_exceeded' },
    { order: 'quota', status: 429, code: 'insufficient_quota' },
  ]) {
    test(`'${order}' is an error ${status}`, async () => {
      const error = await complete(`rehearsal: ${order}`).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(OpenAI.APIError);
      expect(error).toMatchObject({ status, code });
    });
  }
});

test('every order that the guide names is one that the model knows', async () => {
  const guide = await Bun.file(GUIDE).text();
  const orders = [...guide.matchAll(/^\| `rehearsal: ([^`]+)`/gm)].map(([, order = '']) => order);
  expect(orders.length).toBeGreaterThanOrEqual(11);
  for (const order of orders) {
    const said = await complete(`rehearsal: ${order}`).then(
      ({ choices }) => choices[0]?.message.content ?? '',
      (error: unknown) => String(error),
    );
    expect(said).not.toContain('does not know the cue');
  }
  expect((await complete('rehearsal: dance')).choices[0]?.message.content).toContain('does not know the cue');
});

test("a function's own name is never made an argument", async () => {
  for (const content of ['get_weather', 'rehearsal: call get_weather']) {
    const { run } = await rehearse(content);
    const [call] = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    expect(JSON.parse(call?.function.arguments ?? '')).toEqual({ city: 'rehearsal' });
  }
});
