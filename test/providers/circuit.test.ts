import { describe, expect, test } from 'bun:test';
import {
  type CircuitPolicy,
  type CircuitView,
  createCircuits,
} from '../../src/providers/outbound/circuit.ts';
import { createUpstream, type UpstreamCall } from '../../src/providers/outbound/upstream.ts';
import { ProviderError } from '../../src/providers/provider.ts';
import { catchProviderError, waitUntil } from '../support/provider-calls.ts';

const POLICY: CircuitPolicy = { failuresMax: 3, openMs: 1000, openMaxMs: 4000 };

function setUp() {
  const clock = { nowMs: () => nowMs };
  let nowMs = 1_000_000;
  const changes: CircuitView[] = [];
  const circuits = createCircuits({ clock, policy: POLICY, onChange: (view) => changes.push(view) });
  return {
    circuits,
    changes,
    wait: (ms: number) => {
      nowMs += ms;
    },
    fail: (times = 1, provider = 'groq', host = 'api.example') => {
      for (let i = 0; i < times; i += 1) circuits.enter(provider, host, 'other')('failure');
    },
    states: () => circuits.list().map(({ state }) => state),
  };
}

function catchRefusal(act: () => unknown): ProviderError {
  try {
    act();
  } catch (error) {
    if (error instanceof ProviderError) return error;
    throw error;
  }
  throw new Error('A refusal was expected.');
}

describe('a circuit', () => {
  test('opens after so many failures in a row, and says for how long', () => {
    const { circuits, fail, wait } = setUp();
    fail(2);
    circuits.enter('groq', 'api.example', 'other')('success');
    fail(3);
    wait(400);
    const error = catchRefusal(() => circuits.enter('groq', 'api.example', 'other'));
    expect(error).toMatchObject({ kind: 'unavailable', retryAfterMs: 600, isRetryable: true, status: null });
    expect(circuits.list()).toEqual([
      { provider: 'groq', host: 'api.example', use: 'other', state: 'open', failures: 3, retryAfterMs: 600 },
    ]);
  });

  test('is that of one provider, host and use alone', () => {
    const { circuits, fail } = setUp();
    fail(3);
    circuits.enter('groq', 'api.example', 'embeddings')('success');
    circuits.enter('groq', 'other.example', 'other')('success');
    circuits.enter('xai', 'api.example', 'other')('success');
    catchRefusal(() => circuits.enter('groq', 'api.example', 'other'));
  });

  test('lets one call through to look, and closes when that works', () => {
    const { circuits, fail, wait, states, changes } = setUp();
    fail(3);
    wait(1000);
    expect(states()).toEqual(['half_open']);
    const settle = circuits.enter('groq', 'api.example', 'other');
    catchRefusal(() => circuits.enter('groq', 'api.example', 'other'));
    expect(states()).toEqual(['half_open']);
    settle('success');
    expect(circuits.list()).toEqual([]);
    circuits.enter('groq', 'api.example', 'other')('failure');
    circuits.enter('groq', 'api.example', 'other')('success');
    expect(changes.map(({ state }) => state)).toEqual(['open', 'closed']);
  });

  test('opens for twice as long with each look that fails, up to its bound', () => {
    const { circuits, fail, wait } = setUp();
    fail(3);
    for (const expectedMs of [2000, 4000, 4000]) {
      wait(catchRefusal(() => circuits.enter('groq', 'api.example', 'other')).retryAfterMs ?? 0);
      circuits.enter('groq', 'api.example', 'other')('failure');
      expect(catchRefusal(() => circuits.enter('groq', 'api.example', 'other')).retryAfterMs).toBe(
        expectedMs,
      );
    }
  });

  test('is looked at again at once when whoever looked has left', () => {
    const { circuits, fail, wait } = setUp();
    fail(3);
    wait(1000);
    circuits.enter('groq', 'api.example', 'other')('none');
    circuits.enter('groq', 'api.example', 'other')('success');
    expect(circuits.list()).toEqual([]);
  });

  test('is not held open by a look that gets no answer', () => {
    const { circuits, fail, wait } = setUp();
    fail(3);
    wait(1000);
    const slow = circuits.enter('groq', 'api.example', 'other');
    wait(1000);
    circuits.enter('groq', 'api.example', 'other')('success');
    slow('failure');
    expect(circuits.list()).toMatchObject([{ state: 'closed', failures: 1 }]);
  });

  test('counts the outcome of a call once', () => {
    const { circuits, states } = setUp();
    const settle = circuits.enter('groq', 'api.example', 'other');
    for (let i = 0; i < 5; i += 1) settle('failure');
    expect(states()).toEqual(['closed']);
  });

  test('does not stay open when the clock is put back', () => {
    const { circuits, fail, wait } = setUp();
    fail(3);
    wait(-3_600_000);
    circuits.enter('groq', 'api.example', 'other')('success');
    expect(circuits.list()).toEqual([]);
  });
});

