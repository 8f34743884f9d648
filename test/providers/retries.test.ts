import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { systemClock } from '../../src/clock.ts';
import { createIds } from '../../src/ids.ts';
import { createLog } from '../../src/log.ts';
import { createOpenAiProvider } from '../../src/providers/openai/openai-provider.ts';
import { RETRY_POLICY, withRetries } from '../../src/providers/openai/retry.ts';
import { createUpstream } from '../../src/providers/outbound/upstream.ts';
import { ProviderError } from '../../src/providers/provider.ts';
import { startFullServer } from '../support/full-server.ts';
import {
  catchProviderError,
  collectEvents,
  createTestProvider,
  joinText,
  QUICK_RETRIES,
  toCallOptions,
  toChatRequest,
} from '../support/provider-calls.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { chunk, fail, finish, hang, noDone, reset, type Step, say } from '../support/upstream-steps.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(() => upstream.close());

async function play(name: string, steps: readonly Step[], provider = createTestProvider()) {
  const model = upstream.script(name, steps);
  const outcome = await collectEvents(provider.chat(toChatRequest(model), toCallOptions(upstream.url)));
  return { ...outcome, requests: upstream.requestsFor(model) };
}

describe('retries of chat', () => {
  test.each([429, 500, 502, 503, 504, 529, 408])(
    'status %p twice, then success, is a success',
    async (status) => {
      const { events, error, requests } = await play(`twice ${status}`, [
        fail(status, { times: 2 }),
        say('ok'),
      ]);
      expect(error).toBeNull();
      expect(joinText(events)).toBe('ok');
      expect(requests).toHaveLength(3);
      expect(requests[2]?.body).toEqual(requests[0]?.body);
    },
  );

  test('the attempts are bounded, and the last error is the one that is thrown', async () => {
    const { error, requests } = await play('for ever', [fail(503, { message: 'Still busy' })]);
    expect(error).toMatchObject({ kind: 'server', status: 503, message: 'Still busy', isRetryable: true });
    expect(requests).toHaveLength(QUICK_RETRIES.attemptsMax);
  });

  test.each([400, 401, 403, 404, 409, 413, 422, 501])('status %p is not tried again', async (status) => {
    const { error, requests } = await play(`once ${status}`, [fail(status)]);
    expect(error).toMatchObject({ status, isRetryable: false });
    expect(requests).toHaveLength(1);
  });

  test('a used-up quota is not tried again, although its status is 429', async () => {
    const { error, requests } = await play('quota', [
      fail(429, {
        code: 'insufficient_quota',
        type: 'insufficient_quota',
        message: 'You exceeded your quota',
      }),
    ]);
    expect(error).toMatchObject({ kind: 'insufficient_quota', status: 429, isRetryable: false });
    expect(requests).toHaveLength(1);
  });

  test('a server that says x-should-retry: false is not asked again', async () => {
    const { requests } = await play('told not to', [fail(503, { headers: { 'x-should-retry': 'false' } })]);
    expect(requests).toHaveLength(1);
  });

  test('a connection that is reset before the answer is tried again', async () => {
    const { error, requests } = await play('reset first', [reset()]);
    expect(error).toMatchObject({ kind: 'connection', isRetryable: true });
    expect(requests).toHaveLength(3);
  });

  test('a server that cannot be reached is tried again, then named without more than its origin', async () => {
    const port = await findClosedPort();
    const provider = createTestProvider();
    const call = provider.chat(toChatRequest('m'), toCallOptions(`http://127.0.0.1:${port}/secret-path/v1`));
    const { error } = await collectEvents(call);
    expect(error).toMatchObject({ kind: 'connection', status: null });
    expect(String(error)).toContain(`http://127.0.0.1:${port}`);
    expect(String(error)).not.toContain('secret-path');
  });

  test('an error in the stream before its first event is tried again', async () => {
    const { requests, error } = await play('inline first', [
      chunk({ error: { message: 'busy', code: 503 } }),
      noDone(),
    ]);
    expect(error).toMatchObject({ kind: 'server', message: 'busy' });
    expect(requests).toHaveLength(3);
  });

  test('nothing is tried again after the first event, so no text comes twice', async () => {
    const { events, error, requests } = await play('after text', [
      say('said'),
      chunk({ error: { message: 'busy', code: 503 } }),
      finish('stop'),
    ]);
    expect(joinText(events)).toBe('said');
    expect(error).toMatchObject({ kind: 'server' });
    expect(requests).toHaveLength(1);
  });

  test('a server that refuses stream_options is asked without them, once, and remembered', async () => {
    const provider = createTestProvider();
    const message = 'Unrecognized request argument supplied: stream_options';
    const model = upstream.script('no stream options', [fail(400, { message, times: 1 }), say('ok')]);
    for (let i = 0; i < 2; i += 1) {
      const { events } = await collectEvents(
        provider.chat(toChatRequest(model), toCallOptions(upstream.url)),
      );
      expect(joinText(events)).toBe('ok');
    }
    const bodies = upstream.requestsFor(model).map((request) => request.body as Record<string, unknown>);
    expect(bodies.map((body) => 'stream_options' in body)).toEqual([true, false, false]);
    expect(bodies.every((body) => body.stream === true)).toBe(true);
  });

  test('what is logged of a retry holds no key and no word of the conversation', async () => {
    const lines: string[] = [];
    const logging = createOpenAiProvider({
      upstream: createUpstream({ fetch }),
      clock: systemClock,
      ids: createIds(systemClock),
      log: createLog('debug', (line) => lines.push(line)),
      retryPolicy: QUICK_RETRIES,
    });
    const apiKey = 'private-key-of-the-user';
    const model = upstream.script('logged', [
      fail(500, { message: `no ${apiKey} private words`, times: 1 }),
      say('ok'),
    ]);
    const request = toChatRequest(model, { messages: [{ role: 'user', content: 'private words' }] });
    await collectEvents(logging.chat(request, toCallOptions(upstream.url, { apiKey, requestId: 'req_log' })));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ requestId: 'req_log', kind: 'server', status: 500 });
    expect(lines.join()).not.toContain('private');
  });

  test('a 400 for another reason is not taken for refused stream options', async () => {
    const { requests } = await play('other 400', [fail(400, { message: 'messages: too long' })]);
    expect(requests).toHaveLength(1);
  });
});

