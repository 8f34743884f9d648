/** Rows of postings: of a term in some chunks of a version, beside those of other versions in the shard. */

import type { CqlSession, CqlStatement } from '../../cassandra/session.ts';
import type { IndexScope } from '../vector-index.ts';
import { toBytes, toNumber, toText } from './columns.ts';
import { forEachBounded, toParts } from './turns.ts';
import { KEYS_PER_QUERY } from './vector-rows.ts';

export interface PostingsRow {
  readonly term: string;
  readonly version: string;
  /** The position that places in the postings are counted from. */
  readonly first: number;
  readonly postings: Buffer;
}

export interface PostingRows {
  write(scope: IndexScope, shard: number, rows: readonly PostingsRow[]): Promise<void>;
  /** All rows that a version has of these terms. */
  remove(scope: IndexScope, shard: number, version: string, terms: readonly string[]): Promise<void>;
  /** All rows of these terms in a shard, those of dead versions too. */
  read(scope: IndexScope, shard: number, terms: readonly string[]): AsyncIterable<readonly PostingsRow[]>;
  /** Those of some versions only. */
  readOf(
    scope: IndexScope,
    shard: number,
    terms: readonly string[],
    versions: readonly string[],
  ): Promise<readonly PostingsRow[]>;
  removeShard(scope: IndexScope, shard: number): Promise<void>;
}

/** Rows of one write: most have some ten bytes, and none more than a few KiB. */
const BATCH_ROWS = 150;
const BATCHES_AT_ONCE = 4;
const PAGE_ROWS = 2000;
/** Rows that `readOf` may bring at once: terms times versions times the buckets of a large file. */
const TERMS_PER_VERSION_QUERY = 1;
/** In UTF-16 units; words are cut long before. Longer keys are refused by the server. */
export const TERM_LENGTH_MAX = 4096;

const SHARD = 'WHERE tenant = ? AND store = ? AND shard = ?';
const COLUMNS = 'term, version, first, postings';

export function createPostingRows(session: CqlSession): PostingRows {
  const writeAll = (statements: readonly CqlStatement[]): Promise<void> =>
    forEachBounded(toParts(statements, BATCH_ROWS), BATCHES_AT_ONCE, (part) => session.writeTogether(part));

  const toRows = (rows: Awaited<ReturnType<CqlSession['read']>>): readonly PostingsRow[] =>
    rows.map((row) => ({
      term: toText(row.term),
      version: toText(row.version),
      first: toNumber(row.first),
      postings: toBytes(row.postings) ?? Buffer.alloc(0),
    }));

  return {
    async write({ tenant, store }, shard, rows) {
      const cql = `INSERT INTO index_postings (tenant, store, shard, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`;
      const statements = rows.map(({ term, version, first, postings }) => ({
        cql,
        values: [tenant, store, shard, term, version, first, postings],
      }));
      await writeAll(statements);
    },

    async remove({ tenant, store }, shard, version, terms) {
      const cql = `DELETE FROM index_postings ${SHARD} AND term = ? AND version = ?`;
      await writeAll(terms.map((term) => ({ cql, values: [tenant, store, shard, term, version] })));
    },

    async *read({ tenant, store }, shard, terms) {
      const cql = `SELECT ${COLUMNS} FROM index_postings ${SHARD} AND term IN ?`;
      for (const part of toParts(terms, KEYS_PER_QUERY)) {
        const statement = { cql, values: [tenant, store, shard, part] };
        for await (const rows of session.readPages(statement, PAGE_ROWS)) yield toRows(rows);
      }
    },

    async readOf({ tenant, store }, shard, terms, versions) {
      const cql = `SELECT ${COLUMNS} FROM index_postings ${SHARD} AND term IN ? AND version IN ?`;
      const found: PostingsRow[] = [];
      await forEachBounded(toParts(terms, TERMS_PER_VERSION_QUERY), BATCHES_AT_ONCE, async (part) => {
        const statement = { cql, values: [tenant, store, shard, part, versions] };
        for await (const rows of session.readPages(statement, PAGE_ROWS)) found.push(...toRows(rows));
      });
      return found;
    },

    async removeShard({ tenant, store }, shard) {
      await session.write({ cql: `DELETE FROM index_postings ${SHARD}`, values: [tenant, store, shard] });
    },
  };
}
