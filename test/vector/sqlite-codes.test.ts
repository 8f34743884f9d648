/** Codes, the kernel that reads them, and what they do to recall. */

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createRandom, createVectorSource } from '../../bench/support/clustered-vectors.ts';
import { createCoder, FACTORS, toInner } from '../../src/vector/sqlite/codes.ts';
import { createKernel, createPlainKernel, type Kernel } from '../../src/vector/sqlite/kernel.ts';
import { assembleKernel } from '../../src/vector/sqlite/kernel-assembly.ts';
import { createRotation } from '../../src/vector/sqlite/rotation.ts';
import { publish, toChunk, toQuery } from '../contract/vector-index-fixture.ts';
import { type IndexDirectory, makeIndexDirectory } from './index-directory.ts';

const DIMENSIONS = [1, 3, 100, 256, 384, 1000, 1536, 3072, 5000];

function makeVectors(dimensions: number, count: number, seed: number): Float32Array[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const vector = Float32Array.from({ length: dimensions }, () => random() - 0.3);
    const length = Math.sqrt(toInner(vector, vector));
    return vector.map((value) => value / length);
  });
}

function toMean(vectors: readonly Float32Array[]): Float32Array {
  const mean = new Float32Array(vectors[0]?.length ?? 0);
  for (const vector of vectors)
    for (let i = 0; i < mean.length; i += 1) mean[i] = (mean[i] ?? 0) + (vector[i] ?? 0) / vectors.length;
  return mean;
}

describe('rotation', () => {
  for (const dimensions of DIMENSIONS) {
    test(`it keeps inner products, ${dimensions} dimensions`, () => {
      const [a = new Float32Array(), b = new Float32Array()] = makeVectors(dimensions, 2, dimensions);
      const rotation = createRotation(dimensions);
      const rotatedA = rotation.rotate(a).slice();
      expect(toInner(rotatedA, rotation.rotate(b))).toBeCloseTo(toInner(a, b), 6);
      expect(toInner(rotatedA, rotatedA)).toBeCloseTo(1, 6);
    });
  }

  test('it spreads a vector that has all in one coordinate', () => {
    for (const dimensions of [384, 512, 1536]) {
      const vector = new Float32Array(dimensions);
      vector[7] = 1;
      const largest = Math.max(...createRotation(dimensions).rotate(vector).map(Math.abs));
      expect(largest).toBeLessThan(8 / Math.sqrt(dimensions));
    }
  });
});

/** Puts codes into a kernel's memory and lets it estimate. */
function estimate(toKernel: (memory: WebAssembly.Memory) => Kernel, dimensions: number) {
  const COUNT = 50;
  const memory = new WebAssembly.Memory({ initial: 64 });
  const kernel = toKernel(memory);
  const vectors = makeVectors(dimensions, COUNT, 1);
  const [query = new Float32Array()] = makeVectors(dimensions, 1, 2);
  const centre = toMean(vectors);
  const coder = createCoder(dimensions);
  const { factors, planes } = coder.encode(vectors, centre);
  const coded = coder.encodeQuery(query, centre);
  const [queries, offsets, coarse, out, codes] = [0, 8192, 16_384, 24_576, 65_536];
  new Uint8Array(memory.buffer).set(coded.planes, queries);
  new Uint8Array(memory.buffer).set(planes, codes);
  const floats = new Float32Array(memory.buffer);
  for (let i = 0; i < COUNT; i += 1) {
    floats[offsets / 4 + i] = factors[i * FACTORS] ?? 0;
    floats[coarse / 4 + i] = factors[i * FACTORS + 1] ?? 0;
  }
  const { planeBytes } = coder;
  const shift = -coded.step * coded.total;
  kernel.scan(codes, COUNT, planeBytes, queries, out, offsets, coarse, coded.base, 2 * coded.step, shift);
  const [list, sums] = [32_768, 40_960];
  const integers = new Int32Array(memory.buffer);
  for (let i = 0; i < 2 * COUNT; i += 1) integers[list / 4 + i] = codes + i * planeBytes;
  kernel.sum(list, 2 * COUNT, planeBytes, queries, sums);
  const fine = vectors.map((_, i) => {
    const upper = integers[sums / 4 + i] ?? 0;
    const lower = integers[sums / 4 + COUNT + i] ?? 0;
    const sum = coded.step * (2 * lower + 4 * upper - 3 * coded.total);
    return coded.base + (factors[i * FACTORS] ?? 0) + (factors[i * FACTORS + 2] ?? 0) * sum;
  });
  return {
    coarse: [...floats.subarray(out / 4, out / 4 + COUNT)],
    fine,
    exact: vectors.map((vector) => toInner(vector, query)),
  };
}

