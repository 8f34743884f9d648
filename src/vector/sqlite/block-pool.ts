/**
 * The memory that codes are kept in and the kernel reads: blocks of one size, which stores take and give back. So
 * memory is bounded by what is in use at most, however stores come and go.
 */

import { FACTORS } from './codes.ts';
import { createKernel, type Kernel } from './kernel.ts';

const WASM_PAGE_BYTES = 64 * 1024;
const BLOCK_PAGES = 4;
export const BLOCK_BYTES = BLOCK_PAGES * WASM_PAGE_BYTES;
/** Memory grows by so many blocks at once. */
const GROWTH_BLOCKS = 16;
/** All that 32-bit places can name. */
const PAGES_MAX = 65_536;
/** Before the blocks: what the kernel writes, places that are listed for it, and the queries. */
const OUT_BYTES = WASM_PAGE_BYTES;
const LIST_BYTES = WASM_PAGE_BYTES;
/** Places that may be listed at once. */
export const LIST_MAX = LIST_BYTES / 4;
const QUERIES_BYTES = 4 * WASM_PAGE_BYTES;

/** How a block is divided: planes first, then each factor of all slots. Places are bytes from the block's beginning. */
export interface BlockLayout {
  /** Slots of a block. */
  readonly slots: number;
  readonly upper: number;
  readonly lower: number;
  readonly offsets: number;
  readonly coarse: number;
  readonly fine: number;
}

export function toBlockLayout(planeBytes: number): BlockLayout {
  const slots = Math.floor(BLOCK_BYTES / (2 * planeBytes + 4 * FACTORS));
  const lower = slots * planeBytes;
  const offsets = 2 * lower;
  return { slots, upper: 0, lower, offsets, coarse: offsets + 4 * slots, fine: offsets + 8 * slots };
}

export interface BlockPool {
  readonly kernel: Kernel;
  /** Where the kernel may write a number for each slot of a block or place of the list; the list; and the queries. */
  readonly out: number;
  readonly list: number;
  readonly queries: number;
  readonly queriesBytes: number;
  /** The place of a block. */
  allocate(): number;
  free(block: number): void;
  /** The memory as it is now: to be asked for again after `allocate`. */
  readBytes(): Uint8Array<ArrayBuffer>;
  readFloats(): Float32Array<ArrayBuffer>;
  readIntegers(): Int32Array<ArrayBuffer>;
}

export function createBlockPool(): BlockPool {
  const memory = new WebAssembly.Memory({
    initial: (OUT_BYTES + LIST_BYTES + QUERIES_BYTES) / WASM_PAGE_BYTES,
    maximum: PAGES_MAX,
  });
  const free: number[] = [];
  let bytes = new Uint8Array(memory.buffer);
  let floats = new Float32Array(memory.buffer);
  let integers = new Int32Array(memory.buffer);

  const grow = (): void => {
    const first = memory.buffer.byteLength;
    memory.grow(GROWTH_BLOCKS * BLOCK_PAGES);
    bytes = new Uint8Array(memory.buffer);
    floats = new Float32Array(memory.buffer);
    integers = new Int32Array(memory.buffer);
    for (let block = GROWTH_BLOCKS - 1; block >= 0; block -= 1) free.push(first + block * BLOCK_BYTES);
  };

  return {
    kernel: createKernel(memory),
    out: 0,
    list: OUT_BYTES,
    queries: OUT_BYTES + LIST_BYTES,
    queriesBytes: QUERIES_BYTES,
    allocate() {
      if (free.length === 0) grow();
      const block = free.pop();
      if (block === undefined) throw new Error('The memory did not grow.');
      return block;
    },
    free: (block) => void free.push(block),
    readBytes: () => bytes,
    readFloats: () => floats,
    readIntegers: () => integers,
  };
}
