import { describe, expect, test } from 'bun:test';
import {
  type CallOptions,
  type ChatEvent,
  type Provider,
  ProviderError,
} from '../../src/providers/provider.ts';
import { createCallLimit, limitCalls } from '../../src/providers/routing/call-limit.ts';
import { toResponse } from '../support/provider-calls.ts';

const CREDENTIALS = { apiKey: null, baseUrl: null, fromRequest: false };
const toOptions = (signal: AbortSignal = new AbortController().signal): CallOptions => ({
  credentials: CREDENTIALS,
  signal,
  requestId: 'r',
});

/** Lets everything that can happen now happen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

describe('a limit of calls', () => {
  test('lets the next one in when one leaves, in the order in which they came', async () => {
    const limit = createCallLimit('Groq', 2);
    const entered: number[] = [];
    const leaves = new Map<number, () => void>();
    for (const number of [1, 2, 3, 4]) {
      void limit.enter(toOptions().signal).then((leave) => {
        entered.push(number);
        leaves.set(number, leave);
      });
    }
    await settle();
    expect(entered).toEqual([1, 2]);
    leaves.get(2)?.();
    leaves.get(2)?.();
    await settle();
    expect(entered).toEqual([1, 2, 3]);
    leaves.get(1)?.();
    await settle();
    expect(entered).toEqual([1, 2, 3, 4]);
  });

  test('forgets who no longer waits', async () => {
    const limit = createCallLimit('Groq', 1);
    const leave = await limit.enter(toOptions().signal);
    const impatient = new AbortController();
    const waiting = limit.enter(impatient.signal).catch((error: unknown) => error);
    impatient.abort(new Error('left'));
    expect(await waiting).toEqual(new Error('left'));
    leave();
    expect(await limit.enter(toOptions().signal)).toBeFunction();
  });

  test('refuses with a 429 where too many wait', async () => {
    const limit = createCallLimit('Groq', 1);
    await limit.enter(toOptions().signal);
    const abort = new AbortController();
    const waiting = Array.from({ length: 16 }, () => limit.enter(abort.signal).catch(() => null));
    const refused = await limit.enter(abort.signal).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ProviderError);
    expect(refused).toMatchObject({ kind: 'rate_limit', status: 429, isRetryable: true });
    abort.abort();
    await Promise.all(waiting);
  });
});

describe('a provider under a limit', () => {
  function setUp(body: () => string | ReadableStream<Uint8Array> | null) {
    let active = 0;
    const provider: Provider = {
      id: 'p',
      async *chat(): AsyncGenerator<ChatEvent, void, undefined> {
        active += 1;
        try {
          yield { type: 'text', text: 'a' };
          yield { type: 'finish', reason: 'stop' };
        } finally {
          active -= 1;
        }
      },
      relay: async () => new Response(body(), { status: 201, headers: { 'x-kept': 'yes' } }),
      listModels: async () => [],
    };
    const limit = createCallLimit('P', 1);
    return { provider: limitCalls(provider, limit), limit, active: () => active };
  }

  /** Whether a call could be made now. */
  async function isFree(limit: ReturnType<typeof createCallLimit>): Promise<boolean> {
    const abort = new AbortController();
    const entering = limit.enter(abort.signal).then(
      (leave) => {
        leave();
        return true;
      },
      () => false,
    );
    await settle();
    abort.abort();
    return await entering;
  }

  test('holds its place until a chat has ended, or nobody listens to it any more', async () => {
    const { provider, limit, active } = setUp(() => null);
    const chat = provider.chat({ model: 'm', messages: [] }, toOptions());
    await chat.next();
    expect([await isFree(limit), active()]).toEqual([false, 1]);
    await chat.return();
    expect([await isFree(limit), active()]).toEqual([true, 0]);
  });

  test('holds it until an answer has been read, and hands the answer on as it is', async () => {
    const { provider, limit } = setUp(() => 'text');
    const response = await provider.relay('embeddings', {}, toOptions());
    expect([response.status, response.headers.get('x-kept')]).toEqual([201, 'yes']);
    expect(await isFree(limit)).toBe(false);
    expect(await response.text()).toBe('text');
    expect(await isFree(limit)).toBe(true);
  });

  test('gives it back where an answer is no longer wanted, breaks off, or has no body', async () => {
    const endless = setUp(
      () => new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1)) }),
    );
    const left = await endless.provider.relay('embeddings', {}, toOptions());
    await toResponse(left).body?.cancel();
    expect(await isFree(endless.limit)).toBe(true);

    const broken = setUp(
      () => new ReadableStream({ pull: (controller) => controller.error(new Error('broke')) }),
    );
    const failed = await broken.provider.relay('embeddings', {}, toOptions());
    expect(await failed.text().catch((error: unknown) => String(error))).toContain('broke');
    expect(await isFree(broken.limit)).toBe(true);

    const empty = setUp(() => null);
    await empty.provider.relay('embeddings', {}, toOptions());
    expect(await isFree(empty.limit)).toBe(true);
  });
});