describe('waiting before a retry', () => {
  test.each([
    [{ retryAfter: '0.06' }, 60],
    [{ headers: { 'retry-after-ms': '60' } }, 60],
    [{ retryAfter: '30', headers: { 'retry-after-ms': '60' } }, 60],
  ])('%p is waited for', async (options, expectedMs) => {
    const startedMs = performance.now();
    const { error } = await play(`after ${JSON.stringify(options)}`, [
      fail(429, { ...options, times: 1 }),
      say('x'),
    ]);
    expect(error).toBeNull();
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(expectedMs - 2);
  });

  test.each([
    ['3600', 3_600_000],
    [new Date(Date.now() + 3_600_000).toUTCString(), 3_600_000],
  ])(
    'a server that asks to wait beyond the bound (%p) is not waited for, but told on',
    async (retryAfter, expectedMs) => {
      const startedMs = performance.now();
      const { error, requests } = await play(`long ${retryAfter}`, [fail(429, { retryAfter })]);
      expect(performance.now() - startedMs).toBeLessThan(1_000);
      expect(requests).toHaveLength(1);
      if (!(error instanceof ProviderError)) throw new Error('A ProviderError was expected.');
      expect(error.kind).toBe('rate_limit');
      expect(error.isRetryable).toBe(true);
      expect(Math.abs((error.retryAfterMs ?? 0) - expectedMs)).toBeLessThan(5_000);
    },
  );

  test('the waits double up to their bound, each shortened by no more than a quarter', async () => {
    const policy = { attemptsMax: 6, backoffMs: 4, backoffMaxMs: 16, retryAfterMaxMs: 100 };
    for (const [random, expected] of [
      [0, [4, 8, 16, 16, 16]],
      [1, [3, 6, 12, 12, 12]],
    ] as const) {
      const waits: number[] = [];
      const attempt = () => Promise.reject(new ProviderError('server', 'no', { isRetryable: true }));
      const outcome = withRetries(attempt, {
        policy,
        random: () => random,
        signal: new AbortController().signal,
        mayRetry: (error) => error.isRetryable,
        onRetry: (_, waitMs) => waits.push(waitMs),
      });
      await catchProviderError(outcome);
      expect(waits).toEqual([...expected]);
    }
  });

  test('an abort ends the wait at once with its own reason', async () => {
    const abort = new AbortController();
    const model = upstream.script('aborted wait', [fail(429, { retryAfter: '20' })]);
    const provider = createTestProvider({ retryPolicy: RETRY_POLICY });
    const events = collectEvents(
      provider.chat(toChatRequest(model), toCallOptions(upstream.url, { signal: abort.signal })),
    );
    const request = await upstream.waitForRequest(({ model: name }) => name === model);
    await request.ended;
    // The answer is on its way to the wait: give the wait a moment to begin, whichever comes first.
    await Bun.sleep(20);
    const startedMs = performance.now();
    const reason = new Error('cancelled by the user');
    abort.abort(reason);
    expect((await events).error).toBe(reason);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(upstream.requestsFor(model)).toHaveLength(1);
  });
});

