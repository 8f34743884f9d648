/** Asks the primary about limits; where it does not answer, this process counts by itself. */

import { Value } from '@sinclair/typebox/value';
import type { Clock } from '../../clock.ts';
import { type Log, toLogFields } from '../../log.ts';
import { createLedger } from './ledger.ts';
import { type AskLimits, LimitsAnswer, type LimitsQuestion } from './limits-protocol.ts';

export interface PatientAskDeps {
  readonly ask: AskLimits;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long a request waits for the primary. */
const ANSWER_MS = 1_000;
/** After the primary did not answer, it is not asked for so long. */
const TROUBLED_MS = 1_000;
/** This process, in its own ledger. */
const SELF = 0;

export type Answerer = 'primary' | 'self';

/** Never rejects. `by`: who is to be told, because he counted what this is about. */
export type PatientAsk = (
  question: LimitsQuestion,
  by?: Answerer,
) => Promise<{ readonly answer: LimitsAnswer; readonly answeredBy: Answerer }>;

export function createPatientAsk({ ask, clock, log }: PatientAskDeps): PatientAsk {
  const own = createLedger({ clock });
  let troubledMs = Number.NEGATIVE_INFINITY;
  const isTroubled = (): boolean => Math.abs(clock.nowMs() - troubledMs) < TROUBLED_MS;
  return async (question, by) => {
    if (by !== 'self' && !isTroubled()) {
      try {
        const answer = await withinTime(ask(question));
        if (Value.Check(LimitsAnswer, answer)) return { answer, answeredBy: 'primary' };
        throw new Error('the primary answered something else');
      } catch (error) {
        if (!isTroubled()) log.warn('limits are held by this process alone', toLogFields(error));
        troubledMs = clock.nowMs();
      }
    }
    return { answer: own.answer(question, SELF), answeredBy: 'self' };
  };
}

async function withinTime<T>(answer: Promise<T>): Promise<T> {
  const { promise: overdue, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('the primary did not answer in time')), ANSWER_MS);
  try {
    return await Promise.race([answer, overdue]);
  } finally {
    clearTimeout(timer);
  }
}
