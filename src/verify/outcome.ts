/** How a check ends, and the lines of the table. */

export const OUTCOMES = Object.freeze(['ok', 'failed', 'not there', 'skipped'] as const);
export type Outcome = (typeof OUTCOMES)[number];

/** One line of the table. */
export interface Line {
  /** A resource: `threads`. */
  readonly group: string;
  /** The name in the API document, `createThread`; null where a line belongs to none. */
  readonly operation: string | null;
  /** `POST /threads`, with what is special about this call behind it. */
  readonly title: string;
  /** The event that the line is about; null where it is about the call. */
  readonly event: string | null;
  readonly outcome: Outcome;
  /** What was wrong, or why it was not tried; empty where it is fine. */
  readonly detail: string;
  /** Of the call, or from the request to the event. */
  readonly durationMs: number;
}

/** What does not hold. */
export class CheckFailure extends Error {
  override readonly name = 'CheckFailure';
}

/** A check that cannot be made: what it needs was not made, or the model cannot be told to do it. */
export class CheckSkipped extends Error {
  override readonly name = 'CheckSkipped';
}

/** The server does not have the operation. */
export class NotThere extends Error {
  override readonly name = 'NotThere';
}

/** Errors: `CheckFailure` with `detail`. */
export function expect(condition: boolean, detail: string): asserts condition {
  if (!condition) throw new CheckFailure(detail);
}

/** Errors: `CheckSkipped` where an earlier check should have made it and did not. */
export function need<T>(made: T | undefined, maker: string): T {
  if (made === undefined) throw new CheckSkipped(`needs what ${maker} makes`);
  return made;
}
