/** Where records stand whose id does not say it: those that were imported under another sort key, or with a foreign id. */

import type { CqlSession, CqlStatement, CqlValue } from '../../cassandra/session.ts';
import { applySurely, createToken, isWrittenBy, toWriters } from './conditional.ts';
import type { ListKey } from './spans.ts';

export interface Aliases {
  /** The sort key of a record, or null where none is noted. */
  find(key: ListKey, id: string): Promise<string | null>;
  /** Notes a sort key. Answers false where another one is noted meanwhile; `expected` is the one that is to be replaced. */
  put(key: ListKey, id: string, sort: string, expected: string | null): Promise<boolean>;
  remove(key: ListKey, id: string, sort: string): Promise<void>;
}

const AT = 'tenant = ? AND collection = ? AND parent = ? AND id = ?';

export function createAliases(session: CqlSession): Aliases {
  const toValues = (key: ListKey, id: string): CqlValue[] => [key.tenant, key.collection, key.parent, id];
  const toLook = (key: ListKey, id: string): CqlStatement => ({
    cql: `SELECT sort, writers FROM record_aliases WHERE ${AT}`,
    values: toValues(key, id),
  });

  return {
    async find(key, id) {
      const [row] = await session.read(toLook(key, id));
      return typeof row?.sort === 'string' ? row.sort : null;
    },

    async put(key, id, sort, expected) {
      const token = createToken();
      const writers = toWriters(token, '');
      const statement: CqlStatement =
        expected === null
          ? {
              cql: 'INSERT INTO record_aliases (tenant, collection, parent, id, sort, writers) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS',
              values: [...toValues(key, id), sort, writers],
            }
          : {
              cql: `UPDATE record_aliases SET sort = ?, writers = ? WHERE ${AT} IF sort = ?`,
              values: [sort, writers, ...toValues(key, id), expected],
            };
      const { isApplied } = await applySurely(session, {
        statement,
        look: toLook(key, id),
        isDone: ([row]) => isWrittenBy(row, token),
      });
      return isApplied;
    },

    async remove(key, id, sort) {
      await applySurely(session, {
        statement: {
          cql: `DELETE FROM record_aliases WHERE ${AT} IF sort = ?`,
          values: [...toValues(key, id), sort],
        },
        look: toLook(key, id),
        isDone: ([row]) => row?.sort !== sort,
      });
    },
  };
}
