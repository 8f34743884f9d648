/** What a check found of one part, as a line for the operator. */

export interface Finding {
  /** `store`, `port`, … */
  readonly part: string;
  /** Whether a server would start with it, and work. */
  readonly isGood: boolean;
  /** One line, without secrets. */
  readonly text: string;
}

const STATE_COLUMN = 5;
const PART_COLUMN = 15;

/** `ok   store          sqlite in /var/lib/understudy, …` */
export function toLine({ part, isGood, text }: Finding): string {
  const state = (isGood ? 'ok' : 'FAIL').padEnd(STATE_COLUMN);
  return `${state}${part.padEnd(PART_COLUMN)}${text.replaceAll('\n', ' ')}`;
}
