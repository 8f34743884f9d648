/**
 * Reads single rows. Where many of one partition are wanted at once (threads, assistants and runs of a tenant), those that wait go
 * together in one query: the cost of a call, here and on the node, is shared.
 */

import type { CqlRow, CqlSession, CqlStatement, CqlValue } from '../../cassandra/session.ts';
import { isSettledOnly, PAGE_COLUMNS, type RowPlace, toListValues, toPlaceQuery, toTable } from './rows.ts';
import { SETTLED_ROW } from './schema.ts';

export interface RowReads {
  /** The rows of a place, as they are at some moment after the call. */
  read(place: RowPlace): Promise<readonly CqlRow[]>;
}

/** Queries of one partition under way at once; who comes meanwhile waits for the next. */
const QUERIES_MAX = 4;
/** Places in a query: documents may be large. */
const PLACES_MAX = 16;

interface Waiting {
  readonly place: RowPlace;
  readonly resolve: (rows: readonly CqlRow[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Partition {
  underWay: number;
  readonly waiting: Waiting[];
}

export function createRowReads(session: Pick<CqlSession, 'read'>): RowReads {
  const partitions = new Map<string, Partition>();

  const begin = async (name: string, partition: Partition, asked: readonly Waiting[]): Promise<void> => {
    partition.underWay += 1;
    try {
      const rows = await session.read(toQuery(asked.map(({ place }) => place)));
      for (const { place, resolve } of asked) resolve(rows.filter((row) => isAt(row, place)));
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
    partition.underWay -= 1;
    if (partition.waiting.length > 0) void begin(name, partition, partition.waiting.splice(0, PLACES_MAX));
    else if (partition.underWay === 0) partitions.delete(name);
  };

  return {
    async read(place) {
      // Of the others a range is read, which cannot be asked for together.
      if (!isSettledOnly(place)) return await session.read(toPlaceQuery(place));
      const name = toListValues(place, place.span).join('\0');
      let partition = partitions.get(name);
      if (partition === undefined) {
        partition = { underWay: 0, waiting: [] };
        partitions.set(name, partition);
      }
      const { promise, resolve, reject } = Promise.withResolvers<readonly CqlRow[]>();
      const asked = { place, resolve, reject };
      if (partition.underWay < QUERIES_MAX) void begin(name, partition, [asked]);
      else partition.waiting.push(asked);
      return await promise;
    },
  };
}

function isAt(row: CqlRow, { sort, id }: RowPlace): boolean {
  return row.id === id && row.sort === sort;
}

function toQuery(places: readonly RowPlace[]): CqlStatement {
  const [first] = places;
  if (first === undefined) throw new Error('A query is for a place at least.');
  if (places.length === 1) return toPlaceQuery(first);
  // A few lengths alone, so that few statements are prepared; the last place fills what is left.
  const length = toLength(places.length);
  const keys = Array.from({ length }, (_, index) => places[index] ?? first);
  const marks = keys.map(() => `(?, ?, ${SETTLED_ROW})`).join(', ');
  const values: CqlValue[] = toListValues(first, first.span);
  for (const { sort, id } of keys) values.push(sort, id);
  return {
    cql: `SELECT ${PAGE_COLUMNS} FROM ${toTable(first)} WHERE tenant = ? AND collection = ? AND parent = ? AND span = ? AND (sort, id, kind) IN (${marks})`,
    values,
  };
}

function toLength(count: number): number {
  let length = 2;
  while (length < count) length *= 2;
  return length;
}
