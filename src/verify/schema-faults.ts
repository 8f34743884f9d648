/** Holds an answer against the API document's schema. */

import type { TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { describeFault } from '../routes/validation-faults.ts';

/** What is wrong with the value, in a sentence that names the field; null where it fits. */
export function findSchemaFault(schema: TSchema, value: unknown): string | null {
  if (Value.Check(schema, value)) return null;
  return describeFault(schema, value)
    .message.replace('Missing required parameter:', 'a field is missing:')
    .replace(/^Invalid /, 'invalid ')
    .replace(/\.$/, '');
}
