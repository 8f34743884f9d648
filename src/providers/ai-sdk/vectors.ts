/** Vectors as they come over the wire. */

import { ProviderError } from '../provider.ts';

/** Throws `ProviderError` (`protocol`) where it is no list of numbers. */
export function toVector(value: unknown): readonly number[] {
  const isVector =
    Array.isArray(value) && value.length > 0 && value.every((entry) => typeof entry === 'number');
  if (!isVector)
    throw new ProviderError('protocol', "The model's server answered with a vector that is none.");
  return value;
}

/** The same direction, of length 1; a zero vector stays. */
export function toUnitVector(vector: readonly number[]): readonly number[] {
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}
