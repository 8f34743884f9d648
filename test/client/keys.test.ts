/** Which keys leave the client, and which reach a provider. */

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { callTool, say } from '../support/upstream-steps.ts';
import {
  CLIENT_ENV,
  findKeys,
  KEYS,
  PROVIDERS,
  type ProviderName,
  type SentCall,
  type SixProviders,
  startSixProviders,
  toModel,
  toProvider,
} from './six-providers.ts';

const CALLS = 100;
const MODEL = 'any-model';
const MESSAGES = [{ role: 'user' as const, content: 'Hello' }];

let six: SixProviders;

beforeAll(async () => {
  six = await startSixProviders();
});

afterAll(async () => {
  await six.close();
});

/** Which provider's model a sent call uses; null: it asks none. */
function toExpected(call: SentCall, assistants: ReadonlyMap<string, ProviderName>): ProviderName | null {
  if (call.method !== 'POST' || call.path === '/assistants') return null;
  const body = call.body === '' ? {} : JSON.parse(call.body);
  const named = PROVIDERS.find((id) => String(body.model ?? '').startsWith(`${id}/`));
  return named ?? assistants.get(body.assistant_id) ?? null;
}

describe('the keys of six providers in one environment', () => {
  test('100 calls at once with models of all six: none carries the key of another, and none reaches another', async () => {
    const { client, sent } = six.connect();
    const assistants = new Map<string, ProviderName>();
    const ids = await Promise.all(
      PROVIDERS.map(async (provider) => {
        const { id } = await client.beta.assistants.create({ model: toModel(provider, MODEL) });
        assistants.set(id, provider);
        return id;
      }),
    );
    const before = six.upstream.requests.length;
    const calls = Array.from({ length: CALLS }, async (_, at) => {
      const provider = PROVIDERS[at % PROVIDERS.length] ?? 'openai';
      const assistant_id = ids[at % ids.length] ?? '';
      const kind = Math.floor(at / PROVIDERS.length) % 5;
      const model = toModel(provider, MODEL);
      if (kind === 0) return await client.chat.completions.create({ model, messages: MESSAGES });
      if (kind === 1) return await client.embeddings.create({ model, input: 'Hello' });
      if (kind === 2) {
        return await client.beta.threads.createAndRunPoll({ assistant_id, thread: { messages: MESSAGES } });
      }
      const thread = await client.beta.threads.create({ messages: MESSAGES });
      // The run's own model comes before the assistant's, which is another provider's here.
      const other = ids[(at + 1) % ids.length] ?? '';
      const body = kind === 3 ? { assistant_id } : { assistant_id: other, model };
      return await client.beta.threads.runs.createAndPoll(thread.id, body);
    });
    const answers = await Promise.all(calls);
    for (const answer of answers) if ('status' in answer) expect(answer.status).toBe('completed');
    for (const call of sent) {
      const expected = toExpected(call, assistants);
      expect({ path: call.path, keys: findKeys(call.headers) }).toEqual({
        path: call.path,
        keys: expected === null ? [] : [expected],
      });
    }
    const reached = six.upstream.requests.slice(before);
    expect(reached).toHaveLength(CALLS);
    for (const { path, headers } of reached) {
      expect(headers.authorization).toBe(`Bearer ${KEYS[toProvider(path) as ProviderName]}`);
      expect(findKeys(new Headers(headers as Record<string, string>))).toEqual([
        toProvider(path) as ProviderName,
      ]);
    }
    expect(new Set(reached.map(({ path }) => toProvider(path)))).toEqual(new Set(PROVIDERS));
    const lookups = sent.filter(({ method, path }) => method === 'GET' && path.startsWith('/assistants/'));
    expect(lookups).toHaveLength(ids.length);
  });

  test('the outputs of tools go with the key of the model of the run, not of its assistant', async () => {
    const { client, sent } = six.connect();
    const script = six.upstream.script('client-tools', [callTool('add', { a: 1 })], [say('Two.')]);
    const assistant = await client.beta.assistants.create({
      model: toModel('groq', MODEL),
      tools: [{ type: 'function', function: { name: 'add' } }],
    });
    const thread = await client.beta.threads.create({ messages: MESSAGES });
    const run = await client.beta.threads.runs.createAndPoll(thread.id, {
      assistant_id: assistant.id,
      model: toModel('xai', script),
    });
    expect(run.status).toBe('requires_action');
    const id = run.required_action?.submit_tool_outputs.tool_calls[0]?.id ?? '';
    const ended = await client.beta.threads.runs.submitToolOutputsAndPoll(run.id, {
      thread_id: thread.id,
      tool_outputs: [{ tool_call_id: id, output: '2' }],
    });
    expect(ended.status).toBe('completed');
    const submitted = sent.filter(({ path }) => path.endsWith('/submit_tool_outputs'));
    expect(submitted.map(({ headers }) => findKeys(headers))).toEqual([['xai']]);
  });

  test("an assistant that is given another provider's model is asked about anew", async () => {
    const { client, sent } = six.connect();
    const assistant = await client.beta.assistants.create({ model: toModel('groq', MODEL) });
    const thread = await client.beta.threads.create({ messages: MESSAGES });
    const run = async (): Promise<string> =>
      (await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id })).status;
    expect(await run()).toBe('completed');
    await client.beta.assistants.update(assistant.id, { model: toModel('deepseek', MODEL) });
    expect(await run()).toBe('completed');
    const runs = sent.filter(({ method, path }) => method === 'POST' && path.endsWith('/runs'));
    expect(runs.map(({ headers }) => findKeys(headers))).toEqual([['groq'], ['deepseek']]);
  });

  test("OpenAI's key is the bearer of OpenAI's models only, and `understudy` that of everything else", async () => {
    const { client, sent } = six.connect();
    await client.chat.completions.create({ model: 'gpt-4o', messages: MESSAGES });
    await client.chat.completions.create({ model: toModel('groq', MODEL), messages: MESSAGES });
    await client.beta.threads.create({});
    await client.models.list();
    expect(sent.map(({ headers }) => headers.get('authorization'))).toEqual([
      `Bearer ${KEYS.openai}`,
      'Bearer understudy',
      'Bearer understudy',
      'Bearer understudy',
    ]);
  });

  test("a key of the server's own is the bearer of all calls, and OpenAI's then goes beside it with OpenAI's models", async () => {
    const { client, sent } = six.connect({
      env: { ...CLIENT_ENV, UNDERSTUDY_API_KEY: 'sk-understudy-mine' },
    });
    await client.chat.completions.create({ model: 'gpt-4o', messages: MESSAGES });
    await client.chat.completions.create({ model: toModel('groq', MODEL), messages: MESSAGES });
    expect(sent.map(({ headers }) => headers.get('authorization'))).toEqual([
      'Bearer sk-understudy-mine',
      'Bearer sk-understudy-mine',
    ]);
    expect(sent.map(({ headers }) => findKeys(headers))).toEqual([['openai'], ['groq']]);
    const [first] = six.upstream.requestsFor('gpt-4o').slice(-1);
    expect(first?.headers.authorization).toBe(`Bearer ${KEYS.openai}`);
  });
});
