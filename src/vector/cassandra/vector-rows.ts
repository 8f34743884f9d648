/** Vectors, in a table for each number of dimensions, with their index. */

import { types } from 'cassandra-driver';
import { migrate } from '../../cassandra/schema.ts';
import type { CqlRow, CqlSession } from '../../cassandra/session.ts';
import type { Clock } from '../../clock.ts';
import { StoreError } from '../../store/store.ts';
import { checkVector } from '../checks.ts';
import type { IndexScope } from '../vector-index.ts';
import { toNumber, toText } from './columns.ts';
import { DIMENSIONS_MAX, toVectorId, toVectorMigration, toVectorTable } from './schema.ts';
import { forEachBounded, toParts } from './turns.ts';

/** Whose vectors: one partition. */
export interface ShardScope extends IndexScope {
  readonly dimensions: number;
  readonly shard: number;
}

export interface VectorMatch {
  readonly id: string;
  readonly cosine: number;
}

/** Positions of one version, `to` exclusive. */
export interface VectorRange {
  readonly version: string;
  readonly from: number;
  readonly to: number;
}

export interface VectorRows {
  /** Makes the table where it is missing. Errors: `misuse` where there are too many dimensions; `unavailable`. */
  ensureTable(dimensions: number): Promise<void>;
  write(
    shard: ShardScope,
    vectors: readonly { readonly id: string; readonly vector: Float32Array }[],
  ): Promise<void>;
  /** The nearest by the index, best first; at most `limit`, at most `NEAREST_MAX`. */
  findNearest(shard: ShardScope, question: Buffer, limit: number): Promise<readonly VectorMatch[]>;
  /** Compares all vectors of the shard. */
  compareAll(shard: ShardScope, question: Buffer): AsyncIterable<readonly VectorMatch[]>;
  /** Compares these; what is not there is left out. */
  compareMany(shard: ShardScope, question: Buffer, ids: readonly string[]): Promise<readonly VectorMatch[]>;
  /** Ids and vectors of a range, some at a time. */
  readRange(
    shard: ShardScope,
    range: VectorRange,
  ): AsyncIterable<readonly { id: string; vector: Float32Array }[]>;
  /** The same of all vectors of the shard. */
  readShard(shard: ShardScope): AsyncIterable<readonly { id: string; vector: Float32Array }[]>;
  removeMany(shard: ShardScope, ids: readonly string[]): Promise<void>;
  removeRange(shard: ShardScope, range: VectorRange): Promise<void>;
  removeShard(shard: ShardScope): Promise<void>;
}

/** What the server gives at most. */
export const NEAREST_MAX = 1000;
/** Building the graph is what a write costs: more at once only wait longer. Of this process. */
const WRITES_AT_ONCE = 8;
const READS_AT_ONCE = 4;
const PAGE_ROWS = 2000;
const VECTORS_PER_PAGE = 256;
/** Keys that one query names: managed clusters refuse more. */
export const KEYS_PER_QUERY = 25;
/** Shorter vectors point nowhere. */
const NORM_MIN = 1e-12;

