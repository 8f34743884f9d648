import { describe, expect, test } from 'bun:test';
import { createLedger } from '../../src/access/limits/ledger.ts';
import { type Account, type LimitsQuestion, NO_QUESTION } from '../../src/access/limits/limits-protocol.ts';

const NONE = { requests: null, tokens: null, runs: null };
const MINUTE_MS = 60_000;

function open() {
  let nowMs = 1_000_000;
  const ledger = createLedger({ clock: { nowMs: () => nowMs } });
  return {
    ledger,
    ask: (account: Account, question: Partial<LimitsQuestion>, worker = 1) =>
      ledger.answer({ ...NO_QUESTION, account, ...question }, worker),
    advance(ms: number) {
      nowMs += ms;
    },
  };
}

function toAccount(
  key: Partial<Account['keyRates']>,
  project: Partial<Account['keyRates']> = {},
  name = 'k',
) {
  return { key: name, project: 'p', keyRates: { ...NONE, ...key }, projectRates: { ...NONE, ...project } };
}

describe('requests', () => {
  test('as many as the limit come in at once, and then one for each part of a minute', () => {
    const { ask, advance } = open();
    const account = toAccount({ requests: 60 });
    for (let request = 1; request <= 60; request += 1) {
      const { granted, requests } = ask(account, { requests: 1 });
      expect([granted, requests?.remaining]).toEqual([1, 60 - request]);
    }
    const refused = ask(account, { requests: 1 });
    expect(refused).toMatchObject({ granted: 0, requests: { limit: 60, remaining: 0, waitMs: 1_000 } });
    expect(refused.requests?.resetMs).toBe(MINUTE_MS);
    advance(999);
    expect(ask(account, { requests: 1 }).granted).toBe(0);
    advance(1);
    expect(ask(account, { requests: 2 }).granted).toBe(1);
    advance(10 * MINUTE_MS);
    expect(ask(account, { requests: 100 }).granted).toBe(60);
  });

  test('all workers draw from one store, and what one did not use is there for the others', () => {
    const { ask } = open();
    const account = toAccount({ requests: 10 });
    expect(ask(account, { requests: 6 }, 1).granted).toBe(6);
    expect(ask(account, { requests: 6 }, 2).granted).toBe(4);
    expect(ask(account, { requests: 1 }, 2).granted).toBe(0);
    ask(account, { returned: 3 }, 1);
    expect(ask(account, { requests: 6 }, 2).granted).toBe(3);
  });

  test('more than was granted cannot be given back', () => {
    const { ask } = open();
    const account = toAccount({ requests: 10 });
    ask(account, { requests: 1, returned: 1_000_000 });
    expect(ask(account, { requests: 20 }).granted).toBe(9);
  });

  test('keys of a project share its limit, and each has its own: the tighter counts and is shown', () => {
    const { ask } = open();
    const [a, b] = [
      toAccount({ requests: 5 }, { requests: 8 }, 'a'),
      toAccount({ requests: 5 }, { requests: 8 }, 'b'),
    ];
    expect(ask(a, { requests: 6 })).toMatchObject({ granted: 5, requests: { limit: 5, remaining: 0 } });
    expect(ask(b, { requests: 6 })).toMatchObject({ granted: 3, requests: { limit: 8, remaining: 0 } });
    // What was refused for the project was not taken from the key.
    ask(a, { returned: 2 });
    expect(ask(b, { requests: 6 }).granted).toBe(2);
  });

  test('a limit that is lowered holds at once, and one that is raised fills up', () => {
    const { ask, advance } = open();
    ask(toAccount({ requests: 100 }), { requests: 1 });
    expect(ask(toAccount({ requests: 5 }), { requests: 100 }).granted).toBe(5);
    advance(MINUTE_MS);
    expect(ask(toAccount({ requests: 100 }), { requests: 100 }).granted).toBe(5);
    advance(MINUTE_MS);
    expect(ask(toAccount({ requests: 100 }), { requests: 100 }).granted).toBe(100);
  });

  test('without a limit everything is granted, and nothing is said of one', () => {
    const { ask } = open();
    expect(ask(toAccount({}), { requests: 1_000 })).toEqual({
      granted: 1_000,
      hasRoom: true,
      requests: null,
      tokens: null,
    });
  });

  test('a clock that goes back neither gives nor takes anything', () => {
    const { ask, advance } = open();
    const account = toAccount({ requests: 60 });
    ask(account, { requests: 60 });
    advance(-MINUTE_MS);
    expect(ask(account, { requests: 1 }).granted).toBe(0);
    advance(1_000);
    expect(ask(account, { requests: 60 }).granted).toBe(1);
  });
});

