/**
 * Chance that comes again: what a suite does follows from its seed, which it prints.
 *
 * `UNDERSTUDY_FAULTS_SEED=NUMBER` repeats a run, `UNDERSTUDY_FAULTS_SEED=random` draws one; 1 unless it is set.
 * `UNDERSTUDY_FAULTS_SCALE=NUMBER` makes the suites so many times as long; 1 is the short form, which runs before a change
 * lands.
 */

export const SEED_VARIABLE = 'UNDERSTUDY_FAULTS_SEED';
export const SCALE_VARIABLE = 'UNDERSTUDY_FAULTS_SCALE';

const SEED_MAX = 2 ** 32;
const SCALE_MAX = 1000;

export interface Random {
  /** From 0 to below 1. */
  next(): number;
  /** From `min` to `max`, both of them included. */
  integer(min: number, max: number): number;
  /** Errors: an empty list. */
  pick<T>(list: readonly T[]): T;
  chance(probability: number): boolean;
}

/** Mulberry32: 32 bits of state are enough for tests. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / SEED_MAX;
  };
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    integer,
    pick<T>(list: readonly T[]): T {
      if (list.length === 0) throw new Error('There is nothing to pick from.');
      return list[integer(0, list.length - 1)] as T;
    },
    chance: (probability) => next() < probability,
  };
}

/** Another chance for each `index`, so that one case of a run can be repeated alone. */
export function toCaseSeed(seed: number, index: number): number {
  return (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0;
}

/** The seed of this run. Errors: one that is no number. */
export function readSeed(): number {
  const given = process.env[SEED_VARIABLE] || '1';
  const seed = given === 'random' ? Math.floor(Math.random() * SEED_MAX) : Number(given);
  if (!Number.isInteger(seed) || seed < 0 || seed >= SEED_MAX) {
    throw new Error(`${SEED_VARIABLE} is a number below ${SEED_MAX}, or random, not ${given}.`);
  }
  return seed;
}

/** How many times as long as the short form. Errors: what is no number. */
export function readScale(): number {
  const given = process.env[SCALE_VARIABLE] || '1';
  const scale = Number(given);
  if (!(scale >= 1 && scale <= SCALE_MAX)) {
    throw new Error(`${SCALE_VARIABLE} is a number from 1 to ${SCALE_MAX}, not ${given}.`);
  }
  return scale;
}