function toError(estimates: readonly number[], exact: readonly number[]): number {
  const squares = estimates.map((value, i) => (value - (exact[i] ?? 0)) ** 2);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

describe('codes', () => {
  test('the kernel is valid WebAssembly', () => {
    expect(WebAssembly.validate(assembleKernel())).toBe(true);
  });

  for (const dimensions of DIMENSIONS) {
    test(`both kernels answer the same, and estimates are near the truth, ${dimensions} dimensions`, () => {
      const fast = estimate(createKernel, dimensions);
      const plain = estimate(createPlainKernel, dimensions);
      expect(fast.fine).toEqual(plain.fine);
      for (const [i, value] of fast.coarse.entries())
        expect(value).toBeCloseTo(plain.coarse[i] ?? Number.NaN, 5);
      // What theory says of one and two bits a coordinate, and half as much again.
      const width = Math.min(3968, Math.max(256, dimensions));
      expect(toError(fast.coarse, fast.exact)).toBeLessThan(1.5 * Math.sqrt(0.6 / width));
      expect(toError(fast.fine, fast.exact)).toBeLessThan(1.5 * Math.sqrt(0.17 / width));
    });
  }

  test('a vector that is the centre itself, and one that is missing, have estimates that sort rightly', () => {
    const [centre = new Float32Array()] = makeVectors(64, 1, 3);
    const { factors } = createCoder(64).encode([centre, null], centre);
    expect([...factors].map((value) => Math.round(value * 1e6) / 1e6)).toEqual([
      0,
      0,
      0,
      Number.NEGATIVE_INFINITY,
      0,
      0,
    ]);
  });
});

describe('recall', () => {
  let directory: IndexDirectory;
  beforeEach(async () => {
    directory = await makeIndexDirectory();
  });
  afterEach(() => directory.remove());

  for (const [topics, name] of [
    [60, 'many small topics'],
    [2, 'two broad topics'],
  ] as const) {
    test(`ten of ten nearest are found, nearly always, among ${name}, with exact cosines`, async () => {
      const plan = { seed: 9, dimensions: 256, files: 60, chunksPerFile: 100, topics };
      const source = createVectorSource(plan);
      const index = await directory.open();
      const scope = { tenant: 't', store: 's' };
      const all: { place: string; vector: Float32Array }[] = [];
      for (let file = 0; file < plan.files; file += 1) {
        const vectors = source.makeFile(file);
        all.push(...vectors.map((vector, position) => ({ place: `${file}:${position}`, vector })));
        await publish(
          index,
          scope,
          String(file),
          vectors.map((vector, position) => toChunk(position, 'x', vector)),
        );
      }
      const QUESTIONS = 30;
      let found = 0;
      for (let number = 0; number < QUESTIONS; number += 1) {
        const question = source.makeQuestion(number);
        const exact = new Map(all.map(({ place, vector }) => [place, toInner(vector, question)]));
        const best = [...exact].sort((a, b) => b[1] - a[1]).slice(0, 10);
        const hits = await index.search(scope, toQuery('', question, { wanted: 10 }));
        const places = new Set(hits.map(({ file, chunk }) => `${file}:${chunk.position}`));
        found += best.filter(([place]) => places.has(place)).length;
        for (const { file, chunk, cosine } of hits) {
          expect(cosine).toBeCloseTo(exact.get(`${file}:${chunk.position}`) ?? Number.NaN, 5);
        }
      }
      expect(found / (10 * QUESTIONS)).toBeGreaterThanOrEqual(0.97);
    }, 60_000);
  }
});
