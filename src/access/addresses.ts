/** Addresses of clients, and which of them are meant. */

import { BlockList, isIP } from 'node:net';

/** `10.0.0.0/8`, `127.0.0.1`, `fd00::/8`. Null where it is none of them. */
export function parseAddressRange(
  text: string,
): { readonly address: string; readonly family: 'ipv4' | 'ipv6'; readonly bits: number } | null {
  const [address = '', bitsText, rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest !== undefined) return null;
  const bitsMax = version === 4 ? 32 : 128;
  if (bitsText !== undefined && !/^\d{1,3}$/.test(bitsText)) return null;
  const bits = bitsText === undefined ? bitsMax : Number(bitsText);
  if (bits > bitsMax) return null;
  return { address, family: version === 4 ? 'ipv4' : 'ipv6', bits };
}

/** What tells whether an address is in one of the ranges, each of which `parseAddressRange` takes. */
export function createAddressCheck(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const text of ranges) {
    const range = parseAddressRange(text);
    if (range !== null) list.addSubnet(range.address, range.bits, range.family);
  }
  return (given) => {
    const address = toPlainAddress(given);
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6');
  };
}

/** A socket that takes both kinds shows `127.0.0.1` as `::ffff:127.0.0.1`. */
export function toPlainAddress(address: string): string {
  return /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)?.[1] ?? address;
}

/** What one household, or one host, has: of IPv6 that is a network of 64 bits. */
export function toAddressGroup(given: string): string {
  const address = toPlainAddress(given);
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  if (tail === undefined) return left.slice(0, 4).join(':');
  const right = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}
