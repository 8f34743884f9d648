/**
 * Reads ZIP archives from memory, bounded in entries, in bytes unpacked of a part and of all parts together: sizes that
 * the archive declares are refused at once, and what comes out is counted all the same.
 */

import { createInflateRaw, inflateRawSync } from 'node:zlib';
import { DocumentError } from '../document-reader.ts';

const MIB = 1024 * 1024;
export const ENTRIES_MAX = 20_000;
export const PART_BYTES_MAX = 512 * MIB;
export const UNPACKED_BYTES_MAX = 1024 * MIB;
/** Parts read in one go. */
const SMALL_PART_BYTES_MAX = 16 * MIB;

export interface Zip {
  readonly names: ReadonlySet<string>;
  has(name: string): boolean;
  /** A small part as text; null where there is none. Throws `DocumentError`. */
  readSmall(name: string): string | null;
  /** A part as UTF-8 (or UTF-16) text, piece by piece; nothing where there is none. Throws `DocumentError`. */
  readText(name: string): AsyncGenerator<string, void, undefined>;
  /** A part's bytes. Throws `DocumentError`. */
  readBytes(name: string): Uint8Array | null;
}

interface Entry {
  readonly method: number;
  readonly isEncrypted: boolean;
  readonly crc: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly headerAt: number;
}

/** Throws `DocumentError` where the archive is corrupt or too large. */
export function openZip(bytes: Uint8Array): Zip {
  const entries = readDirectory(bytes);
  let leftBytes = UNPACKED_BYTES_MAX;
  const spend = (name: string, count: number): void => {
    leftBytes -= count;
    if (leftBytes < 0) throw toBomb(name);
  };
  const readAll = (name: string, bytesMax: number): Buffer | null => {
    const entry = entries.get(name);
    if (entry === undefined) return null;
    if (entry.bytes > bytesMax) throw toBomb(name);
    const packed = findData(bytes, entry, name);
    const unpacked = entry.method === 0 ? packed : inflate(packed, name, Math.min(bytesMax, leftBytes));
    spend(name, unpacked.length);
    checkSum(entry, Bun.hash.crc32(unpacked), name);
    return unpacked;
  };
  return {
    names: new Set(entries.keys()),
    has: (name) => entries.has(name),
    readSmall(name) {
      const part = readAll(name, SMALL_PART_BYTES_MAX);
      return part === null ? null : new TextDecoder(findCharset(part)).decode(part);
    },
    readBytes: (name) => readAll(name, PART_BYTES_MAX),
    async *readText(name) {
      const entry = entries.get(name);
      if (entry === undefined) return;
      if (entry.bytes > PART_BYTES_MAX) throw toBomb(name);
      let decoder: TextDecoder | null = null;
      let crc = 0;
      let count = 0;
      for await (const piece of unpack(findData(bytes, entry, name), entry, name)) {
        count += piece.length;
        if (count > PART_BYTES_MAX) throw toBomb(name);
        spend(name, piece.length);
        crc = Bun.hash.crc32(piece, crc);
        decoder ??= new TextDecoder(findCharset(piece));
        yield decoder.decode(piece, { stream: true });
      }
      checkSum(entry, crc, name);
      if (decoder !== null) yield decoder.decode();
    },
  };
}

function findCharset(bytes: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8';
}

const toCorrupt = (detail: string, cause?: unknown): DocumentError =>
  new DocumentError('invalid_file', `The file is corrupt: ${detail}.`, { cause });

function toBomb(name: string): DocumentError {
  return new DocumentError(
    'invalid_file',
    `The file's part ${shorten(name)} unpacks to more than can be read (${PART_BYTES_MAX / MIB} MiB a part, ` +
      `${UNPACKED_BYTES_MAX / MIB} MiB in all).`,
  );
}

const shorten = (name: string): string => JSON.stringify(name.slice(0, 80));

// ——— Parts ———

const LOCAL_HEADER = 0x04034b50;
const LOCAL_HEADER_BYTES = 30;

function findData(bytes: Uint8Array, entry: Entry, name: string): Buffer {
  if (entry.isEncrypted) throw new DocumentError('invalid_file', 'The file is encrypted with a password.');
  if (entry.method !== 0 && entry.method !== 8)
    throw toCorrupt(`${shorten(name)} is packed in an unknown way`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (
    entry.headerAt + LOCAL_HEADER_BYTES > bytes.length ||
    buffer.readUInt32LE(entry.headerAt) !== LOCAL_HEADER
  ) {
    throw toCorrupt(`${shorten(name)} is not where the archive says`);
  }
  const nameBytes = buffer.readUInt16LE(entry.headerAt + 26);
  const extraBytes = buffer.readUInt16LE(entry.headerAt + 28);
  const start = entry.headerAt + LOCAL_HEADER_BYTES + nameBytes + extraBytes;
  if (start + entry.packedBytes > bytes.length) throw toCorrupt(`${shorten(name)} is cut off`);
  return buffer.subarray(start, start + entry.packedBytes);
}

function inflate(packed: Buffer, name: string, bytesMax: number): Buffer {
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, bytesMax) });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw toBomb(name);
    throw toCorrupt(`${shorten(name)} cannot be unpacked`, error);
  }
}