describe('timeouts', () => {
  test('an upstream that does not begin to answer is given up, and not asked again', async () => {
    const provider = createTestProvider({ timeouts: { firstByteMs: 60 } });
    const { error, requests } = await play('silent', [hang()], provider);
    expect(error).toMatchObject({ kind: 'timeout', status: null });
    expect(String(error)).toContain('60 ms');
    expect(requests).toHaveLength(1);
    expect(await requests[0]?.ended).toBe('aborted');
  });

  test('an upstream that falls silent amid its answer is given up', async () => {
    const provider = createTestProvider({ timeouts: { idleMs: 60 } });
    const { events, error, requests } = await play('falls silent', [say('a b'), hang()], provider);
    expect(joinText(events)).toBe('a b');
    expect(error).toMatchObject({ kind: 'timeout' });
    expect(await requests[0]?.ended).toBe('aborted');
  });

  test('a reader that takes its time is no silent upstream', async () => {
    const provider = createTestProvider({ timeouts: { idleMs: 60 } });
    const model = upstream.script('slow reader', [say('a b c')]);
    let text = '';
    for await (const event of provider.chat(toChatRequest(model), toCallOptions(upstream.url))) {
      if (event.type === 'text') text += event.text;
      await Bun.sleep(80);
    }
    expect(text).toBe('a b c');
  });

  test('a server that takes no connection is given up after the connect timeout', async () => {
    const full = await startFullServer();
    try {
      const provider = createTestProvider({
        timeouts: { connectMs: 200 },
        retryPolicy: { attemptsMax: 1 },
      });
      const startedMs = performance.now();
      const { error } = await collectEvents(provider.chat(toChatRequest('m'), toCallOptions(full.url)));
      expect(error).toMatchObject({ kind: 'timeout' });
      expect(String(error)).toContain('200 ms');
      expect(performance.now() - startedMs).toBeLessThan(2_000);
    } finally {
      await full.close();
    }
  });

  test('a model that thinks longer than the connect timeout is waited for', async () => {
    const provider = createTestProvider({ timeouts: { connectMs: 400 } });
    const slow = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      async fetch() {
        await Bun.sleep(600);
        return new Response('data: {"choices":[{"delta":{"content":"hm"},"finish_reason":"stop"}]}\n\n');
      },
    });
    try {
      const { events, error } = await collectEvents(
        provider.chat(toChatRequest('m'), toCallOptions(`http://127.0.0.1:${slow.port}/v1`)),
      );
      expect(error).toBeNull();
      expect(joinText(events)).toBe('hm');
    } finally {
      await slow.stop(true);
    }
  });

  test('an abort during the first wait, and amid the answer, throws its reason and closes the connection', async () => {
    for (const [name, steps] of [
      ['before', [hang()]],
      ['amid', [say('a'), hang()]],
    ] as const) {
      const abort = new AbortController();
      const model = upstream.script(`abort ${name}`, steps);
      const outcome = collectEvents(
        createTestProvider().chat(
          toChatRequest(model),
          toCallOptions(upstream.url, { signal: abort.signal }),
        ),
      );
      const request = await upstream.waitForRequest(({ model: wanted }) => wanted === model);
      await Bun.sleep(20);
      const reason = new Error('enough');
      abort.abort(reason);
      expect((await outcome).error).toBe(reason);
      expect(await request.ended).toBe('aborted');
      expect(upstream.requestsFor(model)).toHaveLength(1);
    }
  });

  test('a call whose signal is aborted already sends nothing', async () => {
    const model = upstream.script('aborted before', [say('x')]);
    const signal = AbortSignal.abort(new Error('too late'));
    const { error } = await collectEvents(
      createTestProvider().chat(toChatRequest(model), toCallOptions(upstream.url, { signal })),
    );
    expect(error).toMatchObject({ message: 'too late' });
    expect(upstream.requestsFor(model)).toHaveLength(0);
  });
});

async function findClosedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
