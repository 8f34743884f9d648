/**
 * Figures that a text claims, and whether they were measured. A figure is followed by a note of its name:
 *
 *     13 × <!-- bench: gateway.over-portkey --> the requests of Portkey
 *
 * The number in front of the note is the measured one, rounded as it is shown; behind `at least`, `more than` or `over` it may be smaller,
 * behind `at most`, `less than`, `under` or `within` greater. A quick run backs nothing.
 */

import type { Results } from './results.ts';

const NOTE = /<!-- bench: ([a-z0-9-]+\.[a-z0-9-]+) -->/g;
/** What looks like a figure of a bench: a number and a unit of time, memory, rate or ratio. */
const FIGURE =
  /\d[\d,]*(?:\.\d+)?\s*(?:×|%|µs\b|ms\b|[KMG]iB\b|times\b|(?:[a-z]+ ){0,2}an? (?:CPU )?second\b)/g;
const NUMBER = /\d[\d,]*(?:\.\d+)?/g;
const LOWER = /\b(?:at least|more than|over)\s+$/;
const UPPER = /\b(?:at most|less than|under|within)\s+$/;
/** What may stand between a number and its note: a unit, the end of a link or of bold text. */
const REACH = 60;

/** What is wrong, line by line; empty where every figure is backed. */
export function findClaimProblems(text: string, results: Results): string[] {
  return toProse(text).flatMap(({ line, number }) =>
    findLineProblems(line, results).map((problem) => `line ${number}: ${problem}`),
  );
}

/** Lines without code, which shows what programs print. */
function toProse(text: string): { line: string; number: number }[] {
  let isCode = false;
  return text.split('\n').flatMap((line, at) => {
    if (line.startsWith('```')) isCode = !isCode;
    return isCode || line.startsWith('```')
      ? []
      : [{ line: line.replaceAll(/`[^`]*`/g, ''), number: at + 1 }];
  });
}

function findLineProblems(line: string, results: Results): string[] {
  const notes = [...line.matchAll(NOTE)];
  // Notes have numbers in their names.
  const blank = line.replaceAll(NOTE, (note) => ' '.repeat(note.length));
  const figures = [...blank.matchAll(FIGURE)];
  const unnoted = figures.filter((figure, at) => {
    const end = figure.index + figure[0].length;
    const next = figures[at + 1]?.index ?? line.length;
    return !notes.some((note) => note.index >= end && note.index < next && note.index - end <= REACH);
  });
  return [
    ...unnoted.map(([figure]) => `'${figure}' has no note of what has measured it`),
    ...notes.flatMap((note) => findNoteProblems(blank.slice(0, note.index), note[1] ?? '', results)),
  ];
}

function findNoteProblems(before: string, name: string, results: Results): string[] {
  const measured = results.find(name);
  if (measured === null) return [`${name} has not been measured`];
  if (measured.run.quick) return [`${name} is of a quick run`];
  const number = [...before.matchAll(NUMBER)].at(-1);
  if (number === undefined || before.length - number.index - number[0].length > REACH)
    return [`no number stands before the note of ${name}`];
  const { value } = measured.figure;
  const claimed = Number(number[0].replaceAll(',', ''));
  const words = before.slice(0, number.index);
  const isTrue = LOWER.test(words)
    ? value >= claimed
    : UPPER.test(words)
      ? value <= claimed
      : roundLike(value, number[0]) === claimed;
  return isTrue ? [] : [`${number[0]} is claimed of ${name}, and ${value} was measured`];
}

/** To as many decimals, or to as many zeros at the end, as the claim has. */
function roundLike(value: number, claim: string): number {
  const digits = claim.replaceAll(',', '');
  const decimals = digits.split('.')[1]?.length ?? 0;
  if (decimals > 0) return Number(value.toFixed(decimals));
  const power = 10 ** (/0*$/.exec(digits)?.[0].length ?? 0);
  return Math.round(value / power) * power;
}
