/**
 * Public ids: OpenAI's prefix and 24 base62 characters whose byte order is the order of creation.
 *
 * The 24 characters hold 142 bits: 48 bits of milliseconds, a 14-bit counter that keeps the order of ids
 * made within one millisecond of one process, and 80 random bits that no outsider can guess.
 */

import type { Clock } from './clock.ts';

export const ID_PREFIXES = Object.freeze({
  assistant: 'asst_',
  thread: 'thread_',
  message: 'msg_',
  run: 'run_',
  step: 'step_',
  call: 'call_',
  file: 'file-',
  vector_store: 'vs_',
  file_batch: 'vsfb_',
  upload: 'upload_',
  part: 'part_',
  chat_completion: 'chatcmpl-',
  request: 'req_',
  api_key: 'key_',
});

export type IdKind = keyof typeof ID_PREFIXES;

/** Makes ids, each greater than every one that this generator made before. */
export interface Ids {
  create(kind: IdKind): string;
}

export const ID_BODY_LENGTH = 24;

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** The head is 65 bits in 11 characters (62^11 > 2^65): milliseconds, counter, 3 random bits. */
const HEAD_LENGTH = 11;
const COUNTER_MAX = (1 << 14) - 1;
const HEAD_SHIFT = 1n << 17n;
/** The head's last characters: with the counter added, they still fit a number without loss. */
const HEAD_LOW_LENGTH = 6;
const HEAD_LOW_COUNT = 62 ** HEAD_LOW_LENGTH;
/** The tail is 13 random characters, 77 bits. */
const TAIL_LENGTH = ID_BODY_LENGTH - HEAD_LENGTH;
const RANDOM_BATCH_BYTES = 8192;
/** Bytes at or above this are drawn again, so that every character is equally likely. */
const UNBIASED_BELOW = 248;

export function createIds(clock: Clock): Ids {
  const random = new Uint8Array(RANDOM_BATCH_BYTES);
  let used = RANDOM_BATCH_BYTES;
  let lastMs = 0;
  let counter = 0;

  const nextByte = (): number => {
    if (used === RANDOM_BATCH_BYTES) {
      crypto.getRandomValues(random);
      used = 0;
    }
    const byte = random[used] ?? 0;
    used += 1;
    return byte;
  };

  /** Time that never goes back, with the counter's overflow carried into the next millisecond. */
  const advance = (): void => {
    const now = clock.nowMs();
    if (now > lastMs) {
      lastMs = now;
      counter = 0;
    } else if (counter === COUNTER_MAX) {
      lastMs += 1;
      counter = 0;
    } else {
      counter += 1;
    }
  };

  /** Milliseconds as the head's upper and lower characters: big integers are slow, and once a millisecond is enough. */
  let splitMs = -1;
  let headHigh = 0;
  let headLow = 0;

  const encodeHead = (): string => {
    if (splitMs !== lastMs) {
      const shifted = BigInt(lastMs) * HEAD_SHIFT;
      headHigh = Number(shifted / BigInt(HEAD_LOW_COUNT));
      headLow = Number(shifted % BigInt(HEAD_LOW_COUNT));
      splitMs = lastMs;
    }
    const low = headLow + counter * 8 + (nextByte() & 7);
    const carry = low >= HEAD_LOW_COUNT ? 1 : 0;
    return (
      toBase62(headHigh + carry, HEAD_LENGTH - HEAD_LOW_LENGTH) +
      toBase62(low - carry * HEAD_LOW_COUNT, HEAD_LOW_LENGTH)
    );
  };

  const encodeTail = (): string => {
    let text = '';
    while (text.length < TAIL_LENGTH) {
      const byte = nextByte();
      if (byte < UNBIASED_BELOW) text += BASE62.charAt(byte % 62);
    }
    return text;
  };

  return {
    create(kind) {
      advance();
      return ID_PREFIXES[kind] + encodeHead() + encodeTail();
    },
  };
}

function toBase62(value: number, length: number): string {
  let rest = value;
  let text = '';
  for (let i = 0; i < length; i += 1) {
    text = BASE62.charAt(rest % 62) + text;
    rest = Math.floor(rest / 62);
  }
  return text;
}

/**
 * The part of a native id that sorts by creation, or null where the id was made elsewhere (an imported
 * object keeps its id, and gets a sort key of its own).
 */
export function toNativeSortKey(id: string): string | null {
  const body = id.slice(-ID_BODY_LENGTH);
  const prefix = id.slice(0, -ID_BODY_LENGTH);
  if (body.length < ID_BODY_LENGTH || !/^[a-z]+[_-]$/.test(prefix)) return null;
  return /^[0-9A-Za-z]+$/.test(body) ? body : null;
}
