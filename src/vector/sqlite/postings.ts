/**
 * Postings: for each term of a segment, which chunks have it and how often.
 *
 * A block is a run of entries in the order of their terms: the term's length in bytes, the term (UTF-8), how many chunks
 * have it, the length of its postings in bytes, the postings. A posting is the distance from the chunk before, times
 * two, plus one where the term occurs more than once, and then how often. All numbers are written seven bits a byte,
 * lowest first. Terms are ordered as JavaScript compares strings.
 */

/** A block is closed when it has so many bytes: as a rule its row fits into one page of the file. */
const BLOCK_BYTES = 3600;
/** A term with longer postings has a block alone: who looks for its neighbours need not read them. */
const ALONE_BYTES = 1800;

export interface PostingsBlock {
  readonly first: string;
  readonly bytes: Uint8Array;
}

/** Where the postings of a term lie. */
export interface PostingsList {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** How many chunks have the term, those that are gone too. */
  readonly chunks: number;
}

export interface PostingsEntry extends PostingsList {
  readonly term: string;
}

/** Bytes that grow. */
export class ByteBuffer {
  bytes = new Uint8Array(1024);
  length = 0;

  writeNumber(value: number): void {
    this.reserve(8);
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  write(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.reserve(end - start);
    // A loop: most postings have a few bytes, and a view of them costs more than they do.
    let at = this.length;
    for (let i = start; i < end; i += 1) this.bytes[at++] = bytes[i] ?? 0;
    this.length = at;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.length + more, 2 * this.bytes.length));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

/** The postings of one term on their way. Chunks come in ascending order. */
export class PostingsWriter {
  readonly buffer = new ByteBuffer();
  chunks = 0;
  private last = -1;

  add(chunk: number, count: number): void {
    const distance = chunk - this.last - 1;
    this.buffer.writeNumber(count > 1 ? 2 * distance + 1 : 2 * distance);
    if (count > 1) this.buffer.writeNumber(count);
    this.last = chunk;
    this.chunks += 1;
  }

  clear(): void {
    this.buffer.length = 0;
    this.chunks = 0;
    this.last = -1;
  }
}

/** Puts entries, which come in the order of their terms, into blocks. */
export class BlockWriter {
  private readonly encoder = new TextEncoder();
  private readonly buffer = new ByteBuffer();
  private first: string | null = null;
  private done: PostingsBlock[] = [];

  add(term: string, postings: PostingsWriter): void {
    const { bytes, length } = postings.buffer;
    const isAlone = length > ALONE_BYTES;
    if (isAlone) this.closeBlock();
    this.first ??= term;
    const name = this.encoder.encode(term);
    this.buffer.writeNumber(name.length);
    this.buffer.write(name);
    this.buffer.writeNumber(postings.chunks);
    this.buffer.writeNumber(length);
    this.buffer.write(bytes, 0, length);
    if (isAlone || this.buffer.length >= BLOCK_BYTES) this.closeBlock();
  }

  closeBlock(): void {
    if (this.first === null) return;
    this.done.push({ first: this.first, bytes: this.buffer.bytes.slice(0, this.buffer.length) });
    this.first = null;
    this.buffer.length = 0;
  }

  /** The blocks that were closed since the last call. */
  take(): PostingsBlock[] {
    const blocks = this.done;
    this.done = [];
    return blocks;
  }
}

/** Reads numbers of a block one after the other. */
export class NumberReader {
  at: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  next(): number {
    const { bytes } = this;
    let byte = bytes[this.at++] ?? 0;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; byte >= 0x80 && shift < 35; shift += 7) {
      byte = bytes[this.at++] ?? 0;
      value |= (byte & 0x7f) << shift;
    }
    return value >>> 0;
  }
}

/** The postings of a term in its block, or null where it is not there. */
export function findPostings(bytes: Uint8Array, term: Uint8Array): PostingsList | null {
  const reader = new NumberReader(bytes, 0);
  while (reader.at < bytes.length) {
    const nameLength = reader.next();
    const nameStart = reader.at;
    reader.at += nameLength;
    const chunks = reader.next();
    const length = reader.next();
    const start = reader.at;
    if (nameLength === term.length && hasBytesAt(bytes, nameStart, term)) {
      return { bytes, start, end: start + length, chunks };
    }
    reader.at += length;
  }
  return null;
}

function hasBytesAt(bytes: Uint8Array, start: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i += 1) if (bytes[start + i] !== wanted[i]) return false;
  return true;
}

/** All entries of a block, in order. */
export function* readEntries(bytes: Uint8Array): Generator<PostingsEntry> {
  const decoder = new TextDecoder();
  const reader = new NumberReader(bytes, 0);
  while (reader.at < bytes.length) {
    const nameLength = reader.next();
    const nameStart = reader.at;
    reader.at += nameLength;
    const chunks = reader.next();
    const length = reader.next();
    const start = reader.at;
    reader.at = start + length;
    const term = decoder.decode(bytes.subarray(nameStart, nameStart + nameLength));
    yield { term, bytes, start, end: start + length, chunks };
  }
}

/** Calls back for each posting, in the order of the chunks. */
export function forEachPosting(list: PostingsList, visit: (chunk: number, count: number) => void): void {
  const reader = new NumberReader(list.bytes, list.start);
  let chunk = -1;
  while (reader.at < list.end) {
    const head = reader.next();
    chunk += (head >>> 1) + 1;
    visit(chunk, (head & 1) === 1 ? reader.next() : 1);
  }
}

/** Where in a directory (the first terms of blocks) a term would lie; -1: before the first block. */
export function findBlock(directory: readonly string[], term: string): number {
  let low = 0;
  let high = directory.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((directory[middle] ?? '') <= term) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
