/**
 * The WebAssembly module of `kernel.ts`, put together instruction by instruction: so it needs no other compiler, and
 * what runs is what stands here. `sum` and `scan` have the same loop over the bits of a plane.
 */

type Code = readonly number[];

const I32 = 0x7f;
const F32 = 0x7d;
const V128 = 0x7b;
const EMPTY_BLOCK = 0x40;

/** Numbers as the format has them: seven bits a byte, lowest first. */
function toUnsigned(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}

/** For constants from 0 on: a byte more where the sign's bit would be taken for one. */
function toSigned(value: number): Code {
  const bytes = [...toUnsigned(value)];
  const last = bytes.at(-1) ?? 0;
  if ((last & 0x40) === 0) return bytes;
  bytes[bytes.length - 1] = last | 0x80;
  return [...bytes, 0];
}

const simd = (operation: number, ...operands: number[]): Code => [
  0xfd,
  ...toUnsigned(operation),
  ...operands,
];

const get = (local: number): Code => [0x20, local];
const set = (local: number): Code => [0x21, local];
const tee = (local: number): Code => [0x22, local];
const constant = (value: number): Code => [0x41, ...toSigned(value)];
const loop = (body: Code): Code => [0x03, EMPTY_BLOCK, ...body, 0x0b];
const BRANCH_IF: Code = [0x0d, 0];
const I32_LESS_U: Code = [0x49];
const I32_ADD: Code = [0x6a];
const I32_SUBTRACT: Code = [0x6b];
const I32_LOAD: Code = [0x28, 2, 0];
const I32_STORE: Code = [0x36, 2, 0];
const F32_LOAD: Code = [0x2a, 2, 0];
const F32_STORE: Code = [0x38, 2, 0];
const F32_ADD: Code = [0x92];
const F32_MULTIPLY: Code = [0x94];
const F32_FROM_I32: Code = [0xb2];
const load = (offset: number): Code => simd(0x00, 4, offset);
const ZERO: Code = simd(0x0c, ...new Array<number>(16).fill(0));
const lane = (index: number): Code => simd(0x1b, index);
const AND: Code = simd(0x4e);
const COUNT_BITS_OF_BYTES: Code = simd(0x62);
const ADD_BYTES: Code = simd(0x6e);
const PAIRS_OF_BYTES: Code = simd(0x7d);
const PAIRS_OF_SHORTS: Code = simd(0x7e);
const SHIFT_SHORTS: Code = simd(0x8b);
const ADD_SHORTS: Code = simd(0x8e);
const SUBTRACT_SHORTS: Code = simd(0x91);

const PLANES = 4;
const GROUP_BYTES = 16;

interface SumLocals {
  /** Moves behind the plane. */
  readonly code: number;
  readonly planeBytes: number;
  readonly query: number;
  /** i32: where the plane ends, and the query's place. */
  readonly end: number;
  readonly at: number;
  /** v128: the bits, and one count for each plane of the query. */
  readonly bits: number;
  readonly counts: number;
}

/** Leaves the sum on the stack. */
function sumPlane(locals: SumLocals): Code {
  const { code, planeBytes, query, end, at, bits, counts } = locals;
  const planes = Array.from({ length: PLANES }, (_, plane) => plane);
  const countPlane = (plane: number): Code => [
    ...get(counts + plane),
    ...get(bits),
    ...get(at),
    ...load(GROUP_BYTES * plane),
    ...AND,
    ...COUNT_BITS_OF_BYTES,
    ...ADD_BYTES,
    ...set(counts + plane),
  ];
  const toWeighted = (plane: number): Code => [
    ...get(counts + plane),
    ...PAIRS_OF_BYTES,
    ...constant(plane),
    ...SHIFT_SHORTS,
  ];
  return [
    ...planes.flatMap((plane) => [...ZERO, ...set(counts + plane)]),
    ...[...get(code), ...get(planeBytes), ...I32_ADD, ...set(end)],
    ...[...get(query), ...set(at)],
    ...loop([
      ...[...get(code), ...load(0), ...set(bits)],
      ...planes.flatMap(countPlane),
      ...[...get(at), ...constant(GROUP_BYTES * PLANES), ...I32_ADD, ...set(at)],
      ...[...get(code), ...constant(GROUP_BYTES), ...I32_ADD, ...tee(code)],
      ...[...get(end), ...I32_LESS_U, ...BRANCH_IF],
    ]),
    ...toWeighted(0),
    ...[...toWeighted(1), ...ADD_SHORTS],
    ...[...toWeighted(2), ...ADD_SHORTS],
    ...[...toWeighted(3), ...SUBTRACT_SHORTS],
    ...[...PAIRS_OF_SHORTS, ...set(bits)],
    ...[...get(bits), ...lane(0), ...get(bits), ...lane(1), ...I32_ADD],
    ...[...get(bits), ...lane(2), ...I32_ADD, ...get(bits), ...lane(3), ...I32_ADD],
  ];
}

