/** Single records: found, inserted, changed and removed, each by as few calls of the cluster as it takes. */

import type { CqlRow, CqlSession, CqlStatement, CqlValue } from '../../cassandra/session.ts';
import type { Clock } from '../../clock.ts';
import { createIds, toNativeSortKey } from '../../ids.ts';
import { createSerial } from '../../serial.ts';
import { COLLECTIONS, type CollectionSpec } from '../collections.ts';
import { toNextSortKey } from '../sort-keys.ts';
import type { Aliases } from './aliases.ts';
import { createToken, isWrittenBy, toWriters } from './conditional.ts';
import { toDocumentColumns } from './documents.ts';
import { toTagsOf } from './filter-tags.ts';
import { applyToSettled, type Outcome, Removals } from './removals.ts';
import { createRowReads, type RowReads } from './row-reads.ts';
import {
  AT_LIST,
  AT_PLACE,
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
  /** Whether it was looked for a moment ago, and is not there. */
  readonly isAbsent?: boolean;
}

export interface Records {
  find(key: ListKey, id: string): Promise<FoundRecord | null>;
  insert(record: NewRecord): Promise<Outcome>;
  /**
   * Writes the next version of what was found, if nothing else has been written since. `token` is kept among the record's writers.
   */
  replace(found: FoundRecord, document: string, token?: string): Promise<Outcome>;
  /** Removes what was found, if nothing else has been written since. */
  remove(found: FoundRecord): Promise<Outcome>;
  /** Where a record stands, or null where there is none: as `find`, for cursors. */
  locate(key: ListKey, id: string): Promise<RowPlace | null>;
  /** Whether the record is held or was written under this name, or was and few others came later. Settles what hangs. */
  isDecided(place: RowPlace, id: string): Promise<boolean>;
  /** Holds what was found for a transaction: others wait for its end. */
  lock(found: FoundRecord, transaction: string): Promise<Outcome>;
  /** Writes what the transaction has decided, and lets go; null removes the record. Nothing happens where it does not hold it. */
  release(locked: LockedRecord, transaction: string): Promise<void>;
}

/** A record that a transaction holds, and what becomes of it. */
export interface LockedRecord {
  readonly place: RowPlace;
  readonly isAliased: boolean;
  /** `keep`: nothing; null: it goes. */
  readonly becomes:
    | 'keep'
    | null
    | { readonly version: number; readonly document: string; readonly tags: readonly string[] };
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

const INSERT_COLUMNS =
  '(tenant, collection, parent, span, sort, id, kind, version, body, packed, filters, aliased, writers)';

class CassandraRecords implements Records {
  /** Makes sort keys that follow each other. */
  private readonly ids;
  /** Inserts without a place of their own, one after the other in each list. */
  private readonly atEnds = createSerial();

  private readonly removals: Removals;
  private readonly reads: RowReads;

  constructor(private readonly deps: RecordsDeps) {
    this.reads = createRowReads(deps.session);
    this.removals = new Removals(deps.session, deps.aliases);
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
    const native = toHomeSort(key, id);
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
    // Where only settled rows are, a condition tells as well as a look.
    const isKnown = record.isAbsent === true && toSpec(key).seldomChanges !== true;
    const { found, dead, alias } = isKnown ? NOTHING : await this.look(key, id);
    if (found !== null) return 'conflict';
    if (dead !== null) await this.removals.bury(dead);
    if (native !== null && isAtHome) {
      return await this.insertSettled(await this.toPlace(key, native, id), record, false);
    }
    const sort = record.sort ?? (await this.toLastSort(key));
    if (await this.deps.aliases.put(key, id, sort, alias)) {
      return await this.insertSettled(await this.toPlace(key, sort, id), record, true);
    }
    // An alias without a record is what a crash has left.
    return isKnown ? await this.insertNow({ ...record, isAbsent: false }, native, isAtHome) : 'conflict';
  }

  async replace(found: FoundRecord, document: string, token = createToken()): Promise<Outcome> {
    const { place, version } = found;
    const { body, packed } = await toDocumentColumns(document);
    const writers = toWriters(token, found.writers);
    const tags = this.toSettledTags(found, document);
    // Without a settled row there is no version to compare with. Not by INSERT: what that makes outlives its columns.
    const expected = found.isSettled ? version : null;
    const statement: CqlStatement = {
      cql: `UPDATE ${toTable(place)} SET version = ?, body = ?, packed = ?, filters = ?, writers = ?
        WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ? AND lock = null`,
      values: [version + 1, body, packed, tags, writers, ...toPlaceValues(place), expected],
    };
    return await applyToSettled(this.deps.session, place, statement, (row) => isWrittenBy(row, token));
  }

  remove(found: FoundRecord): Promise<Outcome> {
    return this.removals.remove(found);
  }

  async isDecided(place: RowPlace, id: string): Promise<boolean> {
    const rows = await this.deps.session.readSettled(toPlaceQuery(place));
    const settled = rows.find((row) => row.kind === SETTLED_ROW);
    return settled?.lock === id || isWrittenBy(settled, id);
  }

