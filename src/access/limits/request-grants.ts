/**
 * What this process may let in for one key without asking again: where a limit is high, some requests at once, for a moment.
 * Those that come while the primary is asked wait for the one answer.
 */

import type { Clock } from '../../clock.ts';
import { type Account, NO_QUESTION, type RateState } from './limits-protocol.ts';
import type { PatientAsk } from './patient-ask.ts';

export interface Grant {
  readonly isGranted: boolean;
  readonly requests: RateState | null;
  readonly tokens: RateState | null;
}

export interface RequestGrants {
  /** Never rejects. What was granted for one account is used for no other object, so a change of limits holds at once. */
  take(account: Account): Promise<Grant>;
  charge(tokens: number): void;
  /** Gives back what is left. */
  giveUp(): void;
}

/** What a process has for itself is worth a tenth of a second of the limit. */
const CHUNKS_PER_MINUTE = 600;
const CHUNK_MAX = 100;
/** How long it may be used: by then what others used, and tokens, are to be seen. */
const USABLE_MS = 250;
/** What was used, or not used, is told at the latest then. */
const TELL_MS = 100;

export function createRequestGrants(deps: {
  readonly ask: PatientAsk;
  readonly clock: Clock;
}): RequestGrants {
  const { ask, clock } = deps;
  const waiting: ((grant: Grant) => void)[] = [];
  let isAsking = false;
  let last: { account: Account; left: number; untilMs: number; state: Grant } | null = null;
  let tokens = 0;
  let telling: ReturnType<typeof setTimeout> | null = null;

  /** What was not used goes back with the next question. */
  const takeReturned = (): number => {
    const returned = last?.left ?? 0;
    if (last !== null) last.left = 0;
    return returned;
  };

  const takeTokens = (): number => {
    const used = tokens;
    tokens = 0;
    return used;
  };

  const tell = async (): Promise<void> => {
    telling = null;
    if (last === null || isAsking) return;
    const isUsable = clock.nowMs() < last.untilMs;
    const returned = isUsable ? 0 : takeReturned();
    if (returned > 0 || tokens > 0) {
      await ask({ ...NO_QUESTION, account: last.account, returned, tokens: takeTokens() });
    }
    if (isUsable && last.left > 0) tellSoon(USABLE_MS);
  };

  const tellSoon = (afterMs: number): void => {
    telling ??= setTimeout(() => void tell(), afterMs);
    telling.unref?.();
  };

  const askAll = async (account: Account): Promise<void> => {
    isAsking = true;
    // Each round answers those who waited when it began, or tells them that there is nothing.
    while (waiting.length > 0) {
      const asked = waiting.length;
      const wanted = Math.max(asked, toChunk(account));
      const question = { ...NO_QUESTION, account, requests: wanted, returned: takeReturned() };
      const { answer } = await ask({ ...question, tokens: takeTokens() });
      const state: Grant = { isGranted: true, requests: answer.requests, tokens: answer.tokens };
      const left = Math.max(0, answer.granted - asked);
      last = { account, left, untilMs: clock.nowMs() + USABLE_MS, state };
      for (const [index, resolve] of waiting.splice(0, asked).entries()) {
        // As if they had been let in one after the other.
        const unused = Math.max(0, answer.granted - index - 1);
        resolve({ ...withUnused(state, unused), isGranted: index < answer.granted });
      }
    }
    isAsking = false;
    if (tokens > 0) tellSoon(TELL_MS);
    else if ((last?.left ?? 0) > 0) tellSoon(USABLE_MS);
  };

  return {
    take(account) {
      if (last !== null && last.left > 0 && clock.nowMs() < last.untilMs && last.account === account) {
        last.left -= 1;
        return Promise.resolve(withUnused(last.state, last.left));
      }
      const { promise, resolve } = Promise.withResolvers<Grant>();
      waiting.push(resolve);
      if (!isAsking) void askAll(account);
      return promise;
    },

    charge(used) {
      tokens += used;
      if (last?.state.tokens) {
        const { tokens: known } = last.state;
        last.state = { ...last.state, tokens: { ...known, remaining: known.remaining - used } };
      }
      tellSoon(TELL_MS);
    },

    giveUp() {
      if (telling !== null) clearTimeout(telling);
      telling = null;
      const returned = takeReturned();
      if (last !== null && (returned > 0 || tokens > 0)) {
        void ask({ ...NO_QUESTION, account: last.account, returned, tokens: takeTokens() });
      }
    },
  };
}

/** What is granted and not used yet is still there for who asks. */
function withUnused(state: Grant, unused: number): Grant {
  const { requests } = state;
  if (requests === null) return state;
  return { ...state, requests: { ...requests, remaining: requests.remaining + unused } };
}

function toChunk({ keyRates, projectRates }: Account): number {
  const limits = [keyRates.requests, projectRates.requests].filter((limit) => limit !== null);
  // Without a limit of requests it is the tokens that are looked at again.
  if (limits.length === 0) return CHUNK_MAX;
  return Math.max(1, Math.min(CHUNK_MAX, Math.floor(Math.min(...limits) / CHUNKS_PER_MINUTE)));
}
