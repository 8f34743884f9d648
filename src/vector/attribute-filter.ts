/** Filters on the attributes of a vector store's files. */

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue>>;

export type Comparison = 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte' | 'in' | 'nin';

/** As in the API document: `ComparisonFilter` and `CompoundFilter`. */
export type AttributeFilter =
  | {
      readonly type: Comparison;
      readonly key: string;
      readonly value: AttributeValue | readonly (string | number)[];
    }
  | { readonly type: 'and' | 'or'; readonly filters: readonly AttributeFilter[] };

/**
 * Whether a file with these attributes passes. A file without the key passes `ne` and `nin` only. Values of
 * different types are unequal, and neither is greater. Strings compare by code unit. An empty `and` passes, an
 * empty `or` does not.
 */
export function matchesFilter(filter: AttributeFilter, attributes: Attributes): boolean {
  if ('filters' in filter) {
    const { type, filters } = filter;
    if (type === 'and') return filters.every((part) => matchesFilter(part, attributes));
    return filters.some((part) => matchesFilter(part, attributes));
  }
  const actual = Object.hasOwn(attributes, filter.key) ? attributes[filter.key] : undefined;
  return matchesComparison(filter.type, actual, filter.value);
}

function matchesComparison(
  type: Comparison,
  actual: AttributeValue | undefined,
  wanted: AttributeValue | readonly (string | number)[],
): boolean {
  const isOneOf = Array.isArray(wanted) ? wanted.some((one) => one === actual) : actual === wanted;
  switch (type) {
    case 'eq':
    case 'in':
      return isOneOf;
    case 'ne':
    case 'nin':
      return !isOneOf;
    default:
      return matchesOrder(type, actual, wanted);
  }
}

function matchesOrder(
  type: 'gt' | 'gte' | 'lt' | 'lte',
  actual: AttributeValue | undefined,
  wanted: AttributeValue | readonly (string | number)[],
): boolean {
  if (typeof actual !== typeof wanted || typeof actual === 'boolean' || actual === undefined) return false;
  const bound = wanted as AttributeValue;
  if (type === 'gt') return actual > bound;
  if (type === 'gte') return actual >= bound;
  return type === 'lt' ? actual < bound : actual <= bound;
}