  async lock(found: FoundRecord, transaction: string): Promise<Outcome> {
    const { place, version } = found;
    const at = `WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF version = ? AND lock = null`;
    const isDone = (row: CqlRow | undefined): boolean => row?.lock === transaction;
    if (found.isSettled) {
      const cql = `UPDATE ${toTable(place)} SET lock = ? ${at}`;
      const values = [transaction, ...toPlaceValues(place), version];
      return await applyToSettled(this.deps.session, place, { cql, values }, isDone);
    }
    // There is nothing to hold: the settled row is made, as the first one is.
    const { body, packed } = await toDocumentColumns(found.document);
    const cql = `UPDATE ${toTable(place)} SET version = ?, body = ?, packed = ?, filters = ?, lock = ? ${at}`;
    const tags = this.toSettledTags(found, found.document);
    const values = [version, body, packed, tags, transaction, ...toPlaceValues(place), null];
    return await applyToSettled(this.deps.session, place, { cql, values }, isDone);
  }

  async release({ place, becomes, isAliased }: LockedRecord, transaction: string): Promise<void> {
    const at = `WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF lock = ?`;
    const isDone = (row: CqlRow | undefined): boolean => row?.lock !== transaction;
    const apply = (cql: string, values: readonly CqlValue[]): Promise<Outcome> =>
      applyToSettled(
        this.deps.session,
        place,
        { cql: `${cql} ${at}`, values: [...values, ...toPlaceValues(place), transaction] },
        isDone,
      );
    if (becomes === 'keep') {
      await apply(`UPDATE ${toTable(place)} SET lock = null`, []);
    } else if (becomes === null) {
      const outcome = await apply(`DELETE FROM ${toTable(place)}`, []);
      if (outcome === 'done' && isAliased) await this.deps.aliases.remove(place, place.id, place.sort);
    } else {
      const { body, packed } = await toDocumentColumns(becomes.document);
      await apply(
        `UPDATE ${toTable(place)} SET version = ?, body = ?, packed = ?, filters = ?, writers = ?, lock = null`,
        [becomes.version, body, packed, toColumn(becomes.tags), transaction],
      );
    }
  }

  /** What is at an id, wherever it stands. */
  private async look(
    key: ListKey,
    id: string,
  ): Promise<{ found: FoundRecord | null; dead: Emptiness | null; alias: string | null }> {
    const native = toHomeSort(key, id);
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
    return await toFound(place, await this.reads.read(place));
  }

  private async toPlace(key: ListKey, sort: string, id: string): Promise<RowPlace> {
    const { collection, tenant, parent } = key;
    return { collection, tenant, parent, span: await this.deps.spans.find(key, sort, id), sort, id };
  }

  private async insertFirst(place: RowPlace, { document, tags, key }: NewRecord): Promise<void> {
    const { body, packed } = await toDocumentColumns(document);
    // Columns that have no value are left out: a null would be kept as a deletion, and what is not named costs nothing.
    const [content, value] = packed === null ? ['body', body] : ['packed', packed];
    const [filters, mark, tagged] = tags.length === 0 ? ['', '', []] : [', filters', ', ?', [[...tags]]];
    await this.deps.session.write({
      cql: `INSERT INTO ${toTable(place)} (tenant, collection, parent, span, sort, id, kind, version, ${content}${filters}) VALUES (?, ?, ?, ?, ?, ?, ${FIRST_ROW}, 1, ?${mark})`,
      values: [...toPlaceValues(place), value, ...tagged],
    });
    void this.deps.spans.noteInsert(key);
  }

  private async insertSettled(place: RowPlace, record: NewRecord, isAliased: boolean): Promise<Outcome> {
    const token = createToken();
    const { body, packed } = await toDocumentColumns(record.document);
    const outcome = await applyToSettled(
      this.deps.session,
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

  /**
   * What a settled row is found by. With the tags of the first row, which still has its own: a list that finds the one must find
   * the other, to see which of them is the record.
   */
  private toSettledTags({ place, firstDocument }: FoundRecord, document: string): string[] | null {
    const own = toTagsOf(place, document);
    const first = firstDocument === null ? [] : toTagsOf(place, firstDocument);
    return toColumn([...new Set([...own, ...first])]);
  }

  /** Behind the last record of the list, whose parts follow each other. */
  private async toLastSort(key: ListKey): Promise<string> {
    const next = toNativeSortKey(this.ids.create('request')) ?? '';
    const spans = await this.deps.spans.list(key);
    for (const span of [...spans].reverse()) {
      const [row] = await this.deps.session.read({
        cql: `SELECT sort FROM ${toTable(key)} WHERE ${AT_LIST} LIMIT 1`,
        values: toListValues(key, span),
      });
      if (typeof row?.sort === 'string') return next > row.sort ? next : toNextSortKey(row.sort);
    }
    return next;
  }
}

/**
 * The sort key that an id names: none where it was made elsewhere, and needs an alias. The server's own records are found by their ids
 * alone, in whatever order.
 */
function toHomeSort(key: ListKey, id: string): string | null {
  return toNativeSortKey(id) ?? (isSpread(key) ? id : null);
}

const NOTHING = Object.freeze({ found: null, dead: null, alias: null });

function toSpec({ collection }: ListKey): CollectionSpec {
  return COLLECTIONS[collection];
}

/** An empty set is no value to Cassandra. */
function toColumn(tags: readonly string[]): string[] | null {
  return tags.length === 0 ? null : [...tags];
}
