/**
 * Holds requests and runs to the limits of their key and its project. All workers of a server ask the primary, which counts; where a
 * limit is high, for several requests at once. While the primary does not answer, each worker holds the limits by itself.
 */

import { ApiError } from '../../errors.ts';
import type { RunSlot } from '../../runs/run-slot.ts';
import type { KeyLimits } from '../key-records.ts';
import type { KeyIdentity } from '../verified-keys.ts';
import { type Account, NO_QUESTION, type Rates } from './limits-protocol.ts';
import { createPatientAsk, type PatientAsk, type PatientAskDeps } from './patient-ask.ts';
import { setRateHeaders, toDuration } from './rate-headers.ts';
import { createRequestGrants, type RequestGrants } from './request-grants.ts';

export interface RequestLimiter {
  /**
   * Counts a request, and says in the answer's headers what is left. `asksModel`: whether it may cost tokens. Errors: 429 where
   * nothing is left, in OpenAI's words.
   */
  admit(
    identity: KeyIdentity,
    asksModel: boolean,
    headers: Record<string, string | number | undefined>,
  ): Promise<void>;
  /** Errors: 429 where as many runs are worked on as may be. */
  takeRunSlot(identity: KeyIdentity): Promise<RunSlot>;
  /** A run that another process has left, and that goes on whatever the limit. */
  noteRun(tenant: string, keyId: string): RunSlot;
  /** What a model has used for a key. */
  chargeTokens(tenant: string, keyId: string, tokens: number): void;
}

const CHARGE_MS = 100;
/** Keys that are remembered here. */
const ACCOUNTS_MAX = 10_000;
const RUN_RETRY_MS = 1_000;
const FREE_SLOT: RunSlot = Object.freeze({ release: () => undefined });
const UNKNOWN_RATES: Rates = Object.freeze({ requests: null, tokens: null, runs: null });

export function createRequestLimiter(deps: PatientAskDeps): RequestLimiter {
  const ask = createPatientAsk(deps);
  const grants = new Map<string, RequestGrants>();
  const accounts = new WeakMap<KeyIdentity, Account>();
  const charges = createCharges(ask);

  const findAccount = (identity: KeyIdentity): Account => {
    const account = accounts.get(identity) ?? toAccount(identity);
    accounts.set(identity, account);
    return account;
  };

  const findGrants = (account: Account): RequestGrants => {
    const known = grants.get(account.key) ?? createRequestGrants({ ask, clock: deps.clock });
    grants.delete(account.key);
    grants.set(account.key, known);
    const oldest = grants.entries().next();
    if (grants.size > ACCOUNTS_MAX && !oldest.done) {
      grants.delete(oldest.value[0]);
      oldest.value[1].giveUp();
    }
    return known;
  };

  return {
    async admit(identity, asksModel, headers) {
      const account = findAccount(identity);
      if (!isRateLimited(account)) return;
      const { isGranted, requests, tokens } = await findGrants(account).take(account);
      setRateHeaders(headers, 'requests', requests);
      setRateHeaders(headers, 'tokens', tokens);
      if (!isGranted && requests !== null) throw createTooMany('requests', identity, requests);
      if (asksModel && tokens !== null && tokens.remaining < 0) {
        throw createTooMany('tokens', identity, tokens);
      }
    },

    async takeRunSlot(identity) {
      const account = findAccount(identity);
      if (account.keyRates.runs === null && account.projectRates.runs === null) return FREE_SLOT;
      const { answer, answeredBy } = await ask({ ...NO_QUESTION, account, run: 'take' });
      if (!answer.hasRoom) throw createTooManyRuns(identity);
      return toSlot(() => void ask({ ...NO_QUESTION, account, endedRuns: 1 }, answeredBy));
    },

    noteRun(tenant, keyId) {
      const account = toUnknownAccount(tenant, keyId);
      const noted = ask({ ...NO_QUESTION, account, run: 'note' });
      return toSlot(() => {
        void noted.then(({ answeredBy }) => ask({ ...NO_QUESTION, account, endedRuns: 1 }, answeredBy));
      });
    },

    chargeTokens(tenant, keyId, tokens) {
      const known = grants.get(keyId);
      if (known !== undefined) known.charge(tokens);
      else charges.add(toUnknownAccount(tenant, keyId), tokens);
    },
  };
}

/** What is used by keys that have no limit here, or by none: told a few times a second, all of it at once. */
function createCharges(ask: PatientAsk): { add(account: Account, tokens: number): void } {
  const waiting = new Map<string, { readonly account: Account; tokens: number }>();
  const tell = (): void => {
    for (const { account, tokens } of waiting.values()) void ask({ ...NO_QUESTION, account, tokens });
    waiting.clear();
  };
  return {
    add(account, tokens) {
      if (waiting.size === 0) setTimeout(tell, CHARGE_MS).unref?.();
      const name = `${account.project} ${account.key}`;
      const known = waiting.get(name) ?? { account, tokens: 0 };
      known.tokens += tokens;
      waiting.set(name, known);
    },
  };
}

function toSlot(release: () => void): RunSlot {
  let isHeld = true;
  return {
    release() {
      if (isHeld) release();
      isHeld = false;
    },
  };
}

// ——— Whose limits ———

function toAccount({ keyId, tenant, limits, projectLimits }: KeyIdentity): Account {
  return { key: keyId, project: tenant, keyRates: toRates(limits), projectRates: toRates(projectLimits) };
}

function toUnknownAccount(tenant: string, keyId: string): Account {
  return { key: keyId, project: tenant, keyRates: UNKNOWN_RATES, projectRates: UNKNOWN_RATES };
}

function toRates(limits: KeyLimits): Rates {
  const { requests_per_minute: requests, tokens_per_minute: tokens, concurrent_runs: runs } = limits;
  return { requests, tokens, runs };
}

function isRateLimited({ keyRates, projectRates }: Account): boolean {
  return [keyRates, projectRates].some(({ requests, tokens }) => requests !== null || tokens !== null);
}

// ——— What is answered ———

function createTooMany(
  kind: 'requests' | 'tokens',
  { project }: KeyIdentity,
  { limit, remaining, waitMs }: { limit: number; remaining: number; waitMs: number },
): ApiError {
  const name = kind === 'requests' ? 'requests per min (RPM)' : 'tokens per min (TPM)';
  return new ApiError(
    'rate_limit_exceeded',
    `Rate limit reached in project '${project}' on ${name}: Limit ${limit}, Used ${limit - remaining}. Please try again in ${toDuration(waitMs)}.`,
    { retryAfterMs: Math.max(1, waitMs) },
  );
}

function createTooManyRuns({ project, limits, projectLimits }: KeyIdentity): ApiError {
  const limit = Math.min(
    limits.concurrent_runs ?? Number.POSITIVE_INFINITY,
    projectLimits.concurrent_runs ?? Number.POSITIVE_INFINITY,
  );
  return new ApiError(
    'rate_limit_exceeded',
    `Rate limit reached in project '${project}' on concurrent runs: Limit ${limit}. Please try again when one of them has ended.`,
    { retryAfterMs: RUN_RETRY_MS },
  );
}
