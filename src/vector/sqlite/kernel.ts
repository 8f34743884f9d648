/**
 * The inner loop of a vector search: estimates from bits (`codes.ts`). In WebAssembly with SIMD, four times as fast as
 * the same in TypeScript, which serves where a processor has no SIMD.
 */

import { GROUP_BYTES, QUERY_PLANES } from './codes.ts';
import { assembleKernel } from './kernel-assembly.ts';

const QUERY_GROUP_BYTES = GROUP_BYTES * QUERY_PLANES;
const WORDS_PER_GROUP = GROUP_BYTES / 4;
/** What a plane of the query counts; the highest is the sign. */
const PLANE_WEIGHTS = [1, 2, 4, -8] as const;

/** All places are bytes of the kernel's memory. */
export interface Kernel {
  /**
   * For `count` planes, whose places are listed from `list` on: the sum of the query's units where a bit is set. Places
   * and sums are 32-bit integers.
   */
  sum(list: number, count: number, planeBytes: number, query: number, out: number): void;
  /**
   * For `count` planes from `codes` on, one after the other: `base + offset + factor * (scale * sum + shift)`, written
   * as 32-bit floats from `out` on. Offsets and factors are 32-bit floats, too.
   */
  scan(
    codes: number,
    count: number,
    planeBytes: number,
    query: number,
    out: number,
    offsets: number,
    factors: number,
    base: number,
    scale: number,
    shift: number,
  ): void;
}

/** SIMD where the processor has it. */
export function createKernel(memory: WebAssembly.Memory): Kernel {
  const bytes = assembleKernel();
  if (!WebAssembly.validate(bytes)) return createPlainKernel(memory);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: { memory } });
  // What the module exports is written in `kernel-assembly.ts`.
  return instance.exports as unknown as Kernel;
}

export function createPlainKernel(memory: WebAssembly.Memory): Kernel {
  const sumBits = (words: Uint32Array, code: number, planeBytes: number, query: number): number => {
    let total = 0;
    for (let group = 0; group * GROUP_BYTES < planeBytes; group += 1) {
      const codeAt = code / 4 + group * WORDS_PER_GROUP;
      const queryAt = query / 4 + (group * QUERY_GROUP_BYTES) / 4;
      for (let plane = 0; plane < QUERY_PLANES; plane += 1) {
        let bits = 0;
        for (let word = 0; word < WORDS_PER_GROUP; word += 1) {
          bits += countBits(
            (words[codeAt + word] ?? 0) & (words[queryAt + plane * WORDS_PER_GROUP + word] ?? 0),
          );
        }
        total += bits * (PLANE_WEIGHTS[plane] ?? 0);
      }
    }
    return total;
  };
  return {
    sum(list, count, planeBytes, query, out) {
      const words = new Uint32Array(memory.buffer);
      const sums = new Int32Array(memory.buffer);
      for (let i = 0; i < count; i += 1) {
        sums[out / 4 + i] = sumBits(words, words[list / 4 + i] ?? 0, planeBytes, query);
      }
    },
    scan(codes, count, planeBytes, query, out, offsets, factors, base, scale, shift) {
      const words = new Uint32Array(memory.buffer);
      const floats = new Float32Array(memory.buffer);
      for (let i = 0; i < count; i += 1) {
        const sum = sumBits(words, codes + i * planeBytes, planeBytes, query);
        const estimate = (floats[factors / 4 + i] ?? 0) * (scale * sum + shift);
        floats[out / 4 + i] = base + (floats[offsets / 4 + i] ?? 0) + estimate;
      }
    },
  };
}

function countBits(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
