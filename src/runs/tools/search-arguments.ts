/** The queries of a call, as models write them: by the schema, and nearly. */

import { parseJson, toRecord } from '../../providers/json-values.ts';
import { QUERIES_MAX } from '../../retrieval/search.ts';

/** Longer queries find nothing that their beginning does not. */
export const QUERY_CHARACTERS_MAX = 4_000;

export type SearchArguments =
  | { readonly queries: readonly string[] }
  /** What to tell the model. */
  | { readonly fault: string };

/** Reads `{"queries": ["…"]}`; a text instead of a list, another name for it, or the bare list do as well. */
export function readSearchArguments(text: string): SearchArguments {
  const value = parseJson(text);
  // Some models put JSON into a JSON text.
  const given = typeof value === 'string' ? (parseJson(value) ?? value) : value;
  if (given === null || given === undefined) return { fault: `The arguments are no JSON. ${EXPECTED}` };
  const record = toRecord(given);
  const found = record === null ? given : (record.queries ?? record.query ?? record.q);
  const queries = toTexts(found).map((query) => query.trim().slice(0, QUERY_CHARACTERS_MAX));
  const wanted = [...new Set(queries)].filter((query) => query !== '').slice(0, QUERIES_MAX);
  return wanted.length === 0 ? { fault: `There are no queries. ${EXPECTED}` } : { queries: wanted };
}

const EXPECTED = 'Call again with {"queries": ["…"]}: one query or several, each a text.';

function toTexts(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    if (typeof item === 'string') return [item];
    const query = toRecord(item)?.query;
    return typeof query === 'string' ? [query] : [];
  });
}