export function createVectorRows(deps: {
  readonly session: CqlSession;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly isManaged: boolean;
}): VectorRows {
  const { session, clock, isManaged } = deps;
  const tables = new Map<number, Promise<void>>();
  const writing = createThrottle(WRITES_AT_ONCE);

  const makeTable = async (dimensions: number): Promise<void> => {
    const owner = `vector index ${crypto.randomUUID()}`;
    await migrate({ session, migrations: [toVectorMigration(dimensions, isManaged)], owner, clock });
  };

  async function* readVectors(shard: ShardScope, condition: string, values: readonly string[]) {
    const statement = {
      cql: `SELECT id, v FROM ${toVectorTable(shard.dimensions)} ${SHARD} ${condition}`,
      values: [...toPlace(shard), ...values],
    };
    for await (const rows of session.readPages(statement, VECTORS_PER_PAGE)) {
      yield rows.map((row) => ({ id: toText(row.id), vector: toFloats(row.v) }));
    }
  }

  return {
    async ensureTable(dimensions) {
      checkDimensions(dimensions);
      const making =
        tables.get(dimensions) ??
        makeTable(dimensions).catch((error: unknown) => {
          tables.delete(dimensions);
          throw error;
        });
      tables.set(dimensions, making);
      await making;
    },

    async write(shard, vectors) {
      const cql = `INSERT INTO ${toVectorTable(shard.dimensions)} (tenant, store, shard, id, v) VALUES (?, ?, ?, ?, ?)`;
      // All are looked at before the first is sent.
      const bound = vectors.map(({ id, vector }) => [id, toVectorBytes(vector, shard.dimensions)] as const);
      await forEachBounded(bound, WRITES_AT_ONCE, ([id, bytes]) =>
        writing(() => session.write({ cql, values: [...toPlace(shard), id, bytes] })),
      );
    },

    async findNearest(shard, question, limit) {
      const rows = await session.read({
        cql: `SELECT id, similarity_cosine(v, ?) AS similarity FROM ${toVectorTable(shard.dimensions)} ${SHARD}
          ORDER BY v ANN OF ? LIMIT ?`,
        values: [question, ...toPlace(shard), question, Math.min(limit, NEAREST_MAX)],
      });
      return rows.map(toMatch);
    },

    async *compareAll(shard, question) {
      const statement = {
        cql: `SELECT id, similarity_cosine(v, ?) AS similarity FROM ${toVectorTable(shard.dimensions)} ${SHARD}`,
        values: [question, ...toPlace(shard)],
      };
      for await (const rows of session.readPages(statement, PAGE_ROWS)) yield rows.map(toMatch);
    },

    async compareMany(shard, question, ids) {
      const cql = `SELECT id, similarity_cosine(v, ?) AS similarity FROM ${toVectorTable(shard.dimensions)} ${SHARD} AND id IN ?`;
      const found: VectorMatch[] = [];
      await forEachBounded(toParts(ids, KEYS_PER_QUERY), READS_AT_ONCE, async (part) => {
        const rows = await session.read({ cql, values: [question, ...toPlace(shard), part] });
        found.push(...rows.map(toMatch));
      });
      return found;
    },

    readRange: (shard, range) => readVectors(shard, RANGE, toBounds(range)),
    readShard: (shard) => readVectors(shard, '', []),

    async removeMany(shard, ids) {
      const cql = `DELETE FROM ${toVectorTable(shard.dimensions)} ${SHARD} AND id = ?`;
      await session.writeTogether(ids.map((id) => ({ cql, values: [...toPlace(shard), id] })));
    },

    async removeRange(shard, range) {
      await session.write({
        cql: `DELETE FROM ${toVectorTable(shard.dimensions)} ${SHARD} ${RANGE}`,
        values: [...toPlace(shard), ...toBounds(range)],
      });
    },

    async removeShard(shard) {
      await session.write({
        cql: `DELETE FROM ${toVectorTable(shard.dimensions)} ${SHARD}`,
        values: toPlace(shard),
      });
    },
  };
}

const SHARD = 'WHERE tenant = ? AND store = ? AND shard = ?';
const RANGE = 'AND id >= ? AND id < ?';

export function checkDimensions(dimensions: number): void {
  if (dimensions <= DIMENSIONS_MAX) return;
  throw new StoreError(
    'misuse',
    `Vectors have at most ${DIMENSIONS_MAX} dimensions here, not ${dimensions}.`,
  );
}

/** As far as a vector of 32-bit floats that was brought to unit length may be from it: so it is left as it is. */
const UNIT_TOLERANCE = 2 ** -23;

/** What a model calls unit length may be off by a little; cosines are not. Errors: `misuse`. */
export function toUnit(vector: Float32Array): Float32Array {
  const length = toLength(vector);
  if (!Number.isFinite(length) || !(length > NORM_MIN)) throw new StoreError('misuse', 'A vector is zero.');
  if (Math.abs(length - 1) <= UNIT_TOLERANCE) return vector;
  const unit = vector.map((value) => value / length);
  // What is divided by a length close to nothing or to infinity may still be neither.
  if (!(Math.abs(toLength(unit) - 1) < 0.01))
    throw new StoreError('misuse', 'A vector cannot be brought to length 1.');
  return unit;
}

/**
 * Big-endian floats, as they are sent. Every vector is looked at here: one that is zero or not a number is written to the
 * server's log although it is refused, and the server does not start again once it has to read that log. Errors: `misuse`.
 */
export function toVectorBytes(vector: Float32Array, dimensions: number): Buffer {
  checkVector(vector, dimensions);
  const copy = Float32Array.from(toUnit(vector));
  return Buffer.from(copy.buffer).swap32();
}

function toLength(vector: Float32Array): number {
  let square = 0;
  for (let i = 0; i < vector.length; i += 1) square += (vector[i] ?? 0) ** 2;
  return Math.sqrt(square);
}

function toPlace({ tenant, store, shard }: ShardScope): readonly [string, string, number] {
  return [tenant, store, shard];
}

function toBounds({ version, from, to }: VectorRange): readonly [string, string] {
  return [toVectorId(version, from), toVectorId(version, to)];
}

/** The server counts from 0 to 1. */
function toMatch(row: CqlRow): VectorMatch {
  const cosine = 2 * toNumber(row.similarity) - 1;
  return { id: toText(row.id), cosine: Math.max(-1, Math.min(1, cosine)) };
}

/** The driver's vector keeps its numbers in an array behind a proxy. */
function toFloats(value: unknown): Float32Array {
  if (!(value instanceof types.Vector)) return new Float32Array(0);
  const { elements } = value as unknown as { readonly elements: readonly number[] };
  return Float32Array.from(elements);
}

/** So many at once; the others wait in their order. */
function createThrottle(places: number): (work: () => Promise<void>) => Promise<void> {
  let free = places;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
