/** What the driver gives for a column, as the type that it has. */

import { types } from 'cassandra-driver';

/** Big integers come as `Long`; none here is too large for a number. Null and missing ones are 0. */
export function toNumber(value: unknown): number {
  if (value instanceof types.Long) return value.toNumber();
  return typeof value === 'number' ? value : 0;
}

export function toNumberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : toNumber(value);
}

export function toTextOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function toText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function toBytes(value: unknown): Buffer | null {
  return Buffer.isBuffer(value) ? value : null;
}

/** Sums of vectors: 64-bit floats, little endian. */
export function toSum(value: unknown): Float64Array | null {
  const bytes = toBytes(value);
  if (bytes === null || bytes.length === 0) return null;
  // A copy, since the driver's buffers begin anywhere.
  return new Float64Array(new Uint8Array(bytes).buffer);
}

export function fromSum(sum: Float64Array | null): Buffer | null {
  return sum === null ? null : Buffer.from(sum.buffer, sum.byteOffset, sum.byteLength);
}

export function toIntegers(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.map(toNumber) : [];
}

/** Null counts as zero. */
export function subtractSums(a: Float64Array | null, b: Float64Array | null): Float64Array | null {
  if (b === null) return a;
  return b.map((value, at) => (a?.[at] ?? 0) - value);
}

/** Null counts as zero. */
export function addSums(a: Float64Array | null, b: Float64Array | null): Float64Array | null {
  if (a === null || b === null) return a ?? b;
  return a.map((value, at) => value + (b[at] ?? 0));
}
