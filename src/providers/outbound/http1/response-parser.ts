/** Reads answers of HTTP/1.1 as their bytes come: RFC 9112, for a client that sends neither HEAD nor CONNECT. */

/** Of a head, with all its lines; and of the lines of a chunked body. */
const HEAD_BYTES_MAX = 64 * 1024;
const CHUNK_LINE_BYTES_MAX = 4 * 1024;
/** Digits of a chunk's length: 16 TiB. */
const CHUNK_DIGITS_MAX = 11;
const CR = 0x0d;
const LF = 0x0a;

export interface ResponseHead {
  readonly status: number;
  /** Names in small letters, as they came one after the other. */
  readonly headers: readonly (readonly [string, string])[];
}

/** What is told of an answer, in this order: one head, pieces, one end. */
export interface ResponseSink {
  onHead(head: ResponseHead): void;
  /** At least one byte. */
  onPiece(bytes: Uint8Array): void;
  onEnd(): void;
}

/** What came is no answer of HTTP/1.1, or not a whole one. */
export class BrokenAnswer extends Error {
  override readonly name = 'BrokenAnswer';
  readonly code: string;

  constructor(code: 'HTTP_MALFORMED' | 'HTTP_TOO_LARGE' | 'HTTP_CUT') {
    super(code);
    this.code = code;
  }
}

type State = 'head' | 'sized' | 'chunk-line' | 'chunk' | 'chunk-end' | 'trailer' | 'until-close' | 'over';

/** Of one answer. */
export class ResponseParser {
  readonly #sink: ResponseSink;
  #state: State = 'head';
  /** The beginning of a head or line whose end has not come. */
  #rest: Uint8Array | null = null;
  /** Bytes to come of the body, or of the chunk. */
  #left = 0;
  #trailerBytes = 0;
  #keepsConnection = false;
  #hasBytes = false;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  /** Whether any byte of the answer has come. */
  get hasBegun(): boolean {
    return this.#hasBytes;
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** Whether the connection may serve another request, once the answer has ended. */
  get keepsConnection(): boolean {
    return this.#keepsConnection;
  }

  /** Throws `BrokenAnswer`. Bytes behind the end of the answer belong to no request: the connection is not kept then. */
  push(bytes: Uint8Array): void {
    this.#hasBytes = true;
    const buffer = this.#rest === null ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = null;
    let at = 0;
    while (at < buffer.length) {
      const next = this.#step(buffer, at);
      if (next === null) {
        this.#rest = buffer.subarray(at);
        return;
      }
      at = next;
    }
  }

  /** The connection has been closed by the server. Throws `BrokenAnswer` where the answer is not whole. */
  finish(): void {
    if (this.#state === 'over') return;
    if (this.#state !== 'until-close') throw new BrokenAnswer('HTTP_CUT');
    this.#end();
  }

  /** Where to go on; null: what is there is not enough. */
  #step(buffer: Uint8Array, at: number): number | null {
    switch (this.#state) {
      case 'head':
        return this.#readHead(buffer, at);
      case 'sized':
      case 'chunk':
        return this.#readBody(buffer, at);
      case 'until-close':
        this.#sink.onPiece(at === 0 ? buffer : buffer.subarray(at));
        return buffer.length;
      case 'chunk-line':
        return this.#readChunkLine(buffer, at);
      case 'chunk-end':
        return this.#readChunkEnd(buffer, at);
      case 'trailer':
        return this.#readTrailer(buffer, at);
      case 'over':
        this.#keepsConnection = false;
        return buffer.length;
    }
  }

  #readHead(buffer: Uint8Array, at: number): number | null {
    const end = findHeadEnd(buffer, at);
    if (end === null || end - at > HEAD_BYTES_MAX) {
      if (buffer.length - at > HEAD_BYTES_MAX) throw new BrokenAnswer('HTTP_TOO_LARGE');
      return null;
    }
    const lines = Buffer.from(buffer.buffer, buffer.byteOffset + at, end - at)
      .toString('latin1')
      .split(/\r?\n/);
    const { status, isOld } = readStatusLine(lines[0] ?? '');
    // An interim answer: the real one follows.
    if (status < 200) {
      if (status === 101) throw new BrokenAnswer('HTTP_MALFORMED');
      return end;
    }
    const headers = readHeaders(lines);
    this.#frameBody(status, isOld, headers);
    this.#sink.onHead({ status, headers });
    if (this.#state === 'sized' && this.#left === 0) this.#end();
    return end;
  }

  /** How long the body is: RFC 9112, section 6.3. */
  #frameBody(status: number, isOld: boolean, headers: ResponseHead['headers']): void {
    const connection = findAll(headers, 'connection').join(',').toLowerCase();
    this.#keepsConnection = isOld ? connection.includes('keep-alive') : !connection.includes('close');
    const coding = findAll(headers, 'transfer-encoding').join(',').trim().toLowerCase();
    const lengths = new Set(findAll(headers, 'content-length').map((value) => value.trim()));
    this.#state = 'sized';
    if (status === 204 || status === 304) return;
    // `identity` is what older servers say where there is none.
    if (coding !== '' && coding !== 'identity') {
      if (coding !== 'chunked') throw new BrokenAnswer('HTTP_MALFORMED');
      // Both is how requests are smuggled: the coding counts, and the connection ends.
      if (lengths.size > 0) this.#keepsConnection = false;
      this.#state = 'chunk-line';
      return;
    }
    const [length] = lengths;
    if (length === undefined) {
      this.#keepsConnection = false;
      this.#state = 'until-close';
      return;
    }
    if (lengths.size > 1 || !/^\d{1,15}$/.test(length)) throw new BrokenAnswer('HTTP_MALFORMED');
    this.#left = Number(length);
  }

  #readBody(buffer: Uint8Array, at: number): number {
    const end = Math.min(buffer.length, at + this.#left);
    this.#sink.onPiece(buffer.subarray(at, end));
    this.#left -= end - at;
    if (this.#left > 0) return end;
    if (this.#state === 'sized') this.#end();
    else this.#state = 'chunk-end';
    return end;
  }

  #readChunkLine(buffer: Uint8Array, at: number): number | null {
    const end = findLine(buffer, at);
    if (end === null) return null;
    let length = 0;
    let digits = 0;
    for (let index = at; index < end; index += 1) {
      const digit = toHexDigit(buffer[index] ?? 0);
      if (digit === null) break;
      length = length * 16 + digit;
      digits += 1;
    }
    const after = buffer[at + digits];
    const isFollowed = after === CR || after === LF || after === 0x3b || after === 0x20 || after === 0x09;
    if (digits === 0 || digits > CHUNK_DIGITS_MAX || !isFollowed) throw new BrokenAnswer('HTTP_MALFORMED');
    this.#left = length;
    this.#state = length === 0 ? 'trailer' : 'chunk';
    return end;
  }

  #readChunkEnd(buffer: Uint8Array, at: number): number | null {
    const end = findLine(buffer, at);
    if (end === null && buffer.length - at < 2) return null;
    if (end === null || end - at > 2 || (end - at === 2 && buffer[at] !== CR)) {
      throw new BrokenAnswer('HTTP_MALFORMED');
    }
    this.#state = 'chunk-line';
    return end;
  }

  #readTrailer(buffer: Uint8Array, at: number): number | null {
    const end = findLine(buffer, at);
    if (end === null) return null;
    this.#trailerBytes += end - at;
    if (this.#trailerBytes > HEAD_BYTES_MAX) throw new BrokenAnswer('HTTP_TOO_LARGE');
    const isEmpty = end - at === 1 || (end - at === 2 && buffer[at] === CR);
    if (isEmpty) this.#end();
    return end;
  }

  #end(): void {
    this.#state = 'over';
    this.#sink.onEnd();
  }
}

