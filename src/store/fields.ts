/** What a `require` asks of a document; the same for every engine. */

export type FieldValues = Readonly<Record<string, string | number | boolean | null>>;

/** Whether top-level fields are these JSON scalars; one that is missing equals null. `document` is its JSON. */
export function holdsFields(document: string, wanted: FieldValues): boolean {
  const record = JSON.parse(document) as Readonly<Record<string, unknown>>;
  return Object.entries(wanted).every(([field, value]) => {
    const actual = Object.hasOwn(record, field) ? record[field] : null;
    return actual === value;
  });
}
