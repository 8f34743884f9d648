/** Conditions of lists as members of a set: what `CONTAINS` can ask for. */

/** One text for each pair of field and value, measured so that no two pairs have the same. */
export function toTags(entries: readonly string[]): string[] {
  const tags: string[] = [];
  for (let at = 0; at < entries.length; at += 2) {
    const field = entries[at] ?? '';
    tags.push(`${field.length} ${field}${entries[at + 1] ?? ''}`);
  }
  return tags;
}
