/** How the model of an assistant is looked up: by a server that answers when it is told to. */

import { describe, expect, test } from 'bun:test';
import OpenAI from 'openai';
import { patch } from 'understudy/client';
import { createRemembered } from '../../src/client/remembered.ts';
import { waitUntil } from '../support/server.ts';

interface Held {
  readonly client: OpenAI;
  /** The paths that were asked for, each with the key that came along. */
  readonly seen: [string, string | null][];
  answer(assistant: Response | Error): void;
}

/** Lookups wait for `answer`; all else is answered at once. */
function connect(): Held {
  const seen: [string, string | null][] = [];
  const waiting: PromiseWithResolvers<Response>[] = [];
  const given = new OpenAI({
    apiKey: 'understudy',
    maxRetries: 0,
    async fetch(input, init) {
      const path = new URL(String(input)).pathname.slice('/v1'.length);
      seen.push([`${init?.method} ${path}`, new Headers(init?.headers).get('llm-param-groq-api-key')]);
      if (init?.method !== 'GET') return Response.json({ id: 'run_1', object: 'thread.run' });
      const held = Promise.withResolvers<Response>();
      waiting.push(held);
      return await held.promise;
    },
  });
  return {
    client: patch(given, { env: { GROQ_API_KEY: 'gsk-1' } }),
    seen,
    answer(assistant) {
      const held = waiting.shift();
      if (assistant instanceof Error) held?.reject(assistant);
      else held?.resolve(assistant);
    },
  };
}

const GROQ = (): Response => Response.json({ id: 'asst_1', model: 'groq/m', tools: [] });

async function toOutcome(promise: PromiseLike<unknown>): Promise<string> {
  return await promise.then(
    () => 'answered',
    (error) => String(error?.message),
  );
}

describe('looking up the model of an assistant', () => {
  test('calls that wait for one lookup share it; one that is given up ends at once, and the others go on', async () => {
    const { client, seen, answer } = connect();
    const controller = new AbortController();
    const start = (signal?: AbortSignal): Promise<string> =>
      toOutcome(
        client.beta.threads.runs.create(
          'thread_1',
          { assistant_id: 'asst_1' },
          signal === undefined ? {} : { signal },
        ),
      );
    const others = [start(), start()];
    const given = start(controller.signal);
    await waitUntil('the lookup has come', () => seen.length === 1);
    controller.abort();
    expect(await given).toContain('aborted');
    answer(GROQ());
    expect(await Promise.all(others)).toEqual(['answered', 'answered']);
    expect(seen).toEqual([
      ['GET /assistants/asst_1', null],
      ['POST /threads/thread_1/runs', 'gsk-1'],
      ['POST /threads/thread_1/runs', 'gsk-1'],
    ]);
  });

  test('one that fails is not remembered: the call goes out without a key, and the next one asks again', async () => {
    for (const fault of [new Error('the line is cut'), Response.json({ error: {} }, { status: 404 })]) {
      const { client, seen, answer } = connect();
      const start = (): Promise<string> =>
        toOutcome(client.beta.threads.runs.create('thread_1', { assistant_id: 'asst_1' }));
      const first = start();
      await waitUntil('the lookup has come', () => seen.length === 1);
      answer(fault);
      expect(await first).toBe('answered');
      const second = start();
      await waitUntil('the second lookup has come', () => seen.length === 3);
      answer(GROQ());
      expect(await second).toBe('answered');
      expect(seen.map(([, key]) => key)).toEqual([null, null, null, 'gsk-1']);
    }
  });

  test('none is made where the run names its model', async () => {
    const { client, seen } = connect();
    await client.beta.threads.runs.create('thread_1', { assistant_id: 'asst_1', model: 'groq/other' });
    expect(seen).toEqual([['POST /threads/thread_1/runs', 'gsk-1']]);
  });

  test('what was looked up while the assistant was changed or deleted is asked for again', async () => {
    for (const change of ['update', 'delete'] as const) {
      const { client, seen, answer } = connect();
      const start = (): Promise<string> =>
        toOutcome(client.beta.threads.runs.create('thread_1', { assistant_id: 'asst_1' }));
      const first = start();
      await waitUntil('the lookup has come', () => seen.length === 1);
      if (change === 'update') await client.beta.assistants.update('asst_1', { name: 'New' });
      else await client.beta.assistants.delete('asst_1');
      answer(GROQ());
      await first;
      const second = start();
      await waitUntil('the second lookup has come', () => seen.length === 4);
      answer(GROQ());
      await second;
      expect(seen.filter(([call]) => call.startsWith('GET'))).toHaveLength(2);
    }
  });
});

describe('the memory of models', () => {
  test('holds no more than its bound, and nothing for longer than it may', async () => {
    let now = 0;
    let asked = 0;
    const memory = createRemembered<number>({ entriesMax: 2, keptMs: 1_000, now: () => now });
    const find = (key: string): Promise<number> => memory.find(key, async () => ++asked);
    expect([await find('a'), await find('a'), await find('b')]).toEqual([1, 1, 2]);
    await find('c');
    expect([await find('c'), await find('b'), await find('a')]).toEqual([3, 2, 4]);
    now = 1_000;
    expect(await find('a')).toBe(5);
  });
});
