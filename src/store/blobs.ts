/**
 * Streams in and out of the blob store, a few pieces at a time: who writes waits for what is acknowledged, who reads
 * is read ahead of by a piece or two.
 */

import { type BlobStore, PIECE_BYTES_MAX } from './blob-store.ts';
import { StoreError } from './store.ts';

/** Pieces of one blob that may be on their way to the disk: together they share a sync. */
export const PIECES_IN_FLIGHT_MAX = 8;
/** Pieces that are asked for before the reader wants them. */
const PIECES_AHEAD = 2;

/** A blob and its length: what a record keeps of its bytes. */
export interface BlobPart {
  readonly blob: string;
  readonly bytes: number;
}

/** From `start`, counted from 0, up to but without `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface BlobWriter {
  /** Taken in so far. */
  readonly bytes: number;
  /** Takes a copy of the bytes. Call `drain` before the next. */
  append(chunk: Uint8Array): void;
  /** Resolves once few enough pieces are on their way. Errors: those of the store. */
  drain(): Promise<void>;
  /** Writes the rest and resolves when all is durable. Errors: those of the store. */
  finish(): Promise<void>;
  /** Resolves when no piece is on its way any more, whatever became of it: only then can the blob be removed for good. */
  settle(): Promise<void>;
}

/** The blob must be new. */
export function createBlobWriter(blobs: BlobStore, tenant: string, blob: string): BlobWriter {
  const inFlight = new Set<Promise<void>>();
  let piece = new Uint8Array(0);
  let filled = 0;
  let index = 0;
  let bytes = 0;
  let failure: { readonly error: unknown } | null = null;

  const send = (part: Uint8Array): void => {
    const sent: Promise<void> = blobs
      .putPiece(tenant, blob, index, part)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => inFlight.delete(sent));
    inFlight.add(sent);
    index += 1;
    piece = new Uint8Array(0);
    filled = 0;
  };

  const check = (): void => {
    if (failure !== null) throw failure.error;
  };

  const settle = async (): Promise<void> => {
    await Promise.all(inFlight);
  };

  return {
    get bytes() {
      return bytes;
    },
    append(chunk) {
      bytes += chunk.byteLength;
      for (let taken = 0; taken < chunk.byteLength; ) {
        if (piece.byteLength === 0) piece = new Uint8Array(PIECE_BYTES_MAX);
        const part = chunk.subarray(taken, taken + PIECE_BYTES_MAX - filled);
        piece.set(part, filled);
        taken += part.byteLength;
        filled += part.byteLength;
        if (filled === PIECE_BYTES_MAX) send(piece);
      }
    },
    async drain() {
      check();
      while (inFlight.size >= PIECES_IN_FLIGHT_MAX) {
        await Promise.race(inFlight);
        check();
      }
    },
    async finish() {
      if (filled > 0 && failure === null) send(piece.slice(0, filled));
      await settle();
      check();
    },
    settle,
  };
}

/** Writes a stream as a new blob. Answers how many bytes it had. Errors: those of the stream and of the store. */
export async function writeBlob(
  blobs: BlobStore,
  tenant: string,
  blob: string,
  stream: ReadableStream<Uint8Array>,
): Promise<number> {
  const writer = createBlobWriter(blobs, tenant, blob);
  try {
    for await (const chunk of stream) {
      writer.append(chunk);
      await writer.drain();
    }
    await writer.finish();
    return writer.bytes;
  } catch (error) {
    await writer.settle();
    throw error;
  }
}

/**
 * One or several blobs, one behind the other, or a range of their bytes. The stream fails with `unavailable` where
 * bytes are missing, because they were removed meanwhile.
 */
export function readBlobs(
  blobs: BlobStore,
  tenant: string,
  parts: readonly BlobPart[],
  range?: ByteRange,
): ReadableStream<Uint8Array> {
  const slices = toSlices(parts, range ?? { start: 0, end: Number.MAX_SAFE_INTEGER });
  const ahead: Promise<Uint8Array>[] = [];

  const readAhead = (): void => {
    while (ahead.length <= PIECES_AHEAD) {
      const { value: slice, done } = slices.next();
      if (done === true) return;
      const reading = readSlice(blobs, tenant, slice);
      // Whoever takes it learns of its failure; nobody may take it.
      reading.catch(() => undefined);
      ahead.push(reading);
    }
  };

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        readAhead();
        const next = ahead.shift();
        if (next === undefined) controller.close();
        else controller.enqueue(await next);
      },
    },
    { highWaterMark: 0 },
  );
}

/** A part of a piece. */
interface Slice extends ByteRange {
  readonly blob: string;
  readonly index: number;
}

function* toSlices(parts: readonly BlobPart[], range: ByteRange): Generator<Slice, undefined> {
  let offset = 0;
  for (const { blob, bytes } of parts) {
    const start = Math.max(range.start - offset, 0);
    const end = Math.min(range.end - offset, bytes);
    for (let at = start; at < end; ) {
      const index = Math.floor(at / PIECE_BYTES_MAX);
      const pieceStart = index * PIECE_BYTES_MAX;
      const sliceEnd = Math.min(end, pieceStart + PIECE_BYTES_MAX);
      yield { blob, index, start: at - pieceStart, end: sliceEnd - pieceStart };
      at = sliceEnd;
    }
    offset += bytes;
  }
}

async function readSlice(
  blobs: BlobStore,
  tenant: string,
  { blob, index, start, end }: Slice,
): Promise<Uint8Array> {
  const piece = await blobs.getPiece(tenant, blob, index);
  if (piece === null || piece.byteLength < end) {
    throw new StoreError('unavailable', 'The bytes of the file are not there any more.');
  }
  return start === 0 && end === piece.byteLength ? piece : piece.subarray(start, end);
}
