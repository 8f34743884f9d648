import { expect, test } from 'bun:test';
import { createFailedLogins } from '../../src/access/failed-logins.ts';

const SETTINGS = { delayFirstMs: 20, delayMs: 80, forgetMs: 1_000, addressesMax: 2, waitingMax: 3 };
const NEVER = new AbortController().signal;

function open(settings: Partial<typeof SETTINGS> = {}) {
  let nowMs = 0;
  const logins = createFailedLogins({ clock: { nowMs: () => nowMs } }, { ...SETTINGS, ...settings });
  return {
    /** How long an answer waited at least: timers may be late, and are never early by more than a millisecond. */
    async measure(address: string, signal = NEVER): Promise<number> {
      const beganMs = performance.now();
      await logins.slowDown(address, signal);
      return performance.now() - beganMs + 1;
    },
    advance(ms: number) {
      nowMs += ms;
    },
    logins,
  };
}

test('every wrong key of an address waits longer, up to a bound', async () => {
  const { measure } = open();
  for (const atLeast of [20, 40, 80, 80]) expect(await measure('a')).toBeGreaterThanOrEqual(atLeast);
});

test('another address begins at the beginning, and so does one that has been quiet for long', async () => {
  // What would wait in vain is seen by the bound of the test.
  const { measure, advance } = open({ delayFirstMs: 1, delayMs: 60_000 });
  for (let round = 0; round < 6; round += 1) await measure('a');
  await measure('b');
  advance(1_000);
  for (let round = 0; round < 6; round += 1) await measure('a');
});

test('addresses that are remembered are bounded: the one that failed longest ago is forgotten', async () => {
  const { measure } = open({ delayFirstMs: 1, delayMs: 60_000 });
  for (let round = 0; round < 6; round += 1) await measure('a');
  await measure('b');
  await measure('c');
  for (let round = 0; round < 6; round += 1) await measure('a');
});

test('a client that leaves gives its place back at once', async () => {
  const { logins } = open({ delayFirstMs: 60_000, delayMs: 60_000, waitingMax: 1 });
  for (let round = 0; round < 3; round += 1) {
    const client = new AbortController();
    const waiting = logins.slowDown('a', client.signal);
    client.abort();
    await waiting;
  }
});

test('beyond the places for those who wait there is a 429 at once', async () => {
  const { logins } = open({ delayFirstMs: 60_000, delayMs: 60_000, waitingMax: 2 });
  const clients = [new AbortController(), new AbortController()];
  const waiting = clients.map(({ signal }) => logins.slowDown('a', signal));
  await expect(logins.slowDown('b', NEVER)).rejects.toMatchObject({
    status: 429,
    wireCode: 'rate_limit_exceeded',
    retryAfterMs: 60_000,
  });
  for (const client of clients) client.abort();
  await Promise.all(waiting);
});
