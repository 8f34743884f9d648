/** Maps with free keys, for the generated schemas. */

import { type ObjectOptions, type Static, type TSchema, Type } from '@sinclair/typebox';

/**
 * An object with any keys, whose values all match `values`.
 *
 * `Type.Record(Type.String(), …)` would do but for one hole: it tests keys against `^(.*)$`, where the dot
 * does not match a line break, and lets every value through that stands under such a key.
 */
export function createMap<V extends TSchema>(values: V, options: ObjectOptions = {}) {
  return Type.Unsafe<Record<string, Static<V>>>(
    Type.Object({}, { ...options, additionalProperties: values }),
  );
}
