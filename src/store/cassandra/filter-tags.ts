/** Conditions of lists as members of a set: what `CONTAINS` can ask for. */

import { COLLECTIONS, type CollectionName, type CollectionSpec } from '../collections.ts';
import { toFilterEntries } from '../filters.ts';
import type { StoredRecord } from '../store.ts';

/** One text for each pair of field and value, measured so that no two pairs have the same. */
export function toTags(entries: readonly string[]): string[] {
  const tags: string[] = [];
  for (let at = 0; at < entries.length; at += 2) {
    const field = entries[at] ?? '';
    tags.push(`${field.length} ${field}${entries[at + 1] ?? ''}`);
  }
  return tags;
}

/** Those of a record's document. */
export function toTagsOf(
  { collection }: { readonly collection: CollectionName },
  document: string,
): string[] {
  const spec: CollectionSpec = COLLECTIONS[collection];
  if (spec.filters.length === 0 && !spec.metadataFilter) return [];
  return toTags(toFilterEntries(spec, JSON.parse(document) as StoredRecord));
}