/** Behind the empty line; null where it has not come. */
function findHeadEnd(buffer: Uint8Array, at: number): number | null {
  for (let index = buffer.indexOf(LF, at); index >= 0; index = buffer.indexOf(LF, index + 1)) {
    if (buffer[index + 1] === LF) return index + 2;
    if (buffer[index + 1] === CR && buffer[index + 2] === LF) return index + 3;
  }
  return null;
}

/** Behind the line's end; null where it has not come. */
function findLine(buffer: Uint8Array, at: number): number | null {
  const index = buffer.indexOf(LF, at);
  if ((index < 0 ? buffer.length : index) - at > CHUNK_LINE_BYTES_MAX)
    throw new BrokenAnswer('HTTP_TOO_LARGE');
  return index < 0 ? null : index + 1;
}

function readStatusLine(line: string): { readonly status: number; readonly isOld: boolean } {
  const match = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/.exec(line);
  if (match === null) throw new BrokenAnswer('HTTP_MALFORMED');
  return { status: Number(match[2]), isOld: match[1] === '0' };
}

function readHeaders(lines: readonly string[]): [string, string][] {
  const headers: [string, string][] = [];
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (colon < 1 || !TOKEN.test(name) || value.includes('\0')) throw new BrokenAnswer('HTTP_MALFORMED');
    headers.push([name.toLowerCase(), value]);
  }
  return headers;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/;

function findAll(headers: ResponseHead['headers'], wanted: string): string[] {
  const values: string[] = [];
  for (const [name, value] of headers) if (name === wanted) values.push(value);
  return values;
}

function toHexDigit(code: number): number | null {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : null;
}
