/** What `list` can filter on, as flat pairs of field and value; the same for every engine. */

import type { CollectionSpec } from './collections.ts';
import type { StoredRecord, Where } from './store.ts';

/** Keeps keys of `metadata` apart from declared fields, whose names hold no dot. */
const METADATA_PREFIX = 'metadata.';

/** `[field, value, field, value, …]` of everything in a document that `list` may ask for. */
export function toFilterEntries(spec: CollectionSpec, record: StoredRecord): string[] {
  const entries: string[] = [];
  const fields = record as StoredRecord & Readonly<Record<string, unknown>>;
  for (const field of spec.filters) {
    const value = fields[field];
    if (typeof value === 'string') entries.push(field, value);
  }
  const metadata = spec.metadataFilter ? fields.metadata : null;
  if (typeof metadata === 'object' && metadata !== null) {
    for (const [key, value] of Object.entries(metadata)) {
      if (typeof value === 'string') entries.push(METADATA_PREFIX + key, value);
    }
  }
  return entries;
}

/** The same form for what a `list` asks for. */
export function toConditions(where: Where | undefined): string[] {
  const conditions: string[] = [];
  for (const [field, value] of Object.entries(where?.fields ?? {})) conditions.push(field, value);
  for (const [key, value] of Object.entries(where?.metadata ?? {}))
    conditions.push(METADATA_PREFIX + key, value);
  return conditions;
}

/** Whether a change of these fields can change what `toFilterEntries` answers. */
export function isFiltered(spec: CollectionSpec, change: Readonly<Record<string, unknown>>): boolean {
  if (spec.metadataFilter && Object.hasOwn(change, 'metadata')) return true;
  return spec.filters.some((field) => Object.hasOwn(change, field));
}
