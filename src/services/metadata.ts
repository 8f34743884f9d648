/** Metadata as OpenAI bounds it: 16 pairs, keys to 64 characters, values to 512. */

import { ApiError } from '../errors.ts';

export type Metadata = Record<string, string>;

export const METADATA_PAIRS_MAX = 16;
export const METADATA_KEY_LENGTH_MAX = 64;
export const METADATA_VALUE_LENGTH_MAX = 512;

/** The metadata to keep; absent and null are empty. Errors: 400 naming `param`. */
export function toMetadata(given: Readonly<Metadata> | null | undefined, param = 'metadata'): Metadata {
  if (given === null || given === undefined) return {};
  const pairs = Object.entries(given);
  if (pairs.length > METADATA_PAIRS_MAX) {
    throw new ApiError(
      'invalid_value',
      `Invalid '${param}': too many properties. Expected an object with at most ${METADATA_PAIRS_MAX} properties, but got an object with ${pairs.length} properties instead.`,
      { param, wireCode: 'object_above_max_properties' },
    );
  }
  for (const [key, value] of pairs) {
    if (key.length > METADATA_KEY_LENGTH_MAX) {
      throw new ApiError(
        'invalid_value',
        `Invalid '${param}': key too long. Expected a key with maximum length ${METADATA_KEY_LENGTH_MAX}, but got a key with length ${key.length} instead.`,
        { param, wireCode: 'string_above_max_length' },
      );
    }
    if (value.length > METADATA_VALUE_LENGTH_MAX) {
      throw new ApiError(
        'invalid_value',
        `Invalid '${param}.${key}': string too long. Expected a string with maximum length ${METADATA_VALUE_LENGTH_MAX}, but got a string with length ${value.length} instead.`,
        { param: `${param}.${key}`, wireCode: 'string_above_max_length' },
      );
    }
  }
  return { ...given };
}
