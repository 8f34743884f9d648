/** What a store holds, remembered as long as nothing changes: each question asks for it. */

import type { Database } from 'bun:sqlite';
import type { IndexScope, IndexStatistics } from '../vector-index.ts';
import { PUBLISHED } from './schema.ts';

/** Stores whose description is remembered. */
const REMEMBERED_MAX = 1024;

interface Remembered {
  readonly revision: number;
  readonly statistics: IndexStatistics;
}

const NOTHING: IndexStatistics = Object.freeze({ chunks: 0, dimensions: null, languages: Object.freeze([]) });

export function createDescriptions(database: Database): (scope: IndexScope) => IndexStatistics {
  const find = database.prepare<
    { id: number; revision: number; dimensions: number | null },
    [string, string]
  >('SELECT id, revision, dimensions FROM stores WHERE tenant = ? AND store = ?');
  const count = database.prepare<{ languages: string; chunks: number }, [number]>(
    `SELECT languages, sum(prepared) AS chunks FROM versions WHERE store = ? AND state = ${PUBLISHED}
     GROUP BY languages`,
  );
  const remembered = new Map<number, Remembered>();

  const remember = (id: number, known: Remembered): void => {
    remembered.delete(id);
    remembered.set(id, known);
    const [oldest] = remembered.keys();
    if (remembered.size > REMEMBERED_MAX && oldest !== undefined) remembered.delete(oldest);
  };

  return ({ tenant, store }) => {
    const row = find.get(tenant, store);
    if (row === null) return NOTHING;
    const known = remembered.get(row.id);
    if (known?.revision === row.revision) return known.statistics;
    const groups = count.all(row.id);
    const chunks = groups.reduce((sum, group) => sum + group.chunks, 0);
    // Before the first file can be found, there is nothing to say of vectors either.
    const dimensions = chunks > 0 ? row.dimensions : null;
    const statistics = { chunks, dimensions, languages: toLanguages(groups) };
    remember(row.id, { revision: row.revision, statistics });
    return statistics;
  };
}

/** Most chunks first. */
function toLanguages(groups: readonly { languages: string; chunks: number }[]): readonly string[] {
  const chunks = new Map<string, number>();
  for (const group of groups) {
    for (const language of JSON.parse(group.languages) as string[]) {
      chunks.set(language, (chunks.get(language) ?? 0) + group.chunks);
    }
  }
  return [...chunks]
    .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
    .map(([language]) => language);
}