async function* unpack(packed: Buffer, entry: Entry, name: string): AsyncGenerator<Buffer, void, undefined> {
  if (entry.method === 0) {
    yield packed;
    return;
  }
  const stream = createInflateRaw({ chunkSize: 256 * 1024 });
  stream.end(packed);
  try {
    for await (const piece of stream) yield piece as Buffer;
  } catch (error) {
    if (error instanceof DocumentError) throw error;
    throw toCorrupt(`${shorten(name)} cannot be unpacked`, error);
  } finally {
    stream.destroy();
  }
}

function checkSum(entry: Entry, crc: number, name: string): void {
  if (crc >>> 0 !== entry.crc)
    throw toCorrupt(`${shorten(name)} does not have the checksum that the archive says`);
}

// ——— Directory ———

const END_MARK = 0x06054b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 65_535;
const END64_LOCATOR_MARK = 0x07064b50;
const END64_MARK = 0x06064b50;
const ENTRY_MARK = 0x02014b50;
const ENTRY_BYTES = 46;
const IN_ZIP64_32 = 0xffffffff;

function readDirectory(bytes: Uint8Array): Map<string, Entry> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const { count, at: first } = findDirectory(buffer);
  if (count > ENTRIES_MAX) {
    throw new DocumentError(
      'invalid_file',
      `The file has ${count} parts, more than the ${ENTRIES_MAX} that can be read.`,
    );
  }
  const entries = new Map<string, Entry>();
  for (let i = 0, at = first; i < count; i += 1) {
    if (at + ENTRY_BYTES > buffer.length || buffer.readUInt32LE(at) !== ENTRY_MARK)
      throw toCorrupt('its directory is cut off');
    const nameBytes = buffer.readUInt16LE(at + 28);
    const extraBytes = buffer.readUInt16LE(at + 30);
    const extraAt = at + ENTRY_BYTES + nameBytes;
    if (extraAt + extraBytes > buffer.length) throw toCorrupt('its directory is cut off');
    const name = buffer.toString('utf8', at + ENTRY_BYTES, extraAt).replaceAll('\\', '/');
    // The first of equals, as Office reads it.
    if (!entries.has(name))
      entries.set(name, readEntry(buffer, at, buffer.subarray(extraAt, extraAt + extraBytes)));
    at = extraAt + extraBytes + buffer.readUInt16LE(at + 32);
  }
  return entries;
}

function readEntry(buffer: Buffer, at: number, extra: Buffer): Entry {
  const large = readZip64(extra);
  const readSize = (offset: number): number => {
    const value = buffer.readUInt32LE(at + offset);
    return value === IN_ZIP64_32 ? large() : value;
  };
  // In this order they stand in the extra field.
  const bytes = readSize(24);
  const packedBytes = readSize(20);
  const headerAt = readSize(42);
  return {
    method: buffer.readUInt16LE(at + 10),
    isEncrypted: (buffer.readUInt16LE(at + 8) & 1) === 1,
    crc: buffer.readUInt32LE(at + 16),
    packedBytes,
    bytes,
    headerAt,
  };
}

/** Answers the 64-bit values of an extra field, one a call. */
function readZip64(extra: Buffer): () => number {
  let field: Buffer = Buffer.alloc(0);
  for (let at = 0; at + 4 <= extra.length; ) {
    const size = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1) field = extra.subarray(at + 4, at + 4 + size);
    at += 4 + size;
  }
  let next = 0;
  return () => {
    if (next + 8 > field.length) throw toCorrupt('a size is missing in its directory');
    next += 8;
    return Number(field.readBigUInt64LE(next - 8));
  };
}

function findDirectory(buffer: Buffer): { count: number; at: number } {
  const least = Math.max(0, buffer.length - END_BYTES - COMMENT_BYTES_MAX);
  for (let at = buffer.length - END_BYTES; at >= least; at -= 1) {
    if (buffer.readUInt32LE(at) !== END_MARK) continue;
    const found = { count: buffer.readUInt16LE(at + 10), at: buffer.readUInt32LE(at + 16) };
    return found.count === 0xffff || found.at === IN_ZIP64_32
      ? (findDirectory64(buffer, at) ?? found)
      : found;
  }
  throw toCorrupt('the end of the archive is missing');
}

function findDirectory64(buffer: Buffer, end: number): { count: number; at: number } | null {
  const locator = end - 20;
  if (locator < 0 || buffer.readUInt32LE(locator) !== END64_LOCATOR_MARK) return null;
  const at = Number(buffer.readBigUInt64LE(locator + 8));
  if (at + 56 > buffer.length || buffer.readUInt32LE(at) !== END64_MARK)
    throw toCorrupt('the end of the archive is missing');
  return { count: Number(buffer.readBigUInt64LE(at + 32)), at: Number(buffer.readBigUInt64LE(at + 48)) };
}
