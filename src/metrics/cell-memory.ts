/**
 * Counters as bytes, which two processes can look at: one writes, the other reads at any time, also after the first was
 * killed.
 *
 *     header   u32 magic · u32 fingerprint of the table of series · u32 end of the entries · u32 0
 *     entry    u16 series · u16 bytes of the key · u32 cells · key, filled up to 8 · cells as float64
 *
 * The key is the label values, in the order of the table, with a zero byte between them. Everything is aligned to 8 bytes, so
 * that a number is written in one piece. An entry is written whole before the end is moved behind it.
 */

import { countCells, getSpec, SERIES, SERIES_NAMES, type SeriesName } from './series.ts';

const MAGIC = 0x75_6d_65_74;
const HEADER_BYTES = 16;
const ENTRY_HEADER_BYTES = 8;
const FINGERPRINT_AT = 1;
const END_AT = 2;
const ALIGNMENT = 8;
const KEY_BYTES_MAX = 2_048;
export const KEY_SEPARATOR = '\u0000';

/** One set of label values of one series. */
export interface Entry {
  readonly name: SeriesName;
  /** In the order of the table. */
  readonly labels: readonly string[];
  /** A view: it changes while the owner counts. */
  readonly cells: Float64Array;
}

export interface CellMemory {
  /** Room for one more entry, its cells 0; null where the memory is full. */
  allocate(name: SeriesName, key: string): Float64Array | null;
}

/** Another table of series gives other bytes: a worker of another build must not be read by this one's. */
const fingerprint = toFingerprint(JSON.stringify(SERIES));

function toFingerprint(text: string): number {
  return Number(BigInt.asUintN(32, BigInt(Bun.hash(text))));
}

/** Bytes in plain memory, ready to be written to. */
export function createPlainMemory(sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  formatMemory(bytes);
  return bytes;
}

/** Makes bytes that are all 0 an empty memory. */
export function formatMemory(bytes: Uint8Array): void {
  const header = toHeader(bytes);
  header[0] = MAGIC;
  header[FINGERPRINT_AT] = fingerprint;
  Atomics.store(header, END_AT, HEADER_BYTES);
}

/** Whether the bytes are a memory of this build. */
export function isMemory(bytes: Uint8Array): boolean {
  if (bytes.byteLength < HEADER_BYTES) return false;
  const header = toHeader(bytes);
  return header[0] === MAGIC && header[FINGERPRINT_AT] === fingerprint;
}

/** The part of a memory that holds something. */
export function toUsedBytes(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, readEnd(bytes));
}

export function createCellMemory(bytes: Uint8Array): CellMemory {
  const header = toHeader(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const encoder = new TextEncoder();
  return {
    allocate(name, key) {
      const encoded = encoder.encode(key);
      const at = readEnd(bytes);
      const cells = countCells(getSpec(name));
      const cellsAt = toAligned(at + ENTRY_HEADER_BYTES + encoded.byteLength);
      const end = cellsAt + cells * Float64Array.BYTES_PER_ELEMENT;
      if (encoded.byteLength > KEY_BYTES_MAX || end > bytes.byteLength) return null;
      view.setUint16(at, SERIES_NAMES.indexOf(name), true);
      view.setUint16(at + 2, encoded.byteLength, true);
      view.setUint32(at + 4, cells, true);
      bytes.set(encoded, at + ENTRY_HEADER_BYTES);
      const made = new Float64Array(bytes.buffer, bytes.byteOffset + cellsAt, cells);
      // Whoever reads sees the entry from here on.
      Atomics.store(header, END_AT, end);
      return made;
    },
  };
}

/** Every entry, as far as they are whole. What makes no sense ends the list: the bytes may come from a process that failed. */
export function* readEntries(bytes: Uint8Array): Generator<Entry, void, undefined> {
  if (!isMemory(bytes)) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  const end = readEnd(bytes);
  for (let at = HEADER_BYTES; at + ENTRY_HEADER_BYTES <= end; ) {
    const name = SERIES_NAMES[view.getUint16(at, true)];
    const keyBytes = view.getUint16(at + 2, true);
    const cells = view.getUint32(at + 4, true);
    const keyAt = at + ENTRY_HEADER_BYTES;
    const cellsAt = toAligned(keyAt + keyBytes);
    const next = cellsAt + cells * Float64Array.BYTES_PER_ELEMENT;
    if (name === undefined || next > end || cells !== countCells(getSpec(name))) return;
    const key = decoder.decode(bytes.slice(keyAt, keyAt + keyBytes));
    const labels = Object.keys(getSpec(name).labels).length === 0 ? [] : key.split(KEY_SEPARATOR);
    yield { name, labels, cells: new Float64Array(bytes.buffer, bytes.byteOffset + cellsAt, cells) };
    at = next;
  }
}

function readEnd(bytes: Uint8Array): number {
  const end = Atomics.load(toHeader(bytes), END_AT);
  return Math.min(Math.max(end, HEADER_BYTES), bytes.byteLength);
}

function toHeader(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, HEADER_BYTES / Uint32Array.BYTES_PER_ELEMENT);
}

function toAligned(at: number): number {
  return Math.ceil(at / ALIGNMENT) * ALIGNMENT;
}
