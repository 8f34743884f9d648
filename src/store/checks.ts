/** What a caller of the store may not do, checked the same way by every engine. Everything here throws `misuse`. */

import { PIECE_BYTES_MAX } from './blob-store.ts';
import { COLLECTIONS, type CollectionName, type CollectionSpec } from './collections.ts';
import {
  PAGE_LIMIT_MAX,
  type PageRequest,
  type Scope,
  type StoredRecord,
  StoreError,
  type Where,
  WRITES_MAX,
  type Write,
} from './store.ts';

/** Longer ids and sort keys are no ids: they would fill an index. */
export const KEY_CHARACTERS_MAX = 512;
/** Large things belong into files, not into records. */
export const DOCUMENT_CHARACTERS_MAX = 32 * 1024 * 1024;
/** As many as an object of OpenAI has metadata keys, and the declared fields. */
export const CONDITIONS_MAX = 32;

/** The collection's declaration, once the scope fits it. */
export function checkScope(collection: CollectionName, scope: Scope): CollectionSpec {
  if (!Object.hasOwn(COLLECTIONS, collection)) throw toMisuse(`There is no collection '${collection}'.`);
  const spec: CollectionSpec = COLLECTIONS[collection];
  if (typeof scope.tenant !== 'string' || scope.tenant === '') throw toMisuse('A scope has a tenant.');
  const isParented = scope.parent !== undefined && scope.parent !== '';
  if (isParented !== spec.parented) {
    throw toMisuse(`'${collection}' is ${spec.parented ? '' : 'not '}kept under a parent.`);
  }
  return spec;
}

export function checkPage(page: PageRequest): void {
  if (!Number.isInteger(page.limit) || page.limit < 1 || page.limit > PAGE_LIMIT_MAX) {
    throw toMisuse(`A page's limit is an integer from 1 to ${PAGE_LIMIT_MAX}, not ${page.limit}.`);
  }
  if (page.order !== 'asc' && page.order !== 'desc') throw toMisuse(`There is no order '${page.order}'.`);
}

export function checkWhere(collection: CollectionName, spec: CollectionSpec, where: Where): void {
  const fields = Object.entries(where.fields ?? {});
  const metadata = Object.entries(where.metadata ?? {});
  for (const [field] of fields) {
    if (!spec.filters.includes(field)) throw toMisuse(`'${collection}' declares no filter on '${field}'.`);
  }
  if (metadata.length > 0 && !spec.metadataFilter) {
    throw toMisuse(`'${collection}' declares no filter on metadata.`);
  }
  if (fields.length + metadata.length > CONDITIONS_MAX) {
    throw toMisuse(`At most ${CONDITIONS_MAX} conditions.`);
  }
  for (const [name, value] of [...fields, ...metadata]) {
    if (typeof value !== 'string') throw toMisuse(`The condition on '${name}' is no string.`);
  }
}

/** For records to insert. */
export function checkRecord(record: StoredRecord, sortKey: string | undefined): void {
  if (typeof record !== 'object' || record === null || !isKey(record.id)) {
    throw toMisuse(`A record has an id of 1 to ${KEY_CHARACTERS_MAX} characters.`);
  }
  if (sortKey !== undefined && !isKey(sortKey)) {
    throw toMisuse(`A sort key has 1 to ${KEY_CHARACTERS_MAX} characters.`);
  }
}

export function checkChange(id: string, change: Readonly<Record<string, unknown>>): void {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) {
    throw toMisuse('A change is an object of top-level fields.');
  }
  if (Object.hasOwn(change, 'id') && change.id !== id) throw toMisuse('The id of a record never changes.');
}

export function checkWrites(writes: readonly Write[]): void {
  if (writes.length > WRITES_MAX)
    throw toMisuse(`At most ${WRITES_MAX} writes at once, not ${writes.length}.`);
}

/** For pieces of blobs. */
export function checkPiece(tenant: string, blob: string, index: number, bytes: number): void {
  for (const key of [tenant, blob]) {
    if (!isKey(key)) throw toMisuse(`A blob and its tenant have 1 to ${KEY_CHARACTERS_MAX} characters.`);
  }
  if (!Number.isSafeInteger(index) || index < 0) {
    throw toMisuse(`A piece's index is an integer from 0, not ${index}.`);
  }
  if (bytes > PIECE_BYTES_MAX) {
    throw toMisuse(`A piece has at most ${PIECE_BYTES_MAX} bytes, not ${bytes}.`);
  }
}

/** The text of a JSON value. What JSON cannot hold (a cycle, a bigint), or no store should, is the caller's fault. */
export function toJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new StoreError('misuse', 'The value is not JSON.', { cause: error });
  }
  if (text === undefined) throw toMisuse('The value is not JSON.');
  if (text.length > DOCUMENT_CHARACTERS_MAX) {
    throw toMisuse(`A document has at most ${DOCUMENT_CHARACTERS_MAX} characters, not ${text.length}.`);
  }
  return text;
}

function isKey(text: unknown): boolean {
  return typeof text === 'string' && text !== '' && text.length <= KEY_CHARACTERS_MAX;
}

function toMisuse(message: string): StoreError {
  return new StoreError('misuse', message);
}
