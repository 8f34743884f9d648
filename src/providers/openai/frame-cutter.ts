/** Pieces of a stream of events, cut anew where events end: nobody is handed half of one. */

import { ProviderError } from '../provider.ts';

/** Bytes of one event of a stream, which is held until it is whole. */
export const FRAME_BYTES_MAX = 8 * 1024 * 1024;

export interface FrameCutter {
  /** The bytes up to the last blank line; null where no event is whole yet. Throws beyond the bound. */
  push(piece: Uint8Array): Uint8Array | null;
  takeRest(): Uint8Array;
}

export function createFrameCutter(bytesMax: number = FRAME_BYTES_MAX): FrameCutter {
  let held: Uint8Array[] = [];
  let heldBytes = 0;

  return {
    push(piece) {
      if (heldBytes === 0 && endsWithBlankLine(piece)) return piece;
      const tail = toTail(held);
      const joined = tail.byteLength === 0 ? piece : Buffer.concat([tail, piece]);
      const end = findLastFrameEnd(joined) - tail.byteLength;
      if (end <= 0) {
        held.push(piece);
        heldBytes += piece.byteLength;
        if (heldBytes > bytesMax) {
          throw new ProviderError('protocol', "The model's server sent an event that is too long.");
        }
        return null;
      }
      const whole = Buffer.concat([...held, piece.subarray(0, end)]);
      held = end === piece.byteLength ? [] : [piece.subarray(end)];
      heldBytes = piece.byteLength - end;
      return whole;
    },
    takeRest() {
      const rest = Buffer.concat(held);
      held = [];
      heldBytes = 0;
      return rest;
    },
  };
}

const LF = 10;
const FRAME_ENDS = Object.freeze(['\n\n', '\r\n\r\n', '\r\r']);
/** A frame's end of four bytes may lie across pieces: three of them in the earlier ones. */
const TAIL_BYTES = 3;

function endsWithBlankLine(piece: Uint8Array): boolean {
  return piece.at(-1) === LF && piece.at(-2) === LF;
}

function toTail(held: readonly Uint8Array[]): Uint8Array {
  const latest: Uint8Array[] = [];
  let bytes = 0;
  for (let i = held.length - 1; i >= 0 && bytes < TAIL_BYTES; i -= 1) {
    const part = (held[i] ?? new Uint8Array()).subarray(-(TAIL_BYTES - bytes));
    latest.unshift(part);
    bytes += part.byteLength;
  }
  return Buffer.concat(latest);
}

/** The position after the last blank line; 0 where there is none. */
function findLastFrameEnd(bytes: Uint8Array): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = 0;
  for (const mark of FRAME_ENDS) {
    const at = buffer.lastIndexOf(mark);
    if (at !== -1) end = Math.max(end, at + mark.length);
  }
  return end;
}
