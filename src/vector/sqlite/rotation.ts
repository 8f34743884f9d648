/**
 * A fixed random rotation: it spreads what a vector says evenly over all coordinates, so that one bit of each tells as
 * much as one bit of any other, however the embedding model uses its dimensions. Part of the file's format.
 */

/** Bits of a code are a multiple of this: the width of a SIMD register. */
const BITS_STEP = 128;
/** Fewer would tell too little: short vectors are spread over more coordinates than they have. */
const BITS_MIN = 256;
/** The kernel counts bits in bytes, which overflow beyond. Of longer vectors some rotated coordinates are left out. */
const BITS_MAX = 31 * BITS_STEP;
const ROUNDS = 2;
const SEED = 0x9e3779b9;

/** Coordinates of a code, for vectors of so many dimensions. */
export function toCodeBits(dimensions: number): number {
  return Math.min(BITS_MAX, Math.max(BITS_MIN, Math.ceil(dimensions / BITS_STEP) * BITS_STEP));
}

export interface Rotation {
  readonly dimensions: number;
  /** Coordinates that a rotated vector has; at least as many as `toCodeBits`. */
  readonly width: number;
  /** Answers the rotated vector, which is overwritten by the next call. Lengths and inner products stay. */
  rotate(vector: Float32Array | Float64Array): Float64Array;
}

export function createRotation(dimensions: number): Rotation {
  const width = Math.max(BITS_MIN, Math.ceil(dimensions / BITS_STEP) * BITS_STEP);
  // An integer to the engine, too: with the double that a power is, all loops take three times as long.
  const part = 1 << (31 - Math.clz32(width));
  const steps = Array.from(
    { length: 2 * ROUNDS },
    (_, number): RotationStep => ({
      signs: makeSigns(width, SEED + number),
      // Where the width is no power of two, every second step takes in what the one before has left out.
      offset: number % 2 === 0 ? 0 : width - part,
      length: part,
    }),
  );
  const rotated = new Float64Array(width);

  return {
    dimensions,
    width,
    rotate(vector) {
      rotated.fill(0);
      rotated.set(vector);
      for (const step of steps) applyStep(rotated, step);
      return rotated;
    },
  };
}

interface RotationStep {
  readonly signs: Float64Array;
  readonly offset: number;
  readonly length: number;
}

function applyStep(values: Float64Array, { signs, offset, length }: RotationStep): void {
  flipSigns(values, signs);
  mix(values, offset, length);
}

function flipSigns(values: Float64Array, signs: Float64Array): void {
  for (let i = 0; i < values.length; i += 1) values[i] = (values[i] ?? 0) * (signs[i] ?? 1);
}

/** Walsh and Hadamard's transform of `length` values (a power of two) from `offset` on, orthonormal. */
function mix(values: Float64Array, offset: number, length: number): void {
  let quarter = 1;
  for (; 4 * quarter <= length; quarter *= 4) mixQuarters(values, offset, length, quarter);
  if (quarter < length) mixHalves(values, offset, quarter);
  const scale = 1 / Math.sqrt(length);
  for (let i = offset; i < offset + length; i += 1) values[i] = (values[i] ?? 0) * scale;
}

/** Two steps of the transform at once, which reads and writes each value half as often. */
function mixQuarters(values: Float64Array, offset: number, length: number, quarter: number): void {
  for (let start = offset; start < offset + length; start += 4 * quarter) {
    for (let i = start; i < start + quarter; i += 1) {
      const a = values[i] ?? 0;
      const b = values[i + quarter] ?? 0;
      const c = values[i + 2 * quarter] ?? 0;
      const d = values[i + 3 * quarter] ?? 0;
      values[i] = a + b + (c + d);
      values[i + quarter] = a - b + (c - d);
      values[i + 2 * quarter] = a + b - (c + d);
      values[i + 3 * quarter] = a - b - (c - d);
    }
  }
}

function mixHalves(values: Float64Array, offset: number, half: number): void {
  for (let i = offset; i < offset + half; i += 1) {
    const a = values[i] ?? 0;
    const b = values[i + half] ?? 0;
    values[i] = a + b;
    values[i + half] = a - b;
  }
}

/** 1 or -1 for each coordinate, the same at every start (xorshift). */
function makeSigns(count: number, seed: number): Float64Array {
  let state = seed >>> 0;
  return Float64Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state & 0x10000) === 0 ? 1 : -1;
  });
}
