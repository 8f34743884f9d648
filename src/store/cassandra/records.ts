/** Single records: found, inserted, changed and removed, each by as few calls of the cluster as it takes. */

import { types } from 'cassandra-driver';
import type { CqlRow, CqlSession, CqlStatement } from '../../cassandra/session.ts';
import type { Clock } from '../../clock.ts';
import { createIds, toNativeSortKey } from '../../ids.ts';
import { createSerial } from '../../serial.ts';
import { COLLECTIONS, type CollectionSpec } from '../collections.ts';
import { toFilterEntries } from '../filters.ts';
import { toNextSortKey } from '../sort-keys.ts';
import type { StoredRecord } from '../store.ts';
import type { Aliases } from './aliases.ts';
import { applySurely, createToken, isWrittenBy, toWriters } from './conditional.ts';
import { toDocumentColumns } from './documents.ts';
import { toTags } from './filter-tags.ts';
import {
  AT_LIST,
  AT_PLACE,
  DEAD,
  type Emptiness,
  type FoundRecord,
  isFound,
  type RowPlace,
  toFound,
  toListValues,
  toPlaceQuery,
  toPlaceValues,
  toTable,
} from './rows.ts';
import { FIRST_ROW, SETTLED_ROW } from './schema.ts';
import { isSpread, type ListKey, type Spans } from './spans.ts';

export interface NewRecord {
  readonly key: ListKey;
  readonly id: string;
  readonly document: string;
  readonly tags: readonly string[];
  /** Where it stands in lists; null: where its id says, or at the end. */
  readonly sort: string | null;
  /** Whether nobody else can have the id. */
  readonly isFresh: boolean;
}

/** `conflict`: something else was written meanwhile. */
export type Outcome = 'done' | 'conflict';

export interface Records {
  find(key: ListKey, id: string): Promise<FoundRecord | null>;
  insert(record: NewRecord): Promise<Outcome>;
  /** Writes the next version of what was found, if nothing else has been written since. */
  replace(found: FoundRecord, document: string): Promise<Outcome>;
  /** Removes what was found, if nothing else has been written since. */
  remove(found: FoundRecord): Promise<Outcome>;
  /** Where a record stands, or null where there is none: as `find`, for cursors. */
  locate(key: ListKey, id: string): Promise<RowPlace | null>;
}

export interface RecordsDeps {
  readonly session: CqlSession;
  readonly spans: Spans;
  readonly aliases: Aliases;
  readonly clock: Clock;
}

export function createRecords(deps: RecordsDeps): Records {
  return new CassandraRecords(deps);
}

/** How long a mark stays: longer than any call that has read what it stands for. */
const MARK_SECONDS = 600;

const INSERT_COLUMNS =
  '(tenant, collection, parent, span, sort, id, kind, version, body, packed, filters, aliased, writers)';

class CassandraRecords implements Records {
  /** Makes sort keys that follow each other. */
  private readonly ids;
  /** Inserts without a place of their own, one after the other in each list. */
  private readonly atEnds = createSerial();

  constructor(private readonly deps: RecordsDeps) {
    this.ids = createIds(deps.clock);
  }

  async find(key: ListKey, id: string): Promise<FoundRecord | null> {
    const { found } = await this.look(key, id);
    return found;
  }

  async locate(key: ListKey, id: string): Promise<RowPlace | null> {
    return (await this.find(key, id))?.place ?? null;
  }

  async insert(record: NewRecord): Promise<Outcome> {
    const { key, id } = record;
    const native = toNativeSortKey(id);
    const isAtHome = native !== null && (record.sort === null || record.sort === native);
    if (isAtHome || record.sort !== null) return await this.insertNow(record, native, isAtHome);
    // Each stands behind the one before.
    const list = JSON.stringify([key.collection, key.tenant, key.parent]);
    return await this.atEnds.run(list, () => this.insertNow(record, native, false));
  }