describe('calls of a provider', () => {
  const STYLE = { provider: 'groq', auth: null, headers: {}, timeouts: {} };
  const CALL: UpstreamCall = {
    method: 'GET',
    url: 'https://api.example/v1/secret-path?key=secret',
    apiKey: 'sk-secret-key',
    accept: '*/*',
    requestId: 'req_x',
    style: STYLE,
    signal: new AbortController().signal,
  };

  /** A way out to a server that answers what `next` says. */
  function setUpCalls() {
    let next: () => Promise<Response> = async () => new Response('ok');
    let calls = 0;
    const circuits = createCircuits({ clock: { nowMs: () => 1_000_000 }, policy: POLICY });
    const send = createUpstream({
      fetch: async () => {
        calls += 1;
        return await next();
      },
      probe: null,
      circuits,
      timeouts: { connectMs: 1000, firstByteMs: 1000, idleMs: 1000 },
    });
    const call = (more: Partial<UpstreamCall> = {}) => send({ ...CALL, ...more });
    return {
      call,
      circuits,
      answer: (act: () => Promise<Response>) => {
        next = act;
      },
      count: () => calls,
    };
  }
  const answerStatus = (status: number) => async () => new Response('', { status });

  test.each([500, 502, 503, 504])(
    'that fail with status %p open its circuit; then nothing is sent',
    async (status) => {
      const { call, answer, count, circuits } = setUpCalls();
      answer(answerStatus(status));
      for (let i = 0; i < 3; i += 1) (await call()).close();
      const error = await catchProviderError(call());
      expect(error.kind).toBe('unavailable');
      expect(count()).toBe(3);
      expect(JSON.stringify(circuits.list()) + error.message).not.toContain('secret');
    },
  );

  test('that find no connection open its circuit', async () => {
    const { call, answer } = setUpCalls();
    answer(() => Promise.reject(Object.assign(new Error('no'), { code: 'ConnectionRefused' })));
    for (let i = 0; i < 3; i += 1) expect((await catchProviderError(call())).kind).toBe('connection');
    expect((await catchProviderError(call())).kind).toBe('unavailable');
  });

  test('that get no answer in time open its circuit', async () => {
    const circuits = createCircuits({ clock: { nowMs: () => 1_000_000 }, policy: POLICY });
    const hang = (_: string, { signal }: BunFetchRequestInit) =>
      new Promise<Response>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    const send = createUpstream({ fetch: hang, probe: null, circuits });
    const call = () => send({ ...CALL, style: { ...STYLE, timeouts: { firstByteMs: 5 } } });
    for (let i = 0; i < 3; i += 1) expect((await catchProviderError(call())).kind).toBe('timeout');
    expect((await catchProviderError(call())).kind).toBe('unavailable');
  });

  test.each([200, 400, 401, 404, 429, 501, 529])('that end with status %p never do', async (status) => {
    const { call, answer, circuits } = setUpCalls();
    answer(answerStatus(status));
    for (let i = 0; i < 10; i += 1) (await call()).close();
    expect(circuits.list()).toEqual([]);
  });

  test('that their callers left say nothing of the server', async () => {
    const { call, answer, circuits } = setUpCalls();
    const abort = new AbortController();
    answer(async () => {
      abort.abort(new ProviderError('timeout', 'the caller’s own'));
      throw abort.signal.reason;
    });
    await catchProviderError(call({ signal: abort.signal }));
    expect(circuits.list()).toEqual([]);
  });

  test('to a host that a request named neither open a circuit for others nor are stopped by one', async () => {
    const { call, answer, circuits, count } = setUpCalls();
    answer(answerStatus(500));
    const named = { hostFromRequest: true, url: 'https://8.8.8.8/v1' };
    const configured = { url: 'https://8.8.8.8/v1' };
    for (let i = 0; i < 10; i += 1) (await call(named)).close();
    expect(circuits.list()).toEqual([]);
    for (let i = 0; i < 3; i += 1) (await call(configured)).close();
    await catchProviderError(call(configured));
    expect(count()).toBe(13);
    (await call(named)).close();
    await waitUntil(() => count() === 14);
  });
});
