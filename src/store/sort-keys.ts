/** Sort keys of records whose id holds none: where an imported record stands among native ones. */

import { ID_BODY_LENGTH } from '../ids.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** As in `ids.ts`: 11 characters of milliseconds, counter and 3 random bits. */
const HEAD_LENGTH = 11;
const HEAD_SHIFT = 1n << 17n;

/** The lowest sort key of a millisecond: at or before that of every native id made in it, after all of earlier ones. */
export function toSortKey(ms: number): string {
  let value = BigInt(ms) * HEAD_SHIFT;
  let head = '';
  for (let i = 0; i < HEAD_LENGTH; i += 1) {
    head = BASE62.charAt(Number(value % 62n)) + head;
    value /= 62n;
  }
  return head.padEnd(ID_BODY_LENGTH, '0');
}

/** A sort key that follows the given one and precedes every later key that anybody is likely to hold. */
export function toNextSortKey(sortKey: string): string {
  for (let i = sortKey.length - 1; i >= 0; i -= 1) {
    const digit = BASE62.indexOf(sortKey.charAt(i));
    if (digit >= 0 && digit < 61) {
      return sortKey.slice(0, i) + BASE62.charAt(digit + 1) + '0'.repeat(sortKey.length - i - 1);
    }
    if (digit < 0) break;
  }
  return `${sortKey}0`;
}