  private async insertNow(record: NewRecord, native: string | null, isAtHome: boolean): Promise<Outcome> {
    const { key, id } = record;
    if (record.isFresh && native !== null && isAtHome) {
      const place = await this.toPlace(key, native, id);
      const isPlain = toSpec(key).seldomChanges === true && !isSpread(key);
      if (isPlain) await this.insertFirst(place, record);
      return isPlain ? 'done' : await this.insertSettled(place, record, false);
    }
    const { found, dead, alias } = await this.look(key, id);
    if (found !== null) return 'conflict';
    if (dead !== null) await this.bury(dead);
    if (native !== null && isAtHome)
      return await this.insertSettled(await this.toPlace(key, native, id), record, false);
    const sort = record.sort ?? (await this.toLastSort(key));
    if (!(await this.deps.aliases.put(key, id, sort, alias))) return 'conflict';
    return await this.insertSettled(await this.toPlace(key, sort, id), record, true);
  }

  async replace(found: FoundRecord, document: string): Promise<Outcome> {
    const { place, version } = found;
    const token = createToken();
    const { body, packed } = await toDocumentColumns(document);
    const writers = toWriters(token, found.writers);
    const tags = this.toSettledTags(found, document);
    // Without a settled row there is no version to compare with. Not by INSERT: what that makes outlives its columns.
    const expected = found.isSettled ? version : null;
    const statement: CqlStatement = {
      cql: `UPDATE ${toTable(place)} SET version = ?, body = ?, packed = ?, filters = ?, writers = ?
        WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ?`,
      values: [version + 1, body, packed, tags, writers, ...toPlaceValues(place), expected],
    };
    return await this.applyTo(place, statement, (row) => isWrittenBy(row, token));
  }

  async remove(found: FoundRecord): Promise<Outcome> {
    if (found.firstDocument !== null) return await this.removeWithFirst(found);
    const { place, version } = found;
    const outcome = await this.applyTo(
      place,
      {
        cql: `DELETE FROM ${toTable(place)} WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ?`,
        values: [...toPlaceValues(place), version],
      },
      (row) => row === undefined,
    );
    if (outcome === 'done' && found.isAliased) await this.deps.aliases.remove(place, place.id, place.sort);
    return outcome;
  }

