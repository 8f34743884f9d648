/** JSON in one form, whatever order the fields were written in: two records are the same where their texts are. */

export function toCanonicalJson(value: unknown): string {
  return JSON.stringify(toSorted(value)) ?? 'null';
}

function toSorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toSorted);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  // Without a prototype, so that no name of a field means anything else.
  const sorted: Record<string, unknown> = Object.create(null);
  for (const [name, field] of fields) sorted[name] = toSorted(field);
  return sorted;
}

/** The top-level fields in which two records differ. */
export function findOddFields(a: object, b: object): readonly string[] {
  const [left, right]: readonly Map<string, unknown>[] = [
    new Map(Object.entries(a)),
    new Map(Object.entries(b)),
  ];
  const names = new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])]);
  return [...names]
    .filter((name) => toCanonicalJson(left?.get(name)) !== toCanonicalJson(right?.get(name)))
    .sort();
}
