/** Which versions and buckets there are: written before anything of them is, so that all of it can be freed after any crash. */

import type { CqlRow, CqlSession } from '../../cassandra/session.ts';
import type { IndexScope } from '../vector-index.ts';
import { fromSum, toNumber, toSum, toText } from './columns.ts';
import { HEAD_BUCKET } from './schema.ts';

export interface BucketEntry {
  readonly bucket: number;
  readonly shard: number;
  /** Of its vectors; 0 where it has had none. */
  readonly dimensions: number;
}

export interface VersionEntry {
  readonly version: string;
  /** Whether postings were begun to be written. */
  readonly isIndexed: boolean;
  /** Ascending. */
  readonly buckets: readonly BucketEntry[];
}

/** What a version brings to the sum of the store's vectors. */
export interface VersionSum {
  readonly count: number;
  readonly sum: Float64Array | null;
}

export interface StoreEntry extends VersionEntry {
  readonly file: string;
}

export interface Registry {
  register(scope: IndexScope, file: string, version: string): Promise<void>;
  registerBucket(scope: IndexScope, file: string, version: string, bucket: BucketEntry): Promise<void>;
  setIndexed(scope: IndexScope, file: string, version: string, isIndexed: boolean): Promise<void>;
  writeSum(scope: IndexScope, version: string, sum: VersionSum): Promise<void>;
  /** Nothing, where none was written. */
  readSum(scope: IndexScope, version: string): Promise<VersionSum>;
  forgetSum(scope: IndexScope, version: string): Promise<void>;
  /** Of a file. */
  readFile(scope: IndexScope, file: string): Promise<readonly VersionEntry[]>;
  readVersion(scope: IndexScope, file: string, version: string): Promise<VersionEntry>;
  /** Rows of the whole store, some at a time: a version may come in several parts. */
  readStore(scope: IndexScope): AsyncIterable<readonly StoreEntry[]>;
  forgetVersion(scope: IndexScope, file: string, entry: VersionEntry): Promise<void>;
  forgetStore(scope: IndexScope): Promise<void>;
}

const PAGE_ROWS = 2000;
/** Rows that are deleted in one batch. */
const BATCH_ROWS = 200;
const COLUMNS = 'file, version, bucket, shard, dimensions, is_indexed';
const STORE = 'WHERE tenant = ? AND store = ?';
const KEYS = 'tenant, store, file, version, bucket';

export function createRegistry(session: CqlSession): Registry {
  const collect = async (cql: string, values: readonly string[]): Promise<readonly StoreEntry[]> => {
    const rows: CqlRow[] = [];
    for await (const page of session.readPages({ cql, values }, PAGE_ROWS)) rows.push(...page);
    return toEntries(rows);
  };

  return {
    async register({ tenant, store }, file, version) {
      await session.write({
        cql: `INSERT INTO index_versions (${KEYS}, is_indexed) VALUES (?, ?, ?, ?, ?, ?)`,
        values: [tenant, store, file, version, HEAD_BUCKET, false],
      });
    },

    async registerBucket({ tenant, store }, file, version, { bucket, shard, dimensions }) {
      await session.write({
        cql: `INSERT INTO index_versions (${KEYS}, shard, dimensions) VALUES (?, ?, ?, ?, ?, ?, ?)`,
        values: [tenant, store, file, version, bucket, shard, dimensions],
      });
    },

    async setIndexed({ tenant, store }, file, version, isIndexed) {
      await session.write({
        cql: `INSERT INTO index_versions (${KEYS}, is_indexed) VALUES (?, ?, ?, ?, ?, ?)`,
        values: [tenant, store, file, version, HEAD_BUCKET, isIndexed],
      });
    },

    async writeSum({ tenant, store }, version, { count, sum }) {
      await session.write({
        cql: 'INSERT INTO index_sums (tenant, store, version, vectors, vector_sum) VALUES (?, ?, ?, ?, ?)',
        values: [tenant, store, version, count, fromSum(sum) ?? Buffer.alloc(0)],
      });
    },

    async readSum({ tenant, store }, version) {
      const [row] = await session.read({
        cql: `SELECT vectors, vector_sum FROM index_sums ${STORE} AND version = ?`,
        values: [tenant, store, version],
      });
      return { count: toNumber(row?.vectors), sum: toSum(row?.vector_sum) };
    },

    async forgetSum({ tenant, store }, version) {
      await session.write({
        cql: `DELETE FROM index_sums ${STORE} AND version = ?`,
        values: [tenant, store, version],
      });
    },

    readFile: ({ tenant, store }, file) =>
      collect(`SELECT ${COLUMNS} FROM index_versions ${STORE} AND file = ?`, [tenant, store, file]),

    async readVersion({ tenant, store }, file, version) {
      const [entry] = await collect(
        `SELECT ${COLUMNS} FROM index_versions ${STORE} AND file = ? AND version = ?`,
        [tenant, store, file, version],
      );
      return entry ?? { version, isIndexed: false, buckets: [] };
    },

    async *readStore({ tenant, store }) {
      const statement = { cql: `SELECT ${COLUMNS} FROM index_versions ${STORE}`, values: [tenant, store] };
      for await (const rows of session.readPages(statement, PAGE_ROWS)) yield toEntries(rows);
    },

    async forgetVersion({ tenant, store }, file, { version, buckets }) {
      // Row by row: one that somebody else writes meanwhile stays, and is found again. The head goes last.
      const numbers = [...buckets.map(({ bucket }) => bucket), HEAD_BUCKET];
      for (let from = 0; from < numbers.length; from += BATCH_ROWS) {
        await session.writeTogether(
          numbers.slice(from, from + BATCH_ROWS).map((bucket) => ({
            cql: `DELETE FROM index_versions ${STORE} AND file = ? AND version = ? AND bucket = ?`,
            values: [tenant, store, file, version, bucket],
          })),
        );
      }
    },

    async forgetStore({ tenant, store }) {
      await session.write({ cql: `DELETE FROM index_versions ${STORE}`, values: [tenant, store] });
    },
  };
}

/** Rows come by file, version and bucket. */
function toEntries(rows: readonly CqlRow[]): readonly StoreEntry[] {
  const entries: (StoreEntry & { buckets: BucketEntry[] })[] = [];
  for (const row of rows) {
    const [file, version] = [toText(row.file), toText(row.version)];
    let last = entries.at(-1);
    if (last === undefined || last.file !== file || last.version !== version) {
      last = { file, version, isIndexed: false, buckets: [] };
      entries.push(last);
    }
    const bucket = toNumber(row.bucket);
    if (bucket !== HEAD_BUCKET) {
      last.buckets.push({ bucket, shard: toNumber(row.shard), dimensions: toNumber(row.dimensions) });
      continue;
    }
    entries[entries.length - 1] = { ...last, isIndexed: row.is_indexed === true };
  }
  return entries;
}