const moveOn = (local: number): Code => [...get(local), ...constant(4), ...I32_ADD, ...set(local)];
const countDown = (local: number): Code => [
  ...[...get(local), ...constant(1), ...I32_SUBTRACT, ...tee(local)],
  ...BRANCH_IF,
];

/** Parameters: list, count, planeBytes, query, out. */
const SUM_PARAMETERS: Code = [I32, I32, I32, I32, I32];
const SUM_BODY: Code = [
  ...loop([
    ...get(4),
    ...[...get(0), ...I32_LOAD, ...set(5)],
    ...sumPlane({ code: 5, planeBytes: 2, query: 3, end: 6, at: 7, bits: 8, counts: 9 }),
    ...I32_STORE,
    ...[...moveOn(0), ...moveOn(4)],
    ...countDown(1),
  ]),
  0x0b,
];
const SUM_LOCALS: Code = [2, 3, I32, 1 + PLANES, V128];

/** Parameters: codes, count, planeBytes, query, out, offsets, factors, base, scale, shift. */
const SCAN_PARAMETERS: Code = [I32, I32, I32, I32, I32, I32, I32, F32, F32, F32];
const SCAN_BODY: Code = [
  ...loop([
    ...get(4),
    ...sumPlane({ code: 0, planeBytes: 2, query: 3, end: 10, at: 11, bits: 12, counts: 13 }),
    ...[...F32_FROM_I32, ...get(8), ...F32_MULTIPLY, ...get(9), ...F32_ADD],
    ...[...get(6), ...F32_LOAD, ...F32_MULTIPLY],
    ...[...get(7), ...get(5), ...F32_LOAD, ...F32_ADD, ...F32_ADD],
    ...F32_STORE,
    ...[...moveOn(4), ...moveOn(5), ...moveOn(6)],
    ...countDown(1),
  ]),
  0x0b,
];
const SCAN_LOCALS: Code = [2, 2, I32, 1 + PLANES, V128];

const toVector = (items: readonly Code[]): Code => [...toUnsigned(items.length), ...items.flat()];
const toSection = (id: number, body: Code): Code => [id, ...toUnsigned(body.length), ...body];
const toName = (name: string): Code => [name.length, ...new TextEncoder().encode(name)];
const toFunction = (locals: Code, body: Code): Code => [
  ...toUnsigned(locals.length + body.length),
  ...locals,
  ...body,
];

/** The module imports `host.memory` and exports `sum` and `scan`. */
export function assembleKernel(): Uint8Array<ArrayBuffer> {
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...toSection(
      1,
      toVector([
        [0x60, SUM_PARAMETERS.length, ...SUM_PARAMETERS, 0],
        [0x60, SCAN_PARAMETERS.length, ...SCAN_PARAMETERS, 0],
      ]),
    ),
    ...toSection(2, toVector([[...toName('host'), ...toName('memory'), 2, 0, 1]])),
    ...toSection(3, toVector([[0], [1]])),
    ...toSection(
      7,
      toVector([
        [...toName('sum'), 0, 0],
        [...toName('scan'), 0, 1],
      ]),
    ),
    ...toSection(10, toVector([toFunction(SUM_LOCALS, SUM_BODY), toFunction(SCAN_LOCALS, SCAN_BODY)])),
  ]);
}
