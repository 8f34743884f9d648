/** Lists on the wire: query parameters in, OpenAI's list object out. */

import { ApiError } from '../errors.ts';
import { type Page, type PageRequest, type StoredRecord, StoreError } from '../store/store.ts';

export const LIST_LIMIT_DEFAULT = 20;
export const LIST_LIMIT_MAX = 100;

export interface ListObject<T> {
  object: 'list';
  data: T[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

export interface ListLimits {
  readonly fallback: number;
  readonly max: number;
}

const LIST_LIMITS: ListLimits = Object.freeze({ fallback: LIST_LIMIT_DEFAULT, max: LIST_LIMIT_MAX });

/** Reads `limit`, `order`, `after` and `before`. Errors: 400 naming the parameter. */
export function toPageRequest(query: URLSearchParams, limits = LIST_LIMITS): PageRequest {
  const after = toCursor(query, 'after');
  const before = toCursor(query, 'before');
  return {
    limit: toLimit(query.get('limit'), limits),
    order: toOrder(query.get('order')),
    ...(after === undefined ? {} : { after }),
    ...(before === undefined ? {} : { before }),
  };
}

function toLimit(text: string | null, { fallback, max }: ListLimits): number {
  if (text === null || text === '') return fallback;
  if (!/^-?\d{1,9}$/.test(text)) {
    throw new ApiError(
      'invalid_type',
      `Invalid type for 'limit': expected an integer, but got '${text.slice(0, 64)}' instead.`,
      { param: 'limit' },
    );
  }
  const limit = Number(text);
  if (limit < 1 || limit > max) {
    const [kind, sign, bound] = limit < 1 ? ['below minimum', '>=', 1] : ['above maximum', '<=', max];
    throw ApiError.invalidValue(
      'limit',
      `Invalid 'limit': integer ${kind} value. Expected a value ${sign} ${bound}, but got ${limit} instead.`,
    );
  }
  return limit;
}

function toOrder(text: string | null): 'asc' | 'desc' {
  if (text === null || text === '') return 'desc';
  if (text === 'asc' || text === 'desc') return text;
  throw ApiError.invalidValue(
    'order',
    `Invalid value: '${text.slice(0, 64)}'. Supported values are: 'asc' and 'desc'.`,
  );
}

function toCursor(query: URLSearchParams, name: 'after' | 'before'): string | undefined {
  const text = query.get(name);
  return text === null || text === '' ? undefined : text;
}

export function toListObject<R extends StoredRecord, T>(
  page: Page<R>,
  convert: (record: R) => T,
): ListObject<T> {
  const items = page.items;
  return {
    object: 'list',
    data: items.map((item) => convert(item.record)),
    first_id: items[0]?.record.id ?? null,
    last_id: items.at(-1)?.record.id ?? null,
    has_more: page.hasMore,
  };
}

/** Runs a `list` of the store; a cursor that names nothing becomes a 400 that names the parameter. */
export async function readPage<R extends StoredRecord>(
  page: PageRequest,
  read: () => Promise<Page<R>>,
): Promise<Page<R>> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'unknown_cursor') throw error;
    const param = page.after !== undefined ? 'after' : 'before';
    throw ApiError.invalidValue(param, `Invalid '${param}': no object found with id '${page[param]}'.`);
  }
}

/** For `catch`: a record that the store does not have becomes OpenAI's 404. */
export function rethrowMissing(resource: string, id: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof StoreError && error.code === 'not_found') throw ApiError.notFound(resource, id);
    throw error;
  };
}
