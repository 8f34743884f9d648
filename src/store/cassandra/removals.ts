/** How a record goes: one row by its condition, or two so that neither comes back. */

import { types } from 'cassandra-driver';
import type { CqlRow, CqlSession, CqlStatement } from '../../cassandra/session.ts';
import type { Aliases } from './aliases.ts';
import { applySurely, createToken, isWrittenBy } from './conditional.ts';
import {
  AT_PLACE,
  DEAD,
  type Emptiness,
  type FoundRecord,
  isFound,
  type RowPlace,
  toFound,
  toPlaceQuery,
  toPlaceValues,
  toTable,
} from './rows.ts';
import { FIRST_ROW, SETTLED_ROW } from './schema.ts';

/** `conflict`: something else was written meanwhile. `lockedBy`: the transaction that holds the record. */
export type Outcome = 'done' | 'conflict' | { readonly lockedBy: string };

/** How long a mark stays: longer than any call that has read what it stands for. */
const MARK_SECONDS = 600;

/** Makes a conditional write of a settled row. `isDone` tells from the row whether it was made. */
export async function applyToSettled(
  session: CqlSession,
  place: RowPlace,
  statement: CqlStatement,
  isDone: (settled: CqlRow | undefined) => boolean,
): Promise<Outcome> {
  const { isApplied, found } = await applySurely(session, {
    statement,
    look: toPlaceQuery(place),
    isDone: (rows) => isDone(rows.find((row) => row.kind === SETTLED_ROW)),
  });
  if (isApplied) return 'done';
  return typeof found?.lock === 'string' ? { lockedBy: found.lock } : 'conflict';
}

export class Removals {
  constructor(
    private readonly session: CqlSession,
    private readonly aliases: Aliases,
  ) {}

  /** Removes what was found, if nothing else has been written since. */
  async remove(found: FoundRecord): Promise<Outcome> {
    if (found.firstDocument !== null) return await this.removeWithFirst(found);
    const { place, version } = found;
    const outcome = await applyToSettled(
      this.session,
      place,
      {
        cql: `DELETE FROM ${toTable(place)} WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ? AND lock = null`,
        values: [...toPlaceValues(place), version],
      },
      (row) => row === undefined,
    );
    if (outcome === 'done' && found.isAliased) await this.aliases.remove(place, place.id, place.sort);
    return outcome;
  }

  /**
   * Of several that remove it one is to win, and whoever has read the first row before must find out that it is gone: a mark
   * stays in the place of the settled row for as long as such a one can be on its way.
   */
  private async removeWithFirst(found: FoundRecord): Promise<Outcome> {
    const { place, version, isSettled } = found;
    const token = createToken();
    const outcome = await applyToSettled(
      this.session,
      place,
      {
        cql: `UPDATE ${toTable(place)} SET version = ${DEAD}, body = null, packed = null, filters = null, writers = ?
          WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ? AND lock = null`,
        values: [token, ...toPlaceValues(place), isSettled ? version : null],
      },
      (row) => isWrittenBy(row, token),
    );
    if (outcome !== 'done') return outcome;
    await this.removeFirst(found);
    await applyToSettled(
      this.session,
      place,
      {
        cql: `UPDATE ${toTable(place)} USING TTL ${MARK_SECONDS} SET version = ${DEAD}, writers = ?
          WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ${DEAD}`,
        values: [token, ...toPlaceValues(place)],
      },
      () => true,
    );
    return outcome;
  }

  /** Deleted at a time just behind its own: the clocks of two servers may differ. */
  private async removeFirst(found: FoundRecord): Promise<void> {
    const { place, firstWritten } = found;
    const written = firstWritten instanceof types.Long ? firstWritten : types.Long.ZERO;
    await this.session.write({
      cql: `DELETE FROM ${toTable(place)} USING TIMESTAMP ? WHERE ${AT_PLACE} AND kind = ${FIRST_ROW}`,
      values: [written.add(1), ...toPlaceValues(place)],
    });
  }

  private async removeMark(place: RowPlace): Promise<void> {
    await applyToSettled(
      this.session,
      place,
      {
        cql: `DELETE FROM ${toTable(place)} WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ${DEAD}`,
        values: toPlaceValues(place),
      },
      (row) => row?.version !== DEAD,
    );
  }

  /** Ends a deletion that somebody has left behind. */
  async bury({ place }: Emptiness): Promise<void> {
    const [first] = (await this.session.read(toPlaceQuery(place))).filter((row) => row.kind === FIRST_ROW);
    if (first !== undefined) {
      const found = await toFound(place, [first]);
      if (isFound(found)) await this.removeFirst(found);
    }
    await this.removeMark(place);
  }
}
