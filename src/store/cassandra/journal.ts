/** What is noted of writes of several records, so that whoever finds the note can end them: what is left to do, and whether it is decided. */

import type { CqlRow, CqlSession, CqlStatement } from '../../cassandra/session.ts';
import { applySurely } from './conditional.ts';
import { readDocument, toDocumentColumns } from './documents.ts';
import type { LockedRecord } from './records.ts';
import type { RowPlace } from './rows.ts';
import type { WriteStep } from './steps.ts';

/** A step that nothing can refuse any more. */
export type DecidedStep =
  /** `seen`: the very write of the record that it is for (`toIdentity`); null: none was there, or it is no matter. */
  | { readonly step: WriteStep; readonly seen: string | null }
  /** A record that was held until it was decided. */
  | { readonly held: LockedRecord };

export interface Note {
  readonly id: string;
  /**
   * What decides: `noted`, that it was noted; a place, that the record there is held or written under the note's id; `verdict`,
   * a row of its own, since several records have a say.
   */
  readonly decidedBy: 'noted' | 'verdict' | RowPlace;
  /** What is to be done, in its order. */
  readonly steps: readonly DecidedStep[];
}

export type Verdict = 'committed' | 'aborted';

/** Partitions over which notes are spread. */
const BUCKETS = Object.freeze(Array.from({ length: 8 }, (_, bucket) => String(bucket)));
const NOTES_MAX = 500;
/** Verdicts are kept for whoever was away for long when his write was ended, and comes back to decide it. */
const VERDICT_SECONDS = 86_400;

export interface Journal {
  put(note: Note): Promise<void>;
  find(id: string): Promise<Note | null>;
  has(id: string): Promise<boolean>;
  remove(id: string): Promise<void>;
  /** Answers what it has become: another server may have been faster. */
  decide(id: string, verdict: Verdict): Promise<Verdict>;
  /** Everything that is noted now: what is under way, and what somebody has left behind. */
  list(): Promise<readonly Note[]>;
}

export function createJournal(session: CqlSession): Journal {
  const lookAt = (id: string): CqlStatement => ({
    cql: 'SELECT verdict FROM verdicts WHERE id = ?',
    values: [id],
  });

  return {
    async put(note) {
      const { body, packed } = await toDocumentColumns(JSON.stringify(note));
      await session.write({
        cql: 'INSERT INTO redo_notes (bucket, id, body, packed) VALUES (?, ?, ?, ?)',
        values: [toBucket(note.id), note.id, body ?? undefined, packed ?? undefined],
      });
    },

    async find(id) {
      const [row] = await session.read({
        cql: 'SELECT body, packed FROM redo_notes WHERE bucket = ? AND id = ?',
        values: [toBucket(id), id],
      });
      return row === undefined ? null : await readNote(row);
    },

    async has(id) {
      const rows = await session.read({
        cql: 'SELECT id FROM redo_notes WHERE bucket = ? AND id = ?',
        values: [toBucket(id), id],
      });
      return rows.length > 0;
    },

    async remove(id) {
      await session.write({
        cql: 'DELETE FROM redo_notes WHERE bucket = ? AND id = ?',
        values: [toBucket(id), id],
      });
    },

    async decide(id, verdict) {
      const { isApplied, found } = await applySurely(session, {
        statement: {
          cql: `INSERT INTO verdicts (id, verdict) VALUES (?, ?) IF NOT EXISTS USING TTL ${VERDICT_SECONDS}`,
          values: [id, verdict],
        },
        look: lookAt(id),
        isDone: ([row]) => row?.verdict === verdict,
      });
      if (isApplied) return verdict;
      return found?.verdict === 'committed' ? 'committed' : 'aborted';
    },

    async list() {
      const pages = await Promise.all(
        BUCKETS.map((bucket) =>
          session.read({
            cql: `SELECT body, packed FROM redo_notes WHERE bucket = ? LIMIT ${NOTES_MAX}`,
            values: [bucket],
          }),
        ),
      );
      return await Promise.all(pages.flat().map(readNote));
    },
  };
}

async function readNote(row: CqlRow): Promise<Note> {
  return JSON.parse(await readDocument(row)) as Note;
}

function toBucket(id: string): string {
  return BUCKETS[Bun.hash.crc32(id) % BUCKETS.length] ?? '';
}