describe('tokens', () => {
  test('are charged when they are used; what was used beyond the limit has to come back first', () => {
    const { ask, advance } = open();
    const account = toAccount({ tokens: 600 });
    expect(ask(account, {}).tokens).toMatchObject({ limit: 600, remaining: 600, waitMs: 0 });
    expect(ask(account, { tokens: 500 }).tokens).toMatchObject({ remaining: 100, waitMs: 0 });
    expect(ask(account, { tokens: 200 }).tokens).toMatchObject({ remaining: -100, waitMs: 10_000 });
    advance(9_999);
    expect(ask(account, {}).tokens?.remaining).toBeLessThan(0);
    advance(1);
    expect(ask(account, {}).tokens).toMatchObject({ remaining: 0, waitMs: 0 });
  });

  test('are charged to a limit that who used them does not know of', () => {
    const { ask } = open();
    const account = toAccount({ tokens: 600 }, { tokens: 1_000 });
    ask(account, { requests: 1 });
    ask(toAccount({}), { tokens: 700 }, 2);
    expect(ask(account, {}).tokens).toMatchObject({ limit: 600, remaining: -100 });
    ask(toAccount({}, {}, 'another'), { tokens: 700 }, 2);
    expect(ask(account, {}).tokens).toMatchObject({ limit: 1_000, remaining: -400 });
  });
});

describe('runs', () => {
  test('there is room for as many as may be, over all workers and keys of the project', () => {
    const { ask } = open();
    const [a, b] = [toAccount({ runs: 2 }, { runs: 3 }, 'a'), toAccount({ runs: 2 }, { runs: 3 }, 'b')];
    expect(ask(a, { run: 'take' }, 1).hasRoom).toBe(true);
    expect(ask(a, { run: 'take' }, 2).hasRoom).toBe(true);
    expect(ask(a, { run: 'take' }, 2).hasRoom).toBe(false);
    expect(ask(b, { run: 'take' }, 2).hasRoom).toBe(true);
    expect(ask(b, { run: 'take' }, 2).hasRoom).toBe(false);
    ask(a, { endedRuns: 1 }, 1);
    expect(ask(b, { run: 'take' }, 1).hasRoom).toBe(true);
  });

  test('those of a worker that has ended are over', () => {
    const { ask, ledger } = open();
    const account = toAccount({ runs: 2 });
    ask(account, { run: 'take' }, 1);
    ask(account, { run: 'take' }, 2);
    ledger.forgetWorker(1);
    expect(ask(account, { run: 'take' }, 2).hasRoom).toBe(true);
    expect(ask(account, { run: 'take' }, 2).hasRoom).toBe(false);
    // What it had under way comes too late to end those of others.
    ask(account, { endedRuns: 1 }, 1);
    expect(ask(account, { run: 'take' }, 2).hasRoom).toBe(false);
  });

  test('one that goes on anyway is counted, whether or not there is room', () => {
    const { ask } = open();
    const account = toAccount({ runs: 1 });
    ask(toAccount({}), { run: 'note' }, 1);
    ask(toAccount({}), { run: 'note' }, 1);
    expect(ask(account, { run: 'take' }, 2).hasRoom).toBe(false);
    ask(toAccount({}), { endedRuns: 2 }, 1);
    expect(ask(account, { run: 'take' }, 2).hasRoom).toBe(true);
  });
});
