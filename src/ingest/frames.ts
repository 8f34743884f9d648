/**
 * What the server and a process that reads documents say to each other: frames of a length (4 bytes, little endian), a
 * kind (1 byte) and a payload. Both sides speak in turn, so that at most one frame is under way in either direction.
 *
 *     server                         process
 *     start {name, size, …}   ──▶
 *                             ◀──    want            (until the end of the bytes, or until it knows enough)
 *     data | end              ──▶
 *                             ◀──    batch [chunks]
 *     next                    ──▶
 *                             ◀──    batch | done {summary} | failed {code, message}
 */

export const FRAME = Object.freeze({
  start: 1,
  data: 2,
  end: 3,
  next: 4,
  want: 16,
  batch: 17,
  done: 18,
  failed: 19,
});

export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

export interface Frame {
  readonly kind: number;
  readonly payload: Uint8Array;
}

export interface StartPayload {
  readonly name: string;
  readonly size: number;
  readonly tokensMax: number;
  readonly overlapTokens: number;
  /** Where nobody else watches it, the process watches its own memory. */
  readonly memoryBytesMax: number;
}

const HEADER_BYTES = 5;
/** Bytes of a document in a frame. */
export const DATA_BYTES_MAX = 256 * 1024;
/** Above every batch: a chunk is at most some MiB. */
export const FRAME_BYTES_MAX = 256 * 1024 * 1024;

const NOTHING = new Uint8Array(0);

export function encodeFrame(kind: FrameKind, payload: Uint8Array = NOTHING): Uint8Array {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt8(kind, 4);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

export function encodeJsonFrame(kind: FrameKind, value: unknown): Uint8Array {
  return encodeFrame(kind, Buffer.from(JSON.stringify(value), 'utf8'));
}

export function decodeJson(payload: Uint8Array): unknown {
  return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8'));
}

export interface FrameReader {
  /** The next frame; null at the end of the stream, also within a frame. Throws where a frame is too long. */
  next(): Promise<Frame | null>;
}

export function createFrameReader(stream: ReadableStream<Uint8Array>): FrameReader {
  const reader = stream.getReader();
  let parts: Uint8Array[] = [];
  let length = 0;

  /** Waits until so many bytes are there; false at the end of the stream. */
  const fill = async (bytes: number): Promise<boolean> => {
    while (length < bytes) {
      const { done, value } = await reader.read();
      if (done) return false;
      parts.push(value);
      length += value.length;
    }
    return true;
  };
  const take = (bytes: number): Buffer => {
    const [first] = parts;
    const whole = Buffer.concat(first !== undefined && first.length >= bytes ? [first] : parts);
    parts = first !== undefined && first.length >= bytes ? parts.slice(1) : [];
    const rest = whole.subarray(bytes);
    if (rest.length > 0) parts.unshift(rest);
    length -= bytes;
    return whole.subarray(0, bytes);
  };
  return {
    async next() {
      if (!(await fill(HEADER_BYTES))) return null;
      const header = take(HEADER_BYTES);
      const bytes = header.readUInt32LE(0);
      if (bytes > FRAME_BYTES_MAX) throw new Error(`A frame of ${bytes} bytes is too long.`);
      if (!(await fill(bytes))) return null;
      return { kind: header.readUInt8(4), payload: take(bytes) };
    },
  };
}
