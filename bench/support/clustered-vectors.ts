/**
 * Vectors as embedding models make them, the same at every start: of unit length, all leaning to one side a little, and
 * around topics. A topic is a random direction; each file keeps to one topic and turns away from it by some noise, each of
 * its chunks by some more; a question turns away from a chunk. All noise is normal and goes in all directions alike,
 * which is harder than real embeddings are: theirs lies in few directions, so that neighbours are easier to tell apart.
 */

export interface VectorPlan {
  readonly seed: number;
  readonly dimensions: number;
  readonly files: number;
  readonly chunksPerFile: number;
  readonly topics: number;
}

/** Lengths of what is added up, the topic's direction being 1. */
const LEAN = 0.5;
const FILE_NOISE = 0.5;
const CHUNK_NOISE = 0.5;
const QUESTION_NOISE = 0.4;

export type Random = () => number;

/** Mulberry32: from 0 to 1. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface VectorSource {
  /** The vectors of a file's chunks. */
  makeFile(file: number): readonly Float32Array[];
  /** A question near a chunk of this file; of any file where none is named. */
  makeQuestion(number: number, file?: number): Float32Array;
}

export function createVectorSource(plan: VectorPlan): VectorSource {
  const { seed, dimensions, files, topics } = plan;
  const lean = makeNoise(createRandom(seed), dimensions, LEAN);
  const toTopic = (topic: number) => makeNoise(createRandom(seed + 1 + topic), dimensions, 1);
  const toRandom = (kind: number, number: number) =>
    createRandom(Math.imul(seed + kind, 0x9e3779b1) + number);

  const makeFile = (file: number): readonly Float32Array[] => {
    const random = toRandom(1, file);
    const topic = toTopic(Math.floor(random() * topics));
    const middle = add(add(lean, topic), makeNoise(random, dimensions, FILE_NOISE));
    return Array.from({ length: plan.chunksPerFile }, () =>
      toUnit(add(middle, makeNoise(random, dimensions, CHUNK_NOISE))),
    );
  };

  return {
    makeFile,
    makeQuestion(number, file) {
      const random = toRandom(2, number);
      const chunks = makeFile(file ?? Math.floor(random() * files));
      const chunk = chunks[Math.floor(random() * chunks.length)] ?? new Float32Array(dimensions);
      return toUnit(add(chunk, makeNoise(random, dimensions, QUESTION_NOISE)));
    },
  };
}

/** Normal in every direction, of this length on average. */
function makeNoise(random: Random, dimensions: number, length: number): Float32Array {
  const noise = new Float32Array(dimensions);
  const scale = length / Math.sqrt(dimensions);
  for (let i = 0; i < dimensions; i += 2) {
    const radius = scale * Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    noise[i] = radius * Math.cos(angle);
    noise[i + 1] = radius * Math.sin(angle);
  }
  return noise;
}

function add(a: Float32Array, b: Float32Array): Float32Array {
  const sum = new Float32Array(a.length);
  for (let i = 0; i < a.length; i += 1) sum[i] = (a[i] ?? 0) + (b[i] ?? 0);
  return sum;
}

/** Brings the vector itself to unit length. */
function toUnit(vector: Float32Array): Float32Array {
  let square = 0;
  for (let i = 0; i < vector.length; i += 1) square += (vector[i] ?? 0) ** 2;
  const scale = 1 / Math.sqrt(square);
  for (let i = 0; i < vector.length; i += 1) vector[i] = (vector[i] ?? 0) * scale;
  return vector;
}
