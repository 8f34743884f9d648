import { describe, expect, test } from 'bun:test';
import { type KeyLimits, NO_KEY_LIMITS, NO_PROJECT_LIMITS } from '../../src/access/key-records.ts';
import { createLedger } from '../../src/access/limits/ledger.ts';
import { createRequestLimiter } from '../../src/access/limits/limiter.ts';
import type { AskLimits, LimitsQuestion } from '../../src/access/limits/limits-protocol.ts';
import { toDuration } from '../../src/access/limits/rate-headers.ts';
import type { KeyIdentity } from '../../src/access/verified-keys.ts';
import { createLog } from '../../src/log.ts';
import { waitUntil } from '../support/server.ts';

const log = createLog('silent', () => undefined);

function toIdentity(limits: Partial<KeyLimits>, project: Partial<KeyLimits> = {}): KeyIdentity {
  return {
    keyId: 'key_1',
    tenant: 'proj_1',
    project: 'alpha',
    scopes: new Set(['read']),
    limits: { ...NO_KEY_LIMITS, ...limits },
    projectLimits: { ...NO_PROJECT_LIMITS, ...project },
  };
}

/** Workers that ask one ledger, as if it were in another process. */
function openWorkers(count: number) {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs };
  const ledger = createLedger({ clock });
  const questions: LimitsQuestion[] = [];
  let fault: (() => Promise<never>) | null = null;
  const toAsk =
    (worker: number): AskLimits =>
    async (question) => {
      await Promise.resolve();
      if (fault !== null) return await fault();
      questions.push(question);
      return ledger.answer(JSON.parse(JSON.stringify(question)), worker);
    };
  return {
    workers: Array.from({ length: count }, (_, worker) =>
      createRequestLimiter({ ask: toAsk(worker), clock, log }),
    ),
    questions,
    advance(ms: number) {
      nowMs += ms;
    },
    failBy(next: (() => Promise<never>) | null) {
      fault = next;
    },
  };
}

type Worker = ReturnType<typeof openWorkers>['workers'][number];

/** The status of the request, and what its answer says. */
async function send(worker: Worker | undefined, identity: KeyIdentity, asksModel = false) {
  const headers: Record<string, string | number | undefined> = {};
  const error = await worker?.admit(identity, asksModel, headers).then(
    () => null,
    (caught: unknown) => caught as { status: number; message: string; retryAfterMs: number },
  );
  return { status: error?.status ?? 200, error, headers };
}

test('60 of 61 requests that two workers get at once are let in, whichever gets which', async () => {
  const { workers } = openWorkers(2);
  const identity = toIdentity({ requests_per_minute: 60 });
  const sent = await Promise.all(
    Array.from({ length: 61 }, (_, request) => send(workers[(request * 7) % 2], identity)),
  );
  expect(sent.filter(({ status }) => status === 200)).toHaveLength(60);
  const refused = sent.find(({ status }) => status === 429);
  expect(refused?.error).toMatchObject({ wireCode: 'rate_limit_exceeded', retryAfterMs: 1_000 });
  expect(refused?.error?.message).toBe(
    "Rate limit reached in project 'alpha' on requests per min (RPM): Limit 60, Used 60. Please try again in 1s.",
  );
  expect(refused?.headers).toEqual({
    'x-ratelimit-limit-requests': '60',
    'x-ratelimit-remaining-requests': '0',
    'x-ratelimit-reset-requests': '1m0s',
  });
});

test('the answers count down what is left', async () => {
  const { workers } = openWorkers(1);
  const identity = toIdentity({}, { requests_per_minute: 3 });
  const left: unknown[] = [];
  for (let request = 0; request < 3; request += 1) {
    const { headers } = await send(workers[0], identity);
    left.push(headers['x-ratelimit-remaining-requests']);
  }
  expect(left).toEqual(['2', '1', '0']);
});

describe('where a limit is high', () => {
  test('not every request asks the primary, and no more come in than may', async () => {
    const { workers, questions } = openWorkers(2);
    const identity = toIdentity({ requests_per_minute: 12_000 });
    let served = 0;
    for (let request = 0; request < 12_100; request += 1) {
      if ((await send(workers[request % 2], identity)).status === 200) served += 1;
    }
    expect(served).toBeGreaterThanOrEqual(12_000 - 20);
    expect(served).toBeLessThanOrEqual(12_000);
    expect(questions.length).toBeLessThan(1_000);
  });

  test('what one worker does not use is soon there for the others', async () => {
    const { workers, questions, advance } = openWorkers(2);
    const identity = toIdentity({ requests_per_minute: 6_000 });
    await send(workers[0], identity);
    advance(250);
    await waitUntil('the rest is given back', () => questions.some(({ returned }) => returned === 9));
  });

  test('limits that are changed hold for the next request', async () => {
    const { workers } = openWorkers(1);
    expect((await send(workers[0], toIdentity({ requests_per_minute: 6_000 }))).status).toBe(200);
    const lowered = toIdentity({ requests_per_minute: 1 });
    expect((await send(workers[0], lowered)).status).toBe(200);
    expect((await send(workers[0], lowered)).status).toBe(429);
  });
});

