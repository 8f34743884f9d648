/**
 * Where lists are cut into partitions. What lies under a parent is one partition; the lists of a whole tenant grow without a bound and
 * are cut by sort key, at places that are noted in the cluster long before any record needs them; the server's own
 * records are spread by their ids.
 */

import type { CqlSession } from '../../cassandra/session.ts';
import type { Clock } from '../../clock.ts';
import { type CollectionName, SYSTEM_TENANT } from '../collections.ts';
import { toSortKey } from '../sort-keys.ts';
import { RECORDS_TABLE } from './schema.ts';

/** A list, or its part, as the key of a partition. */
export interface ListKey {
  readonly collection: CollectionName;
  readonly tenant: string;
  readonly parent: string;
}

/** Partitions over which the server's own records are spread: each sweep reads them all. */
const QUEUE_SPANS = Object.freeze(Array.from({ length: 16 }, (_, bucket) => `b${bucket.toString(16)}`));
const WHOLE = Object.freeze(['']);

/** Records at which a list is cut. */
const SPAN_RECORDS_MAX = 25_000;
/** One insert of so many looks how long the last part is. */
const CHECK_EVERY = 1_000;
/** How long a process believes what it has read of the cuts. */
const BELIEVED_MS = 30_000;
/** A cut lies so far ahead that every process has heard of it before it makes a record behind it, though clocks differ by a minute. */
const CUT_AHEAD_MS = 120_000;
/** Lists whose cuts are remembered. */
const REMEMBERED_MAX = 10_000;

export interface Spans {
  /** All partitions of a list, in the order of their sort keys where they have one. */
  list(key: ListKey): Promise<readonly string[]>;
  /** The partition of a record. */
  find(key: ListKey, sort: string, id: string): Promise<string>;
  /** Called behind an insert: looks now and then whether the list is to be cut. Resolves behind that; nobody need wait. */
  noteInsert(key: ListKey): Promise<void>;
}

/** Whether records of the list are spread by their ids, so that a list is a merge of its parts. */
export function isSpread({ tenant }: Pick<ListKey, 'tenant'>): boolean {
  return tenant === SYSTEM_TENANT;
}

interface Remembered {
  readonly starts: readonly string[];
  readonly untilMs: number;
}

export interface SpansOptions {
  readonly session: CqlSession;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** Answers 0 to 1. */
  readonly random?: () => number;
  readonly spanRecordsMax?: number;
  readonly checkEvery?: number;
}

export function createSpans(options: SpansOptions): Spans {
  const {
    session,
    clock,
    random = Math.random,
    spanRecordsMax = SPAN_RECORDS_MAX,
    checkEvery = CHECK_EVERY,
  } = options;
  const remembered = new Map<string, Remembered>();
  const loading = new Map<string, Promise<readonly string[]>>();
  const checking = new Set<string>();

  const load = async (key: ListKey, name: string): Promise<readonly string[]> => {
    const rows = await session.read({
      cql: 'SELECT start FROM record_spans WHERE tenant = ? AND collection = ?',
      values: [key.tenant, key.collection],
    });
    const starts = ['', ...rows.map((row) => String(row.start))];
    remembered.delete(name);
    remembered.set(name, { starts, untilMs: clock.nowMs() + BELIEVED_MS });
    const oldest = remembered.keys().next();
    if (remembered.size > REMEMBERED_MAX && !oldest.done) remembered.delete(oldest.value);
    return starts;
  };

  const toStarts = async (key: ListKey): Promise<readonly string[]> => {
    const name = JSON.stringify([key.tenant, key.collection]);
    const known = remembered.get(name);
    if (known !== undefined && clock.nowMs() < known.untilMs) return known.starts;
    let made = loading.get(name);
    if (made === undefined) {
      made = load(key, name).finally(() => loading.delete(name));
      loading.set(name, made);
    }
    return await made;
  };

  const cutIfLong = async (key: ListKey): Promise<void> => {
    const starts = await toStarts(key);
    const last = starts.at(-1) ?? '';
    const cut = toSortKey(clock.nowMs() + CUT_AHEAD_MS);
    // The last cut is still ahead of everything that is written.
    if (last > toSortKey(clock.nowMs())) return;
    const rows = session.readPages(
      {
        cql: `SELECT kind FROM ${RECORDS_TABLE} WHERE tenant = ? AND collection = ? AND parent = ? AND span = ? LIMIT ${spanRecordsMax}`,
        values: [key.tenant, key.collection, key.parent, last],
      },
      COUNTED_ROWS,
    );
    let count = 0;
    for await (const page of rows) count += page.length;
    if (count < spanRecordsMax) return;
    await session.write({
      cql: 'INSERT INTO record_spans (tenant, collection, start) VALUES (?, ?, ?)',
      values: [key.tenant, key.collection, cut],
    });
  };

  return {
    async list(key) {
      if (isSpread(key)) return QUEUE_SPANS;
      return key.parent === '' ? await toStarts(key) : WHOLE;
    },

    async find(key, sort, id) {
      if (isSpread(key)) return QUEUE_SPANS[Bun.hash.crc32(id) % QUEUE_SPANS.length] ?? '';
      if (key.parent !== '') return '';
      const starts = await toStarts(key);
      return starts.findLast((start) => start <= sort) ?? '';
    },

    async noteInsert(key) {
      if (isSpread(key) || key.parent !== '' || random() * checkEvery >= 1) return;
      const name = JSON.stringify([key.tenant, key.collection]);
      if (checking.has(name)) return;
      checking.add(name);
      // A list that is not cut now is cut at a later insert.
      await cutIfLong(key).catch(() => undefined);
      checking.delete(name);
    },
  };
}

const COUNTED_ROWS = 2_000;
