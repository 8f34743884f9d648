/** What a worker asks about limits, and what it is told: JSON, checked where it arrives. */

import { type Static, Type } from '@sinclair/typebox';

/** How a worker asks whoever counts for the whole server. Errors: where nobody answers. */
export type AskLimits = (question: LimitsQuestion) => Promise<unknown>;

/** The topic of the questions between workers and primary. */
export const LIMITS_TOPIC = 'limits';

const NUMBER_MAX = 1e15;
const Count = Type.Integer({ minimum: 0, maximum: NUMBER_MAX });
const Limit = Type.Union([Type.Null(), Type.Integer({ minimum: 1, maximum: NUMBER_MAX })]);

/** Null: no limit. */
export const Rates = Type.Object({ requests: Limit, tokens: Limit, runs: Limit });
export type Rates = Static<typeof Rates>;

/** A key and its project: whatever the key does counts for both. */
export const Account = Type.Object({
  key: Type.String({ maxLength: 256 }),
  project: Type.String({ maxLength: 256 }),
  keyRates: Rates,
  projectRates: Rates,
});
export type Account = Static<typeof Account>;

export const LimitsQuestion = Type.Object({
  account: Account,
  /** How many requests may be let in, if there is room for so many. */
  requests: Count,
  /** Of those that were granted before, the ones that were not used. */
  returned: Count,
  /** Used by models since the last question. */
  tokens: Count,
  /** `take`: room for one more run; `note`: one more that goes on anyway. */
  run: Type.Union([Type.Null(), Type.Literal('take'), Type.Literal('note')]),
  endedRuns: Count,
});
export type LimitsQuestion = Static<typeof LimitsQuestion>;

/** Of the tighter of the two limits. */
export const RateState = Type.Object({
  limit: Type.Number(),
  /** Below zero where more was used than there was. */
  remaining: Type.Number(),
  /** Until all of it is there again. */
  resetMs: Type.Number(),
  /** Until something of it is there again; 0 where it is. */
  waitMs: Type.Number(),
});
export type RateState = Static<typeof RateState>;

export const LimitsAnswer = Type.Object({
  granted: Count,
  /** Whether there is room for the run that was asked for. */
  hasRoom: Type.Boolean(),
  /** Null: no limit. */
  requests: Type.Union([Type.Null(), RateState]),
  tokens: Type.Union([Type.Null(), RateState]),
});
export type LimitsAnswer = Static<typeof LimitsAnswer>;

export const NO_QUESTION: Omit<LimitsQuestion, 'account'> = Object.freeze({
  requests: 0,
  returned: 0,
  tokens: 0,
  run: null,
  endedRuns: 0,
});
