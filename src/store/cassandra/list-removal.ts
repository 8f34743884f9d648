/** Removes whole lists, page by page. */

import { types } from 'cassandra-driver';
import type { CqlRow, CqlSession, CqlStatement } from '../../cassandra/session.ts';
import { UnknownOutcome } from '../../cassandra/session.ts';
import type { Aliases } from './aliases.ts';
import { AT_LIST, AT_PLACE, DEAD, toListValues, toTable } from './rows.ts';
import { FIRST_ROW, SETTLED_ROW } from './schema.ts';
import type { ListKey, Spans } from './spans.ts';

/** Rows that are read at once. */
const PAGE_ROWS = 200;
/** Rows of one partition that one conditional write removes. */
const TOGETHER_MAX = 50;
/** Pages of one partition: beyond, the caller's next sweep goes on. */
const PAGES_MAX = 10_000;
const ALIASES_AT_ONCE = 8;

export interface RemovalDeps {
  readonly session: CqlSession;
  readonly spans: Spans;
  readonly aliases: Aliases;
}

/** Answers how many records there were. */
export async function removeList(deps: RemovalDeps, key: ListKey): Promise<number> {
  let removed = 0;
  for (const span of await deps.spans.list(key)) {
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const rows = await readRows(deps.session, key, span);
      if (rows.length === 0) break;
      removed += await removeRows(deps, key, span, rows);
    }
  }
  return removed;
}

async function readRows(session: CqlSession, key: ListKey, span: string): Promise<readonly CqlRow[]> {
  return await session.read({
    cql: `SELECT sort, id, kind, version, aliased, WRITETIME(version) AS written FROM ${toTable(key)} WHERE ${AT_LIST} LIMIT ${PAGE_ROWS}`,
    values: toListValues(key, span),
  });
}

async function removeRows(
  deps: RemovalDeps,
  key: ListKey,
  span: string,
  rows: readonly CqlRow[],
): Promise<number> {
  const first = rows.filter((row) => row.kind === FIRST_ROW);
  const settled = rows.filter((row) => row.kind === SETTLED_ROW);
  const hidden = new Set(settled.map((row) => String(row.id)));
  // First rows go first: where there are two, the settled one is the whole record.
  await deps.session.writeTogether(first.map((row) => toFirstDelete(key, span, row)));
  let removed = first.filter((row) => !hidden.has(String(row.id))).length;
  for (let at = 0; at < settled.length; at += TOGETHER_MAX) {
    removed += await removeSettled(deps, key, span, settled.slice(at, at + TOGETHER_MAX));
  }
  return removed;
}

async function removeSettled(
  deps: RemovalDeps,
  key: ListKey,
  span: string,
  rows: readonly CqlRow[],
): Promise<number> {
  const isGone = await removeTogether(deps.session, key, span, rows);
  // Somebody has removed one of them meanwhile: the next page shows what is left.
  if (!isGone && rows.length > 1) {
    let removed = 0;
    for (const row of rows) removed += await removeSettled(deps, key, span, [row]);
    return removed;
  }
  const aliased = rows.filter((row) => row.aliased === true);
  for (let at = 0; at < aliased.length; at += ALIASES_AT_ONCE) {
    await Promise.all(
      aliased
        .slice(at, at + ALIASES_AT_ONCE)
        .map((row) => deps.aliases.remove(key, String(row.id), String(row.sort))),
    );
  }
  return isGone ? rows.filter((row) => row.version !== DEAD).length : 0;
}

/** False where one of them was not there, or it is not known what became of them. */
async function removeTogether(
  session: CqlSession,
  key: ListKey,
  span: string,
  rows: readonly CqlRow[],
): Promise<boolean> {
  try {
    const { isApplied } = await session.applyTogether(rows.map((row) => toSettledDelete(key, span, row)));
    return isApplied;
  } catch (error) {
    if (error instanceof UnknownOutcome) return false;
    throw error;
  }
}

function toSettledDelete(key: ListKey, span: string, row: CqlRow): CqlStatement {
  return {
    cql: `DELETE FROM ${toTable(key)} WHERE ${AT_PLACE} AND kind = ${SETTLED_ROW} IF EXISTS`,
    values: [...toListValues(key, span), String(row.sort), String(row.id)],
  };
}

function toFirstDelete(key: ListKey, span: string, row: CqlRow): CqlStatement {
  const written = row.written instanceof types.Long ? row.written : types.Long.ZERO;
  return {
    cql: `DELETE FROM ${toTable(key)} USING TIMESTAMP ? WHERE ${AT_PLACE} AND kind = ${FIRST_ROW}`,
    values: [written.add(1), ...toListValues(key, span), String(row.sort), String(row.id)],
  };
}
