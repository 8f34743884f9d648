/** Conditional writes whose outcome must be known: made again until the cluster has said, or has been asked, what became of them. */

import {
  type Applied,
  type CqlRow,
  type CqlSession,
  type CqlStatement,
  UnknownOutcome,
} from '../../cassandra/session.ts';

/** Writers that a row remembers: so many may follow one whose answer was lost, before it has looked. */
const WRITERS_MAX = 8;
const TRIES_MAX = 5;
const WAIT_MS = 100;

/** The column of a row's writers, with one more. */
export function toWriters(token: string, earlier: string): string {
  return [token, ...earlier.split(' ').filter((name) => name !== '')].slice(0, WRITERS_MAX).join(' ');
}

/** Names one write among the writers of a record. */
export function createToken(): string {
  return createName('s');
}

/** Names a write of several records that a note tells of. */
export function createNoteId(): string {
  return createName(NOTE_PREFIX);
}

const NOTE_PREFIX = 'n';

/** The note to which the last write of a record belongs; null where it was one by itself. */
export function toLastNote(writers: string): string | null {
  const [last = ''] = writers.split(' ');
  return last.startsWith(NOTE_PREFIX) ? last : null;
}

function createName(kind: string): string {
  return kind + Buffer.from(crypto.getRandomValues(new Uint8Array(9))).toString('base64url');
}

export interface ConditionalWrite {
  readonly statement: CqlStatement;
  /** Reads what the statement writes. */
  readonly look: CqlStatement;
  /** Whether the rows that were read show that the statement was applied. */
  readonly isDone: (rows: readonly CqlRow[]) => boolean;
}

/** Whether the row was last written by this writer, or by few after it. */
export function isWrittenBy(row: CqlRow | undefined, token: string): boolean {
  return typeof row?.writers === 'string' && row.writers.split(' ').includes(token);
}

/** Makes a conditional write. Errors: `unavailable` where the cluster does not come to an answer. */
export async function applySurely(session: CqlSession, write: ConditionalWrite): Promise<Applied> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await session.apply(write.statement);
    } catch (error) {
      if (!(error instanceof UnknownOutcome)) throw error;
      // Reading among the replicas that vote brings a write that hangs to its end, or to nothing.
      if (write.isDone(await session.readSettled(write.look))) return { isApplied: true, found: null };
      if (attempt === TRIES_MAX) throw error;
      await Bun.sleep(WAIT_MS * attempt);
    }
  }
}