  /**
   * Of several that remove it one is to win, and whoever has read the first row before must find out that it is gone: a mark
   * stays in the place of the settled row for as long as such a one can be on its way.
   */
  private async removeWithFirst(found: FoundRecord): Promise<Outcome> {
    const { place, version, isSettled } = found;
    const token = createToken();
    const outcome = await this.applyTo(
      place,
      {
        cql: `UPDATE ${toTable(place)} SET version = ${DEAD}, body = null, packed = null, filters = null, writers = ?
          WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ?`,
        values: [token, ...toPlaceValues(place), isSettled ? version : null],
      },
      (row) => isWrittenBy(row, token),
    );
    if (outcome === 'conflict') return outcome;
    await this.removeFirst(found);
    await this.applyTo(
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

  /** What is at an id, wherever it stands. */
  private async look(
    key: ListKey,
    id: string,
  ): Promise<{ found: FoundRecord | null; dead: Emptiness | null; alias: string | null }> {
    const native = toNativeSortKey(id);
    let dead: Emptiness | null = null;
    if (native !== null) {
      const found = await this.readAt(await this.toPlace(key, native, id));
      if (isFound(found)) return { found, dead: null, alias: null };
      if (found.isDead) dead = found;
    }
    const alias = await this.deps.aliases.find(key, id);
    if (alias === null) return { found: null, dead, alias };
    const found = await this.readAt(await this.toPlace(key, alias, id));
    return { found: isFound(found) ? found : null, dead, alias };
  }

  private async readAt(place: RowPlace): Promise<FoundRecord | Emptiness> {
    return await toFound(place, await this.deps.session.read(toPlaceQuery(place)));
  }

  private async toPlace(key: ListKey, sort: string, id: string): Promise<RowPlace> {
    const { collection, tenant, parent } = key;
    return { collection, tenant, parent, span: await this.deps.spans.find(key, sort, id), sort, id };
  }

  private async insertFirst(place: RowPlace, { document, tags, key }: NewRecord): Promise<void> {
    const { body, packed } = await toDocumentColumns(document);
    await this.deps.session.write({
      cql: `INSERT INTO ${toTable(place)} ${INSERT_COLUMNS} VALUES (?, ?, ?, ?, ?, ?, ${FIRST_ROW}, 1, ?, ?, ?, ?, ?)`,
      // Columns that have no value are left out: a null would be kept as a deletion.
      values: [
        ...toPlaceValues(place),
        body ?? undefined,
        packed ?? undefined,
        toColumn(tags) ?? undefined,
        undefined,
        undefined,
      ],
    });
    void this.deps.spans.noteInsert(key);
  }

  private async insertSettled(place: RowPlace, record: NewRecord, isAliased: boolean): Promise<Outcome> {
    const token = createToken();
    const { body, packed } = await toDocumentColumns(record.document);
    const outcome = await this.applyTo(
      place,
      {
        cql: `INSERT INTO ${toTable(place)} ${INSERT_COLUMNS} VALUES (?, ?, ?, ?, ?, ?, ${SETTLED_ROW}, 1, ?, ?, ?, ?, ?) IF NOT EXISTS`,
        values: [
          ...toPlaceValues(place),
          body ?? undefined,
          packed ?? undefined,
          toColumn(record.tags) ?? undefined,
          isAliased,
          token,
        ],
      },
      (row) => isWrittenBy(row, token),
    );
    if (outcome === 'done') void this.deps.spans.noteInsert(record.key);
    return outcome;
  }

  private async applyTo(
    place: RowPlace,
    statement: CqlStatement,
    isDone: (settled: CqlRow | undefined) => boolean,
  ): Promise<Outcome> {
    const { isApplied } = await applySurely(this.deps.session, {
      statement,
      look: toPlaceQuery(place),
      isDone: (rows) => isDone(rows.find((row) => row.kind === SETTLED_ROW)),
    });
    return isApplied ? 'done' : 'conflict';
  }

  /** Deleted at a time just behind its own: the clocks of two servers may differ. */
  private async removeFirst(found: FoundRecord): Promise<void> {
    const { place, firstWritten } = found;
    const written = firstWritten instanceof types.Long ? firstWritten : types.Long.ZERO;
    await this.deps.session.write({
      cql: `DELETE FROM ${toTable(place)} USING TIMESTAMP ? WHERE ${AT_PLACE} AND kind = ${FIRST_ROW}`,
      values: [written.add(1), ...toPlaceValues(place)],
    });
  }

  private async removeMark(place: RowPlace): Promise<void> {
    await this.applyTo(
      place,
      {
        cql: `DELETE FROM ${toTable(place)} WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ${DEAD}`,
        values: toPlaceValues(place),
      },
      (row) => row?.version !== DEAD,
    );
  }

  /** Ends a deletion that somebody has left behind. */
  private async bury({ place }: Emptiness): Promise<void> {
    const [first] = (await this.deps.session.read(toPlaceQuery(place))).filter(
      (row) => row.kind === FIRST_ROW,
    );
    if (first !== undefined) {
      const found = await toFound(place, [first]);
      if (isFound(found)) await this.removeFirst(found);
    }
    await this.removeMark(place);
  }

  /**
   * What a settled row is found by. With the tags of the first row, which still has its own: a list that finds the one must find
   * the other, to see which of them is the record.
   */
  private toSettledTags({ place, firstDocument }: FoundRecord, document: string): string[] | null {
    const spec = toSpec(place);
    const own = toDocumentTags(spec, document);
    const first = firstDocument === null ? [] : toDocumentTags(spec, firstDocument);
    return toColumn([...new Set([...own, ...first])]);
  }

  /** Behind the last record of the list. */
  private async toLastSort(key: ListKey): Promise<string> {
    const next = toNativeSortKey(this.ids.create('request')) ?? '';
    const spans = await this.deps.spans.list(key);
    let last: string | null = null;
    for (const span of [...spans].reverse()) {
      const [row] = await this.deps.session.read({
        cql: `SELECT sort FROM ${toTable(key)} WHERE ${AT_LIST} LIMIT 1`,
        values: toListValues(key, span),
      });
      if (typeof row?.sort === 'string' && (last === null || row.sort > last)) last = row.sort;
      if (last !== null && !isSpread(key)) break;
    }
    return last === null || next > last ? next : toNextSortKey(last);
  }
}

function toSpec({ collection }: ListKey): CollectionSpec {
  return COLLECTIONS[collection];
}

function toDocumentTags(spec: CollectionSpec, document: string): string[] {
  if (spec.filters.length === 0 && !spec.metadataFilter) return [];
  return toTags(toFilterEntries(spec, JSON.parse(document) as StoredRecord));
}

/** An empty set is no value to Cassandra. */
function toColumn(tags: readonly string[]): string[] | null {
  return tags.length === 0 ? null : [...tags];
}
