/**
 * Codes: two bits for each coordinate of a vector, from which its cosine with a query is estimated.
 *
 * A vector x is coded as what it differs by from a centre m, rotated: r = R(x - m). With four levels l from 0 to 3 per
 * coordinate, standing for -3, -1, 1 and 3, the inner product with w = R(q - m) is estimated as
 * `fine * sum((2 l - 3) w)`, or from the upper bit alone as `coarse * sum(±w)`; the factors make both right on average
 * (as RaBitQ does). Then <q, x> = <q, m> + <m, x - m> + that estimate, of which the first is known of the query, and
 * the second is kept for each vector as `offset`. So vectors with different centres compare with each other.
 *
 * Bits lie in planes: all upper bits of a vector, 16 bytes for 128 coordinates, and elsewhere all lower ones.
 */

import { createRotation, type Rotation, toCodeBits } from './rotation.ts';

/** The best step between four even levels of a normal distribution, in standard deviations. */
const LEVEL_STEP = 0.9957;
/** Bits of a query's coordinate: -7 to 7. */
export const QUERY_PLANES = 4;
const QUERY_LEVEL_MAX = 7;
const GROUP_BITS = 128;
export const GROUP_BYTES = 16;
/** Factors of a vector: `offset`, `coarse`, `fine`. */
export const FACTORS = 3;

export function toPlaneBytes(dimensions: number): number {
  return toCodeBits(dimensions) / 8;
}

export interface CodedVectors {
  /** `offset`, `coarse` and `fine` of each vector. A vector that is missing has an offset of minus infinity. */
  readonly factors: Float32Array;
  /** Upper planes of all vectors, one after the other, then their lower planes. */
  readonly planes: Uint8Array;
}

export interface CodedQuery {
  /** For each group of 128 coordinates its four planes, lowest bit first; the highest counts -8. */
  readonly planes: Uint8Array;
  /** <q, m>. */
  readonly base: number;
  /** What one unit of a coordinate stands for. */
  readonly step: number;
  /** The sum of all coordinates, in units. */
  readonly total: number;
}

export interface Coder {
  readonly dimensions: number;
  readonly planeBytes: number;
  encode(vectors: readonly (Float32Array | null)[], centre: Float32Array): CodedVectors;
  encodeQuery(query: Float32Array, centre: Float32Array): CodedQuery;
}

export function createCoder(dimensions: number): Coder {
  const rotation = createRotation(dimensions);
  const bits = toCodeBits(dimensions);
  const planeBytes = bits / 8;

  return {
    dimensions,
    planeBytes,
    encode(vectors, centre) {
      const factors = new Float32Array(vectors.length * FACTORS);
      const planes = new Uint8Array(vectors.length * planeBytes * 2);
      vectors.forEach((vector, index) => {
        if (vector === null) {
          factors[index * FACTORS] = Number.NEGATIVE_INFINITY;
          return;
        }
        const upper = planes.subarray(index * planeBytes, (index + 1) * planeBytes);
        const lowerStart = (vectors.length + index) * planeBytes;
        const lower = planes.subarray(lowerStart, lowerStart + planeBytes);
        const { coarse, fine } = encodeOne(subtractRotated(rotation, vector, centre), bits, upper, lower);
        factors.set([toInner(centre, vector) - toInner(centre, centre), coarse, fine], index * FACTORS);
      });
      return { factors, planes };
    },
    encodeQuery(query, centre) {
      const rotated = subtractRotated(rotation, query, centre);
      return { ...toQueryPlanes(rotated, bits), base: toInner(query, centre) };
    },
  };
}

function subtractRotated(rotation: Rotation, vector: Float32Array, centre: Float32Array): Float64Array {
  const difference = new Float64Array(vector.length);
  for (let i = 0; i < vector.length; i += 1) difference[i] = (vector[i] ?? 0) - (centre[i] ?? 0);
  return rotation.rotate(difference);
}

/** Writes the planes of one rotated vector, answers its factors. */
function encodeOne(
  rotated: Float64Array,
  bits: number,
  upper: Uint8Array,
  lower: Uint8Array,
): { coarse: number; fine: number } {
  const square = toInner(rotated, rotated);
  const bound = LEVEL_STEP * Math.sqrt(square / rotated.length);
  let coarseSum = 0;
  let fineSum = 0;
  for (let i = 0; i < bits; i += 1) {
    const value = rotated[i] ?? 0;
    const size = Math.abs(value);
    const isPositive = value >= 0;
    const isFar = size >= bound;
    coarseSum += size;
    fineSum += isFar ? 3 * size : size;
    const mask = 1 << (i & 7);
    if (isPositive) upper[i >> 3] = (upper[i >> 3] ?? 0) | mask;
    if (isPositive === isFar) lower[i >> 3] = (lower[i >> 3] ?? 0) | mask;
  }
  // A vector that is the centre itself differs from it by nothing.
  return {
    coarse: coarseSum > 0 ? square / coarseSum : 0,
    fine: fineSum > 0 ? square / fineSum : 0,
  };
}

function toQueryPlanes(rotated: Float64Array, bits: number): Omit<CodedQuery, 'base'> {
  let largest = 0;
  for (let i = 0; i < bits; i += 1) largest = Math.max(largest, Math.abs(rotated[i] ?? 0));
  const step = largest > 0 ? largest / QUERY_LEVEL_MAX : 1;
  const planes = new Uint8Array((bits / GROUP_BITS) * GROUP_BYTES * QUERY_PLANES);
  let total = 0;
  for (let i = 0; i < bits; i += 1) {
    const level = Math.round((rotated[i] ?? 0) / step);
    total += level;
    const byte = Math.floor(i / GROUP_BITS) * GROUP_BYTES * QUERY_PLANES + ((i % GROUP_BITS) >> 3);
    for (let plane = 0; plane < QUERY_PLANES; plane += 1) {
      if (((level >> plane) & 1) === 0) continue;
      const at = byte + plane * GROUP_BYTES;
      planes[at] = (planes[at] ?? 0) | (1 << (i & 7));
    }
  }
  return { planes, step, total };
}

/** The inner product. Four sums at a time, which do not wait for each other. */
export function toInner(a: Float32Array | Float64Array, b: Float32Array | Float64Array): number {
  const whole = a.length - (a.length % 4);
  let sum0 = 0;
  let sum1 = 0;
  let sum2 = 0;
  let sum3 = 0;
  for (let i = 0; i < whole; i += 4) {
    sum0 += (a[i] ?? 0) * (b[i] ?? 0);
    sum1 += (a[i + 1] ?? 0) * (b[i + 1] ?? 0);
    sum2 += (a[i + 2] ?? 0) * (b[i + 2] ?? 0);
    sum3 += (a[i + 3] ?? 0) * (b[i + 3] ?? 0);
  }
  for (let i = whole; i < a.length; i += 1) sum0 += (a[i] ?? 0) * (b[i] ?? 0);
  return sum0 + sum1 + sum2 + sum3;
}