describe('tokens', () => {
  test('once more is used than may be, requests that ask a model wait, and others go on', async () => {
    const { workers, questions, advance } = openWorkers(2);
    const identity = toIdentity({ tokens_per_minute: 600 });
    expect((await send(workers[0], identity, true)).headers).toEqual({
      'x-ratelimit-limit-tokens': '600',
      'x-ratelimit-remaining-tokens': '600',
      'x-ratelimit-reset-tokens': '0s',
    });
    workers[0]?.chargeTokens('proj_1', 'key_1', 700);
    expect((await send(workers[0], identity, true)).status).toBe(429);
    await waitUntil('all are told', () => questions.some(({ tokens }) => tokens === 700));
    const refused = await send(workers[1], identity, true);
    expect(refused.status).toBe(429);
    expect(refused.error).toMatchObject({ wireCode: 'rate_limit_exceeded', retryAfterMs: 10_000 });
    expect(refused.error?.message).toContain('on tokens per min (TPM): Limit 600, Used 700.');
    expect((await send(workers[1], identity, false)).status).toBe(200);
    advance(10_000);
    expect((await send(workers[1], identity, true)).status).toBe(200);
  });

  test('are charged also where the run goes on in a process that has not seen the key', async () => {
    const { workers } = openWorkers(2);
    const identity = toIdentity({ tokens_per_minute: 600 });
    await send(workers[0], identity, true);
    workers[1]?.chargeTokens('proj_1', 'key_1', 700);
    await waitUntil('it is seen', async () => (await send(workers[1], identity, true)).status === 429);
  });
});

describe('runs', () => {
  test('have as many slots as may be, over all workers; each is given back once', async () => {
    const { workers } = openWorkers(2);
    const identity = toIdentity({ concurrent_runs: 2 });
    const first = await workers[0]?.takeRunSlot(identity);
    await workers[1]?.takeRunSlot(identity);
    const third = workers[0]?.takeRunSlot(identity);
    await expect(third).rejects.toMatchObject({ status: 429, wireCode: 'rate_limit_exceeded' });
    first?.release();
    first?.release();
    await workers[1]?.takeRunSlot(identity);
    await expect(workers[1]?.takeRunSlot(identity)).rejects.toMatchObject({ status: 429 });
  });

  test('without a limit nobody is asked', async () => {
    const { workers, questions } = openWorkers(1);
    (await workers[0]?.takeRunSlot(toIdentity({ requests_per_minute: 1 })))?.release();
    await send(workers[0], toIdentity({ concurrent_runs: 1 }));
    expect(questions).toEqual([]);
  });
});

describe('while the primary does not answer', () => {
  const fail = async (): Promise<never> => {
    throw new Error('gone');
  };

  test('each worker holds the limits by itself', async () => {
    const { workers, failBy, advance } = openWorkers(2);
    failBy(fail);
    const identity = toIdentity({ requests_per_minute: 2 });
    for (const worker of workers) {
      expect((await send(worker, identity)).status).toBe(200);
      advance(10);
      expect((await send(worker, identity)).status).toBe(200);
      expect((await send(worker, identity)).status).toBe(429);
    }
  });

  test('a slot that was given by the primary is given back to it, and one of its own to itself', async () => {
    const { workers, failBy, advance, questions } = openWorkers(1);
    const identity = toIdentity({ concurrent_runs: 1 });
    failBy(fail);
    const own = await workers[0]?.takeRunSlot(identity);
    failBy(null);
    advance(2_000);
    const slot = await workers[0]?.takeRunSlot(identity);
    own?.release();
    await expect(workers[0]?.takeRunSlot(identity)).rejects.toMatchObject({ status: 429 });
    slot?.release();
    await waitUntil('it is told', () => questions.some(({ endedRuns }) => endedRuns === 1));
    expect(questions.filter(({ endedRuns }) => endedRuns === 1)).toHaveLength(1);
  });
});

test.each([
  [0, '0s'],
  [120, '120ms'],
  [1_000, '1s'],
  [8_640, '8.64s'],
  [60_000, '1m0s'],
  [360_500, '6m0.5s'],
  [3_605_000, '1h0m5s'],
])('%p ms is written %s', (ms, text) => {
  expect(toDuration(ms)).toBe(text);
});
